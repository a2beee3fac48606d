"""Writing down what came of an attempt: recipient, ledger and notices in one transaction.

Only the holder of the lease may write: a result counts while the recipient is queued and still has
the attempt number under which it was claimed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlmodel import Session

from mailgov import ledger
from mailgov.db.types import Moment
from mailgov.ledger import Event
from mailgov.ledger.events import (
    MessageAccepted,
    MessageCorrupt,
    MessagePoison,
    RecipientBounced,
    RecipientDeferred,
    RecipientDelivered,
)
from mailgov.queue.acceptance import enqueue
from mailgov.queue.item import MAILBOX as LOCAL
from mailgov.queue.item import Notice, QueuedMessage, QueueItem, Result
from mailgov.queue.tables import MESSAGE, RECIPIENT

OPEN_STATES = ("queued", "held")
"""States of recipients that have no end yet."""


def settle(
    session: Session, results: Sequence[Result], notices: Sequence[Notice], now: datetime
) -> list[Result]:
    """Write results and the notices about them; those that counted, in order."""
    connection = session.connection()
    delayed = {
        about for notice in notices for about, kind in notice.about.items() if kind == "delay"
    }
    counted = [
        result
        for result in results
        if _write(connection, result, now, is_delay_told=result.item.recipient_id in delayed)
    ]
    told = {result.item.recipient_id for result in counted}
    sent = [notice for notice in notices if not told.isdisjoint(notice.about)]
    ledger.record(session, *(_event(result, sent, now) for result in counted))
    for notice in sent:
        enqueue(session, notice.message)
        ledger.record(session, _accepted(notice))
    return counted


# Built once: putting a statement together costs more than running it.
_WRITE = (
    update(RECIPIENT)
    .where(
        RECIPIENT.c.id == bindparam("recipient_id"),
        RECIPIENT.c.attempts == bindparam("attempt"),
        RECIPIENT.c.state == "queued",
    )
    .values(
        state=bindparam("new_state"),
        last_reply=bindparam("reply"),
        lease_until=None,
        crashes=0,
        next_attempt_at=bindparam("next_at"),
        done_at=bindparam("ended_at"),
        delay_notified_at=func.coalesce(
            bindparam("told_at", type_=Moment()), RECIPIENT.c.delay_notified_at
        ),
    )
)


def _write(connection: Connection, result: Result, now: datetime, *, is_delay_told: bool) -> bool:
    values = {
        "recipient_id": result.item.recipient_id,
        "attempt": result.item.attempt,
        "new_state": result.state,
        "reply": result.reply,
        "next_at": result.next_attempt_at,
        "ended_at": None if result.state == "queued" else now,
        "told_at": now if is_delay_told else None,
    }
    return connection.execute(_WRITE, values).rowcount == 1


def _event(result: Result, notices: Iterable[Notice], now: datetime) -> Event:
    item, message = result.item, result.item.message
    mailbox = item.mailbox.key if item.mailbox else ""
    recipient = str(item.address)
    match result.state:
        case "delivered":
            return RecipientDelivered(
                at=now,
                message_id=message.queue_id,
                mailbox=mailbox,
                agency_code=message.agency_code,
                recipient=recipient,
                local=item.destination == LOCAL,
                reply=result.reply,
                seconds=(now - message.accepted_at).total_seconds(),
                attempt=item.attempt,
            )
        case "queued":
            assert result.next_attempt_at is not None
            return RecipientDeferred(
                at=now,
                message_id=message.queue_id,
                mailbox=mailbox,
                agency_code=message.agency_code,
                recipient=recipient,
                reply=result.reply,
                attempt=item.attempt,
                next_attempt_at=result.next_attempt_at.isoformat(),
            )
        case "bounced":
            return RecipientBounced(
                at=now,
                message_id=message.queue_id,
                mailbox=mailbox,
                agency_code=message.agency_code,
                recipient=recipient,
                reply=result.reply,
                attempt=item.attempt,
                notice=_notice_about(item, notices),
            )


def _notice_about(item: QueueItem, notices: Iterable[Notice]) -> str:
    ids = (n.message.queue_id for n in notices if n.about.get(item.recipient_id) == "failure")
    return next(ids, "")


def _accepted(notice: Notice) -> Event:
    new = notice.message
    return MessageAccepted(
        at=new.accepted_at,
        message_id=new.queue_id,
        agency_code=new.agency_code,
        actor="deliver",
        direction=new.envelope.direction,
        action=new.verdict.action.label,
        recipients=len(new.recipients),
        size_bytes=new.size_bytes,
        channel="notice",
    )


_IS_OPEN = exists().where(
    RECIPIENT.c.message_id == MESSAGE.c.id, RECIPIENT.c.state.in_(OPEN_STATES)
)
_FINISH = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("queue_id"), MESSAGE.c.done_at.is_(None), ~_IS_OPEN)
    .values(done_at=bindparam("now"), content=None)
    .returning(MESSAGE.c.spool_name)
)


def finish(session: Session, queue_ids: Iterable[str], now: datetime) -> list[str]:
    """Close messages whose recipients all have an end; the content goes. Names of spool files.

    A transaction of its own, after that of the results: of two deliverers who end the last two
    recipients at once, the later one sees both.
    """
    connection = session.connection()
    names: list[str] = []
    for queue_id in sorted(queue_ids):
        closed = connection.execute(_FINISH, {"queue_id": queue_id, "now": now})
        names += [name for name in closed.scalars() if name]
    return names


def unfinished(session: Session, before: datetime, count: int = 1000) -> list[str]:
    """Messages that a crash kept from being closed: no recipient is open, yet they are not done."""
    query = (
        select(MESSAGE.c.id)
        .where(MESSAGE.c.done_at.is_(None), MESSAGE.c.accepted_at < before, ~_IS_OPEN)
        .limit(count)
    )
    return list(session.connection().execute(query).scalars())


def count_ours(session: Session, items: Sequence[QueueItem]) -> int:
    """How many of the items still belong to this attempt."""
    # By id alone: SQLite would go through all that are queued instead, or all there are.
    query = select(RECIPIENT.c.id, RECIPIENT.c.attempts, RECIPIENT.c.state).where(
        RECIPIENT.c.id.in_([item.recipient_id for item in items])
    )
    rows = session.connection().execute(query)
    queued = {row.id: row.attempts for row in rows if row.state == "queued"}
    return sum(queued.get(item.recipient_id) == item.attempt for item in items)


_RELEASE = (
    update(RECIPIENT)
    .where(
        RECIPIENT.c.id == bindparam("recipient_id"),
        RECIPIENT.c.attempts == bindparam("attempt"),
        RECIPIENT.c.state == "queued",
    )
    .values(lease_until=None, next_attempt_at=bindparam("next_at"))
)


def release(session: Session, items: Iterable[QueueItem], now: datetime) -> None:
    """Give leases back: the recipients are due at once."""
    values = [
        {"recipient_id": item.recipient_id, "attempt": item.attempt, "next_at": now}
        for item in items
    ]
    session.connection().execute(_RELEASE, values)


def free_all(session: Session, now: datetime) -> int:
    """Make every leased recipient due, because no other deliverer can be at work. How many.

    The leases stay as marks: their next claim counts the end of the process that had them.
    """
    freed = session.connection().execute(
        update(RECIPIENT)
        .where(RECIPIENT.c.state == "queued", RECIPIENT.c.lease_until.is_not(None))
        .values(next_attempt_at=now)
    )
    return freed.rowcount


def bring_back(session: Session, now: datetime, longest: timedelta) -> int:
    """Make due what is due later than anything can be: the clock was wrong when it was set."""
    early = session.connection().execute(
        update(RECIPIENT)
        .where(RECIPIENT.c.state == "queued", RECIPIENT.c.next_attempt_at > now + longest)
        .values(next_attempt_at=now)
    )
    return early.rowcount


def set_aside(session: Session, message: QueuedMessage, now: datetime) -> None:
    """Hold what is left of a message whose bytes are not those that were accepted."""
    connection = session.connection()
    held = _hold(connection, message.queue_id, "corrupt", RECIPIENT.c.state == "queued")
    event = MessageCorrupt(
        at=now,
        message_id=message.queue_id,
        agency_code=message.agency_code,
        actor="deliver",
        recipients=held,
    )
    ledger.record(session, event)


def set_poison(session: Session, queue_id: str, now: datetime) -> None:
    """Hold what is left of a message whose deliveries end with their process, again and again."""
    connection = session.connection()
    idle = or_(RECIPIENT.c.lease_until.is_(None), RECIPIENT.c.next_attempt_at <= now)
    held = _hold(connection, queue_id, "poison", idle)  # what others have under way ends by itself
    agency_code = connection.execute(
        select(MESSAGE.c.agency_code).where(MESSAGE.c.id == queue_id)
    ).scalar_one()
    event = MessagePoison(
        at=now, message_id=queue_id, agency_code=agency_code, actor="deliver", recipients=held
    )
    ledger.record(session, event)


def _hold(connection: Connection, queue_id: str, state: str, which: ColumnElement[bool]) -> int:
    connection.execute(update(MESSAGE).where(MESSAGE.c.id == queue_id).values(state=state))
    held = connection.execute(
        update(RECIPIENT)
        .where(RECIPIENT.c.message_id == queue_id, RECIPIENT.c.state == "queued", which)
        .values(state="held", lease_until=None, next_attempt_at=None)
    )
    return held.rowcount
