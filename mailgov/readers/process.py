"""One reader process seen from its parent."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Coroutine, Sequence
from typing import Any

from pydantic import ValidationError

from mailgov.logs import logger
from mailgov.readers import wire
from mailgov_policies.facts import Content

START_SECONDS = 60  # to load everything
_SETTLE_SECONDS = 5  # for a process that has closed its socket to be gone
_CHUNK = 1 << 16
_INLINE_BYTES = 256 << 10  # larger results are checked in a thread
TIME_SIGNALS = (-signal.SIGPROF, -signal.SIGXCPU)

log = logger("readers")


class Breach(Exception):
    """The message can't be read; `args[0]` says why. The process is gone or must go."""


class NotTaken(Exception):
    """The process had gone before it took the message; another may take it."""


class NotStarted(Exception):
    """The process did not come up; `args[0]` says why."""


class ReaderProcess:
    """A process and our end of its socket pair. One message at a time."""

    def __init__(self, command: Sequence[str], settings: wire.Settings) -> None:
        self._command = command
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._given_up = False
        self.messages = 0

    @property
    def alive(self) -> bool:
        """Whether it may be given a message."""
        running = self._process is not None and self._process.returncode is None
        return running and not self._given_up

    async def start(self) -> None:
        """Start the process and wait until it has shut itself in. Raises NotStarted."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._socket = ours
        try:
            await _to_the_end(self._spawn(theirs.fileno()))
        except OSError as exc:
            raise NotStarted(str(exc)) from exc
        finally:
            theirs.close()
        assert self._process is not None
        settings = wire.frame(wire.STARTED, wire.SETTINGS.dump_json(self._settings))
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.get_running_loop().sock_sendall(ours, settings)
                kind, measures = await self._receive()
        except (TimeoutError, OSError, Breach) as exc:
            raise NotStarted(f"{type(exc).__name__}: {exc}") from exc
        if kind != wire.STARTED:
            raise NotStarted("it did not say that it has started")
        log.info("readers.started", pid=self._process.pid, measures=measures.decode())

    async def _spawn(self, descriptor: int) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            str(descriptor),
            pass_fds=(descriptor,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            start_new_session=True,
        )

    async def read(self, descriptor: int, size_bytes: int) -> Content:
        """The facts of one body. Raises Breach, NotTaken."""
        assert self._socket is not None
        self.messages += 1
        try:
            socket.send_fds(self._socket, [wire.REQUEST.pack(size_bytes)], [descriptor])
        except OSError as exc:
            raise NotTaken from exc
        try:
            kind, content = await self._receive()
        except OSError as exc:
            raise Breach("reader crashed") from exc
        if kind == wire.FAILED:
            raise Breach(content[:200].decode("utf-8", "replace"))
        try:
            facts = await _checked(content)
        except ValidationError as exc:
            raise Breach("reader gave no facts") from exc
        if facts.size_bytes != size_bytes:
            raise Breach("reader gave no facts")
        return facts

    async def _receive(self) -> tuple[bytes, bytes]:
        """Kind and content of one frame. Raises Breach when it is too large or never comes."""
        received = bytearray()
        await self._fill(received, wire.FRAME.size)
        kind, length = wire.FRAME.unpack_from(received)
        if length > wire.MAX_RESULT_BYTES:
            raise Breach("result too large")
        await self._fill(received, wire.FRAME.size + length)
        if len(received) > wire.FRAME.size + length:
            raise Breach("reader gave no facts")
        return kind, bytes(received[wire.FRAME.size :])

    async def _fill(self, received: bytearray, size: int) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        while len(received) < size:
            chunk = await loop.sock_recv(self._socket, _CHUNK)
            if not chunk:
                raise Breach(await self._why_gone())
            received += chunk

    async def _why_gone(self) -> str:
        assert self._process is not None
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                status = await self._process.wait()
        except TimeoutError:
            return "reader crashed"
        return "time limit" if status in TIME_SIGNALS else "reader crashed"

    async def gone(self) -> None:
        """Wait until the process has ended."""
        assert self._process is not None
        await self._process.wait()

    def kill(self) -> None:
        """End it now, whatever it is doing."""
        self._given_up = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def retire(self) -> None:
        """Let it end by itself: it has served long enough."""
        self._given_up = True
        if self._socket is not None:
            self._socket.close()

    async def end(self) -> None:
        """Kill it where it still runs, and release what we hold of it."""
        self.kill()
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            await _to_the_end(self._process.wait())


async def _to_the_end(work: Coroutine[Any, Any, Any]) -> None:
    """Do short work even when cancelled meanwhile: no process may be left behind unknown."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()


async def _checked(content: bytes) -> Content:
    if len(content) > _INLINE_BYTES:
        return await asyncio.to_thread(wire.CONTENT.validate_json, content)
    return wire.CONTENT.validate_json(content)


def descriptor_of(data: bytes) -> int:
    """A descriptor at whose start the bytes stand, in memory."""
    descriptor = os.memfd_create("body", os.MFD_CLOEXEC)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
