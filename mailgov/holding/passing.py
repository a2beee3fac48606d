"""What the clock does to held mail: it passes to the next owner, and each morning owners hear of it.

Nothing lapses: whoever owns a message is told when it becomes theirs, and every working day after.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from mailgov import ledger
from mailgov.clock import VIETNAM, local_date
from mailgov.config import Config
from mailgov.db.models import Instance
from mailgov.holding.keepers import Desk, awaiting_moderators, desks_for, owner
from mailgov.holding.letters import Letter, LetterKind, moment
from mailgov.holding.sending import deadline, log, send
from mailgov.holding.telling import assigned
from mailgov.ledger.events import HeldAssigned, HeldReminded
from mailgov.queue.tables import EVENT, MESSAGE, RECIPIENT, VERDICT
from mailgov.working_time import is_working_day

REMINDED_ON = "held-reminded-on"
"""The day of the last reminder, among the facts about this installation."""

PASSED_AT = "held-passed-at"
"""When held mail was last looked through for new owners."""

_REMIND_FROM_HOUR = 7  # in Vietnam: the letter is there when work begins
_MAX_ROWS = 50  # messages listed in one letter


@dataclass(frozen=True, slots=True)
class _Held:
    queue_id: str
    mail_from: str
    agency_code: str
    code: str
    held_at: datetime
    groups: tuple[str, ...]  # whose moderators decide


def pass_on(session: Session, config: Config, now: datetime) -> int:
    """Tell whoever has come to decide on held mail; of how many messages.

    Owners change when one lets the deadline pass, and when roles are given and taken.
    """
    _locked(session, PASSED_AT).value = now.isoformat()  # two schedulers must not tell twice
    known = _last_owners(session)
    passed = 0
    for desk, held in _by_desk(session, config, now).items():
        key = (desk.role, desk.agency_code) if desk else ("", "")
        new = [one for one in held if known.get(one.queue_id) != key]
        if new:
            _assign(session, config, desk, new, now)
            passed += len(new)
    return passed


def _last_owners(session: Session) -> dict[str, tuple[str, str]]:
    """Role and agency that decided last on each open message."""
    query = (
        select(EVENT.c.message_id, EVENT.c.data)
        .join(MESSAGE, MESSAGE.c.id == EVENT.c.message_id)
        .where(EVENT.c.kind == HeldAssigned.kind, MESSAGE.c.done_at.is_(None))
        .order_by(EVENT.c.id)
    )
    rows = session.connection().execute(query)
    return {queue_id: (data["role"], data["desk"]) for queue_id, data in rows}


def _assign(
    session: Session, config: Config, desk: Desk | None, held: Sequence[_Held], now: datetime
) -> None:
    for one in held:
        until = deadline(config).of(one.held_at, now)
        ledger.record(session, assigned(one.queue_id, one.agency_code, desk, until, now))
        log.info(
            "held.assigned",
            queue_id=one.queue_id,
            role=desk.role if desk else "",
            agency=desk.agency_code if desk else "",
        )
    if desk is None:
        log.error("held.without-keeper", messages=len(held))
        return
    rows = _rows(held, lambda one: f" → {moment(deadline(config).of(one.held_at, now))}")
    send(session, config, _letters("passed", desk, len(held), rows), now)


def remind(session: Session, config: Config, now: datetime) -> bool:
    """Once on each working day, tell every owner what waits for them; whether it was done now."""
    local = now.astimezone(VIETNAM)
    if local.hour < _REMIND_FROM_HOUR or not is_working_day(local.date()):
        return False
    last = _locked(session, REMINDED_ON)
    if last.value >= local.date().isoformat():
        return False
    last.value = local.date().isoformat()
    for desk, held in _by_desk(session, config, now).items():
        _remind(session, config, desk, held, now)
    return True


def _locked(session: Session, key: str) -> Instance:
    """A fact about this installation that nobody else changes meanwhile."""
    found = session.get(Instance, key, with_for_update=True)
    if found is None:
        found = Instance(key=key, value="")
        session.add(found)
        session.flush()
    return found


def _by_desk(session: Session, config: Config, now: datetime) -> dict[Desk | None, list[_Held]]:
    known: dict[tuple[str, tuple[str, ...]], tuple[Desk, ...]] = {}
    waiting: dict[Desk | None, list[_Held]] = defaultdict(list)
    for one in _held(session):
        key = (one.agency_code, one.groups)
        if key not in known:
            role, today = config.policy.hold_role, local_date(now)
            known[key] = desks_for(session, one.agency_code, role, today, one.groups)
        desk = owner(known[key], one.held_at, now, deadline(config))
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
            VERDICT.c.findings,
        )
        .join(VERDICT, VERDICT.c.message_id == MESSAGE.c.id)
        .where(MESSAGE.c.done_at.is_(None), VERDICT.c.action.in_(("hold", "quarantine")), is_held)
        .order_by(MESSAGE.c.id)
    )
    rows: list[Any] = list(session.connection().execute(query))
    return [
        _Held(queue_id, mail_from, agency, code, at, awaiting_moderators(findings))
        for queue_id, mail_from, agency, code, at, findings in rows
    ]


def _remind(
    session: Session, config: Config, desk: Desk | None, held: Sequence[_Held], now: datetime
) -> None:
    overdue = sum(deadline(config).passed(one.held_at, now) > 0 for one in held)
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
    send(session, config, _letters("reminder", desk, len(held), _rows(held)), now)


def _letters(kind: LetterKind, desk: Desk, count: int, rows: Sequence[str]) -> list[Letter]:
    return [
        Letter(
            kind, keeper.address, keeper.mailbox_id, desk.agency_code, str(count), (),
            rows=tuple(rows),
        )
        for keeper in desk.keepers
    ]  # fmt: skip


def _rows(held: Sequence[_Held], more: Callable[[_Held], str] = lambda _: "") -> list[str]:
    """The messages of a letter, one a line; of many the first ones and how many more there are."""
    rows = [
        f"{one.queue_id} {one.mail_from or '<>'} [{one.code}] {moment(one.held_at)}{more(one)}"
        for one in held[:_MAX_ROWS]
    ]
    return [*rows, f"… (+{len(held) - len(rows)})"] if len(held) > len(rows) else rows
