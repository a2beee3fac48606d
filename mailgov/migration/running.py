"""Accounts copied into mailboxes of ours: one, or many side by side."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import Session, select

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import Agency, Mailbox
from mailgov.directory.change import Act
from mailgov.errors import InputError, MailgovError, NotFound
from mailgov.ledger import record
from mailgov.ledger.events import MailboxCopied
from mailgov.mailstore import layout
from mailgov.migration import journal as journals
from mailgov.migration import maildir
from mailgov.migration.copying import Choice, MailboxCopy
from mailgov.migration.finishing import finish
from mailgov.migration.folder_copy import Report
from mailgov.migration.journal import open_journal
from mailgov.migration.source import Server, Source

MOST_LIST_BYTES = 64 << 20
_COLUMNS = ("address", "user", "password")


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox of ours, and where its mail comes from."""

    address: str
    server: Server


@dataclass
class Result:
    """What came of one account. `left_out` are folders of others, views, and those not wanted."""

    address: str
    reports: list[Report] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    finished: bool = True  # keywords and subscriptions are set as well
    error: MailgovError | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was to be copied is here, and right."""
        well = all(not (report.failed or report.problem) for report in self.reports)
        return well and self.finished and self.error is None


@dataclass(frozen=True, slots=True)
class Home:
    """Where the mail of a mailbox lies, and how much there may be; 0 is no limit."""

    address: str
    agency_code: str
    folder: Path
    quota_bytes: int


def home_of(session: Session, data: Path, address: str) -> Home:
    """The home of a mailbox, in any state. Raises NotFound `mailbox-unknown`, InputError."""
    key = Address.parse(address).key
    found = session.exec(select(Mailbox, Agency).join(Agency).where(Mailbox.address == key)).first()
    if found is None:
        raise NotFound("mailbox-unknown", address=address)
    box, agency = found
    folder = layout.home(data, Address.parse(box.home or box.address))
    return Home(box.address, agency.code, folder, box.quota_mb << 20)


@dataclass
class Copying:
    """What all accounts of a run have in common.

    `expect` is told how many messages are to come, `told` how many are done meanwhile.
    """

    config: Config
    database: Database
    act: Act
    choice: Choice = field(default_factory=Choice)
    dry_run: bool = False
    expect: Callable[[int], None] = lambda _: None
    told: Callable[[int], None] = lambda _: None

    async def all(self, accounts: Sequence[Account], side_by_side: int) -> AsyncIterator[Result]:
        """Results as they come; an account that fails keeps no other from being copied."""
        places = asyncio.Semaphore(side_by_side)

        async def placed(account: Account) -> Result:
            async with places:
                try:
                    return await self.one(account)
                except MailgovError as error:
                    return Result(account.address, error=error)

        tasks = [asyncio.create_task(placed(account)) for account in accounts]
        try:
            for finished in asyncio.as_completed(tasks):
                yield await finished
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def one(self, account: Account) -> Result:
        """Copy one account; again, and only what is new is copied.

        Raises NotFound `mailbox-unknown`, Conflict `copy-under-way` or `copy-over-quota`, and what
        the server's side raises: Unavailable, NotAllowed, InputError.
        """
        home = await asyncio.to_thread(self._home, account.address)
        source = Source(account.server)
        with ExitStack() as stack:
            stack.callback(source.close)
            mailbox = maildir.Mailbox(self.config.data.path, home.folder / "Maildir")
            if not self.dry_run:
                await asyncio.to_thread(mailbox.folder, "INBOX")
            journal = await asyncio.to_thread(
                stack.enter_context,
                open_journal(home.folder, account.server.key, read_only=self.dry_run),
            )
            if not self.dry_run:
                for file in home.folder.glob(f"{journals.FILE}*"):
                    mailbox.own(file)
            copy = MailboxCopy(
                home.address, source, mailbox, journal, self.act.at, self.choice, self.told
            )
            survey = await copy.survey()
            self.expect(survey.new_messages)
            result = Result(home.address, left_out=survey.left_out)
            if self.dry_run:
                result.reports = [report for _, report in survey.folders]
                return result
            await copy.require_room(survey, home.quota_bytes)
            try:
                result.reports = await copy.run(survey)
            finally:
                await asyncio.to_thread(self._record, home, account, copy.reports)
            subscribed = [report.target for report in result.reports if report.subscribed]
            result.finished = await finish(self.config, home.address, journal, subscribed)
        return result

    def _home(self, address: str) -> Home:
        with self.database.read() as session:
            return home_of(session, self.config.data.path, address)

    def _record(self, home: Home, account: Account, reports: Sequence[Report]) -> None:
        with self.database.write() as session:
            event = MailboxCopied(
                at=self.act.at,
                actor=self.act.actor,
                mailbox=home.address,
                agency_code=home.agency_code,
                server=account.server.host,
                user=account.server.user,
                folders=len(reports),
                messages=sum(report.copied for report in reports),
                failed=sum(report.failed for report in reports),
                size_bytes=sum(report.size_bytes for report in reports),
                reason=self.act.reason,
            )
            record(session, event)


def read_list(file: Path, server: Callable[[str, str], Server]) -> list[Account]:
    """Accounts of a list: columns `address`, `user`, `password`, with or without a heading.

    `server` makes the server of a user and a password; both may be missing in the list. Raises
    InputError `file-unreadable`, `copy-list-line` or `address-not-valid`.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read(MOST_LIST_BYTES)
    except (OSError, UnicodeDecodeError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or "UTF-8"
        raise InputError("file-unreadable", file=file, reason=reason) from exc
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=";" if ";" in first else ",")
    accounts: dict[str, Account] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and "@" not in cells[0]):
            continue
        if len(cells) > len(_COLUMNS) or not cells[0]:
            raise InputError("copy-list-line", file=file, line=number)
        address, user, password = [*cells, "", ""][:3]
        key = Address.parse(address).key
        if key in accounts:
            raise InputError("copy-list-twice", file=file, line=number, address=key)
        accounts[key] = Account(key, server(user or address, password))
    return list(accounts.values())
