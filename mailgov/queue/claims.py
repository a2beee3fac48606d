"""Taking due recipients out of the queue for one attempt, fairly and at a cost that does not grow.

A claim raises the attempt number and moves `next_attempt_at` to the end of the lease: nobody else
sees the recipient until then, and if we die, it is due again by itself. What is urgent goes first;
within a rank, lanes (an agency's mail to a destination) take turns. A look at each lane costs one
index probe, however many recipients it has.

A lease that is still set when its recipient is claimed again ended with its process. From then on
the message is a suspect: few go at once, after a second such end one alone; after three the message
is poison, and held. So what goes beside it by chance is never taken for it.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    func,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlmodel import Session

from mailgov.addresses import Address
from mailgov.db.types import Moment
from mailgov.queue.item import BY_HAND, QueuedMessage, QueueItem
from mailgov.queue.tables import MAILBOX, MESSAGE, RECIPIENT
from mailgov.queue.turns import RANKS, destination_of

MAX_RECIPIENTS = 100
"""Recipients of one message in one claim: no server may take fewer (RFC 5321, 4.5.3.1.8)."""

BACKLOG = timedelta(seconds=5)
"""What is due for so long shows that there is more than can go out at once."""

MAX_LOOK = 2000
"""Recipients of a lane that one claim looks at, at most."""

MAX_CRASHES = 3
"""Leases in a row that ended with their process, then a message is poison."""

# Skips from lane to lane along the index instead of reading every recipient.
_DUE_LANES = text(
    """
    WITH RECURSIVE lanes(name) AS (
        SELECT (SELECT lane FROM recipient
                WHERE state = 'queued' AND rank = :rank AND lane > :after
                ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT lane FROM recipient
                WHERE state = 'queued' AND rank = :rank AND lane > lanes.name
                ORDER BY lane LIMIT 1)
        FROM lanes WHERE lanes.name IS NOT NULL
    )
    SELECT name FROM lanes
    WHERE name IS NOT NULL AND EXISTS (
        SELECT 1 FROM recipient
        WHERE state = 'queued' AND rank = :rank AND lane = name AND next_attempt_at <= :now)
    LIMIT :count
    """
).bindparams(bindparam("now", type_=Moment()))

_NEXT_OF_RANK = [
    select(literal(rank).label("rank"), func.min(RECIPIENT.c.next_attempt_at).label("due")).where(
        RECIPIENT.c.state == "queued", RECIPIENT.c.rank == rank
    )
    for rank in RANKS
]
_NEXT_DUE = union_all(*_NEXT_OF_RANK)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one deliverer can take on now."""

    now: datetime
    lease_until: datetime
    messages: int  # at most
    room: Callable[[str], int]  # messages that it can still take for a destination
    after: Mapping[int, str] = field(default_factory=dict)  # by rank: the lane served last
    ours: Container[int] = ()  # recipients under way here: not due, whatever the clock says
    suspects: int = 1  # of the messages, at most so many that may have killed one process
    grave: int = 1  # and so many that may have killed more
    fresh: int = 0  # of the messages, so many of the newest that were never tried, first


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought: items in the order of the turns, and messages that are poison."""

    items: list[QueueItem]
    served: dict[int, str]  # by rank: the lane served last
    poison: list[str]


def next_due(session: Session) -> datetime | None:
    """When the next recipient is due or the next lease ends; one index probe for each rank."""
    moments = [row.due for row in session.connection().execute(_NEXT_DUE) if row.due is not None]
    return min(moments, default=None)


def take(session: Session, claim: Claim) -> Claimed:
    """Lease due recipients in the caller's transaction; up to a hundred of a message at once."""
    connection = session.connection()
    # Without a look at each lane where nothing is due.
    due = {row.rank: row.due for row in connection.execute(_NEXT_DUE)}
    turn = _Turn(connection, claim)
    for rank, oldest in sorted(due.items()):
        if oldest is None or oldest > claim.now:
            continue
        if claim.now - oldest >= BACKLOG:
            turn.serve_fresh(rank)
        turn.serve(rank)
    leased, poison = turn.lease()
    return Claimed(items(connection, leased), turn.served, poison)


class _Turn:
    """One round of the lanes."""

    def __init__(self, connection: Connection, claim: Claim) -> None:
        self._connection = connection
        self._claim = claim
        self._left = claim.messages
        self._suspects: set[str] = set()
        self._grave: set[str] = set()
        self._taken: Counter[str] = Counter()
        self._chosen: dict[str, list[str]] = {}  # messages by lane
        self.served: dict[int, str] = {}

    def serve_fresh(self, rank: int) -> None:
        """Choose of the newest that were never tried, whatever waits at their destinations.

        A part of what goes out: so new mail is quick while a backlog is worked off.
        """
        left = min(self._claim.fresh, self._left)
        if left <= 0:
            return
        for row in _newest(self._connection, rank, self._claim):
            destination = destination_of(row.lane)
            chosen = self._chosen.setdefault(row.lane, [])
            if (
                row.attempts
                or row.message_id in chosen
                or self._claim.room(destination) <= self._taken[destination]
            ):
                continue
            chosen.append(row.message_id)
            self._taken[destination] += 1
            self._left -= 1
            left -= 1
            if left == 0:
                return

    def serve(self, rank: int) -> None:
        """Choose due messages of a rank, lane by lane, while there is room."""
        if self._left <= 0:
            return
        for lane in _in_turn(self._connection, rank, self._claim):
            destination = destination_of(lane)
            room = self._claim.room(destination) - self._taken[destination]
            chosen = self._choose(rank, lane, min(room, self._left)) if room > 0 else []
            if chosen:
                self._chosen.setdefault(lane, []).extend(chosen)
                self._taken[destination] += len(chosen)
                self._left -= len(chosen)
                self.served[rank] = lane
            if self._left <= 0:
                return

    def _choose(self, rank: int, lane: str, count: int) -> list[str]:
        """Ids of the lane's messages that have waited longest; no more suspects than allowed."""
        rows = _due(self._connection, rank, lane, self._claim, count)
        if len(rows) == count > len({row.message_id for row in rows}):
            # Messages of many recipients: a wider look, which is bounded all the same.
            most = min(count * MAX_RECIPIENTS, MAX_LOOK)
            rows = _due(self._connection, rank, lane, self._claim, most)
        chosen: dict[str, None] = {}
        for row in rows:
            if len(chosen) == count:
                break
            if (
                row.id in self._claim.ours
                or row.message_id in chosen
                or row.message_id in self._chosen.get(lane, ())
            ):
                continue
            if not self._may_go(row):
                continue
            chosen[row.message_id] = None
        return list(chosen)

    def _may_go(self, row: Row[Any]) -> bool:
        crashes = _crashes(row)
        if not crashes:
            return True
        known, most = self._suspects, self._claim.suspects
        if crashes > 1:
            known, most = self._grave, self._claim.grave
        if row.message_id not in known and len(known) >= most:
            return False
        known.add(row.message_id)
        return True

    def lease(self) -> tuple[list[Any], list[str]]:
        """Raise the attempt numbers of what was chosen. In order, and messages that are poison."""
        wanted = [message for messages in self._chosen.values() for message in messages]
        if not wanted:
            return [], []
        rows = _free(self._connection, wanted, self._chosen, self._claim)
        grouped: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            if row.id not in self._claim.ours:
                grouped.setdefault((row.lane, row.message_id), []).append(row)
        leased: list[Any] = []
        poison: list[str] = []
        for lane, messages in self._chosen.items():
            for message in messages:
                group = grouped.get((lane, message), [])[:MAX_RECIPIENTS]
                if any(_crashes(row) >= MAX_CRASHES for row in group):
                    poison.append(message)
                else:
                    leased += group
        if leased:
            _lease(self._connection, [row.id for row in leased], self._claim)
        return leased, list(dict.fromkeys(poison))


def _in_turn(connection: Connection, rank: int, claim: Claim) -> Iterator[str]:
    """Lanes with due recipients: those after the last one served, then from the start."""
    seen: set[str] = set()
    for start in dict.fromkeys((claim.after.get(rank, ""), "")):
        after = start
        while names := _due_lanes(connection, rank, after, claim):
            for name in names:
                if name in seen:
                    return
                seen.add(name)
                yield name
            after = names[-1]


def _due_lanes(connection: Connection, rank: int, after: str, claim: Claim) -> Sequence[str]:
    values = {"rank": rank, "after": after, "now": claim.now, "count": max(claim.messages, 10)}
    return connection.execute(_DUE_LANES, values).scalars().all()


def _due_at(rank: int, lane: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    column = RECIPIENT.c
    return (
        column.state == "queued",
        column.rank == rank,
        column.lane == lane,
        column.next_attempt_at <= now,
    )


def _due(connection: Connection, rank: int, lane: str, claim: Claim, count: int) -> Sequence[Any]:
    """The lane's recipients that have waited longest; suspects only where one is allowed."""
    column = RECIPIENT.c
    query = (
        select(column.id, column.message_id, column.lease_until, column.crashes)
        .where(*_due_at(rank, lane, claim.now))
        .order_by(column.next_attempt_at)
        .limit(count)
    )
    crashes = column.crashes + case((column.lease_until.is_not(None), 1), else_=0)
    if not claim.suspects:
        query = query.where(crashes != 1)
    if not claim.grave:
        query = query.where(crashes < 2)
    return connection.execute(query).all()


_LOOK_FRESH = 200
"""Recipients among which what is new is looked for."""


def _newest(connection: Connection, rank: int, claim: Claim) -> Sequence[Any]:
    column = RECIPIENT.c
    query = (
        select(column.message_id, column.lane, column.attempts)
        .where(column.state == "queued", column.rank == rank, column.next_attempt_at <= claim.now)
        .order_by(column.next_attempt_at.desc())
        .limit(_LOOK_FRESH)
    )
    return connection.execute(query).all()


def _crashes(row: Row[Any]) -> int:
    """Crashes so far; a lease that is still set is one more."""
    return int(row.crashes + (row.lease_until is not None))


def _free(
    connection: Connection, messages: Iterable[str], lanes: Iterable[str], claim: Claim
) -> Sequence[Any]:
    """Due recipients of messages; on PostgreSQL, those that are not locked by another."""
    column = RECIPIENT.c
    query = (
        select(
            column.id,
            column.message_id,
            column.lane,
            column.lease_until,
            column.crashes,
            column.next_attempt_at,
        )
        .where(
            column.message_id.in_(list(messages)),
            column.destination.in_({destination_of(lane) for lane in lanes}),
            column.state == "queued",
            column.next_attempt_at <= claim.now,
        )
        .order_by(column.id)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def _lease(connection: Connection, ids: Sequence[int], claim: Claim) -> None:
    column = RECIPIENT.c
    connection.execute(
        update(RECIPIENT)
        .where(column.id.in_(ids))
        .values(
            attempts=column.attempts + 1,
            crashes=column.crashes + case((column.lease_until.is_not(None), 1), else_=0),
            lease_until=claim.lease_until,
            next_attempt_at=claim.lease_until,
        )
    )


_ITEM = (
    select(
        RECIPIENT,
        MAILBOX.c.address.label("mailbox"),
        MAILBOX.c.home,
        MAILBOX.c.quota_mb,
        *(
            column.label(f"message_{column.name}")
            for column in MESSAGE.c
            if column.name not in ("id", "content")
        ),
    )
    .join(MESSAGE, MESSAGE.c.id == RECIPIENT.c.message_id)
    .outerjoin(MAILBOX, MAILBOX.c.id == RECIPIENT.c.mailbox_id)
)


def items(connection: Connection, leased: Sequence[Any]) -> list[QueueItem]:
    """What an attempt needs of recipients, in their order; rows of `id` and `next_attempt_at`."""
    if not leased:
        return []
    query = _ITEM.where(RECIPIENT.c.id.in_([row.id for row in leased]))
    rows = {row.id: row for row in connection.execute(query)}
    messages: dict[str, QueuedMessage] = {}
    found = []
    for before in leased:
        row = rows[before.id]
        message = messages.setdefault(row.message_id, _message(row))
        found.append(_item(row, message, by_hand=before.next_attempt_at == BY_HAND))
    return found


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
        require_tls=row.message_require_tls,
        priority=row.message_priority,
        direction=row.message_direction,
    )


def _item(row: Row[Any], message: QueuedMessage, *, by_hand: bool) -> QueueItem:
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
        by_hand=by_hand,
        crashes=row.crashes,
        home=Address.parse(row.home) if row.home else None,
        quota_mb=row.quota_mb or 0,
    )
