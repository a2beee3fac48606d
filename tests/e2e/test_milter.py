"""A real Postfix asks us about its mail, and keeps it: refused, held, marked, put off."""

import io
import json
import smtplib
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from ..support import postfix
from ..support.mail import letter
from ..support.platform import eventually
from ..support.postfix import Postfix
from .milter_engine import Engine, running_engine
from .test_held_mail import locked_archive

STRANGER = "ban.doc@bao.example"


@pytest.fixture(scope="module")
def engine(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    postfix.need_postfix()
    with running_engine(prepared, tmp_path_factory.mktemp("milter") / "demo") as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: Engine) -> Iterator[Postfix]:
    years = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    leaf = trustme.CA().issue_cert("mx.example.vn", not_before=years[0], not_after=years[1])
    with postfix.running(
        leaf,
        virtual_mailbox_domains="static:all",
        smtpd_milters=f"inet:{engine.address}",
        milter_default_action="tempfail",
        smtpd_authorized_xclient_hosts="127.0.0.1",
        smtpd_recipient_restrictions="permit",
        message_size_limit="36700160",
        smtpd_timeout="60s",
    ) as running:
        yield running


@contextmanager
def client(server: Postfix, login: str = "") -> Iterator[smtplib.SMTP]:
    """A session as from the outside, or as of somebody who signed in."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=120) as session:
        session.ehlo("c.bao.example")
        claimed = f"NAME=c.bao.example ADDR=203.0.113.5 {f'LOGIN={login}' if login else ''}"
        code, reply = session.docmd("XCLIENT", claimed.strip())
        assert code == 220, reply
        session.ehlo("c.bao.example")
        yield session


def send(
    server: Postfix, sender: str, message: EmailMessage, *to: str, login: str = ""
) -> tuple[int, str]:
    """The reply to the whole message, or to what was refused before."""
    with client(server, login) as session:
        session.mail(sender)
        for address in to or (str(message["To"]),):
            code, reply = session.rcpt(address)
            if code >= 400:
                return code, reply.decode()
        code, reply = session.data(message.as_bytes(policy=policy.SMTP))
        return code, reply.decode()


def arrived(server: Postfix, words: str) -> list[bytes]:
    return [message for message in server.taken() if words.encode() in message]


def queues(server: Postfix) -> list[str]:
    """The queue of each message that waits."""
    done = subprocess.run(
        ["postqueue", "-c", str(server.folder), "-j"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line)["queue_name"] for line in done.stdout.splitlines()]


def test_what_passes_is_marked_and_otherwise_as_it_was(server: Postfix, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Kinh gui", "Xin lịch tiếp dân.\n")
    message["X-Mailgov-Policy"] = "action=pass; reason=forged"
    message["Message-ID"] = "<di-qua@bao.example>"
    code, reply = send(server, STRANGER, message)
    assert code == 250, reply
    (got,) = eventually(lambda: arrived(server, "<di-qua@bao.example>"))
    assert got.count(b"X-Mailgov-Policy:") == 1
    assert b"X-Mailgov-Policy: action=" in got
    assert b"forged" not in got
    body = message.as_bytes(policy=policy.SMTP).partition(b"\r\n\r\n")[2]
    assert got.endswith(body.replace(b"\r\n", b"\n"))
    step = engine.trace(STRANGER)[0]
    assert step["kind"] == "message.advised"
    assert step["recipient"] == [engine.official]
    assert step["details"]["elsewhere"]  # the queue id there


def test_what_is_refused_hears_our_words(server: Postfix, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Phan mem", "Xem tệp.\n")
    program = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200)
    message.add_attachment(program, maintype="application", subtype="pdf", filename="bao-cao.pdf")
    code, reply = send(server, STRANGER, message)
    assert code == 550, reply
    assert "[disguised-file]" in reply
    assert "/help/rules/disguised-file" in reply
    assert queues(server) == []


def test_what_is_held_waits_in_the_queue_of_postfix(server: Postfix, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Danh sach", "Xem tệp.\n")
    message["Message-ID"] = "<giu-lai@bao.example>"
    message.add_attachment(
        locked_archive(), maintype="application", subtype="zip", filename="ds.zip"
    )
    code, reply = send(server, STRANGER, message)
    assert code == 250, reply
    assert eventually(lambda: queues(server)) == ["hold"]
    assert arrived(server, "<giu-lai@bao.example>") == []
    conf = str(server.folder)
    subprocess.run(["postsuper", "-c", conf, "-H", "ALL"], check=True, capture_output=True)
    subprocess.run(["postqueue", "-c", conf, "-f"], check=True, capture_output=True)
    (got,) = eventually(lambda: arrived(server, "<giu-lai@bao.example>"))
    assert b"X-Mailgov-Policy: action=hold; reason=encrypted-archive" in got


def test_several_recipients_have_one_verdict(server: Postfix, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Nhieu nguoi", "Kính gửi.\n")
    message["Message-ID"] = "<nhieu-nguoi@bao.example>"
    code, reply = send(server, STRANGER, message, engine.official, engine.colleague)
    assert code == 250, reply
    eventually(lambda: len(arrived(server, "<nhieu-nguoi@bao.example>")) == 2)


def test_who_signed_in_writes_in_their_own_name(server: Postfix, engine: Engine) -> None:
    own = letter(engine.official, engine.colleague, "Trao doi", "Kính gửi anh.\n")
    code, reply = send(server, engine.official, own, login=engine.official)
    assert code == 250, reply
    forged = letter(engine.colleague, engine.official, "Gia mao", "Kính gửi anh.\n")
    code, reply = send(server, engine.official, forged, login=engine.official)
    assert code == 553
    assert "[sender-identity]" in reply
    step = engine.trace(engine.official)[0]
    assert (step["kind"], step["codes"]) == ("message.refused", ["sender-identity"])


def test_a_large_message_passes_whole(server: Postfix, engine: Engine) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("so-lieu.csv", "a,b\r\n" * 150_000)
    message = letter(STRANGER, engine.official, "Tep lon", "Xem tệp.\n")
    message["Message-ID"] = "<tep-lon@bao.example>"
    message.add_attachment(
        packed.getvalue(), maintype="application", subtype="zip", filename="so-lieu.zip"
    )
    code, reply = send(server, STRANGER, message)
    assert code == 250, reply
    (got,) = eventually(lambda: arrived(server, "<tep-lon@bao.example>"))
    body = message.as_bytes(policy=policy.SMTP).partition(b"\r\n\r\n")[2]
    assert got.endswith(body.replace(b"\r\n", b"\n"))


def test_without_us_nothing_passes(server: Postfix, engine: Engine) -> None:
    """The last test of the module: the engine stops, and Postfix puts its mail off."""
    assert engine.stop() == 0
    message = letter(STRANGER, engine.official, "Sau", "Kính gửi.\n")
    with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as session:
        session.ehlo("c.bao.example")
        codes = [session.mail(STRANGER)[0], session.rcpt(engine.official)[0]]
        if max(codes) < 400:
            codes.append(session.data(message.as_bytes(policy=policy.SMTP))[0])
    assert 451 in codes
    assert arrived(server, "Subject: Sau") == []
