"""Who hears of held mail and of refused secrets, in the transaction that holds or refuses."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session
from sqlmodel import select as select_model

from mailgov import ledger
from mailgov.clock import VIETNAM, local_date
from mailgov.config import Config
from mailgov.db.models import Instance, Mailbox
from mailgov.holding.keepers import Desk, Keeper, deadline_of, desks_for, owner
from mailgov.holding.letters import Letter, Line, as_message, moment, named
from mailgov.ledger.events import HeldReminded, HeldTold, MessageAccepted, MessageRefused
from mailgov.logs import logger
from mailgov.queue import NewMessage, enqueue
from mailgov.queue.admin import Intervention
from mailgov.queue.tables import EVENT, MESSAGE, RECIPIENT, VERDICT

SECURITY_ROLE = "security-officer"
"""Who hears of refused secrets."""

REMINDED_ON = "held-reminded-on"
"""The day of the last reminder, among the facts about this installation."""

MOST_IN_AN_HOUR = 30
"""Letters about single messages to one mailbox: who bombs us must not bury those who decide."""

_HOUR = timedelta(hours=1)
_REMIND_FROM_HOUR = 7  # in Vietnam: the letter is there when work begins
_MAX_ROWS = 50  # messages listed in one reminder

log = logger("holding")


def deadline(config: Config) -> timedelta:
    """How long one owner has."""
    return timedelta(hours=config.policy.hold_hours)


def tell_held(
    session: Session, config: Config, new: NewMessage, codes: Sequence[str], subject: str
) -> None:
    """A message was held: its sender, if ours, and its keepers are told."""
    now = new.accepted_at
    on_the_way = desks_for(
        session, new.agency_code, config.policy.hold_role, local_date(new.accepted_at)
    )
    desk = owner(on_the_way, now, now, deadline(config))
    until = deadline_of(now, now, deadline(config))
    recipients = Line("recipients", named([recipient.address for recipient in new.recipients]))
    reference = Line("reference", new.queue_id)
    letters = []
    if new.envelope.login and (sender := _mailbox(session, new.envelope.login.key)):
        lines = (Line("subject", subject), Line("sent", moment(now)), recipients, reference)
        letters.append(
            Letter(
                "held", sender.address, sender.mailbox_id, new.agency_code,
                subject, lines, tuple(codes), until=until,
            )
        )  # fmt: skip
    author = Line("sender", str(new.envelope.mail_from or "<>"))
    lines = (author, recipients, Line("sent", moment(now)), reference)
    letters += [
        Letter(
            "keeper", keeper.address, keeper.mailbox_id, desk.agency_code,
            new.queue_id, lines, tuple(codes), until=until,
        )
        for desk in ([desk] if desk else [])
        for keeper in desk.keepers
    ]  # fmt: skip
    if desk is None:
        log.warning("held.without-keeper", queue_id=new.queue_id, agency=new.agency_code)
    _send_about(session, config, new.queue_id, letters, now)


def tell_secret(session: Session, config: Config, refused: MessageRefused) -> None:
    """A message with a mark of secrecy was refused: the agency's security officers are told."""
    nearest = desks_for(session, refused.agency_code, SECURITY_ROLE, local_date(refused.at))[:1]
    lines = (
        Line("sender", refused.mail_from or "<>"),
        Line("sent", moment(refused.at)),
        Line("mark", ", ".join(refused.marks)),
        Line("reference", refused.message_id),
    )
    letters = [
        Letter(
            "secret", keeper.address, keeper.mailbox_id, desk.agency_code,
            refused.message_id, lines, (refused.code,),
        )
        for desk in nearest
        for keeper in desk.keepers
    ]  # fmt: skip
    if not letters:
        log.warning("secret.without-officer", queue_id=refused.message_id)
    _send_about(session, config, refused.message_id, letters, refused.at)


def tell_asked(
    session: Session,
    config: Config,
    desk: Desk | None,
    queue_id: str,
    by: Intervention,
    until: datetime,
) -> None:
    """Somebody whose mail is held asks for its release: those who decide now are told."""
    lines = (Line("asker", by.actor), Line("reason", by.reason), Line("reference", queue_id))
    letters = [
        Letter(
            "asked", keeper.address, keeper.mailbox_id, desk.agency_code,
            queue_id, lines, until=until,
        )
        for desk in ([desk] if desk else [])
        for keeper in desk.keepers
    ]  # fmt: skip
    if desk is None:
        log.warning("held.without-keeper", queue_id=queue_id)
    _send_about(session, config, queue_id, letters, by.at)


@dataclass(frozen=True, slots=True)
class _Held:
    queue_id: str
    mail_from: str
    agency_code: str
    code: str
    held_at: datetime


def remind(session: Session, config: Config, now: datetime) -> bool:
    """Once a day, tell every owner what waits for them; whether it was done now.

    Mail whose owner let the deadline pass is told to the next one above.
    """
    local = now.astimezone(VIETNAM)
    last = session.get(Instance, REMINDED_ON, with_for_update=True)
    if local.hour < _REMIND_FROM_HOUR or (last and last.value >= local.date().isoformat()):
        return False
    if last is None:
        last = Instance(key=REMINDED_ON, value="")
    last.value = local.date().isoformat()
    session.add(last)
    session.flush()
    waiting = _by_desk(session, config, now)
    for desk, held in waiting.items():
        _remind(session, config, desk, held, now)
    return True


def _by_desk(session: Session, config: Config, now: datetime) -> dict[Desk | None, list[_Held]]:
    known: dict[str, tuple[Desk, ...]] = {}
    waiting: dict[Desk | None, list[_Held]] = defaultdict(list)
    for one in _held(session):
        if one.agency_code not in known:
            role, today = config.policy.hold_role, local_date(now)
            known[one.agency_code] = desks_for(session, one.agency_code, role, today)
        desk = owner(known[one.agency_code], one.held_at, now, deadline(config))
        waiting[desk].append(one)
    return waiting


def _held(session: Session) -> Iterable[_Held]:
    """Every message that the policy holds, oldest first."""
    is_held = (
        select(RECIPIENT.c.id)
        .where(RECIPIENT.c.message_id == MESSAGE.c.id, RECIPIENT.c.state == "held")
        .exists()
    )
    query = (
        select(
            MESSAGE.c.id,
            MESSAGE.c.mail_from,
            MESSAGE.c.agency_code,
            VERDICT.c.code,
            MESSAGE.c.accepted_at,
        )
        .join(VERDICT, VERDICT.c.message_id == MESSAGE.c.id)
        .where(MESSAGE.c.done_at.is_(None), VERDICT.c.action.in_(("hold", "quarantine")), is_held)
        .order_by(MESSAGE.c.id)
    )
    rows: list[Any] = list(session.connection().execute(query))
    return [_Held(*row) for row in rows]


def _remind(
    session: Session, config: Config, desk: Desk | None, held: Sequence[_Held], now: datetime
) -> None:
    overdue = sum(now - one.held_at >= deadline(config) for one in held)
    event = HeldReminded(
        at=now,
        agency_code=desk.agency_code if desk else "",
        actor="scheduler",
        role=desk.role if desk else "",
        messages=len(held),
        overdue=overdue,
        told=[keeper.address for keeper in desk.keepers] if desk else [],
    )
    ledger.record(session, event)
    if desk is None:
        log.error("held.without-keeper", messages=len(held), overdue=overdue)
        return
    rows = [
        f"{one.queue_id} {one.mail_from or '<>'} [{one.code}] {moment(one.held_at)}"
        for one in held[:_MAX_ROWS]
    ]
    if len(held) > len(rows):
        rows.append(f"… (+{len(held) - len(rows)})")
    letters = [
        Letter(
            "reminder", keeper.address, keeper.mailbox_id, desk.agency_code,
            str(len(held)), (), rows=tuple(rows),
        )
        for keeper in desk.keepers
    ]  # fmt: skip
    _send(session, config, letters, now)


def _mailbox(session: Session, key: str) -> Keeper | None:
    found = session.exec(select_model(Mailbox).where(Mailbox.address == key)).first()
    return Keeper(found.address, found.id) if found is not None and found.id else None


def _send_about(
    session: Session, config: Config, queue_id: str, letters: Iterable[Letter], now: datetime
) -> None:
    """Letters about one message; whoever got many within the hour waits for the reminder."""
    for letter in letters:
        if _has_enough(session, letter.to, now):
            log.warning("held.told-enough", queue_id=queue_id, keeper=letter.to)
            continue
        (notice,) = _send(session, config, [letter], now)
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


def _send(session: Session, config: Config, letters: Iterable[Letter], now: datetime) -> list[str]:
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
