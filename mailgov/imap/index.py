"""The SQLite file beside a mailbox's Maildir: what IMAP needs and files can't say.

Files hold the bytes and, in their names, the system flags. The index holds UIDVALIDITY, UIDs,
keywords, dates and sizes, and a cache of what was read from the bytes. If it is lost or damaged it
is made anew under another UIDVALIDITY, and clients read the folders again.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailgov.logs import logger

VERSION = 1
_SCHEMA = """
CREATE TABLE folder (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL DEFAULT 1,
    recent_from INTEGER NOT NULL DEFAULT 1, -- messages from this UID on no session has seen yet
    listed_ns INTEGER NOT NULL DEFAULT 0 -- modification time of `cur` that the rows answer to
);
CREATE TABLE message (
    folder_id INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
    uid INTEGER NOT NULL,
    name TEXT NOT NULL, -- of the file, without `:2,` and flags
    letters TEXT NOT NULL, -- the flags in the file's name
    keywords TEXT NOT NULL, -- divided by blanks
    received INTEGER NOT NULL, -- seconds since 1970
    size INTEGER NOT NULL, -- bytes
    PRIMARY KEY (folder_id, uid)
) WITHOUT ROWID;
CREATE TABLE description (
    folder_id INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
    uid INTEGER NOT NULL,
    header BLOB NOT NULL,
    envelope BLOB NOT NULL,
    body BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    PRIMARY KEY (folder_id, uid)
);
CREATE TABLE subscription (name TEXT PRIMARY KEY);
CREATE TABLE last_uidvalidity (value INTEGER NOT NULL);
INSERT INTO last_uidvalidity VALUES (0);
"""

log = logger("imap")


def open_index(file: Path) -> sqlite3.Connection:
    """The index, made when missing. A damaged one is put aside and made anew. Blocks on the disk."""
    try:
        return _open(file)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError):
            raise  # the disk, not the file
        log.error("index.damaged", file=str(file), cause=str(exc))  # noqa: TRY400 - the cause says it all
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                damaged = file.with_name(file.name + suffix)
                damaged.rename(file.with_name(f"{file.name}.damaged-{int(time.time())}{suffix}"))
        return _open(file)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(index: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, and durable at the end."""
    index.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        index.execute("ROLLBACK")
        raise
    index.execute("COMMIT")
