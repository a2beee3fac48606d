"""One mailbox copied from another server: folder by folder, going on where an earlier run stopped."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailgov.errors import Conflict, NotFound, Unavailable
from mailgov.logs import logger
from mailgov.migration.folder_copy import FolderCopy, Report
from mailgov.migration.folders import Folder, plan
from mailgov.migration.journal import Journal
from mailgov.migration.maildir import Mailbox
from mailgov.migration.source import CHUNK, Source, Unreadable

ATTEMPTS = 8  # connections lost one after the other without a message copied
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
MOST_MESSAGE_BYTES = 512 << 20

log = logger("migration")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which folders are copied, by their names there, and how large a message may be."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    most_bytes: int = MOST_MESSAGE_BYTES

    def wants(self, folder: Folder) -> bool:
        """Whether a folder is copied."""
        return folder.name in self.only if self.only else folder.name not in self.skip


@dataclass
class Survey:
    """What there is to copy: the folders, what each holds, and the names of those left out."""

    folders: list[tuple[Folder, Report]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def new_messages(self) -> int:
        """How many messages are not here yet."""
        return sum(report.at_source - report.already for _, report in self.folders)

    @property
    def new_bytes(self) -> int:
        """How large they are, as the server says."""
        return sum(report.size_bytes for _, report in self.folders)


@dataclass
class MailboxCopy:
    """The copying of one mailbox into another.

    `told` is called with the number of messages done meanwhile. `pause_seconds` is waited after a
    lost connection, and doubled each time.
    """

    address: str
    source: Source
    mailbox: Mailbox
    journal: Journal
    now: datetime
    choice: Choice = field(default_factory=Choice)
    told: Callable[[int], None] = lambda _: None
    pause_seconds: float = FIRST_PAUSE_SECONDS
    reports: list[Report] = field(default_factory=list)  # of the folders begun

    async def survey(self) -> Survey:
        """Look at every folder; nothing is changed anywhere.

        Raises Unavailable, NotAllowed and InputError as `Source.open` does.
        """
        await self.source.open()
        found, subscribed, spaces = await self.source.folders()
        folders, left_out = plan(found, subscribed, spaces)
        survey = Survey(left_out=left_out)
        for folder in folders:
            if not self.choice.wants(folder):
                survey.left_out.append(folder.name)
                continue
            target = self.journal.known_target(folder.wire) or folder.target
            report = Report(self.address, folder.name, target, subscribed=folder.subscribed)
            survey.folders.append((folder, report))
            await self._look(folder, report)
        return survey

    async def _look(self, folder: Folder, report: Report) -> None:
        try:
            uidvalidity = await self.source.examine(folder.wire)
            uids = await self.source.uids()
            known = self.journal.flags(folder.wire, uidvalidity)
            fresh = [uid for uid in uids if uid not in known]
            report.at_source, report.already = len(uids), len(uids) - len(fresh)
            for first in range(0, len(fresh), CHUNK):
                described = await self.source.described(fresh[first : first + CHUNK])
                report.size_bytes += sum(one.size for one in described.values())
        except (NotFound, Unreadable) as exc:
            report.problem = str(exc)

    async def require_room(self, survey: Survey, quota_bytes: int) -> None:
        """Raise Conflict `copy-over-quota` when it would not fit; 0 is no limit."""
        if not quota_bytes:
            return
        used = await asyncio.to_thread(self.mailbox.used_bytes)
        needed = used + survey.new_bytes
        if needed > quota_bytes:
            raise Conflict(
                "copy-over-quota",
                mailbox=self.address,
                needed=-(-needed >> 20),
                quota=quota_bytes >> 20,
            )

    async def run(self, survey: Survey) -> list[Report]:
        """Copy what is new, and verify it; reports of all folders.

        Raises Unavailable `copy-source-unavailable` when the server can't be reached for too long:
        what was copied is kept, and another run goes on from there.
        """
        for folder, surveyed in survey.folders:
            if surveyed.problem:
                self.reports.append(surveyed)
                continue
            report = Report(
                self.address, surveyed.folder, surveyed.target, subscribed=surveyed.subscribed
            )
            self.reports.append(report)
            copy = FolderCopy(
                self.source,
                self.mailbox,
                self.journal,
                folder,
                report,
                self.now,
                self.choice.most_bytes,
                self.told,
            )
            await self._patiently(copy)
            await asyncio.to_thread(copy.verify)
        return self.reports

    async def _patiently(self, copy: FolderCopy) -> None:
        """Go on after lost connections, as long as that leads anywhere."""
        attempts, pause = 0, self.pause_seconds
        while True:
            before = copy.report.copied
            try:
                await copy.run()
            except Unavailable as exc:
                if exc.code != "copy-source-unavailable":
                    raise  # our own side is in trouble
                if copy.report.copied > before:
                    attempts, pause = 0, self.pause_seconds
                attempts += 1
                if attempts >= ATTEMPTS:
                    raise
                log.warning("source.lost", folder=copy.report.folder, cause=str(exc))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                await self._reopen()
            else:
                return

    async def _reopen(self) -> None:
        """Connect again; that it fails now is told by the next command."""
        try:
            await self.source.open()
        except Unavailable as exc:
            log.warning("source.away", cause=str(exc))
