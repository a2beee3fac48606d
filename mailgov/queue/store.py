"""The queue as those see it who deliver."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import Session

from mailgov import faults
from mailgov.clock import Clock
from mailgov.config import Delivery
from mailgov.db import Database
from mailgov.db.models import MessageRow
from mailgov.logs import logger
from mailgov.message import Body
from mailgov.queue import claims, results
from mailgov.queue.item import Notice, QueuedMessage, QueueItem, Result
from mailgov.queue.schedule import longest_wait
from mailgov.queue.spool import Spool, is_intact
from mailgov.queue.tables import MESSAGE
from mailgov.queue.unrecorded import Unrecorded, still_open

ORPHAN_AGE = timedelta(hours=24)
"""Files without a row are kept this long: their transaction may still be under way."""

CLOCK_JUMP_SECONDS = 60.0
"""The clock may drift against the timer; more than this at once is a jump."""

_SWEEP_BATCH = 500

log = logger("queue")


class Queue:
    """Claims, contents and results. One for each process.

    Methods raise Unavailable `database-unavailable` when the database can't serve.
    """

    def __init__(
        self,
        database: Database,
        spool: Spool,
        settings: Delivery,
        clock: Clock,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` tells when things are due; `timer` how long a lease lasts, whatever the clock does."""
        self._database = database
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._timer = timer
        self._woken = asyncio.Event()
        self._served: dict[int, str] = {}
        self._leases: dict[int, tuple[int, float]] = {}  # by recipient: attempt, end by the timer
        self._ahead: float | None = None  # the clock before the timer, in seconds

    def wake(self) -> None:
        """Say that something is due; call it in the event loop of those who deliver."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Return when somebody wakes the queue, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def recover(self) -> None:
        """At the start: what the process before us had under way is due at once.

        Only on SQLite, where one process delivers. Elsewhere others may be at work, and leases end
        by themselves.
        """
        if self._database.is_sqlite:
            now = self._clock()
            count = await self._database.submit(lambda session: results.free_all(session, now))
            log.info("queue.recovered", recipients=count)
        await self._bring_back()

    async def mind_the_clock(self) -> None:
        """After a jump of the clock to an earlier time: nothing waits for the time before it."""
        was, self._ahead = self._ahead, self._clock().timestamp() - self._timer()
        if was is not None and self._ahead < was - CLOCK_JUMP_SECONDS:
            await self._bring_back()

    async def _bring_back(self) -> None:
        now = self._clock()
        longest = longest_wait(self._settings)
        count = await self._database.submit(
            lambda session: results.bring_back(session, now, longest)
        )
        if count:
            log.warning("queue.clock", recipients=count)

    async def claim(
        self,
        messages: int,
        room: Callable[[str], int] | None = None,
        *,
        suspects: int = 1,
        grave: int = 1,
        fresh: int = 0,
    ) -> list[QueueItem]:
        """Lease due recipients of at most so many messages; the urgent first, lanes take turns.

        `room` says how many more messages a destination may have under way; default
        `settings.per_destination`. Of these, at most `suspects` that may have killed a process and
        `grave` that may have killed two, and `fresh` of the newest before their turn, while a backlog is worked off.
        """
        now, end = self._clock(), self._timer() + self._settings.lease_seconds
        self._forget_ended_leases()
        claim = claims.Claim(
            now=now,
            lease_until=now + timedelta(seconds=self._settings.lease_seconds),
            messages=messages,
            room=room or (lambda _: self._settings.per_destination),
            after=self._served,
            ours=self._leases,
            suspects=suspects,
            grave=grave,
            fresh=fresh,
        )

        def work(session: Session) -> claims.Claimed:
            taken = claims.take(session, claim)
            for queue_id in taken.poison:
                results.set_poison(session, queue_id, now)
            return taken

        taken = await self._database.submit(work)
        for queue_id in taken.poison:
            log.error("message.poison", queue_id=queue_id)
        self._served |= taken.served
        for item in taken.items:
            self._leases[item.recipient_id] = (item.attempt, end)
        if taken.items:
            faults.point("D1")
        return taken.items

    def _forget_ended_leases(self) -> None:
        """They are in the order of their ends."""
        now = self._timer()
        while self._leases:
            recipient_id = next(iter(self._leases))
            if self._leases[recipient_id][1] > now:
                return
            del self._leases[recipient_id]

    def _forget(self, items: Iterable[QueueItem]) -> None:
        for item in items:
            if self._leases.get(item.recipient_id, (0, 0.0))[0] == item.attempt:
                del self._leases[item.recipient_id]

    async def next_due(self) -> datetime | None:
        """When the next recipient is due or the next lease ends; None for an empty queue."""
        return await self._database.query(claims.next_due)

    async def load(self, message: QueuedMessage) -> Body | None:
        """The content of a message, checked against length and hash.

        None when they do not match: then the message is set aside, neither delivered nor bounced.
        """
        row = await self._database.query(
            lambda session: session.get_one(MessageRow, message.queue_id)
        )
        body = self._spool.open(row)
        if await asyncio.to_thread(is_intact, body):
            return body
        log.error("message.corrupt", queue_id=message.queue_id, spool_name=row.spool_name)
        now = self._clock()
        await self._database.submit(lambda session: results.set_aside(session, message, now))
        return None

    async def are_ours(self, items: Sequence[QueueItem]) -> bool:
        """Whether all items still belong to this attempt: their lease has not ended by the timer,
        and nobody else claimed or removed them.
        """
        self._forget_ended_leases()
        if any(self._leases.get(item.recipient_id, (0, 0.0))[0] != item.attempt for item in items):
            return False
        ours = await self._database.query(lambda session: results.count_ours(session, items))
        return ours == len(items)

    async def settle(
        self, outcome: Sequence[Result], notices: Sequence[Notice] = ()
    ) -> list[Result]:
        """Write results, events and notices in one transaction; those that counted.

        A result whose lease went to another, or whose recipient was removed, changes nothing.
        """
        now = self._clock()
        faults.point("D7")
        names: list[str] = []

        def work(session: Session) -> list[Result]:
            names.clear()
            counted = results.settle(session, outcome, notices, now)
            if self._database.is_sqlite:  # no other transaction runs beside this one
                names.extend(results.finish(session, _ended(counted), now))
            return counted

        counted = await self._database.submit(work)
        self._forget(result.item for result in outcome)
        for result in outcome:
            if result not in counted:
                log.warning("lease.lost", queue_id=result.item.message.queue_id, state=result.state)
        if self._database.is_sqlite:
            await self._remove(names)
        else:
            await self._finish(_ended(counted))
        if notices:
            self.wake()
        return counted

    async def _finish(self, queue_ids: Iterable[str]) -> None:
        """Close what has ended, then remove the bodies: never a row without its body."""
        ids = sorted(queue_ids)
        if not ids:
            return
        now = self._clock()
        await self._remove(
            await self._database.submit(lambda session: results.finish(session, ids, now))
        )

    async def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            faults.point("D8")
            await asyncio.to_thread(self._spool.remove, name)

    async def still_open(self, attempts: Sequence[Unrecorded]) -> list[QueueItem]:
        """The recipients of attempts that nobody has written a result of, nor begun another."""
        return await self._database.query(lambda session: still_open(session, attempts))

    async def release(self, items: Sequence[QueueItem]) -> None:
        """Give leases back: due at once. What was claimed by others meanwhile stays theirs."""
        if not items:
            return
        now = self._clock()
        self._forget(items)
        await self._database.submit(lambda session: results.release(session, items, now))

    async def sweep_orphans(self) -> int:
        """Remove bodies that no open message names, and close what a crash left open.

        Returns how many files went. Files younger than a day stay.
        """
        before = self._clock() - ORPHAN_AGE
        await self._finish(
            await self._database.query(lambda session: results.unfinished(session, before))
        )
        names = await asyncio.to_thread(lambda: list(self._spool.names(older_than=before)))
        swept = 0
        for at in range(0, len(names), _SWEEP_BATCH):
            swept += await self._sweep(names[at : at + _SWEEP_BATCH])
        return swept

    async def _sweep(self, names: Sequence[str]) -> int:
        orphans = set(names) - await self._database.query(lambda session: _needed(session, names))
        for name in orphans:
            faults.point("D9")
            await asyncio.to_thread(self._spool.remove, name)
        return len(orphans)


def _ended(counted: Iterable[Result]) -> set[str]:
    return {result.item.message.queue_id for result in counted if result.state != "queued"}


def _needed(session: Session, names: Sequence[str]) -> set[str]:
    """Those of the names that open messages bear."""
    query = select(MESSAGE.c.spool_name).where(
        MESSAGE.c.id.in_([name.rpartition("/")[2] for name in names]), MESSAGE.c.done_at.is_(None)
    )
    return set(session.connection().execute(query).scalars())
