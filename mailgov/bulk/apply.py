"""Writing what is planned: portion by portion, each whole, with its events and its journal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from mailgov.bulk.columns import Table
from mailgov.bulk.plan import Planned, Planner, in_portions
from mailgov.bulk.sheets import Row
from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import JobRow, Mailbox, Person
from mailgov.directory.change import Act
from mailgov.errors import Conflict
from mailgov.ledger import record
from mailgov.ledger.events import DirectoryChanged

_PERSON_FIELDS = ("staff_no", "full_name", "agency_code", "title", "group", "phone", "effective_on")
_MAILBOX_FIELDS = ("address", "kind", "quota_mb")


@dataclass(frozen=True, slots=True)
class Writing:
    """How rows are written: who acts, for which job, and who is told of each portion."""

    act: Act
    job_id: str
    told: Callable[[Sequence[Planned]], None]


def write_rows(
    database: Database, table: Table, doubtful: frozenset[tuple[int, int]], writing: Writing
) -> None:
    """Write every row that can be; rows already as asked for are passed over.

    A portion is one transaction: interrupted between two, nothing is half written and the same run
    goes on from there. Raises Conflict `import-raced` when others change the same rows twice.
    """
    today = local_date(writing.act.at)
    with database.read() as session:
        planner = Planner(session, table, today, doubtful)
    for rows in in_portions(table.rows):
        planned = _portion(database, planner, rows, writing)
        writing.told(planned)


def _portion(
    database: Database, planner: Planner, rows: Sequence[Row], writing: Writing
) -> list[Planned]:
    for _ in range(2):
        try:
            with database.write() as session:
                planned = planner.plan(session, rows)
                _write(session, planned, writing)
        except IntegrityError:
            # Somebody else added one of them between our look and our commit: look again.
            planner.forget(rows)
            continue
        return planned
    raise Conflict("import-raced", job=writing.job_id)


def _write(session: Session, planned: Sequence[Planned], writing: Writing) -> None:
    adds = [row for row in planned if row.verb == "add"]
    edits = [row for row in planned if row.verb == "edit"]
    at = writing.act.at
    _add_people(session, [row for row in adds if row.held is None and _is_person(row)], at)
    _add_mailboxes(session, adds, at)
    _edit_people(session, [row for row in (*adds, *edits) if row.held is not None])
    _edit_mailboxes(session, edits)
    changed = [*adds, *edits]
    record(session, *(event for row in changed for event in _events(row, writing.act)))
    if changed:
        session.connection().execute(
            insert(JobRow), [_journal(row, writing.job_id) for row in changed]
        )


def _is_person(row: Planned) -> bool:
    return row.row is not None and row.row.kind == "person"


def _add_people(session: Session, rows: Sequence[Planned], at: datetime) -> None:
    if not rows:
        return
    values = []
    for row in rows:
        assert row.row is not None
        assert row.agency is not None
        values.append(
            {
                "staff_no": row.row.staff_no,
                "full_name": row.row.full_name,
                "agency_id": row.agency.id,
                "title": row.row.title,
                "staff_group": row.row.group,
                "phone": row.row.phone,
                "joined_on": row.row.effective_on,
                "created_at": at,
            }
        )
    statement = insert(Person).returning(col(Person.id), sort_by_parameter_order=True)
    for row, (person_id,) in zip(
        rows, session.connection().execute(statement, values), strict=True
    ):
        row.person_id = person_id


def _add_mailboxes(session: Session, rows: Sequence[Planned], at: datetime) -> None:
    if not rows:
        return
    values = []
    for row in rows:
        assert row.row is not None
        assert row.agency is not None
        assert row.domain is not None
        values.append(
            {
                "address": row.address,
                "kind": row.row.kind,
                "display_name": row.row.full_name or row.agency.name,
                "person_id": row.person_id,
                "agency_id": row.agency.id,
                "domain_id": row.domain.id,
                "quota_mb": int(row.changes["quota_mb"][1]),
                "created_at": at,
            }
        )
    statement = insert(Mailbox).returning(col(Mailbox.id), sort_by_parameter_order=True)
    for row, (mailbox_id,) in zip(
        rows, session.connection().execute(statement, values), strict=True
    ):
        row.mailbox_id = mailbox_id


def _edit_people(session: Session, rows: Iterable[Planned]) -> None:
    for row in rows:
        assert row.row is not None
        assert row.agency is not None
        names = {
            "full_name": ("full_name", row.row.full_name),
            "agency_code": ("agency_id", row.agency.id),
            "title": ("title", row.row.title),
            "group": ("staff_group", row.row.group),
            "phone": ("phone", row.row.phone),
            "effective_on": ("joined_on", row.row.effective_on),
        }
        values: dict[str, Any] = dict(names[name] for name in row.changes if name in names)
        if values:
            session.connection().execute(
                update(Person).where(col(Person.id) == row.person_id).values(**values)
            )


def _edit_mailboxes(session: Session, rows: Iterable[Planned]) -> None:
    for row in rows:
        assert row.row is not None
        assert row.agency is not None
        names = {
            "full_name": ("display_name", row.row.full_name),
            "agency_code": ("agency_id", row.agency.id),
            "quota_mb": ("quota_mb", row.row.quota_mb),
        }
        values: dict[str, Any] = dict(names[name] for name in row.changes if name in names)
        if values:
            session.connection().execute(
                update(Mailbox).where(col(Mailbox.id) == row.mailbox_id).values(**values)
            )


def _events(row: Planned, act: Act) -> Iterable[DirectoryChanged]:
    assert row.agency is not None
    code = row.agency.code
    if _is_person(row):
        of_person = {
            name: list(row.changes[name]) for name in _PERSON_FIELDS if name in row.changes
        }
        if of_person:
            verb = "add" if row.held is None else "edit"
            yield _event(act, "person", verb, row.key, code, "", of_person)
    names = _MAILBOX_FIELDS if _is_person(row) else (*_MAILBOX_FIELDS, "full_name", "agency_code")
    of_mailbox = {name: list(row.changes[name]) for name in names if name in row.changes}
    if of_mailbox:
        yield _event(act, "mailbox", row.verb, row.address, code, row.address, of_mailbox)


def _event(
    act: Act,
    noun: str,
    verb: str,
    target: str,
    code: str,
    mailbox: str,
    changes: dict[str, list[str]],
) -> DirectoryChanged:
    return DirectoryChanged(
        at=act.at,
        actor=act.actor,
        mailbox=mailbox,
        agency_code=code,
        noun=noun,
        verb=verb,
        target=target,
        changes=changes,
        reason=act.reason,
    )


def _journal(row: Planned, job_id: str) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "number": row.number,
        "verb": row.verb,
        "target": row.address,
        "person_id": row.person_id,
        "mailbox_id": row.mailbox_id,
        "changes": {name: list(pair) for name, pair in row.changes.items()},
        "undone_at": None,
    }
