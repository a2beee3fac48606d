"""Mailboxes that others may read, and recalled ones: what Dovecot shows and allows."""

import asyncio
import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.mailstore import layout, reach
from mailgov.mailstore.acts import Act
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change, User
from tests.support.imap_engines import PASSWORD, LoopThread, config_for, require_dovecot, users
from tests.support.imap_wire import Wire

pytestmark = pytest.mark.dovecot

AN, BINH, CHI = users()[:3]
OFFICE = User(
    "vanthu@vidu.gov.vn", "", 5, is_open=False,
    shared_with=frozenset({(AN.address, True), (BINH.address, False)}),
)  # fmt: skip
PREFIX = "D&APk-ng chung/vanthu@vidu.gov.vn"
MESSAGE = b"Subject: mot\r\nMessage-ID: <1@vidu.gov.vn>\r\n\r\n1\r\n"


class House:
    """A Dovecot with an office that two people share, a third one's read-only mailbox, and its acts."""

    def __init__(self, data: Path) -> None:
        self.config = config_for(data)
        self.told = queue.SimpleQueue[Act]()
        self.loop = LoopThread()
        self.child = DovecotChild(self.config, on_act=self.told.put)
        self.everybody = Change((AN, BINH, replace(CHI, read_only=True)), closed=(OFFICE,))

    def start(self) -> None:
        self.loop.run(self.child.apply(self.everybody))
        self.host, self.port = reach.split(self.loop.run(self.child.start()))

    def wire(self, user: User) -> Wire:
        wire = Wire(self.host, self.port)
        wire.login(user.address, PASSWORD)
        return wire

    def deliver(self, user: User) -> None:
        maildir = layout.maildir(self.config.data.path, Address.parse(user.address))
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        (maildir / "new" / f"1700000000.1.t,S={len(MESSAGE)}").write_bytes(MESSAGE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("sharing")
    require_dovecot(config_for(data))
    house = House(data)
    house.deliver(OFFICE)
    house.deliver(CHI)
    house.start()
    yield house
    house.loop.run(house.child.stop())
    house.loop.close()


def test_holders_find_the_office_subscribed(house: House) -> None:
    with house.wire(AN) as wire:
        assert f'"/" "{PREFIX}"' in b"\n".join(wire.ok(b'LSUB "" "*"')).decode()
        listed = [line.decode() for line in wire.ok(b'LIST "" "*"')]
        (inbox,) = [line for line in listed if line.endswith(f'"{PREFIX}"')]
        assert "\\Noselect" not in inbox
        wire.ok(f'SELECT "{PREFIX}"'.encode())
        assert b"D&APk-ng chung/" in wire.ok(b"NAMESPACE")[0]
    with house.wire(CHI) as wire:
        assert PREFIX not in b"\n".join(wire.ok(b'LIST "" "*"')).decode()
        assert b" NO " in wire.run(f'SELECT "{PREFIX}/INBOX"'.encode())[-1]


def test_who_only_reads_changes_nothing(house: House) -> None:
    with house.wire(BINH) as wire:
        wire.ok(f'SELECT "{PREFIX}/INBOX"'.encode())
        assert MESSAGE in wire.ok(b"FETCH 1 BODY.PEEK[]")[0]
        wire.run(b"STORE 1 +FLAGS (\\Deleted \\Flagged)")
        assert b"\\Deleted" not in wire.ok(b"FETCH 1 FLAGS")[0]
        assert b" NO " in wire.append(f'"{PREFIX}/INBOX"'.encode(), MESSAGE)[-1]
        assert b" NO " in wire.run(f'CREATE "{PREFIX}/Moi"'.encode())[-1]


def test_who_also_writes_in_its_name_works_there(house: House) -> None:
    with house.wire(AN) as wire:
        wire.ok(f'CREATE "{PREFIX}/Da xong"'.encode())
        wire.ok(f'SELECT "{PREFIX}/INBOX"'.encode())
        wire.ok(b"STORE 1 +FLAGS (\\Flagged)")
        wire.ok(f'COPY 1 "{PREFIX}/Da xong"'.encode())
    with house.wire(BINH) as wire:  # a right to the mailbox is one to all its folders
        wire.ok(f'SELECT "{PREFIX}/Da xong"'.encode())
        assert MESSAGE in wire.ok(b"FETCH 1 BODY.PEEK[]")[0]


def test_a_recalled_mailbox_is_read_and_no_more(house: House) -> None:
    with house.wire(CHI) as wire:
        wire.ok(b"SELECT INBOX")
        assert MESSAGE in wire.ok(b"FETCH 1 BODY.PEEK[]")[0]
        wire.run(b"STORE 1 +FLAGS (\\Deleted)")
        wire.run(b"EXPUNGE")
        assert b"* 1 EXISTS" in wire.ok(b"SELECT INBOX")
        assert b" NO " in wire.append(b"INBOX", MESSAGE)[-1]
        assert b" NO " in wire.append(b"Drafts", MESSAGE)[-1]
        assert b" NO " in wire.run(b"CREATE Moi")[-1]


async def test_a_right_that_is_withdrawn_ends_at_once(house: House) -> None:
    wire = await asyncio.to_thread(house.wire, BINH)
    wire.ok(f'SELECT "{PREFIX}/INBOX"'.encode())
    alone = replace(OFFICE, shared_with=frozenset({(AN.address, True)}))
    change = Change(house.everybody.users, frozenset({BINH.address}), closed=(alone,))
    await asyncio.to_thread(house.loop.run, house.child.apply(change))
    while wire.response():
        pass  # a word of farewell, and the end
    wire.close()
    with await asyncio.to_thread(house.wire, BINH) as again:
        assert b" NO " in again.run(f'SELECT "{PREFIX}/INBOX"'.encode())[-1]
    await asyncio.to_thread(house.loop.run, house.child.apply(house.everybody))


def test_acts_of_people_are_told(house: House) -> None:
    with house.wire(AN) as wire:
        wire.append(b"INBOX", MESSAGE)
        wire.ok(b"SELECT INBOX")
        while not house.told.empty():
            house.told.get_nowait()
        wire.ok(b"NOOP")
        wire.ok(b"FETCH 1 BODY.PEEK[]")  # looking is no act
        wire.ok(b"FETCH 1 BODY[]")
        wire.ok(b"MOVE 1 Archive")
    read, *filed = [house.told.get(timeout=20) for _ in range(3)]
    assert read == Act(AN.address, "read", "INBOX", "1@vidu.gov.vn")
    assert {act.kind for act in filed} <= {"filed", "removed"}
