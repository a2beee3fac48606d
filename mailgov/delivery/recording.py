"""Writing results down, whatever the database does meanwhile.

A result that the database does not take is kept and written when it is back; until then nothing else
is claimed, and no delivery under way becomes final. So only what was said after the dot when a process
was killed, and a disk that takes not even a note, let a server of others get a message twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TypeVar

from mailgov import durable
from mailgov.delivery.transports import Answer, Answers, LeaseLost, Taken
from mailgov.errors import Unavailable
from mailgov.logs import logger
from mailgov.queue import Queue, QueueItem, unrecorded
from mailgov.queue.unrecorded import Unrecorded

T = TypeVar("T")

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 5.0)
"""Waits before something is written again to a database in trouble."""

PAUSE_SECONDS = 60.0
"""A delivery waits so long before its dot for older results to be written; then it is put off."""

LEAVE_SECONDS = 3.0
"""So long the database has to take back a lease when we stop; else a note tells of it."""

log = logger("delivery")


class Attempt:
    """Items on their way, and what is known of them."""

    def __init__(self, items: Iterable[QueueItem]) -> None:
        self.items = tuple(items)
        self.is_final = False  # their delivery may have become final
        self.answers: Answers | None = None  # what came of it, once that is known


class Recorder:
    """What one worker has to write down. `folder` takes what it can't."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self._queue = queue
        self._folder = folder
        self._behind = 0
        self._up_to_date = asyncio.Event()
        self._up_to_date.set()
        self._left: list[Unrecorded] = []

    @property
    def is_behind(self) -> bool:
        """Whether results wait for the database."""
        return self._behind > 0

    async def when_served(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it again while the database is in trouble.

        Raises Unavailable when the disk failed: then this process writes nothing more.
        """
        for wait in chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1])):
            try:
                return await work()
            except Unavailable as exc:
                if durable.failure():
                    raise
                log.warning("queue.unavailable", why=str(exc))
                await asyncio.sleep(wait)
        raise AssertionError("repeat never ends")

    async def record(self, work: Callable[[], Awaitable[T]]) -> T:
        """Write results, however long it takes; as long as that fails, we are behind.

        Raises Unavailable when the disk failed.
        """
        is_late = False

        async def tried() -> T:
            nonlocal is_late
            try:
                return await work()
            except Unavailable:
                if not is_late:
                    is_late = True
                    self._behind += 1
                    self._up_to_date.clear()
                raise

        try:
            return await self.when_served(tried)
        finally:
            if is_late:
                self._behind -= 1
                if not self._behind:
                    self._up_to_date.set()

    async def fence(self, attempt: Attempt) -> None:
        """Right before a delivery becomes final. Raises LeaseLost, Unavailable."""
        if not self._up_to_date.is_set():
            try:
                async with asyncio.timeout(PAUSE_SECONDS):
                    await self._up_to_date.wait()
            except TimeoutError:
                raise Unavailable("database-unavailable", reason="results wait for it") from None
        if not await self._queue.are_ours(attempt.items):
            raise LeaseLost
        if reason := durable.failure():
            raise Unavailable("database-unavailable", reason=reason)
        attempt.is_final = True

    async def leave(self, attempt: Attempt) -> None:
        """The attempt ends with us: its leases go back, or a note has to say what came of it."""
        answers = attempt.answers or {}
        taken = {
            item: answer
            for item in attempt.items
            if isinstance(answer := answers.get(item.recipient_id), Taken)
        }
        free = [item for item in attempt.items if item not in taken]
        if await self.written_soon(lambda: self._queue.release(free)):
            free = []
        self._left += [_noted(item) for item in free]
        self._left += [_noted(item, answer) for item, answer in taken.items()]

    async def written_soon(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether the database takes it at once: we are about to end."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await work()
        except (Unavailable, TimeoutError) as exc:
            log.warning("queue.unavailable", why=str(exc) or "no answer in time")
            return False
        return True

    async def close(self) -> None:
        """Note what is left for the next process."""
        if not self._left:
            return
        left, self._left = self._left, []
        counts = {"attempts": len(left), "taken": sum(one.by is not None for one in left)}
        try:
            await asyncio.to_thread(unrecorded.keep, self._folder, left)
        except OSError:
            log.exception("results.lost", **counts)
        else:
            log.warning("results.noted", **counts)

    async def take_over(
        self, settle: Callable[[Sequence[QueueItem], Answers], Awaitable[None]]
    ) -> None:
        """Write down what processes before us noted. `settle` takes items of one message."""
        for path, noted in await asyncio.to_thread(lambda: list(unrecorded.found(self._folder))):
            items = await self._queue.still_open(noted)
            taken: dict[int, Answer] = {
                one.recipient_id: Taken(
                    one.reply, "dsn-relay" if one.by == "dsn-relay" else "relay"
                )
                for one in noted
                if one.by
            }
            for group in by_message(item for item in items if item.recipient_id in taken):
                await settle(group, taken)
            await self._queue.release([item for item in items if item.recipient_id not in taken])
            await asyncio.to_thread(path.unlink, missing_ok=True)
            log.info("results.taken-over", attempts=len(items), taken=len(taken))


def _noted(item: QueueItem, answer: Taken | None = None) -> Unrecorded:
    message = item.message
    if answer is None:
        return Unrecorded(message.queue_id, item.recipient_id, item.attempt)
    return Unrecorded(message.queue_id, item.recipient_id, item.attempt, answer.reply, answer.by)


def by_message(items: Iterable[QueueItem]) -> list[list[QueueItem]]:
    """Items of one message at one destination together, in the order of their claim."""
    groups: dict[tuple[str, str], list[QueueItem]] = {}
    for item in items:
        groups.setdefault((item.message.queue_id, item.destination), []).append(item)
    return list(groups.values())
