"""Between us and a real Postfix, in both directions: mail passes, and one message stays one."""

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..mailgov.relay.test_smuggling import ENDINGS
from ..support import postfix
from ..support.mail import inbox, letter, send
from ..support.platform import Platform, copy_of, eventually, start
from ..support.postfix import Postfix
from ..support.tap import Tap


@pytest.fixture(scope="module")
def world() -> Iterator[Postfix]:
    """The world as a Postfix from before it learned that LF.CRLF ends nothing."""
    with postfix.running(smtpd_forbid_bare_newline="no") as running:
        yield running


@pytest.fixture(scope="module")
def tap(world: Postfix) -> Iterator[Tap]:
    """The line from us to the world."""
    tap = Tap("127.0.0.1", world.port)
    yield tap
    tap.close()


@pytest.fixture(scope="module")
def house(prepared: Path, tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that hands its mail to that Postfix, and lets hosts of this machine relay."""
    folder = copy_of(prepared, tmp_path_factory.mktemp("postfix") / "demo")
    platform = start(
        folder,
        "--no-samples",
        environment={
            "MAILGOV_DELIVERY__SMARTHOST": tap.address,
            "MAILGOV_RELAY__TRUSTED_NETWORKS": '["127.0.0.0/8"]',
            "MAILGOV_LIMITS__NEW_CONNECTIONS_PER_MINUTE": "10000",
        },
    )
    yield platform
    assert platform.stop() == 0


def arrived(world: Postfix, words: bytes) -> list[bytes]:
    return [message for message in world.messages if words in message]


def test_we_relay_through_postfix(house: Platform, world: Postfix) -> None:
    official = house.login("official")
    message = letter(official["address"], "doi-tac@example.org", "Thư qua Postfix", "Xin chào.\n")
    message["Message-ID"] = "<qua-postfix@vidu.example>"
    assert send(house, official, message)[0] == 250
    (got,) = eventually(lambda: arrived(world, b"<qua-postfix@vidu.example>"))
    assert got.startswith(f"Return-Path: <{official['address']}>\n".encode())
    assert b"DKIM-Signature:" in got


def test_postfix_relays_through_us(house: Platform) -> None:
    official = house.login("official")
    host, port = house.address("mx")
    with postfix.running(
        relayhost=f"[{host}]:{port}", virtual_mailbox_domains="", smtp_tls_security_level="may"
    ) as outside:
        message = letter("nguoidan@example.org", official["address"], "Đơn từ ngoài", "Kính gửi.\n")
        with smtplib.SMTP("127.0.0.1", outside.port) as client:
            client.send_message(message)
        (got,) = eventually(
            lambda: [m for m in inbox(house, official) if m["Subject"] == "Đơn từ ngoài"]
        )
        assert "postfix.example" in str(got["Received"])
        assert "status=sent (250 2.0.0 " in outside.log
        assert outside.queued == 0


def smuggled(sender: str, ending: bytes, number: int) -> bytes:
    """A message that holds what some server takes for its end, then commands and a forgery."""
    return (
        f"From: {sender}\r\nTo: ngoai@example.org\r\nSubject: so {number}\r\n"
        f"Message-ID: <so-{number}@vidu.example>\r\n\r\nDau".encode()
        + ending
        + b"MAIL FROM:<chutich@vidu.example>\r\nRCPT TO:<ngoai@example.org>\r\nDATA\r\n"
        + b"Subject: GIA MAO\r\n\r\nCuoi\r\n.\r\n"
    )


def test_one_message_in_is_one_message_out(house: Platform, world: Postfix, tap: Tap) -> None:
    """What a trusted host sends with stray line ends is mended before it goes on."""
    sender = house.login("official")["address"]
    host, port = house.address("mx")
    for number, ending in enumerate(ENDINGS.values()):
        with smtplib.SMTP(host, port) as client:
            client.ehlo("c.example")
            assert client.mail(sender)[0] == 250
            assert client.rcpt("ngoai@example.org")[0] == 250
            assert client.docmd("DATA")[0] == 354
            client.send(smuggled(sender, ending, number))
            code, reply = client.getreply()
            assert code == 250, (number, reply)
            assert client.noop()[0] == 250
    wanted = [f"Message-ID: <so-{number}@vidu.example>".encode() for number in range(len(ENDINGS))]
    eventually(lambda: all(arrived(world, words) for words in wanted))
    assert [len(arrived(world, words)) for words in wanted] == [1] * len(ENDINGS)
    # The forgery is text within each of them, and nothing of its own.
    assert len(arrived(world, b"GIA MAO")) == len(ENDINGS)
    assert arrived(world, b"Return-Path: <chutich@") == []
    is_strict(tap, messages=len(ENDINGS))


def is_strict(tap: Tap, *, messages: int) -> None:
    """Every line we sent ends in CRLF, and a lone dot stands only at the end of a message."""
    ends = 0
    for said in tap.said:
        text = bytes(said)
        assert re.search(rb"\r(?!\n)|(?<!\r)\n", text) is None
        assert b"STARTTLS" not in text  # else we would look at noise
        ends += text.count(b"\r\n.\r\n")
        assert len(re.findall(rb"^DATA\r\n", text, re.MULTILINE)) >= text.count(b"\r\n.\r\n")
    assert ends >= messages


@pytest.mark.parametrize("name", ["CRLF.CRLF", "CRLF..CRLF", "dots"])
def test_dots_arrive_as_they_were(name: str, house: Platform, world: Postfix) -> None:
    text = {"CRLF.CRLF": "mot\r\n.\r\nhai", "CRLF..CRLF": "mot\r\n..\r\nhai", "dots": ".\r\n.."}[
        name
    ]
    official = house.login("official")
    mark = f"<cham-{len(text)}-{name.count('.')}@vidu.example>"
    message = letter(official["address"], "ngoai@example.org", "Dấu chấm", "x")
    del message["Content-Transfer-Encoding"]
    message["Message-ID"] = mark
    message.set_payload(text)
    assert send(house, official, message)[0] == 250
    (got,) = eventually(lambda: arrived(world, mark.encode()))
    body = got.partition(b"\n\n")[2]
    assert body == text.replace("\r\n", "\n").encode() + b"\n"
