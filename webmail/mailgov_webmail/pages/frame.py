"""What stands around every page of a mailbox: folders, space, state of the account."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select
from starlette.responses import HTMLResponse

from mailgov.db.models import EventRow
from mailgov.db.models import Mailbox as MailboxRow
from mailgov.errors import MailgovError, Unavailable
from mailgov.ledger.events import DirectoryChanged
from mailgov_webmail.compose.outbox import Outbox
from mailgov_webmail.mailbox import Folder, Mailbox, Quota
from mailgov_webmail.places import Done, name_of, slug, usual_folders
from mailgov_webmail.visit import Visit

FULL_FROM = 90  # percent of the quota from which the page says so


@dataclass(frozen=True, slots=True)
class Line:
    """A folder in the list at the side."""

    slug: str
    name: str
    unread: int
    current: bool


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why a mailbox can only be read, and from when until when, in words."""

    since: str
    until: str
    reason: str
    recalled: bool = False
    instead: str = ""  # whom senders are told to write to


@dataclass(frozen=True, slots=True)
class Frame:
    """The surroundings of a page."""

    lines: Sequence[Line] = ()
    percent: int | None = None  # of the quota
    quota: Quota | None = None
    suspension: Suspension | None = None
    waiting: int = 0  # letters in the outbox
    done: Done | None = None  # the notice of what was just done
    done_sealed: str = ""

    @property
    def is_nearly_full(self) -> bool:
        """Whether space is running out."""
        return self.percent is not None and self.percent >= FULL_FROM


async def framed_page(
    visit: Visit,
    template: str,
    *,
    folders: Sequence[Folder] | None = None,
    current: Folder | None = None,
    mailbox: Mailbox | None = None,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page with its surroundings. Space is looked up where `mailbox` is given."""
    quota = await mailbox.quota() if mailbox is not None else None
    done, sealed = _done(visit)
    frame = Frame(
        lines=[
            Line(slug(folder), name_of(folder, visit.words), _count(folder), folder is current)
            for folder in folders or usual_folders()
        ],
        percent=quota.used_bytes * 100 // quota.limit_bytes
        if quota and quota.limit_bytes
        else None,
        quota=quota,
        suspension=await suspension(visit),
        waiting=await _in_outbox(visit),
        done=done,
        done_sealed=sealed,
    )
    return visit.page(template, status=status, frame=frame, **values)


async def trouble_page(visit: Visit, error: MailgovError, status: int) -> HTMLResponse:
    """What went wrong, with the way on: again, or write meanwhile."""
    if visit.signed_in is None:
        return visit.page("trouble_alone.html", status=status, error=error, kept=[])
    return await framed_page(visit, "trouble.html", status=status, error=error)


async def suspension(visit: Visit) -> Suspension | None:
    """Why the mailbox of this visit can only be read; None when it can be used."""
    if not visit.account.only_reads:
        return None

    def work(session: Session) -> Suspension:
        row = session.get_one(MailboxRow, visit.account.mailbox_id)
        recalled = row.state == "recalled"
        began, ends = (
            (row.recalled_at, row.readable_until)
            if recalled
            else (row.suspended_at, row.suspended_until)
        )
        return Suspension(
            since=visit.words.moment(began) if began else "",
            until=f"{ends:%d/%m/%Y}" if ends else "",
            reason=_recall_reason(session, row) if recalled else row.suspend_reason,
            recalled=recalled,
            instead=row.contact,
        )

    return await visit.services.database.query(work)


def _recall_reason(session: Session, row: MailboxRow) -> str:
    """The reason given with the recall, which stands in the ledger alone."""
    query = (
        select(EventRow.data)
        .where(
            EventRow.mailbox == row.address,
            EventRow.kind == DirectoryChanged.kind,
            EventRow.at == row.recalled_at,
        )
        .order_by(col(EventRow.id))
    )
    found = (data for data in session.exec(query) if data.get("verb") == "recall")
    return next((str(data.get("reason", "")) for data in found), "")


async def _in_outbox(visit: Visit) -> int:
    """How many letters wait; a page must not fail for want of it."""
    try:
        return await Outbox(visit.services.database, visit.services.clock, visit.account).count()
    except Unavailable:
        return 0


def _count(folder: Folder) -> int:
    """Unread messages; of drafts, how many there are."""
    return folder.total if folder.role == "drafts" else folder.unread


def _done(visit: Visit) -> tuple[Done | None, str]:
    sealed = visit.query("done")
    if not sealed or visit.signed_in is None:
        return None, ""
    opened = Done.opened(sealed, visit.signed_in.csrf, visit.now)
    if opened is None or not opened[1]:
        return None, ""
    return opened[0], sealed
