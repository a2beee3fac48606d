"""What was copied into a mailbox, so that a copy goes on where it stopped and nothing comes twice.

A SQLite file beside the mailbox. A message is known by server and user, folder, UIDVALIDITY and UID
(RFC 3501, 2.3.1.1), and by the SHA-256 of its bytes where UIDVALIDITY has changed.
"""

import fcntl
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailgov.errors import Conflict

FILE = "copied.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS folder (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL, -- server and user
    wire TEXT NOT NULL, -- its name there, as it travels
    target TEXT NOT NULL,
    UNIQUE (source, wire)
);
CREATE TABLE IF NOT EXISTS message (
    folder_id INTEGER NOT NULL REFERENCES folder (id),
    uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, -- bytes
    flags TEXT NOT NULL, -- as they were there, divided by blanks
    keywords TEXT NOT NULL, -- of these, keywords that are not set here yet
    name TEXT NOT NULL, -- of the file, without `:2,` and flags
    PRIMARY KEY (folder_id, uidvalidity, uid)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """A message in the journal."""

    uid: int
    sha256: str
    size: int
    flags: str
    keywords: str
    name: str


class Journal:
    """The journal of one mailbox, held by one run at a time. Every method blocks on the disk."""

    def __init__(self, connection: sqlite3.Connection, source: str) -> None:
        self._connection = connection
        self.source = source

    def folder(self, wire: str, target: str) -> tuple[int, str]:
        """Number and name here of a folder; the name of its first copy stays."""
        with self._connection as connection:
            connection.execute(
                "INSERT OR IGNORE INTO folder (source, wire, target) VALUES (?, ?, ?)",
                (self.source, wire, target),
            )
        row = self._connection.execute(
            "SELECT id, target FROM folder WHERE source = ? AND wire = ?", (self.source, wire)
        ).fetchone()
        return int(row[0]), str(row[1])

    def known_target(self, wire: str) -> str:
        """The name here of a folder copied before; empty for a new one."""
        row = self._connection.execute(
            "SELECT target FROM folder WHERE source = ? AND wire = ?", (self.source, wire)
        ).fetchone()
        return str(row[0]) if row else ""

    def flags(self, wire: str, uidvalidity: int) -> dict[int, str]:
        """Flags, as they were there, of the messages of a folder that are here, by their UIDs there."""
        rows = self._connection.execute(
            "SELECT uid, flags FROM message JOIN folder ON folder.id = folder_id"
            " WHERE source = ? AND wire = ? AND uidvalidity = ?",
            (self.source, wire, uidvalidity),
        )
        return {uid: sys.intern(flags) for uid, flags in rows}

    def hashes(self, folder: int, uidvalidity: int) -> Iterator[tuple[int, str, str]]:
        """UIDs there, names of files here, and hashes of the bytes as they came."""
        yield from self._connection.execute(
            "SELECT uid, name, sha256 FROM message WHERE folder_id = ? AND uidvalidity = ?",
            (folder, uidvalidity),
        )

    def orphans(self, folder: int, uidvalidity: int) -> Counter[str]:
        """Hashes of messages copied under another UIDVALIDITY, with how many there are of each."""
        rows = self._connection.execute(
            "SELECT sha256, count(*) FROM message"
            " WHERE folder_id = ? AND uidvalidity != ? GROUP BY sha256",
            (folder, uidvalidity),
        )
        return Counter(dict(rows.fetchall()))

    def adopt(self, folder: int, uidvalidity: int, uid: int, sha256: str) -> None:
        """A message copied before has this UID now."""
        with self._connection as connection:
            connection.execute(
                "UPDATE message SET uidvalidity = ?, uid = ? WHERE (folder_id, uidvalidity, uid) ="
                " (SELECT folder_id, uidvalidity, uid FROM message WHERE folder_id = ?"
                " AND uidvalidity != ? AND sha256 = ? ORDER BY uid LIMIT 1)",
                (uidvalidity, uid, folder, uidvalidity, sha256),
            )

    def note(self, folder: int, uidvalidity: int, messages: Iterable[Copied]) -> None:
        """Messages that are safe on the disk now."""
        with self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (folder, uidvalidity, m.uid, m.sha256, m.size, m.flags, m.keywords, m.name)
                    for m in messages
                ],
            )

    def waiting_keywords(self) -> dict[str, dict[str, str]]:
        """Keywords not set here yet: by folder here and name of the file."""
        rows = self._connection.execute(
            "SELECT target, name, keywords FROM message JOIN folder ON folder.id = folder_id"
            " WHERE source = ? AND keywords != ''",
            (self.source,),
        )
        waiting: dict[str, dict[str, str]] = {}
        for target, name, keywords in rows:
            waiting.setdefault(target, {})[name] = keywords
        return waiting

    def keywords_set(self, names: Iterable[str]) -> None:
        """Nothing waits any more for these files."""
        with self._connection as connection:
            connection.executemany(
                "UPDATE message SET keywords = '' WHERE name = ?", [(name,) for name in names]
            )


@contextmanager
def open_journal(home: Path, source: str, *, read_only: bool = False) -> Iterator[Journal]:
    """The journal of a mailbox for one run. `read_only` looks without making or locking anything.

    Raises Conflict `copy-under-way` when another run holds it.
    """
    file = home / FILE
    if read_only:
        uri = f"file:{file}?mode=ro" if file.exists() else ":memory:"
        connection = sqlite3.connect(uri, uri=file.exists(), check_same_thread=False)
        try:
            if not file.exists():
                connection.executescript(_SCHEMA)
            yield Journal(connection, source)
        finally:
            connection.close()
        return
    with (home / f"{FILE}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict("copy-under-way", mailbox=home.name) from None
        connection = sqlite3.connect(file, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            yield Journal(connection, source)
        finally:
            connection.close()
