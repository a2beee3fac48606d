"""Asking ClamAV about a message: a small client of clamd's INSTREAM (clamd(8)).

The whole message goes over the socket in chunks of 64 KiB, each behind its length; clamd unpacks
MIME itself. It closes early when a message is larger than its StreamMaxLength: what it said before
is still read, and such a message counts as not scanned, never as clean.
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mailgov.config import Scanner
from mailgov.errors import Unavailable
from mailgov.logs import logger
from mailgov.message import Body

CHUNK_OCTETS = 64 << 10
_BLOCK_OCTETS = 1 << 20  # read from disk at once
_MAX_REPLY_OCTETS = 4096
_FOUND = re.compile(r"stream: (.+) FOUND")
_CLEAN = "stream: OK"
_TOO_LARGE = "size limit exceeded"
_LIMITS = "Heuristics.Limits.Exceeded"  # clamd gave up inside an archive and was told to say so

log = logger("scanner")


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scanner said. `names` are those of what it found."""

    result: Literal["clean", "infected", "not-scanned", ""] = ""  # empty: no scanner is configured
    names: tuple[str, ...] = ()


NO_SCANNER = Scan()
NOT_SCANNED = Scan("not-scanned")


@dataclass(frozen=True, slots=True)
class ClamdScanner:
    """A clamd at an address: `/run/clamav/clamd.ctl`, or `host:port`."""

    settings: Scanner
    _room: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_room", asyncio.Semaphore(self.settings.concurrency))

    async def scan(self, body: Body) -> Scan:
        """What clamd says of a message.

        Raises Unavailable `scanner-unavailable` when it is down, late, or says what we do not know;
        with `when_down = "hold"` the message then counts as not scanned, and is held.
        """
        if body.size_bytes > self.settings.max_bytes:
            return NOT_SCANNED
        try:
            return await self._scanned(body)
        except Unavailable as error:
            if self.settings.when_down == "defer":
                raise
            log.warning("scanner.down", cause=str(error), size_bytes=body.size_bytes)
            return NOT_SCANNED

    async def _scanned(self, body: Body) -> Scan:
        try:
            async with self._room, asyncio.timeout(self.settings.seconds):
                reply = await self._ask(body)
        except TimeoutError:
            raise self._unavailable("no answer in time") from None
        except OSError as exc:
            raise self._unavailable(exc.strerror or type(exc).__name__) from exc
        return self._understood(reply)

    async def signatures_of(self) -> datetime | None:
        """When clamd's signatures were made, to the day; None when it does not say.

        Raises Unavailable `scanner-unavailable`.
        """
        try:
            async with asyncio.timeout(self.settings.seconds):
                with await self._connected() as connection:
                    await asyncio.get_running_loop().sock_sendall(connection, b"zVERSION\0")
                    reply = await _reply(connection)
        except TimeoutError:
            raise self._unavailable("no answer in time") from None
        except OSError as exc:
            raise self._unavailable(exc.strerror or type(exc).__name__) from exc
        if not reply.startswith("ClamAV "):
            raise self._unavailable(reply or "closed without an answer")
        try:
            # ClamAV 1.4.6/27834/Sat Nov 21 08:23:10 2026
            made_at = f"{reply.rpartition('/')[2]} +0000"
            return datetime.strptime(made_at, "%a %b %d %H:%M:%S %Y %z")
        except ValueError:
            return None  # signatures of one's own have no date

    async def _ask(self, body: Body) -> str:
        loop = asyncio.get_running_loop()
        connection = await self._connected()
        with connection:
            try:
                await loop.sock_sendall(connection, b"zINSTREAM\0")
                async for block in _blocks(body):
                    await loop.sock_sendall(connection, b"".join(_framed(block)))
                await loop.sock_sendall(connection, struct.pack("!I", 0))
            except (BrokenPipeError, ConnectionResetError) as exc:
                log.info("scanner.closed-early", size_bytes=body.size_bytes, cause=str(exc))
            return await _reply(connection)

    async def _connected(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        address = self.settings.clamd
        if address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.setblocking(False)
            return await _connect(connection, address)
        host, _, port = address.rpartition(":")
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = found[0]
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        return await _connect(connection, where)

    def _understood(self, reply: str) -> Scan:
        if reply == _CLEAN:
            return Scan("clean")
        if found := _FOUND.fullmatch(reply):
            name = found[1]
            return NOT_SCANNED if name.startswith(_LIMITS) else Scan("infected", (name,))
        if _TOO_LARGE in reply:
            return NOT_SCANNED
        raise self._unavailable(reply or "closed without an answer")

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable("scanner-unavailable", address=self.settings.clamd, reason=reason)


async def _connect(connection: socket.socket, where: object) -> socket.socket:
    try:
        await asyncio.get_running_loop().sock_connect(connection, where)  # type: ignore[arg-type]  # a path, or what getaddrinfo gave
    except BaseException:
        connection.close()
        raise
    return connection


async def _blocks(body: Body) -> AsyncIterator[bytes]:
    if body.data is not None:
        yield body.data
        return
    blocks = body.chunks(_BLOCK_OCTETS)
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


def _framed(block: bytes) -> Iterator[bytes]:
    for at in range(0, len(block), CHUNK_OCTETS):
        chunk = block[at : at + CHUNK_OCTETS]
        yield struct.pack("!I", len(chunk))
        yield chunk


async def _reply(connection: socket.socket) -> str:
    """Everything up to the NUL that ends a reply, or to the end of the connection."""
    loop = asyncio.get_running_loop()
    said = b""
    try:
        while b"\0" not in said and len(said) < _MAX_REPLY_OCTETS:
            part = await loop.sock_recv(connection, _MAX_REPLY_OCTETS)
            if not part:
                break
            said += part
    except ConnectionResetError:
        pass  # what was read before counts
    return said.partition(b"\0")[0].decode("utf-8", "replace").strip()
