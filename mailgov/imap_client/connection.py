"""An IMAP client over aioimaplib, of which it is the only file to know.

aioimaplib 2.0.3 is used for its states and tags, no more: its receive path recurses once a line,
takes every `* ` out of what it reads and counts parentheses inside strings, so ours replaces it;
it has no lock, and a command that was given up leaves the connection out of step, so each command
here has a lock and a time limit, after which the connection is closed and never used again.
"""

import asyncio
import base64
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aioimaplib
from aioimaplib import aioimaplib as lib

from mailgov.errors import NotFound, Unavailable
from mailgov.imap_client.answers import Unit, folder_name, numbers, quoted

COMMAND_SECONDS = 30.0
FRESH_SECONDS = 5.0  # a connection used so lately needs no NOOP to be trusted

_LITERAL = re.compile(rb"\{(\d+)\}$")
_TAGGED = re.compile(rb"[A-Z0-9]+ (?:OK|NO|BAD)\b")
_CODE = re.compile(rb"\[(?P<name>[A-Z-]+)(?: (?P<rest>[^\]]*))?\]")


class Protocol(lib.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    """The library's states with a receive path of our own: linear, and true to the bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.units: list[Unit] = []  # untagged responses since the last command began
        self.most_bytes = 0  # that one command may be answered with; 0: no limit
        self.sasl_response = ""  # to what AUTHENTICATE asks for
        self.too_much = False  # a command was answered with more than that
        self._answered_bytes = 0
        self.lost = asyncio.Event()
        self._buffer = bytearray()
        self._unit: Unit = []
        self._literal_bytes: int | None = None

    def begin(self) -> None:
        """Forget the answers to the command before."""
        self.units = []
        self._answered_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._answered_bytes += len(data)
        if self.most_bytes and self._answered_bytes > self.most_bytes:
            self.too_much = True
            self.transport.abort()
            return
        self._buffer += data
        position = 0
        while (end := self._next_piece(position)) is not None:
            position = end
        del self._buffer[:position]

    def _next_piece(self, position: int) -> int | None:
        """Take a literal or a line from the buffer; the position after it, None when it is cut."""
        if self._literal_bytes is not None:
            end = position + self._literal_bytes
            if len(self._buffer) < end:
                return None
            self._unit.append(bytes(self._buffer[position:end]))
            self._literal_bytes = None
            return end
        end = self._buffer.find(b"\r\n", position)
        if end < 0:
            return None
        line = bytes(self._buffer[position:end])
        self._unit.append(line)
        if literal := _LITERAL.search(line):
            self._literal_bytes = int(literal[1])
        else:
            unit, self._unit = self._unit, []
            self._dispatch(unit)
        return end + 2

    def _dispatch(self, unit: Unit) -> None:
        line = unit[0]
        if self.state == lib.CONNECTED and line.startswith(b"* OK"):
            self._handle_line(line, None)
        elif line.startswith(b"* "):
            self.units.append(unit)
            for command in self._pending():
                command.append_to_resp(line[2:].removeprefix(b"CAPABILITY "))
        elif line.startswith(b"+"):
            self._continuation(line)
        elif _TAGGED.match(line):
            self._response_done(line)
        elif self.transport is not None:
            self.transport.abort()  # it does not speak our language

    def _continuation(self, line: bytes) -> None:
        command = self.pending_sync_command
        if command is not None and command.name == "AUTHENTICATE":
            response, self.sasl_response = self.sasl_response, "*"
            self.send(response)
        else:
            super()._continuation(line)

    def _pending(self) -> list[Any]:
        commands = [*self.pending_async_commands.values(), self.pending_sync_command]
        return [command for command in commands if command is not None]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        super().connection_lost(exc)
        for command in self._pending():  # nobody else would wake them before their time is up
            command.close(b"connection lost", "BYE")


class Library(aioimaplib.IMAP4):  # type: ignore[misc]  # the library has no types
    """The library's client with the protocol above."""

    def create_client(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop | None,
        conn_lost_cb: Callable[[Exception | None], None] | None = None,  # noqa: ARG002 - the library's signature
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        loop = loop or asyncio.get_running_loop()
        self.protocol = Protocol(loop)
        connecting = loop.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        self._client_task = loop.create_task(connecting)

    def give_up(self) -> None:
        """Drop the connection, or the attempt to make one."""
        self.protocol.lost.set()
        self._client_task.cancel()
        if self.protocol.transport is not None:
            self.protocol.transport.abort()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to: OK, NO or BAD, the words after it, and the responses before it."""

    result: str
    text: bytes
    units: list[Unit]

    def code(self, name: bytes) -> list[bytes]:
        """The arguments of a response code such as COPYUID, wherever the server put it."""
        for line in (self.text, *(unit[0] for unit in self.units)):
            for found in _CODE.finditer(line):
                if found["name"] == name:
                    return (found["rest"] or b"").split()
        return []


class Connection:
    """One IMAP connection with one command at a time."""

    def __init__(
        self, library: Library, *, seconds: float = COMMAND_SECONDS, most_bytes: int = 0
    ) -> None:
        self._library = library
        self._seconds = seconds
        self._library.protocol.most_bytes = most_bytes
        self._lock = asyncio.Lock()
        self.selected = ""
        self.uidvalidity = 0
        self.exists = 0
        self.used_at = time.monotonic()

    @property
    def closed(self) -> bool:
        return bool(self._library.protocol.lost.is_set())

    def close(self) -> None:
        self._library.give_up()

    async def greeting(self) -> None:
        """Wait until the server has greeted."""
        async with self._guarded(self._seconds):
            hello = asyncio.ensure_future(self._library.wait_hello_from_server())
            lost = asyncio.ensure_future(self._library.protocol.lost.wait())
            try:
                await asyncio.wait((hello, lost), return_when="FIRST_COMPLETED")
                if not hello.done():
                    raise ConnectionError("the connection was lost")
                hello.result()
            finally:
                hello.cancel()
                lost.cancel()

    async def command(self, name: str, *args: str, seconds: float | None = None) -> Answer:
        """Run one command whatever its outcome. Raises Unavailable `mailstore-unavailable`."""
        async with self._guarded(seconds or self._seconds):
            protocol = self._library.protocol
            protocol.begin()
            prefix = None
            if name.startswith("UID "):
                prefix, name = name.split(" ", 1)
            request = lib.Command(name, protocol.new_tag(), *args, prefix=prefix)
            return self._answer(await protocol.execute(request))

    async def append(self, data: bytes, *args: str) -> Answer:
        """APPEND with its literal."""
        async with self._guarded(self._seconds):
            protocol = self._library.protocol
            protocol.begin()
            protocol.literal_data = data
            request = lib.Command("APPEND", protocol.new_tag(), *args, f"{{{len(data)}}}")
            return self._answer(await protocol.execute(request))

    def _answer(self, response: Any) -> Answer:
        protocol = self._library.protocol
        if response.result not in ("OK", "NO", "BAD"):
            raise ConnectionError("the connection was lost")
        text = bytes(response.lines[-1]) if response.lines else b""
        return Answer(response.result, text, protocol.units)

    @asynccontextmanager
    async def _guarded(self, seconds: float) -> AsyncIterator[None]:
        """The lock and the time limit; whatever cuts a command short closes the connection."""
        async with self._lock:
            try:
                async with asyncio.timeout(seconds):
                    yield
            except (OSError, TimeoutError, lib.AioImapException) as exc:
                self.close()
                raise Unavailable("mailstore-unavailable") from exc
            except BaseException:
                self.close()
                raise
            self.used_at = time.monotonic()

    async def log_in(self, user: str, password: str) -> bool:
        """Sign in; False when the server does not let this user in."""
        answer = await self.command("LOGIN", quoted(user), quoted(password))
        if answer.result == "OK":
            self._library.protocol.state = lib.AUTH
        return answer.result == "OK"

    async def log_in_as(self, user: str, master: str, password: str) -> bool:
        """Sign in as a master user in the name of another (RFC 4616); False when refused."""
        protocol = self._library.protocol
        plain = base64.b64encode(f"{user}\0{master}\0{password}".encode()).decode()
        protocol.sasl_response = plain
        answer = await self.command("AUTHENTICATE", "PLAIN")
        protocol.sasl_response = ""
        if answer.result == "OK":
            protocol.state = lib.AUTH
        return answer.result == "OK"

    @property
    def answered_too_much(self) -> bool:
        """Whether the connection was closed because an answer was longer than was allowed."""
        return bool(self._library.protocol.too_much)

    async def select(self, folder: str) -> None:
        """Open a folder. Raises NotFound `folder-missing`."""
        await self.select_raw("SELECT", folder_name(folder), folder)

    async def select_raw(self, command: str, wire_name: str, folder: str) -> None:
        """SELECT or EXAMINE a folder whose name stands as it travels. Raises NotFound."""
        answer = await self.command(command, wire_name)
        if answer.result != "OK":
            self.selected = ""
            self._library.protocol.state = lib.AUTH
            raise NotFound("folder-missing", folder=folder)
        self._library.protocol.state = lib.SELECTED
        self.selected = folder
        self.uidvalidity = int((answer.code(b"UIDVALIDITY") or [b"0"])[0])
        self.exists = max(numbers(answer.units, b"EXISTS"), default=0)

    async def alive(self) -> bool:
        """Whether the connection can still be used."""
        if self.closed:
            return False
        if time.monotonic() - self.used_at < FRESH_SECONDS:
            return True
        try:
            return (await self.command("NOOP")).result == "OK"
        except Unavailable:
            return False


def internal_date(moment: datetime) -> str:
    """A moment as APPEND takes it."""
    return str(lib.time2internaldate(moment.astimezone(UTC)))
