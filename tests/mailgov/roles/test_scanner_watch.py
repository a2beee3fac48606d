"""The age of the scanner's signatures: told to the operator, counted, and told once a day."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlmodel import select

from mailgov import services as platform
from mailgov.config import Config
from mailgov.db.models import EventRow, MessageRow, RecipientRow
from mailgov.directory.provisioning import grant_role
from mailgov.roles.scanner_watch import look
from mailgov.services import Services

from ...support.directory import AN, act
from ...support.webmail import Clock, make_data

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
Build = Callable[[str], Services]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def build(tmp_path: Path, clock: Clock) -> Build:
    """A platform with a scanner at that address; An runs it."""
    make_data(tmp_path)

    def make(address: str) -> Services:
        config = Config.model_validate(
            {"data": {"path": tmp_path}, "scanner": {"clamd": address, "seconds": 5}}
        )
        services = platform.build(config, clock=clock)
        with services.database.write() as session:
            grant_role(session, act(), mailbox=AN, role="it", agency="")
        return services

    return make


@asynccontextmanager
async def clamd(made: datetime) -> AsyncIterator[str]:
    """What says it has signatures of that day."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(f"ClamAV 1.4.6/27834/{made:%a %b %d %H:%M:%S %Y}\0".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def stale(services: Services) -> list[EventRow]:
    with services.database.read() as session:
        return list(session.exec(select(EventRow).where(EventRow.kind == "scanner.stale")))


def letters(services: Services) -> list[str]:
    with services.database.read() as session:
        query = select(RecipientRow.address).join(MessageRow).where(MessageRow.mail_from == "")
        return list(session.exec(query))


@pytest.mark.parametrize(("days", "told"), [(6.9, []), (7.1, [AN])])
async def test_stale_signatures_are_told(build: Build, days: float, told: list[str]) -> None:
    async with clamd(NOW - timedelta(days=days)) as address:
        services = build(address)
        await look(services)
        await look(services)
    assert letters(services) == told
    assert [event.data["told"] for event in stale(services)] == [told][: len(told)]
    assert REGISTRY.get_sample_value("mailgov_scanner_up") == 1
    age = REGISTRY.get_sample_value("mailgov_scanner_signature_age_seconds")
    assert age == pytest.approx(days * 86400, abs=1)
    services.database.close()


async def test_told_again_the_next_day(build: Build, clock: Clock) -> None:
    async with clamd(NOW - timedelta(days=8)) as address:
        services = build(address)
        await look(services)
        clock.pass_(hours=25)
        await look(services)
    assert [event.data["days"] for event in stale(services)] == [8, 9]
    services.database.close()


async def test_a_scanner_that_is_down_is_seen(build: Build) -> None:
    services = build("127.0.0.1:9")
    await look(services)
    assert REGISTRY.get_sample_value("mailgov_scanner_up") == 0
    assert stale(services) == []
    services.database.close()
