"""Letters of the platform into the queue, and the ledger's note of who was told."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session
from sqlmodel import select as select_model

from mailgov import ledger
from mailgov.config import Config
from mailgov.db.models import Mailbox
from mailgov.holding.keepers import Deadline, Keeper
from mailgov.holding.letters import Letter, as_message
from mailgov.ledger.events import HeldTold, MessageAccepted
from mailgov.logs import logger
from mailgov.queue import enqueue
from mailgov.queue.tables import EVENT
from mailgov.working_time import WorkingTime

MOST_IN_AN_HOUR = 30
"""Letters about single messages to one mailbox: who bombs us must not bury those who decide."""

_HOUR = timedelta(hours=1)

log = logger("holding")


def deadline(config: Config) -> Deadline:
    """How long one owner has."""
    working = WorkingTime.parse(config.site.working_hours)
    return Deadline(timedelta(hours=config.policy.hold_hours), working)


def mailbox(session: Session, key: str) -> Keeper | None:
    """A mailbox of ours by its address."""
    found = session.exec(select_model(Mailbox).where(Mailbox.address == key)).first()
    return Keeper(found.address, found.id) if found is not None and found.id else None


def send_about(
    session: Session, config: Config, queue_id: str, letters: Iterable[Letter], now: datetime
) -> list[str]:
    """Letters about one message; whoever got many within the hour waits for the reminder.

    Who was told.
    """
    told = []
    for letter in letters:
        if _has_enough(session, letter.to, now):
            log.warning("held.told-enough", queue_id=queue_id, keeper=letter.to)
            continue
        (notice,) = send(session, config, [letter], now)
        event = HeldTold(
            at=now,
            message_id=queue_id,
            mailbox=letter.to,
            agency_code=letter.agency_code,
            actor="holding",
            letter=letter.kind,
            notice=notice,
        )
        ledger.record(session, event)
        told.append(letter.to)
    return told


def _has_enough(session: Session, address: str, now: datetime) -> bool:
    told = (
        select(func.count())
        .select_from(EVENT)
        .where(
            EVENT.c.kind == HeldTold.kind,
            EVENT.c.at > now - _HOUR,
            EVENT.c.mailbox == address,
        )
    )
    return session.connection().execute(told).scalar_one() >= MOST_IN_AN_HOUR


def send(session: Session, config: Config, letters: Iterable[Letter], now: datetime) -> list[str]:
    """Queue letters; their queue ids."""
    sent = []
    for letter in letters:
        new = as_message(letter, config, now)
        enqueue(session, new)
        event = MessageAccepted(
            at=now,
            message_id=new.queue_id,
            agency_code=new.agency_code,
            actor="holding",
            direction=new.envelope.direction,
            action=new.verdict.action.label,
            size_bytes=new.size_bytes,
            channel="notice",
        )
        ledger.record(session, event)
        sent.append(new.queue_id)
    return sent
