"""Acts with a day on the command line: tried out first, then written down, or done at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from mailgov_cli.runtime import Runtime

if TYPE_CHECKING:
    from sqlmodel import Session

    from mailgov.directory.provisioning import Act, Change
    from mailgov.lifecycle.planning import Performers


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An act that somebody asks for. `verb` is what is said when it is done."""

    kind: str
    noun: str
    verb: str
    subject: str
    agency_code: str
    on: date
    arguments: Mapping[str, Any]


def carry_out(session: "Session", asked: Asked, act: "Act", performers: "Performers") -> "Change":
    """Do it when its day has come, else plan it; either way the fields from old to new.

    In the details: number and day of the plan, and `state`: done or planned. Raises what keeps it
    from being done, also when it is only planned: it is tried as of its day.
    """
    from mailgov.clock import VIETNAM, local_date
    from mailgov.directory.provisioning import Change
    from mailgov.lifecycle import planning

    trial = session.begin_nested()
    planned = planning.plan(
        session,
        kind=asked.kind,
        subject=asked.subject,
        on=asked.on,
        arguments=asked.arguments,
        actor=act.actor,
        reason=act.reason,
        agency_code=asked.agency_code,
        at=act.at,
    )
    there_before = planned.created_at != act.at
    number = planned.id
    if asked.on <= local_date(act.at):
        result = dict(planning.perform(session, planned, performers, act.at))
        state = "done"
    else:
        day = datetime.combine(asked.on, time(0, 5), VIETNAM)
        result = dict(planning.rehearse(session, planned, performers, day))
        state = "planned"
    fields = {name: (old, new) for name, (old, new) in result.pop("changes", {}).items()}
    if not fields or (there_before and state == "planned"):
        trial.rollback()  # nothing to do, so nothing is noted either
        details = {"plan": number if there_before else None, "on": asked.on, "state": state}
        return Change(asked.noun, asked.verb, asked.subject, details=details)
    trial.commit()
    target = result.pop("target", asked.subject)
    verb = asked.verb if state == "done" else "plan"
    details = {"plan": number, "on": asked.on, "state": state, **result}
    return Change(asked.noun, verb, target, fields, asked.agency_code, details=details)


def show(run: Runtime, schema: str, change: "Change", *, dry_run: bool) -> None:
    """Print what it does; then what else ends with it, and how to take back a plan."""
    run.emit_change(schema, change, dry_run=dry_run)
    for name in ("rights", "roles", "groups", "keeper_of"):
        if found := change.details.get(name):
            run.say(f"ends-{name}", count=len(found), what=", ".join(found))
    if change.details.get("state") == "planned" and not change.nothing and not dry_run:
        run.say("planned", id=change.details["plan"], on=change.details["on"].strftime("%d/%m/%Y"))
        run.next(f"mailgov plan cancel {change.details['plan']}")
