"""What goes out to a real Postfix is as many messages as came in, whatever stands within them."""

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ..mailgov.relay.test_smuggling import ENDINGS
from ..support import postfix
from ..support.mail import letter, send
from ..support.platform import Platform, copy_of, eventually, start
from ..support.postfix import Postfix
from ..support.tap import Tap

OUTSIDE = "ngoai@example.vn"


@pytest.fixture(scope="module")
def world() -> Iterator[Postfix]:
    """A Postfix from before it learned that LF.CRLF ends nothing; in clear, so that we can look."""
    leaf = trustme.CA().issue_cert("mx.example.vn")
    settings = {"smtpd_forbid_bare_newline": "no", "smtpd_tls_security_level": "none"}
    with postfix.running(leaf, **settings) as running:
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
    folder = copy_of(prepared, tmp_path_factory.mktemp("smuggling") / "demo")
    environment = {
        "MAILGOV_DELIVERY__SMARTHOST": tap.address,
        "MAILGOV_RELAY__TRUSTED_NETWORKS": '["127.0.0.0/8"]',
    }
    platform = start(folder, "--no-samples", environment=environment)
    yield platform
    assert platform.stop() == 0


def arrived(world: Postfix, words: str) -> list[bytes]:
    return [message for message in world.taken() if words.encode() in message]


def smuggled(sender: str, ending: bytes, number: int) -> bytes:
    """A message that holds what some server takes for its end, then commands and a forgery."""
    return (
        f"From: {sender}\r\nTo: {OUTSIDE}\r\nSubject: so {number}\r\n"
        f"Date: Mon, 23 Nov 2026 09:00:00 +0700\r\nMessage-ID: <so-{number}@vidu.example>\r\n\r\nDau"
    ).encode() + (
        ending
        + f"MAIL FROM:<chutich@vidu.example>\r\nRCPT TO:<{OUTSIDE}>\r\nDATA\r\n".encode()
        + b"Subject: GIA MAO\r\n\r\nCuoi\r\n.\r\n"
    )


def test_one_message_in_is_one_message_out(house: Platform, world: Postfix, tap: Tap) -> None:
    """What a trusted host sends with stray line ends is mended before it goes on."""
    sender = house.login("official")["address"]
    host, port = house.address("mx")
    for number, ending in enumerate(ENDINGS.values()):
        with smtplib.SMTP(host, port, timeout=60) as client:
            client.ehlo("c.example")
            assert client.mail(sender)[0] == 250
            assert client.rcpt(OUTSIDE)[0] == 250
            assert client.docmd("DATA")[0] == 354
            client.send(smuggled(sender, ending, number))
            code, reply = client.getreply()
            assert code == 250, (number, reply)
            assert client.noop()[0] == 250
    marks = [f"<so-{number}@vidu.example>" for number in range(len(ENDINGS))]
    eventually(lambda: all(arrived(world, mark) for mark in marks), seconds=60)
    assert [len(arrived(world, mark)) for mark in marks] == [1] * len(ENDINGS)
    # The forgery is text within each of them, and nothing of its own.
    assert len(arrived(world, "GIA MAO")) == len(ENDINGS)
    assert arrived(world, "Return-Path: <chutich@") == []
    is_strict(tap, messages=len(ENDINGS))


def is_strict(tap: Tap, *, messages: int) -> None:
    """Every line we sent ends in CRLF, and a lone dot stands only at the end of a message."""
    ends = 0
    for said in tap.said:
        text = bytes(said)
        assert re.search(rb"\r(?!\n)|(?<!\r)\n", text) is None
        assert b"STARTTLS" not in text  # else we would look at noise
        ends += text.count(b"\r\n.\r\n")
        # The forgeries speak of DATA too, but only the commands have their end.
        assert len(re.findall(rb"^DATA\r\n", text, re.MULTILINE)) >= text.count(b"\r\n.\r\n")
    assert ends == messages


@pytest.mark.parametrize("text", ["mot\r\n.\r\nhai", "mot\r\n..\r\nhai", ".\r\n..", "....\r\n."])
def test_dots_arrive_as_they_were(text: str, house: Platform, world: Postfix) -> None:
    official = house.login("official")
    mark = f"<cham-{len(text)}-{text.count('.')}@vidu.example>"
    message = letter(official["address"], OUTSIDE, "Dấu chấm", "x")
    del message["Content-Transfer-Encoding"]
    message["Message-ID"] = mark
    message.set_payload(text)
    assert send(house, official, message)[0] == 250
    (got,) = eventually(lambda: arrived(world, mark), seconds=60)
    body = got.partition(b"\n\n")[2]
    assert body.rstrip(b"\n") == text.replace("\r\n", "\n").rstrip("\n").encode()
