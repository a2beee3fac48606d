"""Where look-ups get their rows: a connection of their own, or a session that is open already.

Statements have places such as `:code` and mean the same on SQLite and PostgreSQL.
"""

import fcntl
import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from mailgov.errors import Unavailable

Record = dict[str, Any]

_BUSY_SECONDS = 15.0
_PORTION = 500  # rows fetched at a time: memory stays small however long the list is
_PLACE = re.compile(r"(?<![:\w]):(\w+)")


class Source(Protocol):
    """Something that answers statements; `tops` are the branches it is kept to, None: everything."""

    @property
    def tops(self) -> Collection[str] | None:
        """Codes of the agencies at their tops."""

    def rows(self, sql: str, /, **values: Any) -> Iterator[Mapping[str, Any]]:
        """The rows, one by one. Raises Unavailable `database-unavailable`."""


class SessionSource:
    """The open session of a transaction."""

    def __init__(self, session: Any, tops: Collection[str] | None = None) -> None:
        self._session = session
        self.tops = tops

    def rows(self, sql: str, /, **values: Any) -> Iterator[Mapping[str, Any]]:
        """The rows, one by one, as this transaction sees them."""
        from sqlalchemy import text

        connection = self._session.connection()
        bound = _for_sqlite(values) if connection.dialect.name == "sqlite" else values
        yield from connection.execute(text(sql), bound).mappings()


class PlainDatabase:
    """A connection that only reads; the same rules as those of `mailgov.db.Database`."""

    def __init__(self, url: str, tops: Collection[str] | None = None) -> None:
        """Open it. Raises Unavailable `schema-missing`, `database-unavailable`."""
        self.tops = tops
        self.file = sqlite_file(url)
        self._connection: Any = _open_sqlite(self.file) if self.file else _open_postgresql(url)

    def rows(self, sql: str, /, **values: Any) -> Iterator[Mapping[str, Any]]:
        """The rows, one by one."""
        if self.file:
            statement, bound = sql, _for_sqlite(values)
        else:
            statement, bound = _PLACE.sub(r"%(\1)s", sql.replace("%", "%%")), values
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(statement, bound)
                names = [column[0] for column in cursor.description]
                while portion := cursor.fetchmany(_PORTION):
                    for row in portion:
                        yield dict(zip(names, row, strict=True))
        except self._connection.Error as exc:
            raise _unavailable(exc) from exc

    def close(self) -> None:
        """Close the connection."""
        if self.file is None:
            self._connection.close()
            return
        # The last connection to close checkpoints, which must not happen beside a commit.
        with self.file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._connection.close()


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite address; None for PostgreSQL."""
    if not url.startswith("sqlite"):
        return None
    return Path(unquote(url.partition(":///")[2].partition("?")[0]))


def _open_sqlite(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise Unavailable("schema-missing", file=file)
    try:
        connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
        for pragma in ("wal_autocheckpoint=0", "query_only=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as exc:
        raise _unavailable(exc) from exc
    return connection


def _open_postgresql(url: str) -> Any:
    import psycopg

    parts = urlsplit(url)
    address = parts._replace(scheme="postgresql").geturl()
    try:
        connection = psycopg.connect(
            address, autocommit=True, options="-c default_transaction_read_only=on -c timezone=UTC"
        )
    except psycopg.Error as exc:
        raise _unavailable(exc) from exc
    return connection


def _unavailable(exc: Exception) -> Unavailable:
    # The driver's words, without statement and values.
    return Unavailable("database-unavailable", reason=str(exc).partition("\n")[0])


# What SQLite keeps as text and numbers, PostgreSQL as what it is ----------------------------------


def moment(value: Any) -> datetime | None:
    """A stored moment, in UTC."""
    if value is None:
        return None
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _for_sqlite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Moments as SQLite keeps them: text in UTC."""
    return {
        name: value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        if isinstance(value, datetime)
        else value
        for name, value in values.items()
    }


def day(value: Any) -> date | None:
    """A stored day."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def data(value: Any) -> Any:
    """A stored object."""
    return json.loads(value) if isinstance(value, str) else value
