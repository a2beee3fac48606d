"""One folder: Maildir files and the index rows about them. Every method blocks on the disk.

A folder is used by one thread at a time: that of its mailbox (`account.py`).
"""

import os
import re
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mailgov import durable
from mailgov.imap import mime, structure
from mailgov.imap.index import transaction

LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
"""Flags in file names (Maildir): the letters that mean something in IMAP."""
SYSTEM_FLAGS = frozenset(LETTERS.values())
_LETTER_OF = {flag.lower(): letter for letter, flag in LETTERS.items()}
_TICK_NS = 20_000_000  # file systems note times no finer than the kernel's tick
_SIZE = re.compile(r",S=(\d+)")
_counter = count()


@dataclass(slots=True)
class Entry:
    """A message in a folder."""

    uid: int
    name: str
    letters: str
    keywords: frozenset[str]
    received: int
    size: int
    changed: int  # the folder's version at the last change of flags

    @property
    def flags(self) -> frozenset[str]:
        """System flags and keywords."""
        known = (LETTERS[letter] for letter in self.letters if letter in LETTERS)
        return self.keywords.union(known)

    @property
    def file_name(self) -> str:
        """Name of the file in `cur`."""
        return f"{self.name}:2,{self.letters}"


@dataclass(frozen=True, slots=True)
class Description:
    """What was read from the bytes of a message, as it goes onto the wire."""

    header: bytes
    envelope: bytes
    body: bytes
    bodystructure: bytes


def unique_name(size: int) -> str:
    """A new name for a file, its size in it (Maildir, with Dovecot's extension)."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())
    chance = secrets.token_hex(4)
    return f"{seconds}.M{rest // 1000}P{os.getpid()}Q{next(_counter)}R{chance}.{host},S={size},W={size}"


class Folder:
    """A folder of a mailbox, its messages held in memory while the mailbox is open."""

    def __init__(self, index: sqlite3.Connection, row: sqlite3.Row, path: Path) -> None:
        self._index = index
        self.id: int = row["id"]
        self.name: str = row["name"]
        self.uidvalidity: int = row["uidvalidity"]
        self.uidnext: int = row["uidnext"]
        self.recent_from: int = row["recent_from"]
        self._listed_ns: int = row["listed_ns"]
        self.path = path
        self.version = 0  # rises with every change that a session must hear of
        self.gone = False
        self._last_read: tuple[int, bytes, mime.Part] | None = None
        rows = index.execute(
            "SELECT uid, name, letters, keywords, received, size FROM message"
            " WHERE folder_id = ? ORDER BY uid",
            (self.id,),
        )
        self.entries: dict[int, Entry] = {
            uid: Entry(uid, name, letters, frozenset(keywords.split()), received, size, 0)
            for uid, name, letters, keywords, received, size in rows
        }

    # What lies on the disk

    def refresh(self) -> None:
        """Take in what was delivered, and what other programs did to the files."""
        arrived = self._take_new()
        seen_ns = self._cur_ns()
        if seen_ns != self._listed_ns:
            arrived |= self._compare(self._list_cur())
            # A change within the same tick would not show in the time: look again next time.
            self._listed_ns = seen_ns if time.time_ns() - seen_ns > _TICK_NS else 0
            self.save()
        if arrived:
            self._add(arrived)

    def _take_new(self) -> dict[str, str]:
        """Move deliveries from `new` to `cur`: names and flag letters of their files."""
        moved = {}
        with os.scandir(self.path / "new") as found:
            names = [item.name for item in found if not item.name.startswith(".")]
        if names:
            with self.own_change():
                for file_name in names:
                    name, _, letters = file_name.partition(":2,")
                    target = self.path / "cur" / f"{name}:2,{letters}"
                    (self.path / "new" / file_name).rename(target)
                    moved[name] = letters
        return moved

    def _list_cur(self) -> dict[str, str]:
        with os.scandir(self.path / "cur") as found:
            names = [item.name for item in found if not item.name.startswith(".")]
        parted = (name.partition(":2,") for name in names)
        return {name: letters for name, _, letters in parted}

    def _compare(self, files: dict[str, str]) -> dict[str, str]:
        """Match the rows with the files there are; returns the files without a row."""
        known = {entry.name: entry for entry in self.entries.values()}
        vanished = [entry.uid for name, entry in known.items() if name not in files]
        if vanished:
            self.forget(vanished)
        changed = []
        for name, letters in files.items():
            entry = known.get(name)
            if entry is not None and entry.letters != letters:
                entry.letters = letters
                changed.append(entry)
        if changed:
            self._save_flags(changed)
        return {name: letters for name, letters in files.items() if name not in known}

    def _add(self, files: dict[str, str]) -> list[int]:
        """Give UIDs to files in `cur`, in the order of their arrival."""
        found = []
        for name, letters in files.items():
            with suppress(FileNotFoundError):
                status = (self.path / "cur" / f"{name}:2,{letters}").stat()
                found.append((status.st_mtime_ns, name, letters, status.st_size))
        new = [
            Entry(uid, name, letters, frozenset(), mtime_ns // 1_000_000_000, size, 0)
            for uid, (mtime_ns, name, letters, size) in enumerate(sorted(found), self.uidnext)
        ]
        return self.insert(new)

    def insert(self, entries: list[Entry]) -> list[int]:
        """Write rows for new messages, whose UIDs go up from `uidnext`; returns these."""
        if not entries:
            return []
        self.version += 1
        self.uidnext = entries[-1].uid + 1
        with self._transaction():
            self._index.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (self.id, e.uid, e.name, e.letters, _joined(e.keywords), e.received, e.size)
                    for e in entries
                ],
            )
            self.save()
        self.entries.update((entry.uid, entry) for entry in entries)
        return [entry.uid for entry in entries]

    def save(self) -> None:
        """Note on the disk what the folder's own row says."""
        self._index.execute(
            "UPDATE folder SET uidnext = ?, recent_from = ?, listed_ns = ? WHERE id = ?",
            (self.uidnext, self.recent_from, self._listed_ns, self.id),
        )

    def _cur_ns(self) -> int:
        return (self.path / "cur").stat().st_mtime_ns

    @contextmanager
    def own_change(self) -> Iterator[None]:
        """What we do to `cur` ourselves need not be found out by listing it.

        On the disk this is noted only with the rows that go with it, or at `save`: after a crash
        in between the folder is listed.
        """
        was_current = self._cur_ns() == self._listed_ns
        yield
        if was_current:
            self._listed_ns = self._cur_ns()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._index):
                yield
        except BaseException:
            self._listed_ns = 0  # the rows may lag behind the files
            raise

    # What sessions ask for

    def claim_recent(self) -> int:
        """Mark all messages as seen by a session; returns from which UID on they were not."""
        first, self.recent_from = self.recent_from, self.uidnext
        if first != self.recent_from:
            self.save()
        return first

    def read(self, entry: Entry) -> tuple[bytes, mime.Part]:
        """The bytes of a message and where its parts lie. Raises FileNotFoundError.

        The last one is kept: clients fetch great messages piece by piece.
        """
        if self._last_read is None or self._last_read[0] != entry.uid:
            try:
                data = (self.path / "cur" / entry.file_name).read_bytes()
            except FileNotFoundError:
                self._listed_ns = 0  # somebody else was here: look again
                raise
            self._last_read = (entry.uid, data, mime.parse(data))
        return self._last_read[1:]

    def describe(self, uids: list[int]) -> dict[int, Description]:
        """Descriptions of messages, from the cache, or read and kept. Vanished ones are left out."""
        found = self._cached(uids)
        fresh: dict[int, Description] = {}
        for uid in uids:
            entry = self.entries.get(uid)
            if uid not in found and entry is not None:
                with suppress(FileNotFoundError):
                    data, part = self.read(entry)
                    fresh[uid] = Description(
                        data[: part.body_start],
                        structure.envelope(part),
                        structure.body(data, part, extended=False),
                        structure.body(data, part, extended=True),
                    )
        if fresh:
            with self._transaction():
                self._index.executemany(
                    "INSERT OR REPLACE INTO description VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (self.id, uid, d.header, d.envelope, d.body, d.bodystructure)
                        for uid, d in fresh.items()
                    ],
                )
        return found | fresh

    def _cached(self, uids: list[int]) -> dict[int, Description]:
        if not uids:
            return {}
        rows = self._index.execute(
            "SELECT uid, header, envelope, body, bodystructure FROM description"
            " WHERE folder_id = ? AND uid BETWEEN ? AND ?",
            (self.id, min(uids), max(uids)),
        )
        wanted = set(uids)
        return {row[0]: Description(*row[1:]) for row in rows if row[0] in wanted}

    def set_flags(self, uids: Iterable[int], change: str, flags: frozenset[str]) -> list[Entry]:
        """Add (`+`), remove (`-`) or replace (empty `change`) flags; the entries that there are."""
        touched, renamed = [], []
        letters = {_LETTER_OF[flag.lower()] for flag in flags if flag.lower() in _LETTER_OF}
        keywords = frozenset(flag for flag in flags if not flag.startswith("\\"))
        for uid in uids:
            entry = self.entries.get(uid)
            if entry is None:
                continue
            touched.append(entry)
            new_letters = _changed(entry.letters, letters, change)
            new_keywords = _changed_words(entry.keywords, keywords, change)
            if new_letters != entry.letters or new_keywords != entry.keywords:
                renamed.append((entry, entry.file_name))
                entry.letters, entry.keywords = new_letters, new_keywords
        if renamed:
            with self.own_change():
                for entry, old in renamed:
                    self._rename(old, entry.file_name)
                self._save_flags([entry for entry, _ in renamed])
        return touched

    def _rename(self, old: str, new: str) -> None:
        if old != new:
            with suppress(FileNotFoundError):  # gone: the next listing tells
                (self.path / "cur" / old).rename(self.path / "cur" / new)

    def _save_flags(self, entries: list[Entry]) -> None:
        self.version += 1
        for entry in entries:
            entry.changed = self.version
        with self._transaction():
            self._index.executemany(
                "UPDATE message SET letters = ?, keywords = ? WHERE folder_id = ? AND uid = ?",
                [(e.letters, _joined(e.keywords), self.id, e.uid) for e in entries],
            )

    def expunge(self, uids: Iterable[int] | None = None) -> None:
        """Remove messages marked as deleted, all or those among `uids`, for good."""
        chosen = self.entries if uids is None else [uid for uid in uids if uid in self.entries]
        marked = [uid for uid in chosen if "T" in self.entries[uid].letters]
        if not marked:
            return
        with self.own_change():
            for uid in marked:
                (self.path / "cur" / self.entries[uid].file_name).unlink(missing_ok=True)
            self.forget(marked)

    def forget(self, uids: list[int]) -> None:
        """Drop rows of messages that are no more."""
        self.version += 1
        keys = [(self.id, uid) for uid in uids]
        with self._transaction():
            self._index.executemany("DELETE FROM message WHERE folder_id = ? AND uid = ?", keys)
            self._index.executemany("DELETE FROM description WHERE folder_id = ? AND uid = ?", keys)
        for uid in uids:
            del self.entries[uid]

    def append(self, data: bytes, flags: frozenset[str], received: int) -> int:
        """Store a message durably; returns its UID."""
        name = unique_name(len(data))
        draft = self.path / "tmp" / name
        with draft.open("xb") as stream:
            stream.write(data)
            stream.flush()
            durable.sync(stream.fileno())
        os.utime(draft, (received, received))
        return self._adopt([(draft, name, flags, received, len(data))])[0]

    def receive(
        self, source: "Folder", uids: Iterable[int], *, move: bool
    ) -> list[tuple[int, int]]:
        """Copy or move messages here; pairs of UIDs there and here, for those that there were."""
        taken, drafts = [], []
        for uid in uids:
            entry = source.entries.get(uid)
            if entry is None:
                continue
            name = unique_name(entry.size)
            draft = self.path / "tmp" / name
            with suppress(FileNotFoundError):
                # One copy of the bytes under two names: nobody ever writes into a stored file.
                draft.hardlink_to(source.path / "cur" / entry.file_name)
                drafts.append((draft, name, entry.flags, entry.received, entry.size))
                taken.append(uid)
        new = self._adopt(drafts)
        if move and taken:
            with source.own_change():
                for uid in taken:
                    (source.path / "cur" / source.entries[uid].file_name).unlink(missing_ok=True)
                source.forget(taken)
        return list(zip(taken, new, strict=True))

    def _adopt(self, drafts: list[tuple[Path, str, frozenset[str], int, int]]) -> list[int]:
        """Move finished files from `tmp` to `cur`, durably, and give them UIDs."""
        entries = []
        with self.own_change():
            for uid, (draft, name, flags, received, size) in enumerate(drafts, self.uidnext):
                letters = {_LETTER_OF[f.lower()] for f in flags if f.lower() in _LETTER_OF}
                keywords = frozenset(flag for flag in flags if not flag.startswith("\\"))
                entry = Entry(uid, name, "".join(sorted(letters)), keywords, received, size, 0)
                draft.rename(self.path / "cur" / entry.file_name)
                entries.append(entry)
            durable.sync_path(self.path / "cur")
            return self.insert(entries)


def make(path: Path) -> None:
    """Make the directories of a folder that are missing."""
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.name.startswith("."):
        (path / "maildirfolder").touch(mode=0o600)


def _joined(keywords: frozenset[str]) -> str:
    return " ".join(sorted(keywords))


def _changed(letters: str, given: set[str], change: str) -> str:
    """Letters after a change; those that mean nothing in IMAP stay as they are."""
    foreign = {letter for letter in letters if letter not in LETTERS}
    have = set(letters) - foreign
    result = have | given if change == "+" else have - given if change == "-" else given
    return "".join(sorted(result | foreign))


def _changed_words(keywords: frozenset[str], given: frozenset[str], change: str) -> frozenset[str]:
    """Keywords after a change; they compare without case and keep their first spelling."""
    if change == "-":
        lower = {word.lower() for word in given}
        return frozenset(word for word in keywords if word.lower() not in lower)
    have = keywords if change == "+" else frozenset()
    lower = {word.lower() for word in have}
    return have.union(word for word in given if word.lower() not in lower)
