"""Who is on the staff list, and the state of their mailbox at a moment."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from mailgov.db.models import Agency, EventRow, Instance, Mailbox, Person
from mailgov.db.models.instance import PSEUDONYM_KEY
from mailgov.ledger.events import DirectoryChanged
from mailgov.reports.engine import Question


@dataclass(frozen=True, slots=True)
class Official:
    """A person on the staff list at the end of the period."""

    agency: str
    pseudonym: str
    mailbox: str  # Address.key; empty: none
    opened_at: datetime | None  # when the mailbox was made
    active: bool  # the mailbox is open at the end of the period
    activated: bool  # its holder has signed in


def officials(session: Session, question: Question) -> Iterator[Official]:
    """Everybody counted in the period: on the list at its end, in the branch, each once."""
    end = question.period.end
    closed = _closed_at(session, end)
    secret = pseudonym_key(session)
    query = (
        select(Person, Agency.code, Mailbox)
        .join(Agency, col(Agency.id) == Person.agency_id)
        .outerjoin(Mailbox, (col(Mailbox.person_id) == Person.id) & (Mailbox.kind == "person"))
        .where(col(Person.created_at) < end)
        .order_by(col(Person.id), col(Mailbox.id))
    )
    seen: set[int | None] = set()
    for person, code, found in session.exec(query):
        mailbox: Mailbox | None = found  # an outer join: not everybody has one
        if person.id in seen or code not in question.tree:
            continue
        if person.left_on is not None and person.left_on <= question.period.last:
            continue
        if person.joined_on is not None and person.joined_on > question.period.last:
            continue
        seen.add(person.id)
        name = pseudonym(secret, person.staff_no)
        if mailbox is None or mailbox.created_at >= end:
            yield Official(code, name, mailbox="", opened_at=None, active=False, activated=False)
            continue
        activated = mailbox.activated_at is not None and mailbox.activated_at < end
        yield Official(
            agency=code,
            pseudonym=name,
            mailbox=mailbox.address,
            opened_at=mailbox.created_at,
            active=mailbox.address not in closed,
            activated=activated,
        )


def _closed_at(session: Session, end: datetime) -> set[str]:
    """Mailboxes whose last change of state before `end` closed them."""
    query = (
        select(EventRow)
        .where(EventRow.kind == DirectoryChanged.kind, col(EventRow.at) < end)
        .order_by(col(EventRow.id))
    )
    closed: set[str] = set()
    for event in session.exec(query):
        if event.data.get("noun") != "mailbox":
            continue
        if event.data.get("verb") in ("suspend", "recall"):
            closed.add(event.data["target"])
        elif event.data.get("verb") == "resume":
            closed.discard(event.data["target"])
    return closed


def pseudonym_key(session: Session) -> bytes:
    """The key of this installation's pseudonyms; made with the schema."""
    return bytes.fromhex(session.get_one(Instance, PSEUDONYM_KEY).value)


def pseudonym(key: bytes, staff_no: str) -> str:
    """A stable name that says nothing: the same person in every report of this installation."""
    return hmac.new(key, staff_no.encode(), hashlib.sha256).hexdigest()[:10]
