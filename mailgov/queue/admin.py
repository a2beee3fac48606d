"""What an administrator does to waiting mail: try again now, hold, release, remove.

Recipients under way in a live lease are left alone: their attempt will write its own result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlmodel import Session

from mailgov import ledger
from mailgov.access import inside
from mailgov.ledger.events import (
    Event,
    RecipientHeld,
    RecipientReleased,
    RecipientRemoved,
    RecipientRetried,
)
from mailgov.queue.item import BY_HAND
from mailgov.queue.results import finish
from mailgov.queue.tables import MESSAGE, RECIPIENT, VERDICT

BATCH = 1000
"""Recipients changed in one transaction, so that the running server never waits long."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Which waiting recipients are meant: those of some messages, or those that fit every filter."""

    queue_ids: tuple[str, ...] = ()
    destination: str = ""
    queued_before: datetime | None = None
    reply_contains: str = ""
    mail_from: str = ""  # address of the envelope sender, or `@domain`; `<>` for our own notices
    agency_code: str = ""


@dataclass(frozen=True, slots=True)
class Picked:
    """One recipient that was picked."""

    recipient_id: int
    queue_id: str
    address: str
    agency_code: str


@dataclass(frozen=True, slots=True)
class Intervention:
    """Who acts on the queue, when and why."""

    actor: str
    at: datetime
    reason: str = ""


def pick(session: Session, what: Pick, verb: str, now: datetime, *, after: int = 0) -> list[Picked]:
    """The next batch of recipients that `verb` can be done to, behind the recipient id `after`.

    `verb` is retry, hold, release or remove. Release leaves out what the policy holds and
    corrupt messages: the one is judged again before it goes, the other is not what was accepted.
    Poison can be released: whoever does so has seen to what killed the process.
    """
    query = (
        select(RECIPIENT.c.id, RECIPIENT.c.message_id, RECIPIENT.c.address, MESSAGE.c.agency_code)
        .join(MESSAGE, MESSAGE.c.id == RECIPIENT.c.message_id)
        .join(VERDICT, VERDICT.c.id == RECIPIENT.c.verdict_id)
        .where(
            *fits(what),
            *_ready_for(verb, now),
            *inside(session, MESSAGE.c.agency_code),
            RECIPIENT.c.id > after,
        )
        .order_by(RECIPIENT.c.id)
        .limit(BATCH)
    )
    return [Picked(*row) for row in session.connection().execute(query)]


def count(session: Session, what: Pick, verb: str, now: datetime) -> int:
    """How many recipients `verb` can be done to."""
    query = (
        select(func.count())
        .select_from(RECIPIENT)
        .join(MESSAGE, MESSAGE.c.id == RECIPIENT.c.message_id)
        .join(VERDICT, VERDICT.c.id == RECIPIENT.c.verdict_id)
        .where(*fits(what), *_ready_for(verb, now), *inside(session, MESSAGE.c.agency_code))
    )
    return session.connection().execute(query).scalar_one()


def fits(what: Pick) -> list[ColumnElement[bool]]:
    """The conditions on message and recipient that the filters make."""
    conditions: list[ColumnElement[bool]] = []
    if what.queue_ids:
        conditions.append(RECIPIENT.c.message_id.in_(what.queue_ids))
    if what.destination:
        conditions.append(RECIPIENT.c.destination == what.destination)
    if what.queued_before is not None:
        conditions.append(RECIPIENT.c.queued_at < what.queued_before)
    if what.reply_contains:
        conditions.append(RECIPIENT.c.last_reply.icontains(what.reply_contains, autoescape=True))
    if what.mail_from.startswith("@"):
        conditions.append(MESSAGE.c.mail_from.iendswith(what.mail_from, autoescape=True))
    elif what.mail_from:
        sender = what.mail_from.removeprefix("<").removesuffix(">")
        conditions.append(func.lower(MESSAGE.c.mail_from) == sender.lower())
    if what.agency_code:
        conditions.append(MESSAGE.c.agency_code == what.agency_code)
    return conditions


def _ready_for(verb: str, now: datetime) -> list[ColumnElement[bool]]:
    free = or_(RECIPIENT.c.lease_until.is_(None), RECIPIENT.c.lease_until < now)
    match verb:
        case "retry":
            return [RECIPIENT.c.state == "queued", free, RECIPIENT.c.next_attempt_at > now]
        case "hold":
            return [RECIPIENT.c.state == "queued", free]
        case "release":
            return [
                RECIPIENT.c.state == "held",
                MESSAGE.c.state.in_(("intact", "poison")),
                VERDICT.c.action.not_in(("hold", "quarantine")),
            ]
        case "remove":
            return [RECIPIENT.c.state.in_(("queued", "held")), free]
        case _:
            raise ValueError(f"no such act on the queue: {verb}")


def retry(session: Session, picked: Sequence[Picked], by: Intervention) -> None:
    """Make recipients due now, whatever is known of their destination."""
    _set(session, picked, next_attempt_at=BY_HAND)
    ledger.record(session, *(_event(RecipientRetried, one, by) for one in picked))


def hold(session: Session, picked: Sequence[Picked], by: Intervention) -> None:
    """Keep recipients back until they are released."""
    _set(session, picked, state="held", lease_until=None, next_attempt_at=None)
    ledger.record(session, *(_event(RecipientHeld, one, by) for one in picked))


def release(session: Session, picked: Sequence[Picked], by: Intervention) -> None:
    """Let held recipients go, now; the days until we give up begin now too."""
    _set(session, picked, state="queued", next_attempt_at=by.at, queued_at=by.at, crashes=0)
    session.connection().execute(
        update(MESSAGE)
        .where(MESSAGE.c.id.in_({one.queue_id for one in picked}), MESSAGE.c.state == "poison")
        .values(state="intact")
    )
    ledger.record(session, *(_event(RecipientReleased, one, by) for one in picked))


def remove(session: Session, picked: Sequence[Picked], by: Intervention) -> list[str]:
    """Take recipients out for good; nobody is told. Returns spool files to remove after commit."""
    _set(session, picked, state="removed", lease_until=None, next_attempt_at=None, done_at=by.at)
    ledger.record(session, *(_event(RecipientRemoved, one, by) for one in picked))
    return finish(session, {one.queue_id for one in picked}, by.at)


def _of_branch(session: Session) -> list[ColumnElement[bool]]:
    """That the message is of the branch that the session is kept to."""
    seen = inside(session, MESSAGE.c.agency_code)
    return [RECIPIENT.c.message_id.in_(select(MESSAGE.c.id).where(*seen))] if seen else []


def _set(session: Session, picked: Sequence[Picked], **values: Any) -> None:
    session.connection().execute(
        update(RECIPIENT)
        .where(RECIPIENT.c.id.in_([one.recipient_id for one in picked]))
        .values(values)
    )


def _event(
    kind: type[RecipientRetried | RecipientHeld | RecipientReleased | RecipientRemoved],
    one: Picked,
    by: Intervention,
) -> Event:
    return kind(
        at=by.at,
        message_id=one.queue_id,
        agency_code=one.agency_code,
        actor=by.actor,
        recipient=one.address,
        reason=by.reason,
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """What waits for one destination."""

    destination: str
    queued: int
    held: int
    oldest: datetime
    next_attempt_at: datetime | None


def stats(session: Session) -> list[Destination]:
    """Every destination with waiting mail, the longest queue first."""
    queued = func.count().filter(RECIPIENT.c.state == "queued")
    held = func.count().filter(RECIPIENT.c.state == "held")
    query = (
        select(
            RECIPIENT.c.destination,
            queued,
            held,
            func.min(RECIPIENT.c.queued_at),
            func.min(RECIPIENT.c.next_attempt_at),
        )
        .where(RECIPIENT.c.state.in_(("queued", "held")), *_of_branch(session))
        .group_by(RECIPIENT.c.destination)
        .order_by(func.count().desc(), RECIPIENT.c.destination)
    )
    return [Destination(*row) for row in session.connection().execute(query)]
