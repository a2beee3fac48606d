"""Many destinations, one of them dead and one slow: the others notice nothing."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailgov.config import Delivery, load_config
from mailgov.db import Database
from mailgov.delivery.transports import Answers, Fence, Parcel, Taken
from mailgov.delivery.worker import Worker
from mailgov.errors import DeliveryDeferred
from mailgov.queue.conserve import conserve

from ..queue.samples import NOON, Bench, accept, bench, message
from .test_worker import Directory

DEAD, SLOW = "dead.vn", "slow.vn"
HEALTHY = [f"d{number:02}.vn" for number in range(40)]
EACH = 5


@dataclass
class World:
    """Other people's servers. The slow one answers when it is told to."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    order: list[str] = field(default_factory=list)  # recipients, as they were taken
    called: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """One transaction."""
        name = parcel.destination
        self.called[name] += 1
        self.under_way[name] += 1
        self.most[name] = max(self.most[name], self.under_way[name])
        try:
            if name == DEAD:
                raise DeliveryDeferred("peer-unreachable", host=name, reason="no connection")
            if name == SLOW:
                await self.may_answer.wait()
            await fence()
        finally:
            self.under_way[name] -= 1
        self.order += [str(item.address) for item in parcel.items]
        return {item.recipient_id: Taken("250 ok", "relay") for item in parcel.items}

    async def tend(self) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is kept."""


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Bench:
    return bench(database, tmp_path, Delivery())


def worker(made: Bench, world: World, folder: Path) -> Worker:
    return Worker(
        config=load_config(None, data={"path": str(folder)}, delivery={"concurrency": 50}),
        queue=made.queue,
        directory=Directory({}),
        clock=lambda: made.now,
        transports={"": world},
        timer=lambda: made.elapsed,
    )


async def test_the_healthy_are_done_before_the_sick(made: Bench, tmp_path: Path) -> None:
    world = World()
    for number in range(EACH * 6):
        accept(made.database, message(f"u{number}@{SLOW}", at=NOON))
        accept(made.database, message(f"u{number}@{DEAD}", at=NOON))
    for name in HEALTHY:
        accept(made.database, *(message(f"u{number}@{name}", at=NOON) for number in range(EACH)))
    delivering = worker(made, world, tmp_path)
    async with asyncio.timeout(60):
        while len(world.order) < len(HEALTHY) * EACH:
            await delivering.start_due()
            await asyncio.sleep(0.005)
    assert world.most[SLOW] == 5  # of fifty
    assert world.called[DEAD] <= 5  # one round; the rest heard that it is dead
    assert all(not recipient.endswith((SLOW, DEAD)) for recipient in world.order)
    world.may_answer.set()
    async with asyncio.timeout(60):
        while len(world.order) < len(HEALTHY) * EACH + EACH * 6:
            await delivering.start_due()
            await asyncio.sleep(0.005)
    await delivering.idle()
    assert world.most[SLOW] <= 20
    with made.database.read() as session:
        balance = conserve(session)
    assert balance.holds
    assert balance.states == {"delivered": len(HEALTHY) * EACH + EACH * 6, "queued": EACH * 6}


async def test_new_mail_goes_out_while_a_backlog_waits(made: Bench, tmp_path: Path) -> None:
    world = World()
    backlog = [message(f"u{n}@{name}", at=NOON) for name in HEALTHY for n in range(EACH)]
    accept(made.database, *backlog)
    made.later(minutes=1)
    accept(made.database, message(f"new@{HEALTHY[-1]}", at=made.now))
    delivering = worker(made, world, tmp_path)
    assert await delivering.start_due() == 50
    await delivering.idle()
    assert f"new@{HEALTHY[-1]}" in world.order
