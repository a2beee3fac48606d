"""A real Sendmail asks us about its mail, and keeps it: marked, refused, held, put off."""

import smtplib
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from ..support import sendmail
from ..support.mail import letter
from ..support.platform import eventually
from ..support.sendmail import Sendmail
from .milter_engine import Engine, running_engine
from .test_held_mail import locked_archive

STRANGER = "ban.doc@bao.example"


@pytest.fixture(scope="module")
def engine(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    sendmail.need_sendmail()
    with running_engine(prepared, tmp_path_factory.mktemp("milter") / "demo") as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sendmail]:
    with sendmail.running(tmp_path_factory.mktemp("sendmail"), engine.address) as server:
        yield server


def send(server: Sendmail, message: EmailMessage, *to: str) -> tuple[int, str]:
    """The reply to the whole message, or to what was refused before."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=120) as session:
        session.ehlo("c.bao.example")
        code, reply = session.mail(STRANGER)
        for address in to:
            if code < 400:
                code, reply = session.rcpt(address)
        if code < 400:
            code, reply = session.data(message.as_bytes(policy=policy.SMTP))
    return code, reply.decode()


def test_what_passes_is_marked_and_otherwise_as_it_was(server: Sendmail, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Kinh gui", "Xin lịch tiếp dân.\n")
    message["X-Mailgov-Policy"] = "action=pass; reason=forged"
    code, reply = send(server, message, engine.official, engine.colleague)
    assert code == 250, reply
    (got,) = eventually(server.taken)
    assert got.count(b"X-Mailgov-Policy:") == 1
    assert b"X-Mailgov-Policy: action=" in got
    body = message.as_bytes(policy=policy.SMTP).partition(b"\r\n\r\n")[2]
    assert got.endswith(body.replace(b"\r\n", b"\n"))
    (step,) = engine.trace(STRANGER)
    assert step["kind"] == "message.advised"


def test_what_is_refused_hears_our_words(server: Sendmail, engine: Engine) -> None:
    message = letter(STRANGER, engine.official, "Phan mem", "Xem tệp.\n")
    program = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200)
    message.add_attachment(program, maintype="application", subtype="pdf", filename="bao-cao.pdf")
    code, reply = send(server, message, engine.official)
    assert code == 550, reply
    assert "[disguised-file]" in reply
    assert server.held() == 0


def test_what_is_held_waits_in_the_quarantine_of_sendmail(server: Sendmail, engine: Engine) -> None:
    before = len(server.taken())
    message = letter(STRANGER, engine.official, "Danh sach", "Xem tệp.\n")
    message.add_attachment(
        locked_archive(), maintype="application", subtype="zip", filename="ds.zip"
    )
    code, reply = send(server, message, engine.official)
    assert code == 250, reply
    assert eventually(server.held) == 1
    assert len(server.taken()) == before
    server.release()
    assert eventually(lambda: len(server.taken()) == before + 1)
    assert any(b"action=hold; reason=encrypted-archive" in got for got in server.taken())


def test_without_us_nothing_passes(server: Sendmail, engine: Engine) -> None:
    """The last test of the module: the engine stops, and Sendmail puts its mail off."""
    before = len(server.taken())
    assert engine.stop() == 0
    code, _ = send(server, letter(STRANGER, engine.official, "Sau", "Kính gửi.\n"), engine.official)
    assert code == 451
    assert len(server.taken()) == before
