"""Lines to a server and replies from it: SMTP as bytes on a connection, bounded in size and time.

Knows no command. What it reads is hostile until the peer is known, and often after.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

# RFC 5321, 4.5.3.2, in seconds. Connecting is not in it; half a minute reaches whom it will.
CONNECT_SECONDS = 30.0
GREETING_SECONDS = 300.0
COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
DOT_SECONDS = 600.0
QUIT_SECONDS = 5.0

MAX_REPLY_LINES = 100
MAX_REPLY_OCTETS = 64 << 10
MAX_REPLY_SIGNS = 1000

FLOOR_OCTETS_PER_SECOND = 500
FLOOR_SECONDS = 60.0
"""A peer that takes less than the floor over this time is left."""

_HIGH_WATER_OCTETS = 64 << 10


class WireError(Exception):
    """The connection is of no more use. `args[0]` says why, for people."""


class Lost(WireError):
    """The peer hung up, or the network did."""


class TooSlow(WireError):
    """It takes or says too little in the time it is given."""


class Nonsense(WireError):
    """What it says is no reply, or no end is in sight."""


class TlsFailed(WireError):
    """The handshake failed. `cause` is the certificate's fault where that was it.

    `local_address` is our end of the connection, once it is known.
    """

    def __init__(self, why: str, cause: ssl.SSLCertVerificationError | None = None) -> None:
        super().__init__(why)
        self.cause = cause
        self.local_address = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code, and what stands behind the code, a line each."""

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """One printable line, bounded: it goes into rows, notices and terminals."""
        text = " ".join(self.lines)
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f"{self.code} {words}"[:MAX_REPLY_SIGNS].rstrip()


class _Protocol(asyncio.Protocol):
    """Keeps what comes until somebody reads it; stops the peer that says too much."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.lost: Exception | None = None
        self.changed = asyncio.Event()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_OCTETS)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > MAX_REPLY_OCTETS and self.transport is not None:
            self.transport.pause_reading()
        self.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc or ConnectionResetError("closed by the peer")
        self.changed.set()

    def eof_received(self) -> bool:
        self.lost = ConnectionResetError("closed by the peer")
        self.changed.set()
        return False

    def resume_writing(self) -> None:
        self.changed.set()


class Wire:
    """One connection. Every method raises WireError; then only `abort` is left."""

    def __init__(self, transport: asyncio.Transport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        # Asked for now: nothing is known of it when the connection is lost.
        name = transport.get_extra_info("sockname")
        self.local_address: str = name[0] if isinstance(name, tuple) else ""

    @classmethod
    async def connect(cls, address: str, port: int) -> "Wire":
        """Connect by TCP; to a socket file where the address is a path. Raises Lost, TooSlow."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if address.startswith("/"):
                    made = await loop.create_unix_connection(_Protocol, address)
                else:
                    made = await loop.create_connection(_Protocol, address, port)
        except TimeoutError as exc:
            raise TooSlow("no connection in time") from exc
        except OSError as exc:
            raise Lost(exc.strerror or str(exc) or type(exc).__name__) from exc
        return cls(*made)

    @property
    def is_lost(self) -> bool:
        """Whether it is known to be of no more use."""
        return self._protocol.lost is not None or self._transport.is_closing()

    @property
    def has_more(self) -> bool:
        """Whether the peer has said something that nobody has read, or is gone."""
        return bool(self._protocol.buffer) or self.is_lost

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on in TLS. Raises TlsFailed.

        What the peer said before the handshake was said by whoever is between us: a peer that says
        anything behind its reply to STARTTLS is left (CVE-2011-0411 and its kin).
        """
        if self._protocol.buffer:
            raise Nonsense("more than a reply before the handshake")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                transport = await loop.start_tls(
                    self._transport, self._protocol, context, server_hostname=name
                )
        except ssl.SSLCertVerificationError as exc:
            raise TlsFailed(exc.verify_message or "certificate not valid", exc) from exc
        except (OSError, ValueError) as exc:  # ValueError: a host that no certificate can name
            raise TlsFailed(_words(exc)) from exc
        if transport is None:
            raise TlsFailed("the connection was lost")
        transport.set_write_buffer_limits(high=_HIGH_WATER_OCTETS)
        self._transport = self._protocol.transport = transport

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session; None in clear."""
        found: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return found

    def write(self, data: bytes) -> None:
        """Send, without waiting."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the peer takes more. Raises TooSlow, Lost."""
        loop = asyncio.get_running_loop()
        waited_since, left = loop.time(), self._transport.get_write_buffer_size()
        while self._transport.get_write_buffer_size() > _HIGH_WATER_OCTETS // 4:
            self._require()
            self._protocol.changed.clear()
            try:
                async with asyncio.timeout(min(1.0, FLOOR_SECONDS)):
                    await self._protocol.changed.wait()
            except TimeoutError:
                pass  # look at how far it has come
            if self._protocol.buffer:
                return  # it says something before it has all: the caller looks at it
            if loop.time() - waited_since >= FLOOR_SECONDS:
                now_left = self._transport.get_write_buffer_size()
                if left - now_left < FLOOR_OCTETS_PER_SECOND * FLOOR_SECONDS:
                    raise TooSlow("takes the message too slowly")
                waited_since, left = loop.time(), now_left

    def _require(self) -> None:
        if self._protocol.lost is not None:
            raise Lost(_words(self._protocol.lost)) from self._protocol.lost

    async def reply(self, seconds: float) -> Reply:
        """The next whole reply (RFC 5321, 4.2). Raises Lost, Nonsense, TooSlow."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reply()
        except TimeoutError as exc:
            raise TooSlow("no answer in time") from exc

    async def _reply(self) -> Reply:
        lines: list[str] = []
        octets, code = 0, -1
        while True:
            line = await self._line(MAX_REPLY_OCTETS - octets)
            octets += len(line) + 2
            if len(lines) == MAX_REPLY_LINES:
                raise Nonsense("a reply without end")
            found = line[:3]
            if not (len(found) == 3 and found.isdigit() and b"2" <= found[:1] <= b"5"):
                raise Nonsense("no reply code")
            if line[3:4] not in (b"", b" ", b"-") or code not in (-1, int(found)):
                raise Nonsense("no reply")
            code = int(found)
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Reply(code, tuple(lines))

    async def _line(self, most: int) -> bytes:
        """The next line, without its end."""
        buffer = self._protocol.buffer
        seen = 0
        while (end := buffer.find(b"\n", seen, most)) < 0:
            if len(buffer) >= most:
                raise Nonsense("a reply without end")
            seen = len(buffer)
            self._require()
            self._protocol.changed.clear()
            await self._protocol.changed.wait()
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        if len(buffer) <= MAX_REPLY_OCTETS // 2 and not self._transport.is_closing():
            self._transport.resume_reading()
        return line.removesuffix(b"\r")

    def abort(self) -> None:
        """Drop the connection at once; what was not ended by a dot is void."""
        self._transport.abort()


def _words(exc: BaseException) -> str:
    """What went wrong, in one short line."""
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.lower().replace("_", " ")
    text = (getattr(exc, "strerror", None) or str(exc)).splitlines()
    return text[0][:200] if text and text[0] else type(exc).__name__
