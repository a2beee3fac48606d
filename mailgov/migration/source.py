"""The server that a mailbox is moved from, as far as copying needs it. Nothing is changed there."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imapclient.exceptions import ProtocolError

from mailgov.errors import InputError, NotAllowed, NotFound, Unavailable
from mailgov.imap_client import Answer, Connection, Library
from mailgov.imap_client.answers import fetched, parsed, quoted, uid_sets
from mailgov.migration.folders import Listed, Namespaces, listed_from, namespaces_from

PIECE_BYTES = 1 << 20  # of a message asked for at a time
MOST_ANSWER_BYTES = 96 << 20  # that one command may be answered with
CHUNK = 500  # messages described at a time
SECONDS = 60.0
_DESCRIBED = "(UID FLAGS INTERNALDATE RFC822.SIZE)"
_WORDS = 200  # letters of a server's own words that are told


@dataclass(frozen=True, slots=True)
class Server:
    """Where the mailbox is, and how to sign in to it.

    With `master` the password is that user's, who signs in in the name of `user` (RFC 4616). Without
    TLS only this machine may be asked. `authority` is a file of certificates to trust, beside or
    instead of which the system's are not asked.
    """

    host: str
    port: int
    user: str
    password: str
    master: str = ""
    tls: bool = True
    authority: Path | None = None
    seconds: float = SECONDS

    @property
    def key(self) -> str:
        """What the journal knows the account by."""
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class Described:
    """What the server says of a message. No date: it has none that can be read."""

    flags: tuple[str, ...]
    received: datetime | None
    size: int


class Unreadable(Exception):
    """The server does not give something; its words say why."""


class Source:
    """One connection to the server, made anew when it was lost.

    Every method raises Unavailable `copy-source-unavailable` when the connection is lost or silent.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connection | None = None
        self._able: set[str] = set()
        self._trust: ssl.SSLContext | None = None

    async def open(self) -> None:
        """Connect and sign in, anew if need be.

        Raises InputError `copy-source-certificate` and NotAllowed `copy-source-refused` as well.
        """
        self.close()
        server = self._server
        if server.tls and self._trust is None:
            self._trust = _trust(server)
        library = Library(server.host, server.port, ssl_context=self._trust)
        connection = Connection(library, seconds=server.seconds, most_bytes=MOST_ANSWER_BYTES)
        try:
            await connection.greeting()
            if server.master:
                known = await connection.log_in_as(server.user, server.master, server.password)
            else:
                known = await connection.log_in(server.user, server.password)
        except Unavailable as exc:
            raise self._told(exc) from exc
        if not known:
            connection.close()
            raise NotAllowed("copy-source-refused", server=server.host, user=server.user)
        self._connection = connection
        answer = await self._ask("CAPABILITY")
        self._able = {
            word.decode("ascii", "replace").upper()
            for unit in answer.units
            for word in unit[0][2:].split()[1:]
        }

    def close(self) -> None:
        """Drop the connection. May be called at any time."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _told(self, exc: Unavailable) -> Exception:
        """Why it can't be reached, in words; a certificate that is no good is no passing trouble."""
        server, cause = self._server, exc.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message or str(cause)
            return InputError("copy-source-certificate", server=server.host, reason=reason)
        reason = str(cause) or type(cause).__name__
        return Unavailable("copy-source-unavailable", server=server.host, reason=reason[:_WORDS])

    async def _ask(self, name: str, *args: str) -> Answer:
        if self._connection is None or self._connection.closed:
            raise Unavailable(
                "copy-source-unavailable", server=self._server.host, reason="not connected"
            )
        try:
            return await self._connection.command(name, *args)
        except Unavailable as exc:
            raise self._told(exc) from exc

    async def folders(self) -> tuple[list[Listed], list[str], Namespaces]:
        """All folders, the names of those subscribed to, and whose they are."""
        spaces = Namespaces()
        if "NAMESPACE" in self._able:
            for unit in (await self._ask("NAMESPACE")).units:
                spaces = namespaces_from(parsed(unit)) or spaces
        wanted = ['""', '"*"']
        if {"SPECIAL-USE", "LIST-EXTENDED"} <= self._able:
            wanted += ["RETURN", "(SPECIAL-USE)"]  # RFC 6154, 3: a plain LIST need not tell
        found = _folders(await self._ask("LIST", *wanted))
        subscribed = _folders(await self._ask("LSUB", '""', '"*"'))
        return found, [one.wire for one in subscribed], spaces

    async def examine(self, wire: str) -> int:
        """Open a folder for reading; its UIDVALIDITY. Raises NotFound `folder-missing`."""
        if self._connection is None:
            await self.open()
        assert self._connection is not None
        try:
            await self._connection.select_raw("EXAMINE", quoted(wire), wire)
        except Unavailable as exc:
            raise self._told(exc) from exc
        except ValueError as exc:  # a name that can't be sent
            raise NotFound("folder-missing", folder=wire) from exc
        return self._connection.uidvalidity

    async def uids(self) -> list[int]:
        """UIDs of the folder, ascending, each once. Raises Unreadable."""
        found: set[int] = set()
        for unit in _good(await self._ask("UID SEARCH", "ALL")).units:
            kind, *numbers = unit[0][2:].split() or [b""]
            if kind.upper() == b"SEARCH":
                found.update(int(number) for number in numbers if number.isdigit())
        return sorted(found)

    async def described(self, uids: Sequence[int]) -> dict[int, Described]:
        """Flags, dates and sizes; of what the server does not tell there is nothing."""
        found: dict[int, Described] = {}
        for uid_set in uid_sets(uids):
            for row in await self._rows(uid_set, _DESCRIBED):
                uid = row.get(b"UID")
                if isinstance(uid, int):
                    found[uid] = _described(row)
        return found

    async def contents(self, uids: Sequence[int]) -> dict[int, bytes]:
        """Messages, whole. Those missing have no bytes. Raises Unreadable when it says nothing."""
        found: dict[int, bytes] = {}
        for uid_set in uid_sets(uids):
            for row in await self._rows(uid_set, "(UID BODY.PEEK[])"):
                uid, data = row.get(b"UID"), row.get(b"BODY[]")
                if isinstance(uid, int) and isinstance(data, bytes):
                    found[uid] = data
        return found

    async def piece(self, uid: int, first: int) -> bytes:
        """Up to PIECE_BYTES of a message, from a byte on. Raises Unreadable."""
        for row in await self._rows(str(uid), f"(UID BODY.PEEK[]<{first}.{PIECE_BYTES}>)"):
            if row.get(b"UID") != uid:
                continue
            data = row.get(b"BODY[]<%d>" % first)
            if isinstance(data, bytes):
                return data
            if first and b"BODY[]<%d>" % first in row:
                return b""  # NIL: there is no more
        raise Unreadable("no such part in the answer")

    async def _rows(self, uid_set: str, items: str) -> list[Mapping[bytes, Any]]:
        """Rows of an answer; one that can't be read is left out, and what it told is missing."""
        answer = _good(await self._ask("UID FETCH", uid_set, items))
        rows: list[Mapping[bytes, Any]] = []
        for unit in answer.units:
            try:
                rows += fetched([unit])
            except (ProtocolError, ValueError, LookupError, TypeError):
                continue
        return rows


def _trust(server: Server) -> ssl.SSLContext:
    try:
        cafile = str(server.authority) if server.authority else None
        context = ssl.create_default_context(cafile=cafile)
    except OSError as exc:  # ssl.SSLError is one
        raise InputError("file-unreadable", file=server.authority, reason=exc.strerror) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _good(answer: Answer) -> Answer:
    if answer.result != "OK":
        raise Unreadable(answer.text.decode("utf-8", "replace")[:_WORDS])
    return answer


def _folders(answer: Answer) -> list[Listed]:
    found = []
    for unit in answer.units:
        try:
            one = listed_from(parsed(unit))
        except (ProtocolError, ValueError, LookupError, TypeError):
            continue  # a line that nobody can read names no folder
        if one is not None:
            found.append(one)
    return found


def _described(row: Mapping[bytes, Any]) -> Described:
    received, size = row.get(b"INTERNALDATE"), row.get(b"RFC822.SIZE")
    flags = [flag.decode("utf-8", "replace") for flag in row.get(b"FLAGS") or () if isinstance(flag, bytes)]  # fmt: skip
    return Described(
        tuple(sorted(flag for flag in flags if flag.lower() != "\\recent")),
        received if isinstance(received, datetime) else None,
        size if isinstance(size, int) else 0,
    )
