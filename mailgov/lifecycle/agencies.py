"""Agencies that move, merge and close on their day.

On its day an act is surveyed anew: who joined since it was planned goes along, and an address that was
given away since is met with another number. What was shown at planning is how it stood then.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from mailgov.clock import local_date
from mailgov.db.models import PlannedAct
from mailgov.directory.change import Act, Change
from mailgov.directory.provisioning import get_agency
from mailgov.directory.provisioning.agencies import move_agency
from mailgov.directory.reorganisation import Merger, carry_out, survey
from mailgov.errors import Conflict
from mailgov.lifecycle import planning
from mailgov.lifecycle.planning import Performer

MOVE = "agency.move"
MERGE = "agency.merge"
CLOSE = "agency.close"

_DAY = timedelta(days=1)


def check_move(session: Session, code: str, to: str) -> None:
    """Raise NotFound `agency-unknown`, or Conflict `agency-ends-already` by another plan."""
    get_agency(session, code)
    get_agency(session, to)
    _require_not_ending(session, (code, to), MOVE)


def check_merger(session: Session, act: Act, merger: Merger) -> None:
    """Raise what `survey` raises, or Conflict `agency-ends-already` by another plan."""
    survey(session, merger, local_date(act.at))
    kind = CLOSE if merger.closing else MERGE
    _require_not_ending(session, (*merger.sources, merger.into), kind, merger.sources[0])


def plan_move(session: Session, act: Act, code: str, to: str, on: date) -> PlannedAct:
    """Plan that an agency, with all that is below it, comes under another one.

    Raises what `check_move` raises; Conflict `act-planned-otherwise`.
    """
    check_move(session, code, to)
    return planning.plan(
        session,
        kind=MOVE,
        subject=code,
        on=on,
        arguments={"to": to},
        actor=act.actor,
        reason=act.reason,
        agency_code=code,
        at=act.at,
    )


def plan_merger(session: Session, act: Act, merger: Merger) -> PlannedAct:
    """Plan a merger or the end of an agency; what it comes to is surveyed at once, to refuse what can't be.

    Raises what `check_merger` raises; Conflict `act-planned-otherwise`.
    """
    check_merger(session, act, merger)
    return planning.plan(
        session,
        kind=CLOSE if merger.closing else MERGE,
        subject=merger.sources[0],
        on=merger.on,
        arguments=merger.arguments(),
        actor=act.actor,
        reason=act.reason,
        agency_code=merger.into,
        at=act.at,
    )


def _require_not_ending(
    session: Session, codes: tuple[str, ...], kind: str, subject: str = ""
) -> None:
    """Raise Conflict `agency-ends-already` when another plan lets one of the agencies end."""
    plans = select(PlannedAct).where(PlannedAct.state == "planned", PlannedAct.kind != MOVE)
    for found in session.exec(plans):
        if found.kind not in (MERGE, CLOSE) or (found.kind, found.subject) == (kind, subject):
            continue
        ending = [code for code in codes if code in found.arguments["sources"]]
        if ending:
            raise Conflict(
                "agency-ends-already", code=ending[0], act=found.id, on=found.on_day - _DAY
            )


def _move(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    act = Act(planned.actor, now, planned.reason)
    change = move_agency(session, act, planned.subject, planned.arguments["to"], on=planned.on_day)
    return planning.result_of(change)


def _merge(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    act = Act(planned.actor, now, planned.reason)
    merger = Merger.planned(planned.on_day, planned.arguments)
    done = carry_out(session, act, survey(session, merger, local_date(now)))
    fields = {"successor": ("", merger.into)}
    verb = "close" if merger.closing else "merge"
    details = {**done, "sources": list(merger.sources)}
    change = Change("agency", verb, planned.subject, fields, merger.into, details=details)
    return planning.result_of(change)


PERFORMERS: Mapping[str, Performer] = {MOVE: _move, MERGE: _merge, CLOSE: _merge}
