"""Mailboxes over IMAP, the same against every engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imapclient.exceptions import ProtocolError

from mailgov.config import Config
from mailgov.errors import Conflict, MailgovError, NotFound, Unavailable
from mailgov.imap_client import COMMAND_SECONDS, Answer, Connection, internal_date
from mailgov.imap_client.answers import (
    fetched,
    folder_name,
    parsed,
    status,
    uid_sets,
    uids_of,
)
from mailgov.mailstore.own_client import connect
from mailgov_webmail.imap_answers import flags_of, listed, role, summary
from mailgov_webmail.mailbox import Filter, Folder, Listing, Quota, Role, Summary

SEARCH_SECONDS = 60.0
IDLE_SECONDS = 90.0  # how long an unused connection is kept for its owner's next click
MOST_CONNECTIONS = 64

_ORDER: Sequence[Role] = ("inbox", "drafts", "sent", "archive", "junk", "trash", "")
_ROW = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
_FILTERS: Mapping[Filter, str] = {"unread": "UNSEEN", "flag": "FLAGGED"}


class ImapPool:
    """Connections of this process to the mail store, opened in the name of whoever is signed in.

    A connection that nobody uses is kept for its mailbox for a while: the next click is served
    without a sign-in. `mailbox` is the `MailFactory` of the pages.
    """

    def __init__(self, config: Config, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._config = config
        self._idle_seconds = idle_seconds
        self._idle: dict[str, list[Connection]] = {}
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
    async def connection(self, address: str) -> AsyncIterator[Connection]:
        """A signed-in connection for one piece of work."""
        async with self._place():
            connection = await self._kept(address) or await connect(self._config, address)
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

    async def _kept(self, address: str) -> Connection | None:
        while kept := self._idle.get(address):
            connection = kept.pop()
            if await connection.alive():
                return connection
            connection.close()
        return None

    def _keep(self, address: str, connection: Connection) -> None:
        if connection.closed:
            return
        if self._closed:
            connection.close()
            return
        self._idle.setdefault(address, []).append(connection)
        loop = asyncio.get_running_loop()
        loop.call_later(self._idle_seconds, self._expire, address, connection, connection.used_at)

    def _expire(self, address: str, connection: Connection, used_at: float) -> None:
        """Close a connection that was not used since; a later use has set a later alarm."""
        kept = self._idle.get(address, [])
        if connection in kept and connection.used_at == used_at:
            kept.remove(connection)
            connection.close()
        if not kept:
            self._idle.pop(address, None)


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

    async def search(self, folder: str, criteria: str, limit: int) -> Listing:
        """The newest messages for which the search keys hold (RFC 3501, 6.4.4)."""
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
            arguments.append(internal_date(received_at))
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
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._pool.connection(self.address) as connection:
            try:
                yield connection
            except (ProtocolError, ValueError, LookupError, TypeError) as exc:
                connection.close()  # an answer that can't be read: nobody knows what comes next
                raise Unavailable("mailstore-unavailable") from exc

    @asynccontextmanager
    async def _opened(self, folder: str) -> AsyncIterator[Connection]:
        async with self._connection() as connection:
            if connection.selected != folder:
                await connection.select(folder)
            yield connection


async def _must(waiting: Any) -> Answer:
    """An answer that can only be OK unless the store is in trouble."""
    answer: Answer = await waiting
    if answer.result != "OK":
        raise Unavailable("mailstore-unavailable")
    return answer


def _taken(answer: Answer, folder: str) -> Answer:
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


async def _search(connection: Connection, criteria: str) -> list[int]:
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


async def _listing(connection: Connection, uids: list[int], offset: int, limit: int) -> Listing:
    """Part of what a search found, newest first."""
    wanted = uids[::-1][offset : offset + limit]
    rows = [row for part in uid_sets(wanted) for row in await _rows(connection, "UID FETCH", part)]
    rows.sort(key=lambda row: row.uid, reverse=True)
    return Listing(connection.selected, connection.uidvalidity, len(uids), tuple(rows))


async def _rows(connection: Connection, command: str, numbers: str) -> list[Summary]:
    answer = await _must(connection.command(command, numbers, _ROW))
    # What another session changed meanwhile is told in between, without the fields asked for.
    rows = [summary(row) for row in fetched(answer.units) if b"ENVELOPE" in row and b"UID" in row]
    return sorted(rows, key=lambda row: row.uid, reverse=True)
