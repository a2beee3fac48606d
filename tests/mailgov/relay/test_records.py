"""What is counted in the tables, on both engines: it must survive a restart."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.config import Screening
from mailgov.db import Database
from mailgov.db.models import Greylisted
from mailgov.queue import enqueue
from mailgov.relay.ports import Sent
from mailgov.relay.records import Records

from ..queue.samples import message

NOON = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
NETWORK, TRIPLET, OTHER = (bytes([number]) * 32 for number in range(3))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def after(self, wait: timedelta) -> None:
        self.now += wait


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def records(request: pytest.FixtureRequest, clock: Clock) -> Records:
    name = "database" if request.param == "sqlite" else "postgres_database"
    database: Database = request.getfixturevalue(name)
    settings = Screening(greylist=True, greylist_passes=2)
    return Records(database, clock, settings)


def store(records: Records, *recipients: str, at: datetime = NOON, sender: str = "an") -> None:
    new = message(*recipients, sender=f"{sender}@tinhmau.gov.vn", at=at)
    login = Address.parse(f"{sender}@tinhmau.gov.vn")
    new = replace(new, envelope=replace(new.envelope, login=login))
    with records._database.write() as session:
        enqueue(session, new)


async def test_what_a_user_sent(records: Records) -> None:
    assert await records.sent("an@tinhmau.gov.vn") == Sent()
    store(records, "a@example.vn", "b@example.vn")
    store(records, "a@example.vn", at=NOON - timedelta(minutes=59))
    store(records, "a@example.vn", at=NOON - timedelta(minutes=61))
    store(records, "a@example.vn", at=NOON - timedelta(hours=23))
    store(records, "a@example.vn", at=NOON - timedelta(hours=25))
    store(records, "a@example.vn", sender="binh")
    assert await records.sent("an@tinhmau.gov.vn") == Sent(3, 5, 4)
    again = Records(records._database, records._clock, Screening())
    assert await again.sent("an@tinhmau.gov.vn") == Sent(3, 5, 4)


async def test_what_waits(records: Records) -> None:
    assert await records.backlog() == 0
    store(records, "a@example.vn", "b@example.vn")
    assert await records.backlog() == 2


class TestTheGreylist:
    async def test_lets_pass_who_comes_back_in_time(self, records: Records, clock: Clock) -> None:
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(5 * MINUTE - timedelta(seconds=1))
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(timedelta(seconds=1))
        assert await records.has_come_back(NETWORK, TRIPLET)
        clock.after(30 * DAY)
        assert await records.has_come_back(NETWORK, TRIPLET)

    async def test_begins_anew_for_who_comes_back_late(
        self, records: Records, clock: Clock
    ) -> None:
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(48 * HOUR + MINUTE)
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(5 * MINUTE)
        assert await records.has_come_back(NETWORK, TRIPLET)

    async def test_knows_a_network_by_those_who_came_back(
        self, records: Records, clock: Clock
    ) -> None:
        for sender in (b"a" * 32, b"b" * 32):
            assert not await records.has_come_back(NETWORK, sender)
            clock.after(5 * MINUTE)
            assert await records.has_come_back(NETWORK, sender)
        assert await records.has_come_back(NETWORK, b"c" * 32)
        assert not await records.has_come_back(OTHER, b"d" * 32)

    async def test_takes_many_at_one_moment(self, records: Records, clock: Clock) -> None:
        asked = (records.has_come_back(NETWORK, TRIPLET) for _ in range(30))
        assert not any(await asyncio.gather(*asked))
        clock.after(5 * MINUTE)
        assert await records.has_come_back(NETWORK, TRIPLET)

    async def test_survives_a_restart(self, records: Records, clock: Clock) -> None:
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(5 * MINUTE)
        again = Records(records._database, clock, Screening(greylist=True))
        assert await again.has_come_back(NETWORK, TRIPLET)

    async def test_forgets(self, records: Records, clock: Clock) -> None:
        assert not await records.has_come_back(NETWORK, TRIPLET)
        clock.after(5 * MINUTE)
        assert await records.has_come_back(NETWORK, TRIPLET)
        assert not await records.has_come_back(OTHER, b"x" * 32)  # and never comes back
        clock.after(3 * DAY)
        assert not await records.has_come_back(OTHER, b"y" * 32)
        assert _rows(records) == {NETWORK, TRIPLET, b"y" * 32}
        clock.after(36 * DAY)
        assert not await records.has_come_back(NETWORK, TRIPLET)
        assert _rows(records) == {TRIPLET}


def _rows(records: Records) -> set[bytes]:
    with records._database.read() as session:
        return set(session.exec(select(Greylisted.key)))
