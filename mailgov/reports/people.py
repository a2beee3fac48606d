"""Who is on the staff list, and the state of their mailbox at a moment."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from mailgov.db.models import Agency, EventRow, FormerAddress, Instance, Mailbox, Person
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
    # Columns, not objects: a province has a hundred thousand people.
    query = (
        sa.select(
            col(Person.id),
            col(Person.staff_no),
            col(Person.joined_on),
            col(Person.left_on),
            col(Agency.code),
            col(Mailbox.address),
            col(Mailbox.created_at),
            col(Mailbox.activated_at),
        )
        .select_from(Person)
        .join(Agency, col(Agency.id) == Person.agency_id)
        .outerjoin(Mailbox, (col(Mailbox.person_id) == Person.id) & (col(Mailbox.kind) == "person"))
        .where(col(Person.created_at) < end)
        .order_by(col(Person.id), col(Mailbox.id))
    )
    seen: set[int | None] = set()
    for (
        number,
        staff_no,
        joined,
        left,
        code,
        address,
        opened,
        activated,
    ) in session.connection().execute(query):
        if number in seen or code not in question.tree:
            continue
        if left is not None and left <= question.period.last:
            continue
        if joined is not None and joined > question.period.last:
            continue
        seen.add(number)
        name = pseudonym(secret, staff_no)
        if not address or opened >= end:  # an outer join: not everybody has a mailbox
            yield Official(code, name, mailbox="", opened_at=None, active=False, activated=False)
            continue
        yield Official(
            agency=code,
            pseudonym=name,
            mailbox=address,
            opened_at=opened,
            active=address not in closed,
            activated=activated is not None and activated < end,
        )


def _closed_at(session: Session, end: datetime) -> set[str]:
    """Mailboxes whose last change of state before `end` closed them, by their present addresses."""
    now_called = present_addresses(session)
    query = (
        sa.select(col(EventRow.mailbox), col(EventRow.at), _text("verb"))
        .where(
            col(EventRow.kind) == DirectoryChanged.kind,
            col(EventRow.at) < end,
            _text("noun") == "mailbox",
            _text("verb").in_(("suspend", "recall", "resume")),
        )
        .order_by(col(EventRow.id))
    )
    closed: set[str] = set()
    for called, at, verb in session.connection().execute(query):
        mailbox = now_called(called, at)
        if verb == "resume":
            closed.discard(mailbox)
        else:
            closed.add(mailbox)
    return closed


def present_addresses(session: Session) -> Callable[[str, datetime], str]:
    """A function that tells how a mailbox is called now that was called so at a moment."""
    query = (
        sa.select(col(FormerAddress.address), col(FormerAddress.created_at), col(Mailbox.address))
        .join(Mailbox, col(Mailbox.id) == col(FormerAddress.mailbox_id))
        .order_by(col(FormerAddress.created_at))
    )
    renamed: dict[str, list[tuple[datetime, str]]] = {}
    for address, until, now in session.connection().execute(query):
        renamed.setdefault(address, []).append((until, now))

    def present(address: str, at: datetime) -> str:
        return next((now for until, now in renamed.get(address, ()) if at < until), address)

    return present


def _text(name: str) -> sa.ColumnElement[str]:
    """A text of the event's own fields."""
    value: sa.ColumnElement[str] = col(EventRow.data)[name].as_string()
    return value


def pseudonym_key(session: Session) -> bytes:
    """The key of this installation's pseudonyms; made with the schema."""
    return bytes.fromhex(session.get_one(Instance, PSEUDONYM_KEY).value)


def pseudonym(key: bytes, staff_no: str) -> str:
    """A stable name that says nothing: the same person in every report of this installation."""
    return hmac.new(key, staff_no.encode(), hashlib.sha256).hexdigest()[:10]
