"""The pool: hands messages to reader processes and gets facts back.

A message that hangs, crashes or outgrows its reader costs that one process, which is killed and
replaced; its facts then say `unscannable`. All other messages go on. Equal messages are read once.
"""

import asyncio
import hashlib
import os
import sys
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from mailgov import config, message
from mailgov.content import READER_VERSION
from mailgov.errors import Unavailable
from mailgov.logs import logger
from mailgov.readers import wire
from mailgov.readers.process import (
    START_SECONDS,
    Breach,
    NotStarted,
    NotTaken,
    ReaderProcess,
    descriptor_of,
)
from mailgov_policies.facts import Content

COMMAND = (sys.executable, "-I", "-m", "mailgov.readers.worker")
RECYCLE_AFTER = 1000  # messages, so that leaks of parsers stay small
WAITING = 1000  # messages that may wait for a reader
_RETRY_SECONDS = (0.1, 0.5, 2.0)  # between failed starts

_Key = tuple[bytes, int, bytes]  # facts depend on the bytes, the reader and the trust roots

log = logger("readers")


class ReaderPool:
    """Reader processes, owned by one event loop.

    `start` before the first `read`, `close` at the end; also an asynchronous context manager.
    """

    def __init__(
        self,
        settings: config.Readers,
        limits: config.Limits | None = None,
        *,
        trust_roots: Sequence[bytes] = (),
        command: Sequence[str] = COMMAND,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self._settings = settings
        self._wire_settings = wire.Settings.of(settings, limits or config.Limits(), trust_roots)
        self._command = tuple(command)
        self._recycle_after = recycle_after
        self._idle: asyncio.LifoQueue[ReaderProcess] = asyncio.LifoQueue()
        self._slots: list[asyncio.Task[None]] = []
        self._reading: dict[bytes, asyncio.Task[Content]] = {}
        self._reads_by = (READER_VERSION, hashlib.sha256(b"".join(trust_roots)).digest())
        self._cache: OrderedDict[_Key, Content] = OrderedDict()
        self._open = False
        self._serving = False  # whether one process has come up
        self._started = asyncio.Event()  # it has, or there is no hope that one will

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the processes. Returns when one serves.

        Raises Unavailable `readers-unavailable` when none comes up in time.
        """
        self._open = True
        count = self._settings.processes or os.cpu_count() or 1
        self._slots = [asyncio.create_task(self._keep_one()) for _ in range(count)]
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._started.wait()
        except TimeoutError:
            pass
        if not self._serving:
            await self.close()
            raise Unavailable("readers-unavailable")

    async def close(self) -> None:
        """End the processes; reads under way and later ones raise `readers-unavailable`."""
        self._open = False
        tasks = [*self._slots, *self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._slots = []
        self._idle = asyncio.LifoQueue()

    async def read(self, body: message.Body) -> Content:
        """The facts of a message.

        A message that breaks a limit or its reader gives `Content(unscannable=…)`. Trouble of the
        pool itself raises Unavailable `readers-unavailable`. A caller that goes away does not stop
        the reading: others may wait for the same message.
        """
        known = self._remembered(body)
        if known is not None:
            return known
        task = self._reading.get(body.sha256)
        if task is None:
            if not self._open or len(self._reading) >= WAITING:
                raise Unavailable("readers-unavailable")
            task = asyncio.create_task(self._read(body))
            self._reading[body.sha256] = task
            task.add_done_callback(lambda done: self._finished(body.sha256, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # the pool was closed under us
                raise Unavailable("readers-unavailable") from None
            raise

    def _finished(self, sha256: bytes, task: asyncio.Task[Content]) -> None:
        del self._reading[sha256]
        if not task.cancelled():
            task.exception()  # seen, even when every caller has gone

    async def _read(self, body: message.Body) -> Content:
        try:
            descriptor = await _descriptor(body)
        except OSError as exc:
            raise Unavailable("readers-unavailable") from exc
        try:
            content = await self._handed_over(descriptor, body.size_bytes)
        except Breach as exc:
            log.warning("readers.breach", why=str(exc), sha256=body.sha256.hex())
            return Content(body.size_bytes, unscannable=str(exc), reader=READER_VERSION)
        finally:
            os.close(descriptor)
        self._remember(body, content)
        return content

    async def _handed_over(self, descriptor: int, size_bytes: int) -> Content:
        """The facts from the first process that takes the message. Raises Breach, Unavailable."""
        while True:
            reader = await self._next_idle()
            try:
                return await self._exchange(reader, descriptor, size_bytes)
            except NotTaken:
                continue

    async def _next_idle(self) -> ReaderProcess:
        try:
            async with asyncio.timeout(2 * self._settings.wall_seconds):
                while True:
                    reader = await self._idle.get()
                    if reader.alive:
                        return reader
        except TimeoutError:
            raise Unavailable("readers-unavailable") from None

    async def _exchange(self, reader: ReaderProcess, descriptor: int, size_bytes: int) -> Content:
        """One message to one process, which is idle again only when all went well."""
        try:
            async with asyncio.timeout(self._settings.wall_seconds):
                content = await reader.read(descriptor, size_bytes)
        except TimeoutError:
            reader.kill()
            raise Breach("time limit") from None
        except BaseException:
            reader.kill()
            raise
        if reader.messages >= self._recycle_after:
            reader.retire()
        else:
            self._idle.put_nowait(reader)
        return content

    def _remembered(self, body: message.Body) -> Content | None:
        key = (body.sha256, *self._reads_by)
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
        return known

    def _remember(self, body: message.Body, content: Content) -> None:
        self._cache[body.sha256, *self._reads_by] = content
        while len(self._cache) > self._settings.cache_messages:
            self._cache.popitem(last=False)

    async def _keep_one(self) -> None:
        """Keep one process running until the pool closes."""
        failures = 0
        while True:
            reader = ReaderProcess(self._command, self._wire_settings)
            try:
                await reader.start()
                failures = 0
                self._serving = True
                self._started.set()
                self._idle.put_nowait(reader)
                await reader.gone()
            except NotStarted as exc:
                log.warning("readers.not-started", why=str(exc))
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
                if failures == len(_RETRY_SECONDS):
                    self._started.set()
            finally:
                await reader.end()


async def _descriptor(body: message.Body) -> int:
    """The body, open for reading. Raises OSError."""
    if body.data is not None:
        return descriptor_of(body.data)
    assert body.path is not None
    return await asyncio.to_thread(os.open, body.path, os.O_RDONLY | os.O_CLOEXEC)
