"""Acts with a day: written down, tried beforehand, done once on their day, or taken back.

A performer does the act in the caller's transaction, with all events that belong to it, and returns
what came of it, ready for JSON. It is called at most once for each act that ends `done`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.db import Database
from mailgov.db.models import Mailbox, PlannedAct
from mailgov.directory.change import Act, Change
from mailgov.directory.former import addresses_had
from mailgov.errors import Conflict, MailgovError, NotFound, Unavailable
from mailgov.ledger.events import ActPlanned
from mailgov.logs import logger

Performer = Callable[[Session, PlannedAct, datetime], Mapping[str, Any]]
Performers = Mapping[str, Performer]  # by kind of act

UNEXPECTED = "act-fault"  # a fault of the program; the log has the cause

MAILBOX = "mailbox"
"""The argument that names a mailbox by its number, which stays when the address does not."""

FIELDS = ("id", "kind", "subject", "on", "state", "actor", "reason", "ended_at", "failure")

log = logger("lifecycle")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one act. `state` is done, failed, or planned when it must wait."""

    id: int
    kind: str
    subject: str
    state: str
    code: str = ""  # of the error


def plan(
    session: Session,
    *,
    kind: str,
    subject: str,
    on: date,
    arguments: Mapping[str, Any] | None = None,
    actor: str,
    reason: str = "",
    agency_code: str = "",
    at: datetime,
) -> PlannedAct:
    """Write an act down for its day. The very same act, still planned, is returned as it is.

    `subject` is an address key or the code of an agency, `agency_code` the branch whose
    administrators may see it. Raises Conflict `act-planned-otherwise` when the subject has another
    plan of this kind.
    """
    wanted = dict(arguments or {})
    there = select(PlannedAct).where(
        PlannedAct.kind == kind, PlannedAct.subject == subject, PlannedAct.state == "planned"
    )
    if (found := session.exec(there).first()) is not None:
        if (found.on_day, found.arguments) == (on, wanted):
            return found
        raise Conflict("act-planned-otherwise", id=found.id, subject=subject, on=found.on_day)
    act = PlannedAct(
        kind=kind,
        subject=subject,
        agency_code=agency_code,
        on_day=on,
        arguments=wanted,
        actor=actor,
        reason=reason,
        created_at=at,
        result={},
        failure_fields={},
    )
    session.add(act)
    session.flush()
    _record(session, act, "planned", Act(actor, at, reason))
    return act


def of_mailbox(session: Session, mailbox: Mailbox, kinds: Sequence[str]) -> list[PlannedAct]:
    """What is planned for a mailbox, under the present address or a former one."""
    assert mailbox.id is not None
    query = (
        select(PlannedAct)
        .where(
            PlannedAct.state == "planned",
            col(PlannedAct.kind).in_(kinds),
            col(PlannedAct.subject).in_([mailbox.address, *addresses_had(session, mailbox.id)]),
        )
        .order_by(col(PlannedAct.id))
    )
    found = session.exec(query).all()
    return [act for act in found if act.arguments.get(MAILBOX, mailbox.id) == mailbox.id]


def address_of(session: Session, planned: PlannedAct) -> str:
    """The address that the mailbox of a plan has now: it may have got another one since."""
    number = planned.arguments.get(MAILBOX)
    mailbox = session.get(Mailbox, number) if number is not None else None
    return mailbox.address if mailbox is not None else planned.subject


def get(session: Session, number: int) -> PlannedAct:
    """The act of that number. Raises NotFound `act-unknown`."""
    act = session.get(PlannedAct, number)
    if act is None:
        raise NotFound("act-unknown", id=number)
    return act


def cancel(session: Session, number: int, act: Act) -> PlannedAct:
    """Take back what is still planned, or what failed; cancelling twice changes nothing.

    Raises NotFound `act-unknown`, Conflict `act-done`.
    """
    planned = get(session, number)
    if planned.state == "cancelled":
        return planned
    if planned.state == "done":
        raise Conflict("act-done", id=number, on=planned.on_day)
    planned.state, planned.ended_at = "cancelled", act.at
    session.add(planned)
    session.flush()
    _record(session, planned, "cancelled", act)
    return planned


def due(session: Session, today: date) -> list[PlannedAct]:
    """What is to be done by today, in the order of days, then of planning."""
    query = (
        select(PlannedAct)
        .where(PlannedAct.state == "planned", PlannedAct.on_day <= today)
        .order_by(col(PlannedAct.on_day), col(PlannedAct.id))
    )
    return list(session.exec(query))


def rehearse(
    session: Session, planned: PlannedAct, performers: Performers, now: datetime
) -> Mapping[str, Any]:
    """What the act would come to if it were done now; nothing of it is kept.

    Raises what keeps it from being done.
    """
    trial = session.begin_nested()
    try:
        result = performers[planned.kind](session, planned, now)
        session.flush()
    finally:
        trial.rollback()
    return dict(result)


def perform(
    session: Session, planned: PlannedAct, performers: Performers, now: datetime
) -> Mapping[str, Any]:
    """Do an act in the caller's transaction; returns its result, and an old one when it is done.

    Raises what kept it from being done; Conflict `act-cancelled`.
    """
    if planned.state == "done":
        return planned.result
    if planned.state == "cancelled":
        raise Conflict("act-cancelled", id=planned.id)
    result = dict(performers[planned.kind](session, planned, now))
    planned.state, planned.ended_at, planned.result = "done", now, result
    planned.failure, planned.failure_fields = "", {}
    session.add(planned)
    session.flush()
    _record(session, planned, "done", Act(planned.actor, now, planned.reason))
    return result


def perform_one(
    session: Session, number: int, performers: Performers, now: datetime
) -> Outcome | None:
    """Do a due act, or note why it could not be done. None when somebody else has done it.

    What is only not possible for now stays planned.
    """
    waiting = select(PlannedAct).where(PlannedAct.id == number, PlannedAct.state == "planned")
    planned = session.exec(waiting.with_for_update(skip_locked=True)).first()
    if planned is None:
        return None
    try:
        with session.begin_nested():
            perform(session, planned, performers, now)
    except OperationalError:
        raise  # the whole transaction is in trouble
    except Unavailable as exc:
        session.refresh(planned)
        return _outcome(planned, exc.code)
    except MailgovError as exc:
        return _failed(session, planned, exc.code, exc.fields, now)
    except Exception as exc:
        log.exception("act.fault", act=number, kind=planned.kind, cause=repr(exc))
        return _failed(session, planned, UNEXPECTED, {}, now)
    return _outcome(planned)


def perform_due(
    database: Database, today: date, now: datetime, performers: Performers
) -> list[Outcome]:
    """Do everything that is due, one transaction each; one that fails does not stop the others.

    Raises Unavailable `database-unavailable`.
    """
    with database.read() as session:
        numbers = [planned.id for planned in due(session, today)]
    outcomes = []
    for number in numbers:
        assert number is not None
        with database.write() as session:
            outcome = perform_one(session, number, performers, now)
        if outcome is not None:
            outcomes.append(outcome)
            log.info("act", id=outcome.id, kind=outcome.kind, state=outcome.state)
    return outcomes


def failed(session: Session) -> list[PlannedAct]:
    """Acts that could not be done and that nobody has cancelled or tried again."""
    query = select(PlannedAct).where(PlannedAct.state == "failed").order_by(col(PlannedAct.id))
    return list(session.exec(query))


def retry(session: Session, number: int, act: Act) -> PlannedAct:
    """Plan a failed act again, for its old day. Raises NotFound `act-unknown`, Conflict `act-not-failed`."""
    planned = get(session, number)
    if planned.state == "planned":
        return planned
    if planned.state != "failed":
        raise Conflict("act-not-failed", id=number, state=planned.state)
    planned.state, planned.ended_at = "planned", None
    session.add(planned)
    session.flush()
    _record(session, planned, "planned", act)
    return planned


def listed(
    session: Session,
    *,
    state: str = "",
    subject: str = "",
    codes: Sequence[str] | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Plans in the order of their days; `codes` are the agencies to which they are confined."""
    query = select(PlannedAct).order_by(col(PlannedAct.on_day), col(PlannedAct.id)).limit(limit)
    if state:
        query = query.where(PlannedAct.state == state)
    if subject:
        query = query.where(PlannedAct.subject == subject)
    if codes is not None:
        query = query.where(col(PlannedAct.agency_code).in_(codes))
    return [record(planned) for planned in session.exec(query)]


def record(planned: PlannedAct) -> dict[str, Any]:
    """A plan as people and programs read it."""
    return {
        "id": planned.id,
        "kind": planned.kind,
        "subject": planned.subject,
        "agency": planned.agency_code,
        "on": planned.on_day,
        "state": planned.state,
        "arguments": planned.arguments,
        "actor": planned.actor,
        "reason": planned.reason,
        "created_at": planned.created_at,
        "ended_at": planned.ended_at,
        "result": planned.result,
        "failure": planned.failure,
    }


def result_of(change: Change) -> dict[str, Any]:
    """A change as the result of an act: what became of each field, and what went with it."""
    return {
        "target": change.target,
        "changes": {name: list(pair) for name, pair in change.changes.items()},
        **change.details,
    }


def _failed(
    session: Session, planned: PlannedAct, code: str, fields: Mapping[str, Any], now: datetime
) -> Outcome:
    session.refresh(planned)
    planned.state, planned.ended_at = "failed", now
    planned.failure, planned.failure_fields = code, {k: str(v) for k, v in fields.items()}
    session.add(planned)
    session.flush()
    _record(session, planned, "failed", Act(planned.actor, now, planned.reason))
    log.warning("act.failed", act=planned.id, kind=planned.kind, code=code)
    return _outcome(planned, code)


def _outcome(planned: PlannedAct, code: str = "") -> Outcome:
    assert planned.id is not None
    return Outcome(planned.id, planned.kind, planned.subject, planned.state, code)


def _record(session: Session, planned: PlannedAct, step: str, act: Act) -> None:
    assert planned.id is not None
    ledger.record(
        session,
        ActPlanned(
            at=act.at,
            actor=act.actor,
            mailbox=planned.subject if "@" in planned.subject else "",
            agency_code=planned.agency_code,
            act=planned.id,
            what=planned.kind,
            step=step,
            target=planned.subject,
            on=planned.on_day.isoformat(),
            code=planned.failure if step == "failed" else "",
            reason=act.reason,
        ),
    )
