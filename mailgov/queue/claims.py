"""Taking due recipients out of the queue for one attempt, fairly and at a cost that does not grow.

A claim raises the attempt number and moves `next_attempt_at` to the end of the lease: nobody else
sees the recipient until then, and if we die, it is due again by itself. Destinations take turns;
a look at each costs one index probe, however many recipients it has.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, select, text, update
from sqlmodel import Session

from mailgov.addresses import Address
from mailgov.db.types import Moment
from mailgov.queue.item import QueuedMessage, QueueItem
from mailgov.queue.tables import MAILBOX, MESSAGE, RECIPIENT

# Skips from destination to destination along the index instead of reading every recipient.
_DUE_DESTINATIONS = text(
    """
    WITH RECURSIVE destinations(name) AS (
        SELECT (SELECT destination FROM recipient
                WHERE state = 'queued' AND destination > :after
                ORDER BY destination LIMIT 1)
        UNION ALL
        SELECT (SELECT destination FROM recipient
                WHERE state = 'queued' AND destination > destinations.name
                ORDER BY destination LIMIT 1)
        FROM destinations WHERE destinations.name IS NOT NULL
    )
    SELECT name FROM destinations
    WHERE name IS NOT NULL AND EXISTS (
        SELECT 1 FROM recipient
        WHERE state = 'queued' AND destination = name AND next_attempt_at <= :now)
    LIMIT :count
    """
).bindparams(bindparam("now", type_=Moment()))


NEXT_DUE = select(func.min(RECIPIENT.c.next_attempt_at)).where(RECIPIENT.c.state == "queued")
"""When the next recipient is due or the next lease ends; one index probe."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one deliverer can take on now."""

    now: datetime
    lease_until: datetime
    messages: int  # at most
    room: Callable[[str], int]  # messages that it can still take for a destination
    after: str = ""  # the destination served last; the next in order has its turn


def take(session: Session, claim: Claim) -> list[QueueItem]:
    """Lease due recipients in the caller's transaction; all of a message's at one destination.

    In the order of the turns: the last item's destination was served last.
    """
    connection = session.connection()
    next_due = connection.execute(NEXT_DUE).scalar_one()
    if next_due is None or next_due > claim.now:
        return []  # without a look at each destination
    claimed: list[int] = []
    left = claim.messages
    for destination in _in_turn(connection, claim):
        wanted = min(claim.room(destination), left)
        if wanted > 0:
            messages = _due_messages(connection, destination, claim.now, wanted)
            claimed += _lease(connection, destination, messages, claim)
            left -= len(messages)
        if left <= 0:
            break
    return _items(connection, claimed)


def _in_turn(connection: Connection, claim: Claim) -> Iterator[str]:
    """Destinations with due recipients: those after the last one served, then from the start."""
    seen: set[str] = set()
    for start in dict.fromkeys((claim.after, "")):
        after = start
        while names := _due_destinations(connection, after, claim):
            for name in names:
                if name in seen:
                    return
                seen.add(name)
                yield name
            after = names[-1]


def _due_destinations(connection: Connection, after: str, claim: Claim) -> Sequence[str]:
    values = {"after": after, "now": claim.now, "count": max(claim.messages, 10)}
    return connection.execute(_DUE_DESTINATIONS, values).scalars().all()


def _due_at(destination: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    column = RECIPIENT.c
    return (
        column.state == "queued",
        column.destination == destination,
        column.next_attempt_at <= now,
    )


def _due_messages(connection: Connection, destination: str, now: datetime, count: int) -> list[str]:
    """Ids of the messages that have waited longest."""
    query = (
        select(RECIPIENT.c.message_id)
        .where(*_due_at(destination, now))
        .order_by(RECIPIENT.c.next_attempt_at)
        .limit(count)
    )
    return list(dict.fromkeys(connection.execute(query).scalars()))


def _lease(
    connection: Connection, destination: str, messages: Sequence[str], claim: Claim
) -> list[int]:
    """Raise the attempt number of what is due and, on PostgreSQL, not locked by another."""
    free = (
        select(RECIPIENT.c.id)
        .where(RECIPIENT.c.message_id.in_(messages), *_due_at(destination, claim.now))
        .with_for_update(skip_locked=True)
    )
    leased = (
        update(RECIPIENT)
        .where(RECIPIENT.c.id.in_(free))
        .values(
            attempts=RECIPIENT.c.attempts + 1,
            lease_until=claim.lease_until,
            next_attempt_at=claim.lease_until,
        )
        .returning(RECIPIENT.c.id)
    )
    return sorted(connection.execute(leased).scalars())


_ITEM = (
    select(
        RECIPIENT,
        MAILBOX.c.address.label("mailbox"),
        *(
            column.label(f"message_{column.name}")
            for column in MESSAGE.c
            if column.name not in ("id", "content")
        ),
    )
    .join(MESSAGE, MESSAGE.c.id == RECIPIENT.c.message_id)
    .outerjoin(MAILBOX, MAILBOX.c.id == RECIPIENT.c.mailbox_id)
)


def _items(connection: Connection, ids: Sequence[int]) -> list[QueueItem]:
    if not ids:
        return []
    rank = {row_id: position for position, row_id in enumerate(ids)}
    rows = connection.execute(_ITEM.where(RECIPIENT.c.id.in_(ids))).all()
    messages: dict[str, QueuedMessage] = {}
    items = []
    for row in sorted(rows, key=lambda row: rank[row.id]):
        message = messages.setdefault(row.message_id, _message(row))
        items.append(_item(row, message))
    return items


def _message(row: Row[Any]) -> QueuedMessage:
    return QueuedMessage(
        queue_id=row.message_id,
        mail_from=Address.parse(row.message_mail_from) if row.message_mail_from else None,
        agency_code=row.message_agency_code,
        message_id=row.message_message_id,
        envid=row.message_envid,
        ret=row.message_ret,
        prefix=row.message_prefix,
        size_bytes=row.message_size_bytes,
        accepted_at=row.message_accepted_at,
    )


def _item(row: Row[Any], message: QueuedMessage) -> QueueItem:
    return QueueItem(
        recipient_id=row.id,
        attempt=row.attempts,
        message=message,
        address=Address.parse(row.address),
        destination=row.destination,
        mailbox=Address.parse(row.mailbox) if row.mailbox else None,
        original=row.original,
        notify=frozenset(row.notify.split(",")) if row.notify else frozenset(),
        queued_at=row.queued_at,
        delay_notified=row.delay_notified_at is not None,
    )
