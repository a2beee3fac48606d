"""A mailbox as its sessions share it: folders, subscriptions, quota, and one thread for all of it."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from mailgov.imap import folder as folders
from mailgov.imap import names
from mailgov.imap.folder import Folder
from mailgov.imap.index import open_index, transaction
from mailgov.mailstore.layout import SPECIAL_FOLDERS

P = ParamSpec("P")
T = TypeVar("T")

MAX_FOLDERS = 1000


class FolderError(Exception):
    """A command about folders can't be done. `code` is the response code (RFC 5530), or empty."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of a folder, and the values of STATUS."""

    messages: int
    recent: int
    uidnext: int
    uidvalidity: int
    unseen: int


class Account:
    """The mail of one person. Methods block on the disk and run in the mailbox's own thread."""

    def __init__(self, home: Path) -> None:
        self._maildir = home / "Maildir"
        folders.make(self._maildir)
        self._index = open_index(home / "index.db")
        self._index.row_factory = sqlite3.Row
        self._open: dict[str, Folder] = {}
        with transaction(self._index):
            self._match_disk()
            for name in SPECIAL_FOLDERS:
                if not self.exists(name):
                    self._make(name)
                    self.subscribe(name)

    def close(self) -> None:
        """Let go of the files."""
        for folder in self._open.values():
            folder.save()
        self._index.close()

    def _match_disk(self) -> None:
        """Rows for the directories there are, and for no others."""
        found = {"INBOX"}
        for path in self._maildir.iterdir():
            if path.name.startswith(".") and (path / "cur").is_dir():
                found.add(names.from_disk(path.name))
        rows = set(self.names())
        for name in rows - found:
            self._index.execute("DELETE FROM folder WHERE name = ?", (name,))
        for name in found - rows:
            self._make(name)

    def _add_row(self, name: str) -> None:
        """A new UIDVALIDITY each time, never one that was used before."""
        last = self._index.execute("SELECT value FROM last_uidvalidity").fetchone()[0]
        value = max(int(time.time()), last + 1)
        self._index.execute("UPDATE last_uidvalidity SET value = ?", (value,))
        self._index.execute("INSERT INTO folder (name, uidvalidity) VALUES (?, ?)", (name, value))

    def _path(self, name: str) -> Path:
        return self._maildir / names.on_disk(name)

    def names(self) -> list[str]:
        """All folders, in the order of their names."""
        return [row[0] for row in self._index.execute("SELECT name FROM folder ORDER BY name")]

    def exists(self, name: str) -> bool:
        """Whether there is such a folder."""
        query = self._index.execute("SELECT 1 FROM folder WHERE name = ?", (name,))
        return query.fetchone() is not None

    def folder(self, name: str) -> Folder:
        """The folder, with whatever was delivered meanwhile. Raises FolderError `NONEXISTENT`."""
        folder = self._open.get(name)
        if folder is None:
            row = self._index.execute("SELECT * FROM folder WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise FolderError("NONEXISTENT", "there is no such folder")
            folder = self._open[name] = Folder(self._index, row, self._path(name))
        folder.refresh()
        return folder

    def target(self, name: str) -> Folder:
        """The folder that something is put into. Raises FolderError `TRYCREATE`."""
        try:
            return self.folder(name)
        except FolderError as exc:
            raise FolderError("TRYCREATE", str(exc)) from exc

    def status(self, name: str) -> Status:
        """Counts of a folder."""
        folder = self.folder(name)
        entries = folder.entries.values()
        return Status(
            messages=len(entries),
            recent=sum(entry.uid >= folder.recent_from for entry in entries),
            uidnext=folder.uidnext,
            uidvalidity=folder.uidvalidity,
            unseen=sum("S" not in entry.letters for entry in entries),
        )

    def create(self, name: str) -> None:
        """Make a folder. Raises FolderError."""
        self._require_free(name)
        if len(self.names()) >= MAX_FOLDERS:
            raise FolderError("LIMIT", "there are too many folders")
        with transaction(self._index):
            self._make(name)

    def _make(self, name: str) -> None:
        folders.make(self._path(name))
        self._add_row(name)

    def _require_free(self, name: str) -> None:
        try:
            names.require_valid(name)
        except names.NameNotValid as exc:
            raise FolderError("CANNOT", str(exc)) from exc
        if self.exists(name):
            raise FolderError("ALREADYEXISTS", "there is such a folder")

    def delete(self, name: str) -> None:
        """Remove a folder and its messages; folders below it stay. Raises FolderError."""
        if name == "INBOX":
            raise FolderError("CANNOT", "INBOX stays")
        self.folder(name).gone = True
        del self._open[name]
        self._index.execute("DELETE FROM folder WHERE name = ?", (name,))
        # First out of the way, whole, then removed: a crash leaves no half folder behind.
        doomed = self._maildir / "tmp" / f"deleted-{time.time_ns()}"
        self._path(name).rename(doomed)
        shutil.rmtree(doomed)

    def rename(self, old: str, new: str) -> None:
        """Give a folder and those below it another name. Raises FolderError.

        INBOX stays, and its messages move (RFC 3501, 6.3.5).
        """
        if old == "INBOX":
            self.create(new)
            inbox = self.folder(old)
            self.folder(new).receive(inbox, list(inbox.entries), move=True)
            return
        moving = [name for name in self.names() if name == old or name.startswith(f"{old}/")]
        if old not in moving:
            raise FolderError("NONEXISTENT", "there is no such folder")
        if new.startswith(f"{old}/"):
            raise FolderError("CANNOT", "a folder can't move below itself")
        targets = [new + name[len(old) :] for name in moving]
        for target in targets:
            self._require_free(target)
        for name, target in zip(moving, targets, strict=True):
            self._path(name).rename(self._path(target))
            self._index.execute("UPDATE folder SET name = ? WHERE name = ?", (target, name))
            if folder := self._open.pop(name, None):
                folder.name, folder.path = target, self._path(target)
                self._open[target] = folder

    def subscribe(self, name: str) -> None:
        """Note a folder, there or not, as one that clients show."""
        self._index.execute("INSERT OR IGNORE INTO subscription VALUES (?)", (name,))

    def unsubscribe(self, name: str) -> None:
        """Take the note back."""
        self._index.execute("DELETE FROM subscription WHERE name = ?", (name,))

    def subscribed(self) -> list[str]:
        """Folders that clients show."""
        return [r[0] for r in self._index.execute("SELECT name FROM subscription ORDER BY name")]

    def used_bytes(self) -> int:
        """Size of all messages."""
        used = self._index.execute("SELECT coalesce(sum(size), 0) FROM message").fetchone()[0]
        return int(used)

    def require_room(self, size: int, quota_bytes: int) -> None:
        """Raise FolderError `OVERQUOTA` when so many bytes more are too many; 0 is no limit."""
        if quota_bytes and self.used_bytes() + size > quota_bytes:
            raise FolderError("OVERQUOTA", "the mailbox is full")


class SharedAccount:
    """An account with its thread, and the sessions that want to hear of changes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sessions = 0
        self.quota_bytes = 0  # as the directory said when the last session began; 0: no limit
        self.listeners: set[asyncio.Event] = set()
        self._thread = ThreadPoolExecutor(1, "mailbox")
        self._opening = self._thread.submit(Account, home)

    async def run(self, work: Callable[[Account], T]) -> T:
        """Do something with the account in its thread.

        Raises what the work raises, and OSError or sqlite3.Error when the disk is in trouble.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(self._opening.result()))

    def tell(self) -> None:
        """Wake the sessions that wait for changes."""
        for listener in self.listeners:
            listener.set()

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        with suppress(OSError, sqlite3.Error):
            await self.run(Account.close)
        self._thread.shutdown(wait=False)
