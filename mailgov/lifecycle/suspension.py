"""Suspending a mailbox for a time: it opens again by itself on the day after the last one."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from mailgov.clock import local_date
from mailgov.db.models import Agency, Mailbox, PlannedAct
from mailgov.directory import provisioning
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_mailbox
from mailgov.errors import InputError
from mailgov.lifecycle import planning
from mailgov.lifecycle.planning import Performer

RESUME = "mailbox.resume"


def suspend(session: Session, act: Act, address: str, until: date | None = None) -> Change:
    """Stop a mailbox, to this day inclusive where one is named; another day replaces it.

    Raises what `provisioning.suspend` raises; InputError `suspend-until-past`.
    """
    if until is not None and until < local_date(act.at):
        raise InputError("suspend-until-past", until=until)
    change = provisioning.suspend(session, act, address)
    mailbox = get_mailbox(session, address)
    if mailbox.suspended_until == until:
        return change
    days = {"suspended_until": (str(mailbox.suspended_until or ""), str(until or ""))}
    mailbox.suspended_until = until
    session.add(mailbox)
    _cancel_resumption(session, act, mailbox)
    extended = _change(session, mailbox, "suspend" if change.nothing else "edit", days)
    recorded(session, act, extended)
    if until is not None:
        planning.plan(
            session,
            kind=RESUME,
            subject=mailbox.address,
            on=until + timedelta(days=1),
            arguments={planning.MAILBOX: mailbox.id},
            actor=act.actor,
            agency_code=extended.agency_code,
            at=act.at,
        )
    return _change(session, mailbox, "suspend", change.changes | days)


def resume(session: Session, act: Act, address: str) -> Change:
    """Open a suspended or locked mailbox again. Raises what `provisioning.resume` raises."""
    mailbox = get_mailbox(session, address)
    _cancel_resumption(session, act, mailbox)
    change = provisioning.resume(session, act, address)
    fields = dict(change.changes)
    if mailbox.locked_at is not None:
        unlocked = {"locked": (mailbox.locked_at.isoformat(timespec="seconds"), "")}
        mailbox.locked_at = None
        recorded(session, act, _change(session, mailbox, "unlock", unlocked))
        fields |= unlocked
    if fields:
        mailbox.reopened_at = act.at
        session.add(mailbox)
    return _change(session, mailbox, "resume", fields)


def _cancel_resumption(session: Session, act: Act, mailbox: Mailbox) -> None:
    for plan in planning.of_mailbox(session, mailbox, (RESUME,)):
        assert plan.id is not None
        planning.cancel(session, plan.id, act)


def _change(
    session: Session, mailbox: Mailbox, verb: str, fields: Mapping[str, tuple[str, str]]
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    address = mailbox.address
    return Change("mailbox", verb, address, dict(fields), agency_code=code, mailbox=address)


def _perform_resume(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    act = Act(planned.actor, now, planned.reason)
    address = planning.address_of(session, planned)
    return planning.result_of(provisioning.resume(session, act, address))


PERFORMERS: Mapping[str, Performer] = {RESUME: _perform_resume}
