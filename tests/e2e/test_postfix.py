"""Postfix writes to our people: a sender that nobody here wrote."""

import smtplib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Literal

import pytest
import trustme

from mailgov.reload import ask

from ..support import postfix
from ..support.cut import Cut
from ..support.mail import inbox
from ..support.platform import Platform, eventually
from ..support.postfix import Postfix


@pytest.fixture(scope="module")
def line(platform: Platform) -> Iterator[Cut]:
    """What lies between Postfix and our MX."""
    host, port = platform.address("mx")
    cut = Cut(host, int(port))
    yield cut
    cut.close()


@pytest.fixture(scope="module")
def sender(platform: Platform, line: Cut) -> Iterator[Postfix]:
    """A Postfix that hands mail for our officials to our MX."""
    years = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    leaf = trustme.CA().issue_cert("mx.example.vn", not_before=years[0], not_after=years[1])
    domain = platform.login("official")["address"].partition("@")[2]
    with postfix.running(leaf, {domain: f"smtp:[127.0.0.1]:{line.own_port}"}) as running:
        yield running


def write(sender: Postfix, to: str, subject: str, body: str = "Kính gửi cơ quan.\n") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "cong-dan@example.vn", to, subject
    message["Date"], message["Message-ID"] = "Sun, 22 Nov 2026 09:00:00 +0700", f"<{subject}@x.vn>"
    message.set_content(body)
    with smtplib.SMTP("127.0.0.1", sender.port, timeout=60) as client:
        client.send_message(message)


def arrived(platform: Platform, subject: str) -> list[EmailMessage]:
    login = platform.login("official")
    return [message for message in inbox(platform, login) if message["Subject"] == subject]


def postqueue(sender: Postfix, option: str) -> str:
    """Look at its queue (-p), or let it try everything now (-f)."""
    done = subprocess.run(
        ["postqueue", "-c", str(sender.folder), option],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_its_mail_arrives_in_tls(platform: Platform, sender: Postfix) -> None:
    to = platform.login("official")["address"]
    write(sender, to, "postfix-1", body=".\n..\n" + "dòng chữ Việt dài, nhiều chữ\n" * 3000)
    (message,) = eventually(lambda: arrived(platform, "postfix-1"), seconds=60)
    received = message.get_all("Received", [])
    assert any("with ESMTPS" in field and "by mx.example.vn" not in field for field in received)
    lines = message.get_content().splitlines()
    assert lines[:2] == [".", ".."]
    assert len(lines) == 3002
    assert "status=sent (250 2.0.0" in sender.log()
    assert "TLS connection established" in sender.log() or "ESMTPS" in str(received)


def test_a_recipient_we_do_not_know_comes_back_to_it(platform: Platform, sender: Postfix) -> None:
    domain = platform.login("official")["address"].partition("@")[2]
    write(sender, f"khong-co-ai@{domain}", "postfix-2")
    eventually(lambda: "status=bounced" in sender.log(), seconds=60)
    assert "said: 550 5.1.1" in sender.log()


@pytest.mark.parametrize(("where", "copies"), [("before", 1), ("after", 2)])
def test_when_the_line_breaks_it_sends_again(
    platform: Platform, sender: Postfix, line: Cut, where: Literal["before", "after"], copies: int
) -> None:
    """After the dot we have it, and Postfix can't know: RFC 5321, 4.5.4.1 lets it come twice."""
    line.breaks.append(where)
    write(sender, platform.login("official")["address"], f"postfix-cut-{where}")

    def all_there() -> bool:
        postqueue(sender, "-f")
        return len(arrived(platform, f"postfix-cut-{where}")) >= copies

    eventually(all_there, seconds=60)
    eventually(lambda: "is empty" in postqueue(sender, "-p"), seconds=60)
    assert line.breaks == []
    assert len(arrived(platform, f"postfix-cut-{where}")) == copies


def reloaded(platform: Platform) -> None:
    """Let the platform take over its configuration as it is now."""
    (told,) = ask(platform.folder, 60)
    assert told["code"] == ""


@pytest.fixture
def greylisting(platform: Platform) -> Iterator[None]:
    """Our MX asks those whom it does not know to come back."""
    before = platform.config.read_text(encoding="utf-8")
    asks = "\n[screening]\ngreylist = true\ngreylist_minutes = 0.01\n"
    platform.config.write_text(before + asks, encoding="utf-8")
    try:
        reloaded(platform)
        yield
    finally:
        platform.config.write_text(before, encoding="utf-8")
        reloaded(platform)


@pytest.mark.usefixtures("greylisting")
def test_asked_to_come_back_it_does_and_delivers_once(platform: Platform, sender: Postfix) -> None:
    write(sender, platform.login("official")["address"], "postfix-3")
    eventually(lambda: "said: 451 4.7.1 [greylisted]" in sender.log(), seconds=60)

    def come_back() -> list[EmailMessage]:
        postqueue(sender, "-f")
        return arrived(platform, "postfix-3")

    eventually(come_back, seconds=60)
    eventually(lambda: "is empty" in postqueue(sender, "-p"), seconds=60)
    assert len(arrived(platform, "postfix-3")) == 1
