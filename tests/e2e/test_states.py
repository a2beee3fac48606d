"""Who is let in, where, in each state of a mailbox: IMAP on both engines, SMTP, web."""

import asyncio
import contextlib
import imaplib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from sqlmodel import Session, SQLModel
from starlette.testclient import TestClient

from mailgov import services as platform
from mailgov.config import load_config
from mailgov.directory.provisioning import (
    NewMailbox,
    add_app_password,
    add_mailbox,
    grant_send_as,
    resume,
    revoke_app_password,
    revoke_delegation,
    suspend,
)
from mailgov.lifecycle.ending import Recall, recall
from mailgov.mailstore import reach
from mailgov.relay.records import Records
from mailgov.relay.server import RelayServer
from mailgov.roles import mailstore
from mailgov_webmail.app import create_app
from mailgov_webmail.imap import ImapPool

from ..support.directory import AN, NOW, OFFICE, PASSWORD, SUFFIXES, act, fill_directory
from ..support.imap_engines import LoopThread, require_dovecot
from ..support.platform import eventually
from ..support.webmail import Browser

LETTER = b"Subject: x\r\n\r\nx\r\n"
COMMUNE = "lan@xahoabinh.tinhmau.test"
INSECURE = ssl._create_unverified_context()


@dataclass
class Doors:
    """A platform with its three doors."""

    services: platform.Services
    imap: tuple[str, int]
    smtp: tuple[str, int]
    app_password: str

    def change(self, work: Callable[[Session], object]) -> None:
        with self.services.database.write() as session:
            work(session)

    def by_imap(self, user: str, password: str) -> imaplib.IMAP4 | None:
        client = imaplib.IMAP4(*self.imap, timeout=30)
        try:
            client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        except imaplib.IMAP4.error:
            client.shutdown()
            return None
        return client

    def by_smtp(self, user: str, password: str) -> smtplib.SMTP_SSL | None:
        client = smtplib.SMTP_SSL(*self.smtp, context=INSECURE, timeout=30)
        client.ehlo("client.example")
        try:
            client.login(user, password)
        except smtplib.SMTPException:
            client.close()
            return None
        return client

    def by_web(self, user: str, password: str) -> Browser | None:
        pool = ImapPool(self.services.config)
        pool.close()  # each request has a loop of its own here: no connection may outlive it
        app = create_app(self.services, pool.mailbox)
        browser = Browser(TestClient(app, base_url="http://localhost", follow_redirects=False))
        browser.go("/login")
        browser.submit("form[action='/login'] button", {"address": user, "password": password})
        return browser if browser.status == 303 else None

    def sends(self, user: str, sender: str) -> bool:
        """Whether somebody who signs in now may write in the name of a sender."""
        client = self.by_smtp(user, PASSWORD)
        assert client is not None
        with contextlib.closing(client):
            return sends_as(client, sender)

    def open(self, user: str, password: str) -> dict[str, bool]:
        """Which doors this opens."""
        imap, smtp, web = self.by_imap(user, password), self.by_smtp(user, password), self.by_web(user, password)  # fmt: skip
        for client in (imap, smtp):
            if client is not None:
                client.shutdown() if isinstance(client, imaplib.IMAP4) else client.close()
        return {"imap": imap is not None, "smtp": smtp is not None, "web": web is not None}


ALL, NONE = dict.fromkeys(("imap", "smtp", "web"), True), dict.fromkeys(("imap", "smtp", "web"), False)  # fmt: skip


def _services(folder: Path, engine: str) -> platform.Services:
    issued = trustme.CA().issue_cert("localhost")
    (folder / "tls").mkdir()
    issued.cert_chain_pems[0].write_to_path(folder / "tls" / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "tls" / "key.pem")
    config = load_config(
        None,
        data={"path": str(folder)},
        site={"hostname": "mail.tinhmau.test", "official_suffixes": SUFFIXES},
        relay={"mx": "127.0.0.1:0", "submission": "127.0.0.1:0", "submissions": "127.0.0.1:0"},
        mailstore={"engine": engine, "imap": "127.0.0.1:0", "managesieve": "127.0.0.1:0"},
        authentication={"exempt_networks": ["127.0.0.0/8"]},
    )
    many = dict.fromkeys(("failed_logins_per_minute", "failed_logins_per_day", "failed_logins_of_account", "failed_logins_per_minute_network"), 1000)  # fmt: skip
    many |= {"new_connections_per_minute": 10_000, "errors": 1000}
    config = config.model_copy(update={"limits": config.limits.model_copy(update=many)})
    services = platform.build(config)
    with services.database.write() as session:
        SQLModel.metadata.create_all(session.connection())
        fill_directory(session)
        new = NewMailbox(address=COMMUNE, agency="H99.47", name="Lê Thị Lan", staff_no="VC-3")
        add_mailbox(session, act(), new)
    services.spool.prepare(services.database)
    return services


@pytest.fixture(params=["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def doors(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Doors]:
    services = _services(tmp_path, request.param)
    if request.param == "dovecot":
        require_dovecot(services.config)
    monkeypatch.setattr(mailstore, "FOLLOW_SECONDS", 0.05)
    with services.database.write() as session:
        app = add_app_password(session, act(), AN, label="máy", scopes=["imap", "smtp"])
    loop = LoopThread()
    server = RelayServer(
        config=services.config,
        directory=services.directory,
        intake=services.intake,
        spool=services.spool,
        records=Records(services.database, services.clock, services.config.screening),
        resolver=services.resolver,
    )
    told: dict[str, str] = {}
    stop = asyncio.Event()

    async def start() -> "asyncio.Task[None]":
        told.update(await server.start())
        return asyncio.create_task(mailstore.run(services, lambda n, a: told.update({n: a}), stop))

    async def end(role: "asyncio.Task[None]") -> None:
        stop.set()
        await role
        await server.stop(grace_seconds=1)

    role = loop.run(start())
    try:
        eventually(lambda: "imap" in told or role.done())
        yield Doors(services, reach.split(told["imap"]), reach.split(told["submissions"]), app.password)  # fmt: skip
    finally:
        loop.run(end(role))
        loop.close()
        services.directory.close()
        services.database.close()


def sends_as(client: smtplib.SMTP_SSL, sender: str) -> bool:
    """Whether a session may begin a message of this sender; it is not sent."""
    code, _ = client.mail(sender)
    if code == 250:
        code, _ = client.rcpt(OFFICE)
    client.rset()
    return code == 250


def test_states_of_a_mailbox(doors: Doors) -> None:
    eventually(lambda: doors.open(AN, PASSWORD) == ALL)
    assert doors.open(AN, doors.app_password) == {"imap": True, "smtp": True, "web": False}
    assert doors.open(AN, "sai " + PASSWORD) == NONE
    assert doors.open(COMMUNE, PASSWORD) == NONE  # of another agency, with a password of one's own
    assert doors.open("ai-do@tinhmau.test", PASSWORD) == NONE

    imap, smtp = doors.by_imap(AN, PASSWORD), doors.by_smtp(AN, PASSWORD)
    web = doors.by_web(AN, PASSWORD)
    assert imap is not None
    assert smtp is not None
    assert web is not None
    assert imap.noop()[0] == "OK"
    assert not sends_as(smtp, COMMUNE)
    assert not sends_as(smtp, OFFICE)
    doors.change(lambda s: grant_send_as(s, act(), mailbox=OFFICE, holder=AN))
    eventually(lambda: doors.sends(AN, OFFICE))
    doors.change(lambda s: revoke_delegation(s, act(), mailbox=OFFICE, holder=AN))
    eventually(lambda: not doors.sends(AN, OFFICE))

    doors.change(lambda s: suspend(s, act("nghỉ"), AN))
    eventually(lambda: doors.open(AN, PASSWORD) == {"imap": False, "smtp": False, "web": True})
    assert doors.open(AN, doors.app_password) == NONE
    eventually(lambda: _is_over(imap))
    eventually(lambda: _is_shut(smtp))
    imap.shutdown()
    smtp.close()
    assert "login" in web.go("/mail/inbox").answer.headers.get("location", "login")
    assert "Hộp thư đang tạm khóa." in _read_in_web(doors)

    doors.change(lambda s: resume(s, act(), AN))
    eventually(lambda: doors.open(AN, PASSWORD) == ALL)
    doors.change(lambda s: revoke_app_password(s, act("mất máy"), AN, 2))
    eventually(lambda: doors.open(AN, doors.app_password) == NONE)
    assert doors.open(AN, PASSWORD) == ALL

    today = NOW.date()
    how = Recall(
        readable_until=today + timedelta(days=3650),
        kept_until=today + timedelta(days=4000),
        holder_reads=True,
    )
    before = doors.by_imap(AN, PASSWORD)
    assert before is not None
    assert before.append("INBOX", "", "", LETTER)[0] == "OK"
    doors.change(lambda s: recall(s, act("chuyển ngành"), AN, how))
    # Whoever had it may read on, by programs and in the webmail, and nothing else.
    eventually(lambda: _is_over(before))
    before.shutdown()
    eventually(lambda: doors.open(AN, PASSWORD) == {"imap": True, "smtp": False, "web": True})
    eventually(lambda: _refusals(doors) == ["NO", "NO"])
    assert "Hộp thư đã được thu hồi." in _read_in_web(doors)


@pytest.mark.parametrize("doors", ["embedded"], indirect=True)
def test_a_recalled_mailbox_is_closed_where_its_holder_may_not_read_on(doors: Doors) -> None:
    eventually(lambda: doors.open(AN, PASSWORD) == ALL)
    today = NOW.date()
    how = Recall(
        readable_until=today + timedelta(days=3650), kept_until=today + timedelta(days=4000)
    )
    doors.change(lambda s: recall(s, act("thôi việc"), AN, how))
    eventually(lambda: doors.open(AN, PASSWORD) == NONE)


def _refusals(doors: Doors) -> list[str]:
    """What a mail program that shows a message is answered when it wants to change something."""
    imap = doors.by_imap(AN, PASSWORD)
    assert imap is not None
    assert b"[READ-ONLY]" in imap.xatom("SELECT", "INBOX")[1][0]
    imap.select("INBOX", readonly=True)
    (shown,) = [part[1] for part in imap.fetch("1", "(BODY[])")[1] if isinstance(part, tuple)]
    assert shown == LETTER
    answers = [
        imap.append("INBOX", "", "", LETTER)[0],
        imap.copy("1", "Trash")[0],
    ]
    imap.store("1", "+FLAGS", "(\\Deleted)")  # refused, or ignored
    imap.expunge()
    assert "Deleted" not in repr(imap.fetch("1", "(FLAGS)"))
    assert imap.status("INBOX", "(MESSAGES UNSEEN)")[1] == [b"INBOX (MESSAGES 1 UNSEEN 1)"]
    imap.shutdown()
    return answers


def _read_in_web(doors: Doors) -> str:
    """Opens the first message in the webmail; the notice beside it."""
    web = doors.by_web(AN, PASSWORD)
    assert web is not None
    assert web.go("/mail/inbox").status == 200
    if links := web.all("th.what a"):
        assert web.go(str(links[0].get("href"))).status == 200
    return web.text(".notice.warning")


def _is_over(client: imaplib.IMAP4) -> bool:
    try:
        return client.noop()[0] != "OK"
    except (imaplib.IMAP4.error, OSError):
        return True


def _is_shut(client: smtplib.SMTP_SSL) -> bool:
    """Whether the session may no longer send."""
    try:
        return not sends_as(client, AN)
    except (smtplib.SMTPException, OSError):
        return True
