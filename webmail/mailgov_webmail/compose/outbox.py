"""Letters that were sent and have not left: they can be called back until they are due.

They are drafts in the state `waiting`. Whoever serves the pages sends them when they are due, in the
name of whoever wrote them; the gate judges them again then. What it refuses stays as `failed` with
its text and files. A process that dies leaves them to the next one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import Session, col, select

from mailgov.clock import Clock
from mailgov.db import Database
from mailgov.db.models import Draft as DraftRow
from mailgov.db.models import Mailbox as MailboxRow
from mailgov.directory import Account
from mailgov.errors import Conflict, MailgovError, Unavailable
from mailgov.logs import logger
from mailgov.services import Services
from mailgov_webmail.compose.drafts import SENDING_ENDS, Draft, Drafts, read_draft
from mailgov_webmail.compose.sending import Sender, Sent, keep_copy
from mailgov_webmail.mailbox import MailFactory

LOOK_SECONDS = 20.0
"""How often letters are looked for that another process has left waiting."""

TRY_AGAIN = timedelta(minutes=1)
"""After trouble of our own."""

_AT_ONCE = 20

log = logger("webmail")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter in the outbox. `why` is the code of what kept it: a rule, a field or trouble."""

    draft: Draft
    due_at: datetime | None
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether its writer must do something."""
        return self.draft.state == "failed"


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox of one mailbox. Every method raises Unavailable `database-unavailable`."""

    database: Database
    clock: Clock
    account: Account

    async def letters(self) -> Sequence[Waiting]:
        """All that is in it, what leaves next first."""

        def work(session: Session) -> list[Waiting]:
            rows = session.exec(
                select(DraftRow).where(*self._mine()).order_by(col(DraftRow.due_at)).limit(200)
            )
            return [
                Waiting(read_draft(session, row), row.due_at, str(row.fields.get("why", "")))
                for row in rows
            ]

        return await self.database.query(work)

    async def count(self) -> int:
        """How many are in it."""
        query = select(func.count()).select_from(DraftRow).where(*self._mine())
        return await self.database.query(lambda session: session.exec(query).one())

    async def put(self, draft_id: str, due_at: datetime, client_ip: str) -> None:
        """Let a claimed draft wait until it is due."""

        def work(session: Session) -> None:
            row = session.get_one(DraftRow, draft_id)
            row.state, row.due_at, row.updated_at = "waiting", due_at, self.clock()
            row.fields = {**row.fields, "client_ip": client_ip, "why": ""}

        await self.database.submit(work)

    async def call_back(self, draft_id: str) -> None:
        """Make it a draft again. Raises Conflict `letter-gone` when it has left already."""

        def work(session: Session) -> bool:
            row = session.get(DraftRow, draft_id)
            if row is None or row.mailbox_id != self.account.mailbox_id:
                return False
            if row.state not in ("waiting", "failed"):
                return row.state == "open"
            row.state, row.due_at = "open", None
            return True

        if not await self.database.submit(work):
            raise Conflict("letter-gone")

    async def hurry(self, draft_id: str) -> None:
        """Let it leave now."""

        def work(session: Session) -> None:
            row = session.get(DraftRow, draft_id)
            mine = row is not None and row.mailbox_id == self.account.mailbox_id
            if row is not None and mine and row.state == "waiting":
                row.due_at = self.clock()

        await self.database.submit(work)

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            col(DraftRow.mailbox_id) == self.account.mailbox_id,
            col(DraftRow.due_at).is_not(None),
        )


@dataclass
class Postman:
    """Sends what is due. `wake` when something was put into an outbox."""

    services: Services
    mail: MailFactory
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look again soon."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; trouble ends nothing."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._woken.clear()
                seconds = await self._round()
                woken = asyncio.create_task(self._woken.wait())
                await asyncio.wait(
                    {woken, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
                woken.cancel()
        finally:
            stopping.cancel()

    async def _round(self) -> float:
        """Send what is due; seconds until the next is."""
        try:
            await self.send_due()
            due_at = await self.services.database.query(_next_due)
        except Unavailable as error:
            log.warning("outbox.unreachable", code=error.code)
            return LOOK_SECONDS
        if due_at is None:
            return LOOK_SECONDS
        wait = (due_at - self.services.clock()).total_seconds()
        return min(max(wait, 0.05), LOOK_SECONDS)

    async def send_due(self) -> int:
        """Send all that is due now; how many were looked at. Raises Unavailable."""
        now = self.services.clock()
        due = await self.services.database.query(lambda session: _due(session, now))
        await asyncio.gather(*(self._send(draft_id, address) for draft_id, address in due))
        return len(due)

    async def _send(self, draft_id: str, address: str) -> None:
        services = self.services
        account = await services.directory.account(address)
        claimed = await services.database.submit(
            lambda session: _claim(session, draft_id, services.clock())
        )
        if claimed is None:
            return  # called back, or another process has it
        try:
            why = await self._try(account, claimed)
        except MailgovError as error:
            log.warning("outbox.later", draft=draft_id, code=error.code)
            why, later = error.code, services.clock() + TRY_AGAIN
            await services.database.submit(lambda session: _wait_on(session, draft_id, later, why))
            return
        if why:
            await services.database.submit(
                lambda session: _fail(session, draft_id, services.clock(), why)
            )

    async def _try(self, account: Account | None, claimed: "_Claimed") -> str:
        """Hand it to the gate; why not, in one word. Raises Unavailable."""
        draft, again = claimed.draft, claimed.again
        if account is None or account.state != "active":
            return "mailbox-inactive"
        services = self.services
        drafts = Drafts(services.database, services.clock, account)
        sender = Sender(services, account, drafts, claimed.client_ip)
        message = await sender.taken(draft) if again else None
        if message is None:
            if problems := await sender.problems(draft.letter):
                return problems[0].key
            result = await sender.send(draft, unless_asked=not draft.letter.reason)
            if not isinstance(result, Sent):
                return result.verdict.code
            if not result.outcome.accepted:
                return result.outcome.verdict.code
            message = result.message
        await keep_copy(self.mail(account.address), message, draft.letter)
        await drafts.sent(draft.id, draft.letter.document)
        return ""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A letter that is being sent. `again`: a process died while it sent it."""

    draft: Draft
    client_ip: str
    again: bool


def _due(session: Session, now: datetime) -> list[tuple[str, str]]:
    query = (
        select(DraftRow.id, MailboxRow.address)
        .join(MailboxRow, col(MailboxRow.id) == DraftRow.mailbox_id)
        .where(
            col(DraftRow.due_at) <= now, or_(col(DraftRow.state) == "waiting", _left_behind(now))
        )
        .order_by(col(DraftRow.due_at))
        .limit(_AT_ONCE)
    )
    return list(session.exec(query))


def _left_behind(now: datetime) -> ColumnElement[bool]:
    return and_(col(DraftRow.state) == "sending", col(DraftRow.updated_at) < now - SENDING_ENDS)


def _next_due(session: Session) -> datetime | None:
    query = select(func.min(DraftRow.due_at)).where(DraftRow.state == "waiting")
    return session.exec(query).one()


def _claim(session: Session, draft_id: str, now: datetime) -> _Claimed | None:
    row = session.get(DraftRow, draft_id, with_for_update=True)
    if row is None or row.due_at is None or row.due_at > now:
        return None
    again = row.state == "sending" and row.updated_at < now - SENDING_ENDS
    if row.state != "waiting" and not again:
        return None
    row.state, row.updated_at = "sending", now
    session.flush()
    return _Claimed(read_draft(session, row), str(row.fields.get("client_ip", "")), again)


def _wait_on(session: Session, draft_id: str, due_at: datetime, why: str) -> None:
    row = session.get_one(DraftRow, draft_id)
    row.state, row.due_at, row.fields = "waiting", due_at, {**row.fields, "why": why}


def _fail(session: Session, draft_id: str, now: datetime, why: str) -> None:
    row = session.get_one(DraftRow, draft_id)
    row.state, row.updated_at, row.fields = "failed", now, {**row.fields, "why": why}
