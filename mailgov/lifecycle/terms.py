"""How long things last: months of grace by rank and agency, months of keeping, and days by calendar."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date

from sqlmodel import Session, select

from mailgov.config import Lifecycle
from mailgov.db.models import Agency, Mailbox, Person
from mailgov.directory.provisioning.agencies import ancestors
from mailgov.texts import without_marks

LEADERS = "lanh-dao"
_DIVISION = "phong "  # who heads a division (phòng) is no leader of the agency


@dataclass(frozen=True, slots=True)
class Terms:
    """The days of a recall: the last one of grace, and the last one on which mail is kept."""

    readable_until: date
    kept_until: date


def add_months(day: date, months: int) -> date:
    """The same day so many months later; the last of the month where it has fewer days."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def is_leader(person: Person) -> bool:
    """Whether the holder leads an agency.

    Decision 652/QĐ-BTTTT of 2016 keeps the mailbox of heads of division and below for 6 months, of
    leaders of departments and above for 12.
    """
    title = f"{without_marks(person.title).lower()} "
    return person.staff_group == LEADERS and _DIVISION not in title


def terms(
    session: Session,
    mailbox: Mailbox,
    stop: date,
    settings: Lifecycle,
    grace_months: int | None = None,
) -> Terms:
    """The days of a recall that begins on `stop`; `grace_months` where somebody named them."""
    chain = ancestors(session, session.get_one(Agency, mailbox.agency_id))
    if grace_months is None:
        grace_months = _grace(session, mailbox, chain, settings)
    kept = next((unit.retention_months for unit in chain if unit.retention_months), None)
    readable = add_months(stop, grace_months)
    return Terms(
        readable, add_months(readable, settings.retention_months if kept is None else kept)
    )


def _grace(session: Session, mailbox: Mailbox, chain: list[Agency], settings: Lifecycle) -> int:
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    if person is not None and is_leader(person):
        named = (unit.leader_grace_months for unit in chain if unit.leader_grace_months)
        return next(named, settings.leader_grace_months)
    return next((unit.grace_months for unit in chain if unit.grace_months), settings.grace_months)


def office_of(session: Session, agency: Agency) -> str:
    """The address to write to instead, of the agency or of the nearest one above; may be empty."""
    for unit in ancestors(session, agency):
        office = select(Mailbox.address).where(
            Mailbox.agency_id == unit.id, Mailbox.kind == "office", Mailbox.state == "active"
        )
        if (address := session.exec(office).first()) is not None:
            return address
    return ""
