"""Mailboxes over IMAP, the same against every engine. The only file that knows aioimaplib.

aioimaplib 2.0.3 is used for its states and tags, no more: its receive path recurses once a line,
takes every `* ` out of what it reads and counts parentheses inside strings, so ours replaces it;
it has no lock, and a command that was given up leaves the connection out of step, so each command
here has a lock and a time limit, after which the connection is closed and never used again.
"""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aioimaplib
from aioimaplib import aioimaplib as lib
from imapclient.exceptions import ProtocolError

from mailgov.config import Config
from mailgov.errors import Conflict, MailgovError, NotFound, Unavailable
from mailgov.mailstore import master, reach
from mailgov_webmail.imap_answers import (
    Unit,
    fetched,
    flags_of,
    folder_name,
    listed,
    numbers,
    parsed,
    quoted,
    role,
    status,
    summary,
    uid_sets,
    uids_of,
)
from mailgov_webmail.mailbox import Filter, Folder, Listing, Quota, Role, Summary

COMMAND_SECONDS, SEARCH_SECONDS = 30.0, 60.0
IDLE_SECONDS = 90.0  # how long an unused connection is kept for its owner's next click
FRESH_SECONDS = 5.0  # a connection used so lately needs no NOOP to be trusted
KNOWN_SECONDS = 3.0  # the mail store hears of a new mailbox a moment after the directory
MOST_CONNECTIONS = 64

_LITERAL = re.compile(rb"\{(\d+)\}$")
_TAGGED = re.compile(rb"[A-Z0-9]+ (?:OK|NO|BAD)\b")
_CODE = re.compile(rb"\[(?P<name>[A-Z-]+)(?: (?P<rest>[^\]]*))?\]")
_ORDER: Sequence[Role] = ("inbox", "drafts", "sent", "archive", "junk", "trash", "")
_ROW = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
_FILTERS: Mapping[Filter, str] = {"unread": "UNSEEN", "flag": "FLAGGED"}


class _Protocol(lib.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    """The library's states with a receive path of our own: linear, and true to the bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.units: list[Unit] = []  # untagged responses since the last command began
        self.lost = asyncio.Event()
        self._buffer = bytearray()
        self._unit: Unit = []
        self._literal_bytes: int | None = None

    def data_received(self, data: bytes) -> None:
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

    def _pending(self) -> list[Any]:
        commands = [*self.pending_async_commands.values(), self.pending_sync_command]
        return [command for command in commands if command is not None]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        super().connection_lost(exc)
        for command in self._pending():  # nobody else would wake them before their time is up
            command.close(b"connection lost", "BYE")


class _Library(aioimaplib.IMAP4):  # type: ignore[misc]  # the library has no types
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
        self.protocol = _Protocol(loop)
        connecting = loop.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        self._client_task = loop.create_task(connecting)

    def give_up(self) -> None:
        """Drop the connection, or the attempt to make one."""
        self.protocol.lost.set()
        self._client_task.cancel()
        if self.protocol.transport is not None:
            self.protocol.transport.abort()


@dataclass(frozen=True, slots=True)
class _Answer:
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


class _Connection:
    """One IMAP connection with one command at a time."""

    def __init__(self, library: _Library) -> None:
        self._library = library
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
        async with self._guarded(COMMAND_SECONDS):
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

    async def command(self, name: str, *args: str, seconds: float = COMMAND_SECONDS) -> _Answer:
        """Run one command whatever its outcome. Raises Unavailable `mailstore-unavailable`."""
        async with self._guarded(seconds):
            protocol = self._library.protocol
            protocol.units = []
            prefix = None
            if name.startswith("UID "):
                prefix, name = name.split(" ", 1)
            request = lib.Command(name, protocol.new_tag(), *args, prefix=prefix)
            return self._answer(await protocol.execute(request))

    async def append(self, data: bytes, *args: str) -> _Answer:
        """APPEND with its literal."""
        async with self._guarded(COMMAND_SECONDS):
            protocol = self._library.protocol
            protocol.units = []
            protocol.literal_data = data
            request = lib.Command("APPEND", protocol.new_tag(), *args, f"{{{len(data)}}}")
            return self._answer(await protocol.execute(request))

    def _answer(self, response: Any) -> _Answer:
        protocol = self._library.protocol
        if response.result not in ("OK", "NO", "BAD"):
            raise ConnectionError("the connection was lost")
        text = bytes(response.lines[-1]) if response.lines else b""
        return _Answer(response.result, text, protocol.units)

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

    async def select(self, folder: str) -> None:
        """Open a folder. Raises NotFound `folder-missing`."""
        answer = await self.command("SELECT", folder_name(folder))
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


class ImapPool:
    """Connections of this process to the mail store, opened in the name of whoever is signed in.

    A connection that nobody uses is kept for its mailbox for a while: the next click is served
    without a sign-in. `mailbox` is the `MailFactory` of the pages.
    """

    def __init__(self, config: Config, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._config = config
        self._idle_seconds = idle_seconds
        self._idle: dict[str, list[_Connection]] = {}
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._closed = False

    def mailbox(self, address: str) -> "MailboxClient":
        """The mail of one mailbox."""
        return MailboxClient(self, address)

    def close(self) -> None:
        """Close every connection that is not in use, and let none idle from now on."""
        self._closed = True
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    @asynccontextmanager
    async def connection(self, address: str) -> AsyncIterator[_Connection]:
        """A signed-in connection for one piece of work."""
        async with self._place():
            connection = await self._kept(address) or await self._open(address)
            try:
                yield connection
            finally:
                self._keep(address, connection)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await self._places.acquire()
        except TimeoutError as exc:
            raise Unavailable("mailstore-unavailable") from exc
        try:
            yield
        finally:
            self._places.release()

    async def _kept(self, address: str) -> _Connection | None:
        while kept := self._idle.get(address):
            connection = kept.pop()
            if await connection.alive():
                return connection
            connection.close()
        return None

    def _keep(self, address: str, connection: _Connection) -> None:
        if connection.closed:
            return
        if self._closed:
            connection.close()
            return
        self._idle.setdefault(address, []).append(connection)
        loop = asyncio.get_running_loop()
        loop.call_later(self._idle_seconds, self._expire, address, connection, connection.used_at)

    def _expire(self, address: str, connection: _Connection, used_at: float) -> None:
        """Close a connection that was not used since; a later use has set a later alarm."""
        kept = self._idle.get(address, [])
        if connection in kept and connection.used_at == used_at:
            kept.remove(connection)
            connection.close()
        if not kept:
            self._idle.pop(address, None)

    async def _open(self, address: str) -> _Connection:
        host, port = await asyncio.to_thread(reach.listener, self._config)
        secret = await asyncio.to_thread(master.secret, self._config.data.path)
        deadline = time.monotonic() + KNOWN_SECONDS
        while True:
            context = None
            if not reach.is_loopback(host):
                context = await asyncio.to_thread(_our_certificate, self._config)
            connection = _Connection(_Library(host, port, ssl_context=context))
            await connection.greeting()
            if await connection.log_in(master.login_name(address), secret):
                return connection
            connection.close()
            if time.monotonic() > deadline:
                raise Unavailable("mailstore-unavailable")
            await asyncio.sleep(KNOWN_SECONDS / 6)


def _our_certificate(config: Config) -> ssl.SSLContext:
    """Trust nobody but our own server, under whatever name it is reached."""
    context = ssl.create_default_context(cafile=str(config.certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@dataclass(frozen=True, slots=True)
class MailboxClient:
    """One person's mail: the `Mailbox` of the pages over IMAP.

    Every method raises Unavailable `mailstore-unavailable`, and NotFound `folder-missing` where the
    folder named does not exist.
    """

    _pool: ImapPool = field(repr=False)
    address: str

    async def folders(self) -> Sequence[Folder]:
        """All folders, those with a role first."""
        async with self._connection() as connection:
            answer = await _must(connection.command("LIST", '""', '"*"'))
            found = []
            for flags, name in listed(answer.units):
                if b"\\noselect" in flags or b"\\nonexistent" in flags:
                    continue
                told = await connection.command("STATUS", folder_name(name), "(MESSAGES UNSEEN)")
                counts = status(told.units)
                total, unread = counts.get(b"MESSAGES", 0), counts.get(b"UNSEEN", 0)
                found.append(Folder(name, role(name, flags), total, unread))
        return sorted(found, key=lambda f: (_ORDER.index(f.role), f.name.casefold()))

    async def page(self, folder: str, offset: int, limit: int, filter: Filter = "") -> Listing:  # noqa: A002 - the word of the address bar
        """Rows from `offset` on, newest first."""
        async with self._connection() as connection:
            await connection.select(folder)
            if filter:
                uids = await _search(connection, _FILTERS[filter])
                return await _listing(connection, uids, offset, limit)
            total = connection.exists
            last, first = total - offset, max(1, total - offset - limit + 1)
            rows = await _rows(connection, "FETCH", f"{first}:{last}") if last >= first else []
            return Listing(folder, connection.uidvalidity, total, tuple(rows))

    async def search(self, folder: str, text: str, limit: int) -> Listing:
        """The newest messages whose header or text contains the words.

        Words in quotation marks belong together; every word or phrase must be there.
        """
        phrases = [phrase or word for phrase, word in re.findall(r'"([^"]+)"|([^\s"]+)', text)]
        criteria = " ".join(f"TEXT {quoted(phrase)}" for phrase in phrases) or "ALL"
        async with self._connection() as connection:
            await connection.select(folder)
            uids = await _search(connection, criteria)
            return await _listing(connection, uids, 0, limit)

    async def fetch_raw(self, folder: str, uidvalidity: int, uid: int) -> bytes:
        """The bytes of a message. Raises NotFound `message-missing`."""
        return await self._part(folder, uidvalidity, uid, "BODY[]")

    async def fetch_header(self, folder: str, uidvalidity: int, uid: int) -> bytes:
        """The header block of a message. Raises NotFound `message-missing`."""
        return await self._part(folder, uidvalidity, uid, "BODY[HEADER]")

    async def _part(self, folder: str, uidvalidity: int, uid: int, part: str) -> bytes:
        async with self._opened(folder) as connection:
            if connection.uidvalidity == uidvalidity:
                asked = part.replace("BODY[", "BODY.PEEK[")
                answer = await _must(connection.command("UID FETCH", str(uid), f"(UID {asked})"))
                for row in fetched(answer.units):
                    content = row.get(part.encode())
                    if row.get(b"UID") == uid and isinstance(content, bytes):
                        return content
        raise NotFound("message-missing", folder=folder)

    async def flags(self, folder: str, uidvalidity: int, uid: int) -> frozenset[str]:
        """The flags of a message. Raises NotFound `message-missing`."""
        async with self._opened(folder) as connection:
            if connection.uidvalidity == uidvalidity:
                answer = await _must(connection.command("UID FETCH", str(uid), "(UID FLAGS)"))
                for row in fetched(answer.units):
                    if row.get(b"UID") == uid:
                        return flags_of(row)
        raise NotFound("message-missing", folder=folder)

    async def uidvalidity(self, folder: str) -> int:
        """The value under which UIDs of the folder hold (RFC 3501, 2.3.1.1)."""
        async with self._connection() as connection:
            await connection.select(folder)
            return connection.uidvalidity

    async def set_flags(
        self,
        folder: str,
        uids: Sequence[int],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Set and clear flags."""
        async with self._opened(folder) as connection:
            for sign, flags in (("+", add), ("-", remove)):
                for uid_set in uid_sets(uids) if flags else ():
                    change = f"({' '.join(flags)})"
                    await _must(
                        connection.command("UID STORE", uid_set, f"{sign}FLAGS.SILENT", change)
                    )

    async def move(self, folder: str, uids: Sequence[int], to: str) -> Sequence[int]:
        """Move messages; their UIDs in the other folder, empty when the store does not say."""
        return await self._transfer("UID MOVE", folder, uids, to)

    async def copy(self, folder: str, uids: Sequence[int], to: str) -> Sequence[int]:
        """Copy messages; their UIDs in the other folder, empty when the store does not say."""
        return await self._transfer("UID COPY", folder, uids, to)

    async def _transfer(self, command: str, folder: str, uids: Sequence[int], to: str) -> list[int]:
        there: list[int] = []
        async with self._opened(folder) as connection:
            for uid_set in uid_sets(uids):
                answer = _taken(await connection.command(command, uid_set, folder_name(to)), to)
                _, _, *new = answer.code(b"COPYUID") or [b"", b""]
                there += [uid for part in new for uid in uids_of(part)]
        return there

    async def append(self, folder: str, data: bytes, flags: Sequence[str]) -> None:
        """Put a message into a folder. Raises Conflict `mailbox-full`."""
        await self.place(folder, data, flags)

    async def place(
        self,
        folder: str,
        data: bytes,
        flags: Sequence[str] = (),
        received_at: datetime | None = None,
    ) -> int | None:
        """Put a message into a folder; its UID there, None when the store does not say.

        Raises Conflict `mailbox-full`.
        """
        arguments = [folder_name(folder), f"({' '.join(flags)})"]
        if received_at is not None:
            arguments.append(lib.time2internaldate(received_at.astimezone(UTC)))
        async with self._connection() as connection:
            answer = _taken(await connection.append(data, *arguments), folder)
        code = answer.code(b"APPENDUID")
        return int(code[1]) if len(code) == 2 else None

    async def delete(self, folder: str, uids: Sequence[int]) -> None:
        """Remove messages for good."""
        async with self._opened(folder) as connection:
            for uid_set in uid_sets(uids):
                await _must(
                    connection.command("UID STORE", uid_set, "+FLAGS.SILENT", "(\\Deleted)")
                )
                await _must(connection.command("UID EXPUNGE", uid_set))

    async def quota(self) -> Quota | None:
        """Space of the mailbox; None when the store does not say."""
        async with self._connection() as connection:
            answer = await connection.command("GETQUOTAROOT", "INBOX")
        for unit in answer.units:
            kind, *rest = parsed(unit)
            if kind == b"QUOTA" and rest and isinstance(rest[-1], tuple):
                values = list(rest[-1])
                if b"STORAGE" in values:
                    used, granted = values[values.index(b"STORAGE") + 1 :][:2]
                    return Quota(used * 1024, granted * 1024)  # RFC 9208, 5.1: units of 1024 octets
        return None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        async with self._pool.connection(self.address) as connection:
            try:
                yield connection
            except (ProtocolError, ValueError, LookupError, TypeError) as exc:
                connection.close()  # an answer that can't be read: nobody knows what comes next
                raise Unavailable("mailstore-unavailable") from exc

    @asynccontextmanager
    async def _opened(self, folder: str) -> AsyncIterator[_Connection]:
        async with self._connection() as connection:
            if connection.selected != folder:
                await connection.select(folder)
            yield connection


async def _must(waiting: Any) -> _Answer:
    """An answer that can only be OK unless the store is in trouble."""
    answer: _Answer = await waiting
    if answer.result != "OK":
        raise Unavailable("mailstore-unavailable")
    return answer


def _taken(answer: _Answer, folder: str) -> _Answer:
    """The answer to a command that puts something into a folder, its refusals told apart."""
    if answer.result == "OK":
        return answer
    refusals: tuple[tuple[bytes, MailgovError], ...] = (
        (b"[TRYCREATE]", NotFound("folder-missing", folder=folder)),
        (b"[NONEXISTENT]", NotFound("folder-missing", folder=folder)),
        (b"[OVERQUOTA]", Conflict("mailbox-full")),
    )
    for code, error in refusals:
        if code in answer.text:
            raise error
    raise Unavailable("mailstore-unavailable")


async def _search(connection: _Connection, criteria: str) -> list[int]:
    """UIDs in ascending order."""
    answer = await _must(
        connection.command("UID SEARCH", "CHARSET", "UTF-8", criteria, seconds=SEARCH_SECONDS)
    )
    uids: set[int] = set()
    for unit in answer.units:
        kind, *numbers = unit[0][2:].split()
        if kind.upper() == b"SEARCH":
            uids.update(int(number) for number in numbers)
    return sorted(uids)


async def _listing(connection: _Connection, uids: list[int], offset: int, limit: int) -> Listing:
    """Part of what a search found, newest first."""
    wanted = uids[::-1][offset : offset + limit]
    rows = [row for part in uid_sets(wanted) for row in await _rows(connection, "UID FETCH", part)]
    rows.sort(key=lambda row: row.uid, reverse=True)
    return Listing(connection.selected, connection.uidvalidity, len(uids), tuple(rows))


async def _rows(connection: _Connection, command: str, numbers: str) -> list[Summary]:
    answer = await _must(connection.command(command, numbers, _ROW))
    # What another session changed meanwhile is told in between, without the fields asked for.
    rows = [summary(row) for row in fetched(answer.units) if b"ENVELOPE" in row and b"UID" in row]
    return sorted(rows, key=lambda row: row.uid, reverse=True)
