"""A million recipients over a thousand destinations, one of them dead and one slow.

    python benchmarks/queue_million.py [--recipients 1000000] [--destinations 1000] [--per-message 10]
                                       [--phase 60] [--database URL]

The queue and the worker are those of production, on SQLite in a temporary folder unless a database
is named; only the other servers are made up: a healthy one takes `--latency` for a transaction, the
dead one never answers a connection (`--dead` seconds), the slow one takes `--slow` seconds.

Phases with all destinations healthy and phases with the sick ones take turns, so that what else the
machine does falls on both alike; then the rest is drained with the sick ones in place. All the while
new mail to healthy destinations comes in, behind the backlog of each, and the time until it is handed
on is measured. Printed: memory, rate of the healthy in both kinds of phases, waits of new mail.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mail_queue import message, store
from sqlmodel import SQLModel

from mailgov import logs
from mailgov.addresses import Address
from mailgov.config import Log, load_config
from mailgov.db import Database
from mailgov.delivery.transports import Answers, Fence, Parcel, Taken
from mailgov.delivery.worker import Worker
from mailgov.errors import DeliveryDeferred
from mailgov.queue import Queue, Spool

DEAD, SLOW = "d0000.vn", "d0001.vn"


@dataclass
class World:
    """The other servers."""

    latency: float
    dead: float
    slow: float
    is_sick: bool = False
    healthy: int = 0  # recipients taken by healthy destinations
    sent_at: dict[str, float] = field(default_factory=dict)  # of new mail under measure
    waits: list[float] = field(default_factory=list)

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """One transaction."""
        if self.is_sick and parcel.destination == DEAD:
            await asyncio.sleep(self.dead)
            raise DeliveryDeferred("peer-unreachable", host=DEAD, reason="no connection in time")
        if self.is_sick and parcel.destination == SLOW:
            await asyncio.sleep(self.slow)
        await asyncio.sleep(self.latency)
        await fence()
        if parcel.destination not in (DEAD, SLOW):
            self.healthy += len(parcel.items)
        if (begun := self.sent_at.pop(parcel.message.queue_id, None)) is not None:
            self.waits.append(time.monotonic() - begun)
        return {item.recipient_id: Taken("250 2.0.0 ok", "relay") for item in parcel.items}

    async def tend(self) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is kept."""


class NoMailboxes:
    """Nobody is ours."""

    async def find_mailbox(self, _address: Address) -> None:
        """None."""

    async def is_local_domain(self, _domain: str) -> bool:
        """No."""
        return False

    async def return_path(self, _address: Address) -> None:
        """None."""


def fill(database: Database, recipients: int, destinations: int, per_message: int) -> None:
    """Messages in turn to every destination."""
    at = datetime.now(UTC)
    messages = recipients // per_message
    for start in range(0, messages, 2000):
        with database.write() as session:
            for number in range(start, min(start + 2000, messages)):
                store(session, message(f"d{number % destinations:04}.vn", at, per_message))


def resident_mib(name: str) -> float:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


async def new_mail(database: Database, queue: Queue, world: World, destinations: int) -> None:
    """A message to a healthy destination four times a second."""
    number = 2
    while True:
        new = message(f"d{number:04}.vn", datetime.now(UTC))
        world.sent_at[new.queue_id] = time.monotonic()
        await database.submit(partial(store, new=new))
        queue.wake()
        number = number + 7 if number + 7 < destinations else 2
        await asyncio.sleep(0.25)


async def run(database: Database, folder: Path, options: argparse.Namespace) -> None:
    """Phases, then the rest."""
    config = load_config(None, data={"path": str(folder)})
    queue = Queue(database, Spool(folder), config.delivery, lambda: datetime.now(UTC))
    world = World(options.latency, options.dead, options.slow)
    worker = Worker(
        config=config,
        queue=queue,
        directory=NoMailboxes(),
        clock=lambda: datetime.now(UTC),
        transports={"": world},
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    incoming = asyncio.create_task(new_mail(database, queue, world, options.destinations))
    rates: dict[bool, list[float]] = {False: [], True: []}
    per_cpu: dict[bool, list[float]] = {False: [], True: []}
    began, cpu = time.monotonic(), time.process_time()
    for phase in range(options.phases):
        world.is_sick = phase % 2 == 1
        before, start, spent = world.healthy, time.monotonic(), time.process_time()
        await asyncio.sleep(options.phase)
        count = world.healthy - before
        rates[world.is_sick].append(count / (time.monotonic() - start))
        per_cpu[world.is_sick].append(count / (time.process_time() - spent))
    world.is_sick = True
    waits_before_drain = len(world.waits)
    healthy = options.recipients * (options.destinations - 2) // options.destinations
    deadline = time.monotonic() + options.most
    while world.healthy < healthy and time.monotonic() < deadline:  # noqa: ASYNC110 - a look now and then
        await asyncio.sleep(1)
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    incoming.cancel()
    stop.set()
    await running
    well, sick = (statistics.median(rates[kind] or [0.0]) for kind in (False, True))
    waits = sorted(world.waits)
    say(f"healthy recipients handed on    {world.healthy} of {healthy} in {took:.0f} s")
    say(f"  processor                     {1000 * cpu / max(world.healthy, 1):.2f} ms each")
    say(f"rate, all healthy               {well:.0f}/s   {[round(r) for r in rates[False]]}")
    say(f"rate, one dead and one slow     {sick:.0f}/s   {[round(r) for r in rates[True]]}")
    say(f"  share that is left            {100 * sick / (well or 1):.0f} %")
    well, sick = (statistics.median(per_cpu[kind] or [0.0]) for kind in (False, True))
    say(f"in a second of processor        {well:.0f} and {sick:.0f}")
    say(f"  share that is left            {100 * sick / (well or 1):.0f} %")
    say(
        f"new mail handed on              {len(waits)} ({len(waits) - waits_before_drain} in the end)"
    )
    for share in (50, 95, 99):
        say(f"  wait, {share}th percentile         {waits[len(waits) * share // 100]:.2f} s")
    say(f"memory at most                  {resident_mib('VmHWM'):.0f} MiB")


def say(line: str) -> None:
    """Print it."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Fill the queue, then run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=1000)
    parser.add_argument("--per-message", type=int, default=10)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--dead", type=float, default=30.0)
    parser.add_argument("--slow", type=float, default=20.0)
    parser.add_argument("--phase", type=float, default=60.0, help="seconds")
    parser.add_argument("--phases", type=int, default=6)
    parser.add_argument("--most", type=float, default=3600.0, help="seconds for the drain")
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    logs.set_up(Log(level="error"))
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.database or f"sqlite:///{folder}/mailgov.db")
        with database.write() as session:
            SQLModel.metadata.create_all(session.connection())
        before, start = resident_mib("VmRSS"), time.monotonic()
        fill(database, options.recipients, options.destinations, options.per_message)
        say(f"{options.recipients} recipients, {options.destinations} destinations")
        say(f"filled in {time.monotonic() - start:.0f} s; memory before {before:.0f} MiB")
        asyncio.run(run(database, Path(folder), options))
        database.close()


if __name__ == "__main__":
    main()
