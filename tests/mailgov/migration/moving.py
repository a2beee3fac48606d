"""Accounts on a Dovecot to move away from, and mailboxes to move them to."""

import hashlib
import imaplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mailgov.migration import maildir
from mailgov.migration.copying import Choice, MailboxCopy, Survey
from mailgov.migration.folder_copy import Report
from mailgov.migration.journal import open_journal
from mailgov.migration.source import Server, Source

from ...support.imap_engines import PASSWORD, Engine

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SUMMER = datetime(2024, 7, 3, 8, 30, tzinfo=UTC)


def message(number: int, size: int = 0) -> bytes:
    """A message unlike all others."""
    head = f"From: a@vidu.gov.vn\r\nSubject: =?utf-8?q?C=C3=B4ng_v=C4=83n?= {number}\r\n\r\n"
    return head.encode() + f"Nội dung số {number}\r\n".encode() + b"x" * 76 * (size // 76) + b"\r\n"


def fill(
    engine: Engine, address: str, folder: str, messages: list[bytes], *, flags: str = ""
) -> None:
    """Put messages into a folder there, as a client would."""
    with imaplib.IMAP4(engine.host, engine.port) as client:
        _login(client, address)
        if folder != "INBOX":
            client.create(folder)
        for number, data in enumerate(messages):
            at = imaplib.Time2Internaldate(SUMMER.timestamp() + number)
            status, said = client.append(folder, flags, at, data)
            assert status == "OK", said


def _login(client: imaplib.IMAP4, address: str) -> None:
    client.authenticate("PLAIN", lambda _: f"\0{address}\0{PASSWORD}".encode())


@contextmanager
def signed_in(engine: Engine, address: str) -> Iterator[imaplib.IMAP4]:
    """A client of the standard library."""
    with imaplib.IMAP4(engine.host, engine.port) as client:
        _login(client, address)
        yield client


def server_of(engine: Engine, user: str) -> Server:
    """The engine as a server to copy from."""
    return Server(engine.host, engine.port, user, PASSWORD, tls=False, seconds=30)


@dataclass
class Move:
    """One account, from a server into a Maildir."""

    server: Server
    data: Path
    home: Path
    choice: Choice = field(default_factory=Choice)
    surveyed: Survey = field(default_factory=Survey)

    async def run(self) -> list[Report]:
        """A whole run, as a process of its own would do it."""
        source = Source(self.server)
        mailbox = maildir.Mailbox(self.data, self.home / "Maildir")
        mailbox.folder("INBOX")
        try:
            with open_journal(self.home, self.server.key) as journal:
                copy = MailboxCopy(
                    "to@vidu.gov.vn", source, mailbox, journal, NOW, self.choice, pause_seconds=0.01
                )
                self.surveyed = await copy.survey()
                return await copy.run(self.surveyed)
        finally:
            source.close()

    def hashes(self, folder: str = "INBOX") -> list[str]:
        """SHA-256 of every message in a folder here, sorted."""
        path = self.home / "Maildir"
        if folder != "INBOX":
            path /= "." + folder.replace("/", ".")
        return sorted(maildir.hash_of(file)[0] for file in maildir.files(path))


def hashes(messages: list[bytes]) -> list[str]:
    return sorted(hashlib.sha256(data).hexdigest() for data in messages)
