"""Writing and reading events. Rows are only ever added, in the transaction of the act itself."""

from collections.abc import Iterable, Iterator

from sqlalchemy import insert
from sqlmodel import Session, col, select

from mailgov.db.models import EventRow
from mailgov.ledger.events import Event


def record(session: Session, *events: Event) -> None:
    """Add events to the caller's transaction."""
    if not events:
        return
    session.connection().execute(
        insert(EventRow),
        [
            {
                "at": event.at,
                "kind": event.kind,
                "message_id": event.message_id,
                "mailbox": event.mailbox,
                "agency_code": event.agency_code,
                "actor": event.actor,
                "data": event.data(),
            }
            for event in events
        ],
    )


def of_message(session: Session, queue_id: str) -> list[EventRow]:
    """Everything that happened to a message, in order."""
    query = select(EventRow).where(EventRow.message_id == queue_id).order_by(col(EventRow.id))
    return list(session.exec(query))


def of_kinds(session: Session, kinds: Iterable[str]) -> Iterator[EventRow]:
    """All events of some kinds, in order, streamed."""
    query = select(EventRow).where(col(EventRow.kind).in_(list(kinds))).order_by(col(EventRow.id))
    yield from session.exec(query.execution_options(yield_per=1000))
