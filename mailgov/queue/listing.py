"""The queue for those who look after it: what waits, and everything about one message."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlmodel import Session

from mailgov.access import inside
from mailgov.errors import NotFound
from mailgov.queue.admin import Pick, fits
from mailgov.queue.results import OPEN_STATES
from mailgov.queue.tables import MESSAGE, RECIPIENT, VERDICT

EVERYTHING = Pick()


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient of one message."""

    queue_id: str
    mail_from: str  # empty: null sender
    recipient: str
    destination: str
    state: str
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime | None
    last_reply: str
    done_at: datetime | None
    message_state: str  # intact, corrupt, poison
    priority: int


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """A message with its recipients and what the policy said; never its content."""

    queue_id: str
    direction: str
    mail_from: str
    login: str
    agency_code: str
    message_id: str
    size_bytes: int
    state: str
    accepted_at: datetime
    done_at: datetime | None
    action: str
    code: str
    findings: list[dict[str, Any]]
    recipients: tuple[Entry, ...]


def waiting(session: Session, what: Pick = EVERYTHING, *, state: str = "") -> Iterator[Entry]:
    """Recipients that are queued or held, oldest message first, streamed.

    `state` is empty for both, `queued`, `held`, or what is wrong with a held message: `corrupt`,
    `poison`.
    """
    seen = inside(session, MESSAGE.c.agency_code)
    query = _entries().where(RECIPIENT.c.state.in_(OPEN_STATES), *fits(what), *seen)
    if state in OPEN_STATES:
        query = query.where(RECIPIENT.c.state == state)
    elif state:
        query = query.where(MESSAGE.c.state == state)
    rows = session.connection().execute(query.execution_options(yield_per=1000))
    for row in rows:
        yield Entry(*row)


def show(session: Session, queue_id: str) -> QueuedEntry:
    """One message, done or not. Raises NotFound `queue-id-unknown`."""
    connection = session.connection()
    query = (
        select(
            MESSAGE.c.id.label("queue_id"),
            MESSAGE.c.direction,
            MESSAGE.c.mail_from,
            MESSAGE.c.login,
            MESSAGE.c.agency_code,
            MESSAGE.c.message_id,
            MESSAGE.c.size_bytes,
            MESSAGE.c.state,
            MESSAGE.c.accepted_at,
            MESSAGE.c.done_at,
            VERDICT.c.action,
            VERDICT.c.code,
            VERDICT.c.findings,
        )
        .join(VERDICT, VERDICT.c.message_id == MESSAGE.c.id)
        .where(MESSAGE.c.id == queue_id, *inside(session, MESSAGE.c.agency_code))
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("queue-id-unknown", queue_id=queue_id)
    recipients = connection.execute(_entries().where(RECIPIENT.c.message_id == queue_id))
    return QueuedEntry(**row, recipients=tuple(Entry(*entry) for entry in recipients))


def _entries() -> Select[Any]:
    return (
        select(
            RECIPIENT.c.message_id,
            MESSAGE.c.mail_from,
            RECIPIENT.c.address,
            RECIPIENT.c.destination,
            RECIPIENT.c.state,
            RECIPIENT.c.attempts,
            RECIPIENT.c.queued_at,
            RECIPIENT.c.next_attempt_at,
            RECIPIENT.c.last_reply,
            RECIPIENT.c.done_at,
            MESSAGE.c.state,
            MESSAGE.c.priority,
        )
        .join(MESSAGE, MESSAGE.c.id == RECIPIENT.c.message_id)
        .order_by(RECIPIENT.c.message_id, RECIPIENT.c.id)
    )
