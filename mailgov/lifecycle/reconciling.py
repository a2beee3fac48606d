"""Carrying out a reviewed reconciliation: line by line, with a journal, so that it goes on and is taken back.

Differences of fields are written at once. Moves become transfers and leavers recalls, both with their
day, tried out beforehand as every plan is; whoever is missing gets a mailbox as by any import. A line whose
person is no longer as they were when the plan was made is left alone and told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from mailgov.bulk.known import Directory
from mailgov.bulk.review import Decided
from mailgov.clock import VIETNAM, local_date
from mailgov.config import Lifecycle
from mailgov.db import Database
from mailgov.db.models import Agency, JobRow, Mailbox, Person
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import NewMailbox, add_mailbox
from mailgov.errors import Conflict, InputError, MailgovError
from mailgov.lifecycle import planning
from mailgov.lifecycle.ending import RECALL, Recall, default_contact
from mailgov.lifecycle.performers import PERFORMERS
from mailgov.lifecycle.suspension import suspend
from mailgov.lifecycle.terms import terms
from mailgov.lifecycle.transfers import TRANSFER, Transfer

LINES_AT_ONCE = 50
_COLUMNS = {
    "staff_no": "staff_no",
    "full_name": "full_name",
    "title": "title",
    "group": "staff_group",
    "phone": "phone",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a line. `verb` is that of the journal; empty: nothing was to be done."""

    line: int
    target: str
    verb: str
    error: MailgovError | None = None


@dataclass(frozen=True, slots=True)
class Carrying:
    """How the lines are carried out."""

    act: Act
    job_id: str
    on: date  # of transfers and recalls
    settings: Lifecycle
    told: Callable[[Sequence[Done]], None]


def carry_out(database: Database, lines: Sequence[Decided], how: Carrying) -> None:
    """Every line that was decided on; those that the journal has already are passed over."""
    with database.read() as session:
        query = select(JobRow.number).where(JobRow.job_id == how.job_id)
        there = set(session.exec(query))
    left = [one for one in lines if one.line not in there]
    for start in range(0, len(left), LINES_AT_ONCE):
        with database.write() as session:
            done = [_tried(session, one, how) for one in left[start : start + LINES_AT_ONCE]]
        how.told(done)


def _tried(session: Session, line: Decided, how: Carrying) -> Done:
    """One line behind a savepoint: what is wrong with it stops no other."""
    if line.decision in ("skip", "look"):
        return Done(line.line, line.address or line.name, "")
    trial = session.begin_nested()
    try:
        row = _carried(session, line, how)
        row.job_id, row.number = how.job_id, line.line
        session.add(row)
        session.flush()
    except MailgovError as error:
        trial.rollback()
        return Done(line.line, line.address or line.name, "", error)
    except IntegrityError:
        # Past the fence somebody has this number or address already.
        trial.rollback()
        return Done(line.line, line.address or line.name, "", Conflict("taken-outside"))
    trial.commit()
    return Done(line.line, row.target, row.verb)


def _carried(session: Session, line: Decided, how: Carrying) -> JobRow:
    match line.kind, line.decision:
        case "missing", _:
            return _give(session, line, how.act)
        case "moved", _:
            return _move(session, line, how)
        case "left", "suspend":
            return _suspend(session, line, how.act)
        case "left", _:
            return _recall(session, line, how)
        case _:
            return _edit(session, line, how.act)


def _row(line: Decided, verb: str, target: str, changes: Mapping[str, Any]) -> JobRow:
    return JobRow(
        job_id="",
        number=line.line,
        verb=verb,
        target=target,
        person_id=line.person_id,
        mailbox_id=line.mailbox_id,
        changes={name: list(pair) for name, pair in changes.items()},
    )


def _edit(session: Session, line: Decided, act: Act) -> JobRow:
    """Fields of the person; the number too, which is checked to be free."""
    person = _person(session, line)
    for name, (old, new) in line.changes.items():
        _require_as_it_was(line, getattr(person, _COLUMNS[name]), old)
        setattr(person, _COLUMNS[name], new)
    if "staff_no" in line.changes:
        _require_free(session, line.changes["staff_no"][1], line.person_id)
    session.add(person)
    box = session.get(Mailbox, line.mailbox_id) if line.mailbox_id else None
    if box is not None and "full_name" in line.changes:
        box.display_name = line.changes["full_name"][1]
        session.add(box)
    session.flush()
    code = session.get_one(Agency, person.agency_id).code
    change = Change(
        "person", "edit", person.staff_no, dict(line.changes), code, box.address if box else ""
    )
    recorded(session, act, change)
    return _row(line, "edit", line.address or person.staff_no, line.changes)


def _give(session: Session, line: Decided, act: Act) -> JobRow:
    """A mailbox for somebody new, or for somebody on the staff list who has none."""
    wanted = line.row or {}
    known = Directory.of(session)
    agency = known.agency(line.agency_code, local_date(act.at))
    address = str(wanted.get("address") or "")
    if not address:
        address, _, _ = known.new_address(session, line.name, agency)
    new = NewMailbox(
        address=address,
        agency=line.agency_code,
        name=line.name,
        staff_no=line.staff_no,
        title=str(wanted.get("title") or ""),
        quota_mb=wanted.get("quota_mb"),
    )
    is_new = session.exec(select(Person.id).where(Person.staff_no == line.staff_no)).first() is None
    change = add_mailbox(session, act, new)
    if change.nothing:
        raise Conflict("reconcile-changed", line=line.line)
    box = session.exec(select(Mailbox).where(Mailbox.address == change.mailbox)).one()
    person = session.get_one(Person, box.person_id)
    for name in ("group", "phone"):
        if is_new and wanted.get(name):
            setattr(person, _COLUMNS[name], str(wanted[name]))
    if is_new and wanted.get("effective_on"):
        person.joined_on = date.fromisoformat(str(wanted["effective_on"]))
    session.add(person)
    changes = {"address": ("", box.address), "quota_mb": ("", str(box.quota_mb))}
    row = _row(
        line, "add", box.address, changes | ({"staff_no": ("", line.staff_no)} if is_new else {})
    )
    row.person_id, row.mailbox_id = person.id, box.id
    return row


def _move(session: Session, line: Decided, how: Carrying) -> JobRow:
    box = _mailbox(session, line)
    code = session.get_one(Agency, box.agency_id).code
    _require_as_it_was(line, code, line.changes["agency_code"][0])
    wanted = Transfer(to=line.changes["agency_code"][1])
    try:
        return _planned(session, line, how, TRANSFER, wanted.as_arguments())
    except InputError as error:
        suggestion = str(error.fields.get("suggestion") or "")
        if error.code != "transfer-needs-address" or not suggestion:
            raise
    moved = Transfer(to=wanted.to, new_address=suggestion)
    return _planned(session, line, how, TRANSFER, moved.as_arguments())


def _recall(session: Session, line: Decided, how: Carrying) -> JobRow:
    box = _mailbox(session, line)
    days = terms(session, box, how.on, how.settings, None)
    wanted = Recall(
        readable_until=days.readable_until,
        kept_until=days.kept_until,
        contact=default_contact(session, box),
    )
    return _planned(session, line, how, RECALL, wanted.as_arguments())


def _planned(
    session: Session, line: Decided, how: Carrying, kind: str, arguments: Mapping[str, Any]
) -> JobRow:
    """Write the act down for its day, and try it as of that day."""
    box = _mailbox(session, line)
    code = session.get_one(Agency, box.agency_id).code
    trial = session.begin_nested()
    planned = planning.plan(
        session,
        kind=kind,
        subject=box.address,
        on=how.on,
        arguments={**arguments, planning.MAILBOX: box.id},
        actor=how.act.actor,
        reason=how.act.reason,
        agency_code=code,
        at=how.act.at,
    )
    try:
        day = datetime.combine(how.on, time(0, 5), VIETNAM)
        planning.rehearse(session, planned, PERFORMERS, day)
    except MailgovError:
        trial.rollback()
        raise
    trial.commit()
    changes = {"plan": ("", str(planned.id)), "on": ("", how.on.isoformat())}
    return _row(line, "plan", box.address, changes)


def _suspend(session: Session, line: Decided, act: Act) -> JobRow:
    box = _mailbox(session, line)
    change = suspend(session, act, box.address)
    return _row(line, "suspend", box.address, change.changes)


def take_back_plan(session: Session, act: Act, row: JobRow) -> str:
    """Undo a line that became a plan: what is not done yet is cancelled."""
    try:
        planning.cancel(session, int(row.changes["plan"][1]), act)
    except Conflict:
        return "undo-changed-since"
    return ""


def _person(session: Session, line: Decided) -> Person:
    person = session.get(Person, line.person_id) if line.person_id else None
    if person is None:
        raise Conflict("reconcile-changed", line=line.line)
    return person


def _mailbox(session: Session, line: Decided) -> Mailbox:
    box = session.get(Mailbox, line.mailbox_id) if line.mailbox_id else None
    if box is None or box.state == "recalled":
        raise Conflict("reconcile-changed", line=line.line)
    return box


def _require_as_it_was(line: Decided, now: str, before: str) -> None:
    if now != before:
        raise Conflict("reconcile-changed", line=line.line)


def _require_free(session: Session, staff_no: str, person_id: int | None) -> None:
    query = select(Person.full_name).where(Person.staff_no == staff_no, col(Person.id) != person_id)
    if (name := session.exec(query).first()) is not None:
        raise Conflict("staff-number-taken", staff_no=staff_no, name=name)
