"""Brings the bytes of a message to the spool without stopping the event loop."""

import asyncio
from concurrent.futures import Executor
from threading import Lock

from mailgov.errors import MailgovError, Unavailable
from mailgov.logs import logger
from mailgov.message import Body
from mailgov.relay.data import BodyCheck
from mailgov.relay.ports import BodyWriter, Spool

# Up to here a body is small: the spool keeps it in memory and no thread is worth its switch.
DIRECT_BYTES = 256 << 10
# Beyond, blocks are gathered so that each trip to a thread carries something.
TRIP_BYTES = 256 << 10

log = logger("relay")


class BodySink:
    """Brings the bytes of one message to the spool; trouble there is kept until the end.

    `finish` gives the body away; whatever else happens, `close` must be called.
    """

    def __init__(self, spool: Spool, executor: Executor, check: BodyCheck) -> None:
        self.check = check
        self.trouble: Exception | None = None
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()  # a thread may still write when the session ends
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._written_bytes = 0
        self._writer: BodyWriter | None = None
        try:
            self._writer = spool.writer()
        except MailgovError as exc:
            self.trouble = exc

    async def take(self, text: bytes) -> None:
        """Check and store bytes of the message."""
        if self.trouble is not None:
            self.check.feed(text)  # still counts: hopeless is hopeless
        elif stored := self.check.feed(text):
            self._pieces.append(stored)
            self._waiting_bytes += len(stored)
            if self._is_small or self._waiting_bytes >= TRIP_BYTES:
                await self._write()
        elif self.check.refusal:
            self.close()

    async def finish(self) -> Body | None:
        """The body, or None when `check.refusal` or `trouble` says why there is none."""
        if last := self.check.finish():
            self._pieces.append(last)
            self._waiting_bytes += len(last)
        if self.check.refusal or self._writer is None:
            return None
        await self._write()
        if self.trouble is not None:
            return None
        writer, self._writer = self._writer, None
        try:
            if self._written_bytes <= DIRECT_BYTES:
                return writer.finish()
            return await self._loop.run_in_executor(self._executor, writer.finish)
        except (Unavailable, OSError) as exc:
            self.trouble = exc
            self._abandon(writer)
            return None

    def close(self) -> None:
        """Forget what was not finished. May be called again."""
        self._pieces.clear()
        self._waiting_bytes = 0
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._abandon(writer)

    @property
    def is_large(self) -> bool:
        """Whether it has come to need the disk."""
        return not self._is_small

    @property
    def _is_small(self) -> bool:
        return self._written_bytes + self._waiting_bytes <= DIRECT_BYTES

    async def _write(self) -> None:
        if self._writer is None or not self._pieces:
            return
        data = b"".join(self._pieces)
        small = self._is_small
        self._pieces.clear()
        self._waiting_bytes = 0
        self._written_bytes += len(data)
        try:
            if small:
                self._writer.write(data)
            else:
                await self._loop.run_in_executor(
                    self._executor, self._write_locked, self._writer, data
                )
        except (Unavailable, OSError) as exc:
            self.trouble = exc
            self.close()

    def _write_locked(self, writer: BodyWriter, data: bytes) -> None:
        with self._lock:
            writer.write(data)

    def _abandon(self, writer: BodyWriter) -> None:
        def work() -> None:
            with self._lock:
                try:
                    writer.abandon()
                except (OSError, MailgovError) as exc:
                    # The sweep of orphans removes what is left.
                    log.warning("body.left-behind", reason=str(exc))

        if self._written_bytes <= DIRECT_BYTES:
            work()
        else:
            self._executor.submit(work)
