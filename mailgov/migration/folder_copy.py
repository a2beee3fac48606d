"""One folder copied from another server, message by message, each exactly once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from mailgov import faults
from mailgov.errors import NotFound, Unavailable
from mailgov.migration import maildir
from mailgov.migration.folders import Folder
from mailgov.migration.journal import Copied, Journal
from mailgov.migration.maildir import Draft, Mailbox
from mailgov.migration.source import CHUNK, PIECE_BYTES, Described, Source, Unreadable

T = TypeVar("T")

BATCH_BYTES, BATCH = PIECE_BYTES, 50  # of messages asked for, and made safe, at a time
LOSSES = 3  # connections that one message may cost before it is left out
_PROBLEMS_TOLD = 3


@dataclass
class Report:
    """What came of one folder.

    `problem` tells what kept some of it from being copied: for each UID `connection-lost`,
    `not-described`, `too-large`, `empty`, `bytes-differ`, or the words of the server.
    """

    address: str
    folder: str
    target: str
    at_source: int = 0
    already: int = 0
    copied: int = 0
    failed: int = 0
    verified: int = 0
    flag_changes: int = 0  # of messages copied before: told, not carried over
    size_bytes: int = 0
    problem: str = ""
    subscribed: bool = False


@dataclass
class FolderCopy:
    """The copying of one folder; `run` may be called again after a lost connection."""

    source: Source
    mailbox: Mailbox
    journal: Journal
    folder: Folder
    report: Report
    now: datetime
    most_bytes: int
    told: Callable[[int], None]
    _number: int = 0
    _uidvalidity: int = 0
    _path: Path = field(default_factory=Path)
    _done: set[int] = field(default_factory=set)
    _failed: dict[int, str] = field(default_factory=dict)
    _there: dict[str, Path] = field(default_factory=dict)  # files by token, in the journal or not
    _orphans: Counter[str] = field(default_factory=Counter)
    _losses: Counter[int] = field(default_factory=Counter)

    async def run(self) -> None:
        """Copy what is new. Raises Unavailable when a connection is lost."""
        try:
            uidvalidity = await self.source.examine(self.folder.wire)
            uids = await self.source.uids()
        except (NotFound, Unreadable) as exc:
            self.report.problem = str(exc)
            return
        await asyncio.to_thread(self._begin, uidvalidity)
        known = await asyncio.to_thread(self.journal.flags, self.folder.wire, uidvalidity)
        self.report.at_source = len(uids)
        self.report.already = sum(uid in known and uid not in self._done for uid in uids)
        self.report.flag_changes = await self._flag_changes(known)
        fresh = [uid for uid in uids if uid not in known and uid not in self._failed]
        for first in range(0, len(fresh), CHUNK):
            await self._chunk(fresh[first : first + CHUNK])
        self.report.failed = len(self._failed)
        told = list(dict.fromkeys(self._failed.values()))[:_PROBLEMS_TOLD]
        self.report.problem = "; ".join(told)

    def _begin(self, uidvalidity: int) -> None:
        if uidvalidity != self._uidvalidity:
            self._done.clear()
            self._failed.clear()
        self._uidvalidity = uidvalidity
        self._number, self.report.target = self.journal.folder(self.folder.wire, self.report.target)
        self._path = self.mailbox.folder(self.report.target)
        self._there = maildir.copied_files(self._path)
        self._orphans = self.journal.orphans(self._number, uidvalidity)

    async def _flag_changes(self, known: dict[int, str]) -> int:
        """How many messages copied before have other flags now."""
        changed = 0
        before = sorted(known.keys() - self._done)
        for first in range(0, len(before), CHUNK):
            try:
                described = await self.source.described(before[first : first + CHUNK])
            except Unreadable:
                continue  # of these nobody knows; they are here in any case
            changed += sum(known[uid] != " ".join(one.flags) for uid, one in described.items() if uid in known)  # fmt: skip
        return changed

    # Messages

    async def _chunk(self, uids: Sequence[int]) -> None:
        described = await self._described(uids)
        batch: list[int] = []
        size = 0
        for uid in uids:
            one = described.get(uid)
            if self._losses[uid] >= LOSSES:
                self._give_up(uid, "connection-lost")
            elif one is None:
                self._give_up(uid, "not-described")
            elif one.size > self.most_bytes:
                self._give_up(uid, "too-large")
            elif await self._is_there(uid, one):
                continue
            elif one.size > PIECE_BYTES or self._losses[uid]:
                await self._alone(uid, one)
            else:
                batch.append(uid)
                size += one.size
                if size >= BATCH_BYTES or len(batch) == BATCH:
                    await self._batch(batch, described)
                    batch, size = [], 0
        if batch:
            await self._batch(batch, described)

    async def _described(self, uids: Sequence[int]) -> dict[int, Described]:
        """What the server says of messages; one by one where it can't be read of all."""
        try:
            return await self.source.described(uids)
        except Unreadable:
            found: dict[int, Described] = {}
            for uid in uids:
                try:
                    found |= await self.source.described([uid])
                except Unreadable:
                    found[uid] = Described((), None, 0)  # the bytes count more than its flags
            return found

    async def _is_there(self, uid: int, one: Described) -> bool:
        """Whether an earlier run stored the file and was killed before it noted that."""
        path = self._there.get(self._token(uid))
        if path is None:
            return False
        try:
            sha256, size = await asyncio.to_thread(maildir.hash_of, path)
        except FileNotFoundError:
            return False  # somebody read it just now, which gives it another name
        await self._note([_copied(uid, one, sha256, size, maildir.unique(path))], 0)
        return True

    def _token(self, uid: int) -> str:
        return maildir.token(self.journal.source, self.folder.wire, self._uidvalidity, uid)

    async def _batch(self, uids: Sequence[int], described: dict[int, Described]) -> None:
        """Small messages, asked for together."""
        try:
            contents = await self._watched(uids, self.source.contents(uids))
        except Unreadable:
            contents = {}
        whole = [(uid, data) for uid in uids if (data := contents.get(uid)) is not None]
        await asyncio.to_thread(self._store_batch, whole, described)
        for uid in uids:
            if uid not in contents:
                await self._alone(uid, described[uid])

    def _store_batch(self, whole: list[tuple[int, bytes]], described: dict[int, Described]) -> None:
        with ExitStack() as stack:
            drafts: list[tuple[int, Draft]] = []
            for uid, data in whole:
                draft = stack.enter_context(self._draft(uid))
                draft.write(data)
                drafts.append((uid, draft))
            self._store(drafts, described)

    async def _alone(self, uid: int, one: Described) -> None:
        """One message, in pieces: it may be of any size, and the server in any mood."""
        with ExitStack() as stack:
            draft = await asyncio.to_thread(stack.enter_context, self._draft(uid))
            try:
                while True:
                    data = await self._watched([uid], self.source.piece(uid, draft.size))
                    await asyncio.to_thread(draft.write, data)
                    if len(data) < PIECE_BYTES:
                        break
                    if draft.size > self.most_bytes:
                        raise Unreadable("too-large")
                if not draft.size:
                    raise Unreadable("empty")
            except Unreadable as exc:
                self._give_up(uid, str(exc))
                return
            await asyncio.to_thread(self._store, [(uid, draft)], {uid: one})

    async def _watched(self, uids: Sequence[int], work: Awaitable[T]) -> T:
        """Note what was asked for when the connection is lost: it may be the cause."""
        try:
            return await work
        except Unavailable:
            self._losses.update(uids)
            raise

    def _draft(self, uid: int) -> Draft:
        return Draft(self._path / "tmp" / f"{self._token(uid)}.copying")

    def _store(self, drafts: list[tuple[int, Draft]], described: dict[int, Described]) -> None:
        """Make messages safe on the disk, then note them; what is here under another UID is not stored again."""
        stored, noted = [], []
        for uid, draft in drafts:
            one = described[uid]
            received = draft.finish(one.received, self.now)
            if self._orphans[draft.sha256] > 0:
                self._orphans[draft.sha256] -= 1
                self.journal.adopt(self._number, self._uidvalidity, uid, draft.sha256)
                self.report.already += 1
                self.told(1)
                continue
            name = maildir.file_name(received, uid, self._token(uid), draft.sizes)
            stored.append((draft, name, maildir.letters(one.flags)))
            noted.append(_copied(uid, one, draft.sha256, draft.size, name))
        faults.point("M1")
        self.mailbox.store(self._path, stored)
        faults.point("M3")
        self._noted(noted, sum(one.size for one in noted))

    async def _note(self, noted: list[Copied], size: int) -> None:
        await asyncio.to_thread(self._noted, noted, size)

    def _noted(self, noted: list[Copied], size: int) -> None:
        self.journal.note(self._number, self._uidvalidity, noted)
        faults.point("M4")
        self._done.update(one.uid for one in noted)
        self.report.copied += len(noted)
        self.report.size_bytes += size
        self.told(len(noted))

    def _give_up(self, uid: int, problem: str) -> None:
        """Leave a message out, and say so; the next run tries it again."""
        self._failed[uid] = f"UID {uid}: {problem}"
        self.told(1)

    # Afterwards

    def verify(self) -> None:
        """Read what was copied in this run again, and compare number and hashes. Blocks on the disk.

        A file that was moved meanwhile, by whoever uses the mailbox, is neither right nor wrong.
        """
        if not self._done:
            return
        there = {maildir.unique(path): path for path in maildir.files(self._path)}
        for uid, name, sha256 in self.journal.hashes(self._number, self._uidvalidity):
            path = there.get(name) if uid in self._done else None
            if path is None:
                continue
            try:
                found, _ = maildir.hash_of(path)
            except FileNotFoundError:
                continue
            if found == sha256:
                self.report.verified += 1
            else:
                self.report.failed += 1
                self.report.problem = f"UID {uid}: bytes-differ"


def _copied(uid: int, one: Described, sha256: str, size: int, name: str) -> Copied:
    flags = " ".join(one.flags)
    return Copied(uid, sha256, size, flags, maildir.keywords(one.flags), name)
