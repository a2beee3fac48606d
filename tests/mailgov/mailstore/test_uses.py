"""Acts of use: what people do with mail programs is counted, what programs do by themselves is not."""

import asyncio
import imaplib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from queue import Empty, Queue

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.db import Database
from mailgov.db.models import EventRow
from mailgov.imap import ImapServer
from mailgov.mailstore import layout, master, reach
from mailgov.mailstore.acts import Act
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change
from mailgov.mailstore.uses import Uses, counted_as

from ...support.directory import AN, NOW, fill_directory
from ...support.imap_engines import (
    PASSWORD,
    LoopThread,
    TestDirectory,
    config_for,
    require_dovecot,
    users,
)

MESSAGE = b"Message-ID: <%d@x.vn>\r\nSubject: x\r\n\r\nhello\r\n"
ME = "nguoi0@vidu.gov.vn"


class Store:
    """An engine that tells of acts."""

    def __init__(self, name: str, data: Path) -> None:
        self.config = config_for(data)
        self.told: Queue[Act] = Queue()
        self.loop = LoopThread()
        self.server: DovecotChild | ImapServer
        if name == "dovecot":
            require_dovecot(self.config)
            self.server = DovecotChild(self.config, on_act=self.told.put)
        else:
            directory = TestDirectory(tuple(user.address for user in users()))
            self.server = ImapServer(self.config, directory, on_act=self.told.put)
        self.loop.run(self.server.apply(Change(users()[:3])))
        address = self.loop.run(self.server.start())
        reach.publish(data, address)
        self.host, self.port = reach.split(address)

    def client(self, user: str = ME, password: str = PASSWORD) -> imaplib.IMAP4:
        client = imaplib.IMAP4(self.host, self.port)
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        return client

    def counted(self, field: str, seconds: float = 15.0) -> str:
        """The folder of the next act that counts so; others are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            act = self.told.get(timeout=max(0.01, deadline - time.monotonic()))
            if counted_as(act) == field and act.address == ME:
                return act.folder

    def close(self) -> None:
        self.loop.run(self.server.stop())
        self.loop.close()


@pytest.fixture(scope="module", params=["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])  # fmt: skip
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:  # fmt: skip
    data = tmp_path_factory.mktemp(str(request.param))
    maildir = layout.maildir(data, Address.parse(ME))
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    for number in range(9):
        (maildir / "new" / f"{number}.x").write_bytes(MESSAGE % number)
    found = Store(str(request.param), data)
    yield found
    found.close()


def reads(client: imaplib.IMAP4) -> None:
    client.uid("FETCH", "1", "(BODY.PEEK[])")
    client.uid("STORE", "1", "+FLAGS", r"(\Seen)")


PEOPLE: dict[str, tuple[Callable[[imaplib.IMAP4], object], str]] = {
    "opens it, as Thunderbird tells": (reads, "read"),
    "opens it, as simple programs do": (lambda c: c.uid("FETCH", "2", "(BODY[])"), "read"),
    "answers": (lambda c: c.uid("STORE", "1", "+FLAGS", r"(\Answered)"), "answered"),
    "moves it": (lambda c: c.uid("MOVE", "3", "Archive"), "filed"),
    "copies it": (lambda c: c.uid("COPY", "4", "Archive"), "filed"),
    "removes it": (lambda c: (c.uid("STORE", "5", "+FLAGS", r"(\Deleted)"), c.expunge()), "removed"),
    "writes a draft": (lambda c: c.append("Drafts", r"(\Draft)", "", MESSAGE % 99), "drafted"),
}  # fmt: skip


@pytest.mark.parametrize("case", PEOPLE)
def test_what_a_person_does(store: Store, case: str) -> None:
    act, field = PEOPLE[case]
    with store.client() as client:
        client.select("INBOX")
        act(client)
    assert store.counted(field)


def polls(client: imaplib.IMAP4) -> None:
    """A morning of a mail program that nobody looks at."""
    client.status("INBOX", "(MESSAGES UNSEEN)")
    client.select("INBOX")
    client.uid("FETCH", "1:*", "(FLAGS)")
    client.uid("FETCH", "1:*", "(UID RFC822.SIZE BODY.PEEK[HEADER])")
    client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")  # everything, for reading without a network
    client.uid("SEARCH", "UNSEEN")
    client.noop()
    client.select("INBOX", readonly=True)
    client.uid("FETCH", "7", "(BODY[])")
    client.append("Sent", r"(\Seen)", "", MESSAGE % 98)  # the copy of what SMTP has counted


def by_webmail(store: Store) -> None:
    secret = master.token(store.config.data.path)
    with store.client(master.login_name(ME), secret) as client:
        client.select("INBOX")
        client.uid("STORE", "8", "+FLAGS", r"(\Seen)")


def test_what_programs_do_by_themselves_and_the_webmail_for_somebody(store: Store) -> None:
    with store.client() as client:
        polls(client)
    by_webmail(store)
    with store.client() as client:  # then an act, so that everything before has been told
        client.select("INBOX")
        client.uid("STORE", "9", "+FLAGS", r"(\Answered)")
    counted = []
    while counted[-1:] != ["answered"]:
        try:
            act = store.told.get(timeout=15)
        except Empty:
            pytest.fail("the act was not told")
        if field := counted_as(act):
            counted.append(field)
    assert counted == ["answered"]


class TestLedger:
    """Acts become one event for a mailbox and day at a time."""

    async def test_counts_by_mailbox_and_day(self, any_database: Database) -> None:
        with any_database.write() as session:
            fill_directory(session)
        now = NOW
        uses = Uses(any_database, lambda: now)
        for kind in ("read", "read", "filed", "flagged"):
            uses.note(Act(AN, kind, "INBOX", ""))
        uses.note(Act("fremd@x.vn", "read", "INBOX", ""))
        now += timedelta(days=1)
        uses.note(Act(AN, "answered", "INBOX", ""))
        await uses.write()
        await uses.write()
        with any_database.read() as session:
            rows = session.exec(select(EventRow).where(EventRow.kind == "mail.used")).all()
            told = [(row.at, row.mailbox, row.agency_code, row.data) for row in rows]
        assert [(at, box, code) for at, box, code, _ in told] == [
            (NOW, AN, "H99.02"),
            (NOW + timedelta(days=1), AN, "H99.02"),
        ]
        assert told[0][3] | {"read": 2, "filed": 1, "removed": 0, "channel": "imap"} == told[0][3]
        assert told[1][3]["answered"] == 1

    async def test_nothing_is_lost_while_the_database_is_away(self, database: Database) -> None:
        with database.write() as session:
            fill_directory(session)
        uses = Uses(database, lambda: NOW)
        uses.note(Act(AN, "read", "INBOX", ""))
        submit, database.submit = database.submit, _away  # type: ignore[method-assign]
        await uses.write()
        database.submit = submit  # type: ignore[method-assign]
        uses.note(Act(AN, "read", "INBOX", ""))
        await uses.write()
        with database.read() as session:
            [row] = session.exec(select(EventRow).where(EventRow.kind == "mail.used"))
        assert row.data["read"] == 2


async def _away(_: object) -> None:
    from mailgov.errors import Unavailable

    await asyncio.sleep(0)
    raise Unavailable("database-unavailable", reason="test")
