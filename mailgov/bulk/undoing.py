"""Taking back what a job wrote: portion by portion, each whole, so that it can be interrupted too.

A mailbox that was added goes if nobody has used it. A field goes back to what it was unless it was changed
since. What has to stay is told, with the reason.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_model

from mailgov.db import Database
from mailgov.db.models import Activation, Agency, JobRow, Mailbox, Person
from mailgov.directory.change import Act
from mailgov.directory.provisioning import resume
from mailgov.ledger import record
from mailgov.ledger.events import DirectoryChanged

ROWS_AT_ONCE = 500

_PERSON_COLUMNS = {
    "staff_no": "staff_no",
    "full_name": "full_name",
    "title": "title",
    "group": "staff_group",
    "phone": "phone",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that could not be taken back, and why."""

    number: int
    target: str
    code: str  # `undo-in-use`, `undo-changed-since`


@dataclass
class _Portion:
    """Some rows with all that hangs on them, read in a few statements."""

    session: Session
    act: Act
    mailboxes: dict[int, Mailbox]
    people: dict[int, Person]
    codes: dict[int, str]  # of agencies, by id
    used: set[int]  # mailboxes that something hangs on
    needed: set[int]  # people whom something else names
    gone_mailboxes: list[int] = field(default_factory=list)
    gone_people: list[int] = field(default_factory=list)
    events: list[DirectoryChanged] = field(default_factory=list)

    def note(
        self, noun: str, verb: str, target: str, changes: dict[str, tuple[str, str]], code: str
    ) -> None:
        """The event of a change; written with the others of the portion."""
        self.events.append(
            DirectoryChanged(
                at=self.act.at,
                actor=self.act.actor,
                mailbox=target if noun == "mailbox" else "",
                agency_code=code,
                noun=noun,
                verb=verb,
                target=target,
                changes={name: list(pair) for name, pair in changes.items()},
                reason=self.act.reason,
            )
        )


TakeBack = Callable[[Session, Act, JobRow], str]
"""Undoes a row of another kind; returns the code that says why not, or nothing."""


def take_back(
    database: Database, act: Act, job_id: str, others: Mapping[str, TakeBack] | None = None
) -> list[Kept]:
    """Undo what stands in the journal of a job, last row first; `others` know further verbs."""
    with database.read() as session:
        numbers = session.exec(
            select_model(JobRow.number)
            .where(JobRow.job_id == job_id, col(JobRow.undone_at).is_(None))
            .order_by(col(JobRow.number).desc())
        ).all()
    kept: list[Kept] = []
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        with database.write() as session:
            portion = numbers[start : start + ROWS_AT_ONCE]
            kept += _take_portion(session, act, job_id, portion, others or {})
    return kept


def _take_portion(
    session: Session,
    act: Act,
    job_id: str,
    numbers: Sequence[int],
    others: Mapping[str, TakeBack],
) -> list[Kept]:
    rows = session.exec(
        select_model(JobRow)
        .where(JobRow.job_id == job_id, col(JobRow.number).in_(numbers))
        .order_by(col(JobRow.number).desc())
    ).all()
    portion = _read(session, act, rows)
    kept, done = [], []
    for row in rows:
        other = others.get(row.verb)
        if code := other(session, act, row) if other is not None else _take(portion, row):
            kept.append(Kept(row.number, row.target, code))
        else:
            done.append(row.number)
    _write(portion)
    session.connection().execute(
        update(JobRow)
        .where(col(JobRow.job_id) == job_id, col(JobRow.number).in_(done))
        .values(undone_at=act.at)
    )
    return kept


def _read(session: Session, act: Act, rows: Sequence[JobRow]) -> _Portion:
    boxes = {row.mailbox_id for row in rows if row.mailbox_id}
    people = {row.person_id for row in rows if row.person_id}
    found_boxes = session.exec(select_model(Mailbox).where(col(Mailbox.id).in_(boxes))).all()
    found_people = session.exec(select_model(Person).where(col(Person.id).in_(people))).all()
    codes = session.exec(select_model(Agency.id, Agency.code)).all()
    added = {row.mailbox_id for row in rows if row.verb == "add" and row.mailbox_id}
    people_added = {row.person_id for row in rows if row.verb == "add" and row.person_id}
    return _Portion(
        session,
        act,
        {box.id: box for box in found_boxes if box.id},
        {person.id: person for person in found_people if person.id},
        {number: code for number, code in codes if number},
        _named(session, "mailbox", added, but=frozenset({"activation"})),
        _named(session, "person", people_added, but=frozenset({"mailbox"})),
    )


def _named(session: Session, table: str, ids: Collection[int], *, but: frozenset[str]) -> set[int]:
    """Those of the ids that any other table names: mail, a password, an alias, a right, a role.

    Every foreign key counts, so a table that is new tomorrow counts too.
    """
    found: set[int] = set()
    if not ids:
        return found
    for other in SQLModel.metadata.sorted_tables:
        if other.name in but:
            continue
        for key in other.foreign_keys:
            if key.column.table.name == table:
                query = select(key.parent).where(key.parent.in_(ids)).distinct()
                found.update(session.connection().execute(query).scalars())
    return found


def _take(portion: _Portion, row: JobRow) -> str:
    """Undo one row; else the code that says why not."""
    mailbox = portion.mailboxes.get(row.mailbox_id or 0)
    person = portion.people.get(row.person_id or 0)
    if row.verb == "suspend":
        if mailbox is not None and mailbox.state == "suspended":
            resume(portion.session, portion.act, row.target)
        return ""
    if row.verb == "add":
        return _remove(portion, row, person, mailbox)
    return _restore(portion, row, person, mailbox)


def _remove(portion: _Portion, row: JobRow, person: Person | None, mailbox: Mailbox | None) -> str:
    if mailbox is None or mailbox.id is None:
        return ""
    if mailbox.activated_at is not None or mailbox.id in portion.used:
        return "undo-in-use"
    code = portion.codes.get(mailbox.agency_id, "")
    portion.gone_mailboxes.append(mailbox.id)
    portion.note("mailbox", "remove", row.target, {"address": (mailbox.address, "")}, code)
    if person is not None and person.id and "staff_no" in row.changes:
        if person.id in portion.needed:
            return ""
        portion.gone_people.append(person.id)
        gone = {"staff_no": (person.staff_no, ""), "full_name": (person.full_name, "")}
        portion.note("person", "remove", person.staff_no, gone, code)
    return ""


def _restore(portion: _Portion, row: JobRow, person: Person | None, mailbox: Mailbox | None) -> str:
    old = {name: pair[0] for name, pair in row.changes.items()}
    new = {name: pair[1] for name, pair in row.changes.items()}
    if _now(portion, person, mailbox, row) != new:
        return "undo-changed-since"
    if person is not None:
        for name, column in _PERSON_COLUMNS.items():
            if name in old:
                setattr(person, column, old[name])
        if "effective_on" in old:
            person.joined_on = None
    if mailbox is not None:
        if "full_name" in old:
            mailbox.display_name = old["full_name"]
        if "quota_mb" in old:
            mailbox.quota_mb = int(old["quota_mb"])
    if "agency_code" in old:
        ids = {code: number for number, code in portion.codes.items()}
        for thing in (person, mailbox):
            if thing is not None:
                thing.agency_id = ids[old["agency_code"]]
    portion.session.add_all([thing for thing in (person, mailbox) if thing is not None])
    changes = {name: (new[name], old[name]) for name in old}
    code = portion.codes.get(mailbox.agency_id, "") if mailbox else ""
    portion.note("mailbox", "edit", row.target, changes, code)
    return ""


def _now(
    portion: _Portion, person: Person | None, mailbox: Mailbox | None, row: JobRow
) -> dict[str, str]:
    """The fields that the row changed, as they are now."""
    now: dict[str, str] = {}
    if mailbox is not None:
        now |= {
            "full_name": mailbox.display_name,
            "agency_code": portion.codes.get(mailbox.agency_id, ""),
            "quota_mb": str(mailbox.quota_mb),
        }
    if person is not None:
        now |= {name: getattr(person, column) for name, column in _PERSON_COLUMNS.items()}
        now["effective_on"] = person.joined_on.isoformat() if person.joined_on else ""
    return {name: now.get(name, "") for name in row.changes}


def _write(portion: _Portion) -> None:
    portion.session.flush()
    connection = portion.session.connection()
    ids: Any = portion.gone_mailboxes
    connection.execute(delete(Activation).where(col(Activation.mailbox_id).in_(ids)))
    connection.execute(delete(Mailbox).where(col(Mailbox.id).in_(ids)))
    connection.execute(delete(Person).where(col(Person.id).in_(portion.gone_people)))
    record(portion.session, *portion.events)
