"""Accounts that are to be gone through again (rule account-review), and going through them."""

from datetime import date, datetime, time, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from mailgov.access import branch
from mailgov.clock import VIETNAM, local_date
from mailgov.config import Config
from mailgov.db.models import Agency, Mailbox, OfficeKeepers, RoleGrant
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_agency
from mailgov.holding.letters import Line
from mailgov.lifecycle.telling import Notice, tell_once
from mailgov.lifecycle.terms import add_months

MATTER = "review"
FIELDS = ("agency", "name", "mailboxes", "reviewed_on", "due_on", "without_keeper")
_MOST_ROWS = 20  # in a letter


def remind_of_reviews(session: Session, config: Config, now: datetime) -> int:
    """Tell each administrator once a month what is due in the own branch; how many letters were sent."""
    today = local_date(now)
    late = [
        row for row in reviews(session, config.lifecycle.review_months) if row["due_on"] < today
    ]
    if not late:
        return 0
    query = (
        select(RoleGrant, Mailbox)
        .join(Mailbox, col(RoleGrant.mailbox_id) == col(Mailbox.id))
        .where(
            RoleGrant.role == "it",
            Mailbox.state == "active",
            or_(col(RoleGrant.until).is_(None), col(RoleGrant.until) >= today),
        )
        .order_by(col(RoleGrant.id))
    )
    sent = 0
    for grant, mailbox in session.exec(query).all():
        top = session.get_one(Agency, grant.agency_id).code if grant.agency_id else ""
        codes = branch(session, top) if top else None
        rows = [row for row in late if codes is None or row["agency"] in codes]
        if not rows:
            continue
        notice = Notice(
            MATTER,
            f"{today:%Y-%m}",
            "review",
            str(len(rows)),
            (Line("agencies", str(len(rows))),),
            tuple(f"{row['agency']}  {row['name']}" for row in rows[:_MOST_ROWS]),
        )
        sent += tell_once(session, config, mailbox, notice, now)
    return sent


def _any_late(session: Session, limit: date) -> bool:
    """A cheap look whether an agency may be late."""
    query = select(Agency.id).where(
        or_(
            col(Agency.reviewed_on) < limit,
            col(Agency.reviewed_on).is_(None) & (col(Agency.created_at) < _beginning(limit)),
        )
    )
    return session.exec(query.limit(1)).first() is not None


def _beginning(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), VIETNAM)


def reviews(session: Session, months: int, within: str = "") -> list[dict[str, Any]]:
    """Agencies with mailboxes: when their accounts were gone through last, and when it is due.

    `without_keeper`: offices and shared mailboxes that nobody answers for (rule
    office-mailbox-owner). Raises NotFound `agency-unknown`.
    """
    if within:
        get_agency(session, within)
    codes = branch(session, within) if within else None
    counts = _counts(session)
    rows = []
    for agency in session.exec(select(Agency).order_by(Agency.code)):
        count, unkept = counts.get(agency.id or 0, (0, 0))
        if not count or (codes is not None and agency.code not in codes):
            continue
        last = agency.reviewed_on or local_date(agency.created_at)
        rows.append(
            {
                "agency": agency.code,
                "name": agency.name_vi,
                "mailboxes": count,
                "reviewed_on": agency.reviewed_on,
                "due_on": add_months(last, months),
                "without_keeper": unkept,
            }
        )
    return rows


def note_review(session: Session, act: Act, code: str, day: date) -> Change:
    """The accounts of an agency and of all below it were gone through. Raises NotFound `agency-unknown`."""
    get_agency(session, code)
    codes = branch(session, code)
    done: dict[str, tuple[str, str]] = {}
    for agency in session.exec(select(Agency).where(col(Agency.code).in_(codes))).all():
        if agency.reviewed_on == day:
            continue
        pair = (str(agency.reviewed_on or ""), day.isoformat())
        agency.reviewed_on = day
        session.add(agency)
        change = Change(
            "agency", "review", agency.code, {"reviewed_on": pair}, agency_code=agency.code
        )
        recorded(session, act, change)
        done[agency.code] = pair
    return Change("agency", "review", code, done, agency_code=code)


def _counts(session: Session) -> dict[int, tuple[int, int]]:
    """By agency: open mailboxes, and those of nobody's own without a keeper."""
    query = (
        select(Mailbox.agency_id, Mailbox.kind, OfficeKeepers.keeper_id)
        .join(OfficeKeepers, col(OfficeKeepers.mailbox_id) == col(Mailbox.id), isouter=True)
        .where(Mailbox.state != "recalled", Mailbox.kind != "group")
    )
    counts: dict[int, tuple[int, int]] = {}
    for agency_id, kind, keeper in session.exec(query):
        count, unkept = counts.get(agency_id, (0, 0))
        nobodys = kind in ("office", "shared") and keeper is None
        counts[agency_id] = (count + 1, unkept + nobodys)
    return counts
