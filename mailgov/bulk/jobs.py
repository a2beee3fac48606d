"""Bulk work as a thing to look up, to go on with, and to take back."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import (
    Agency,
    Alias,
    Credential,
    Delegation,
    Job,
    JobRow,
    Mailbox,
    Person,
    RecipientRow,
    RoleGrant,
)
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import resume
from mailgov.errors import Conflict, NotFound

_PERSON_COLUMNS = {
    "full_name": "full_name",
    "title": "title",
    "group": "staff_group",
    "phone": "phone",
}
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that could not be taken back, and why."""

    number: int
    target: str
    code: str  # `undo-in-use`, `undo-changed-since`


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def begin(
    database: Database, act: Act, folder: Path, file: Path, options: Mapping[str, Any]
) -> Job:
    """Open a job, with a copy of the file beside it, so that it can go on without the original."""
    day = local_date(act.at).isoformat()
    with database.write() as session:
        today = session.exec(
            select(func.count()).where(col(Job.id).startswith(f"imp-{day}-"))
        ).one()
        job = Job(
            id=f"imp-{day}-{today + 1}",
            kind="mailbox.import",
            file=file.name,
            digest=digest_of(file),
            options=dict(options),
            state="running",
            counts={},
            actor=act.actor,
            reason=act.reason,
            created_at=act.at,
        )
        session.add(job)
        session.flush()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(file, copy_of(folder, job))
        copy_of(folder, job).chmod(0o600)
        session.expunge(job)
    return job


def copy_of(folder: Path, job: Job) -> Path:
    """Where the copy of a job's file lies while the job is open."""
    return folder / f"{job.id}{Path(job.file).suffix.lower()}"


def end(
    database: Database, folder: Path, job: Job, state: str, counts: Mapping[str, int], at: datetime
) -> None:
    """Close a job; its copy of the file, which names people, goes."""
    with database.write() as session:
        row = session.get_one(Job, job.id)
        row.state, row.counts, row.ended_at = state, dict(counts), at
        session.add(row)
    copy_of(folder, job).unlink(missing_ok=True)


def find(session: Session, job_id: str) -> Job:
    """Raises NotFound `job-unknown`."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound("job-unknown", job=job_id)
    return job


def imported_before(session: Session, digest: str) -> Job | None:
    """The last job that brought in the very same file."""
    query = select(Job).where(Job.digest == digest, Job.state == "done")
    return session.exec(query.order_by(col(Job.created_at).desc())).first()


def listing(session: Session, limit: int) -> list[dict[str, Any]]:
    """Jobs, latest first."""
    jobs = session.exec(select(Job).order_by(col(Job.created_at).desc()).limit(limit)).all()
    return [record(session, job) for job in jobs]


def record(session: Session, job: Job) -> dict[str, Any]:
    """A job, ready for tables and JSON."""
    written = session.exec(select(func.count()).where(JobRow.job_id == job.id)).one()
    return {
        "job": job.id,
        "kind": job.kind,
        "file": job.file,
        "state": job.state,
        "rows_written": written,
        "counts": job.counts,
        "actor": job.actor,
        "reason": job.reason,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
    }


def rows(session: Session, job_id: str, limit: int) -> list[dict[str, Any]]:
    """What a job wrote, in the order of the sheet."""
    query = select(JobRow).where(JobRow.job_id == job_id).order_by(col(JobRow.number)).limit(limit)
    return [
        {
            "number": row.number,
            "verb": row.verb,
            "target": row.target,
            "changes": row.changes,
            "undone_at": row.undone_at,
        }
        for row in session.exec(query)
    ]


def undo(database: Database, act: Act, folder: Path, job_id: str) -> list[Kept]:
    """Take back what a job wrote, last row first; says which rows had to stay.

    A mailbox that was added goes if nobody has used it. A field goes back to what it was unless it
    was changed since. Raises NotFound `job-unknown`, Conflict `job-undone`.
    """
    with database.read() as session:
        job = find(session, job_id)
        if job.state == "undone":
            raise Conflict("job-undone", job=job_id)
        counts = job.counts
        numbers = session.exec(
            select(JobRow.number)
            .where(JobRow.job_id == job_id, col(JobRow.undone_at).is_(None))
            .order_by(col(JobRow.number).desc())
        ).all()
    kept: list[Kept] = []
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        with database.write() as session:
            for number in numbers[start : start + _ROWS_AT_ONCE]:
                row = session.get_one(JobRow, (job_id, number))
                if code := _take_back(session, act, row):
                    kept.append(Kept(number, row.target, code))
                else:
                    row.undone_at = act.at
                    session.add(row)
            session.flush()
    end(database, folder, job, "undone", counts, act.at)
    return kept


def _take_back(session: Session, act: Act, row: JobRow) -> str:
    """Undo one row; else the code that says why not."""
    if row.verb == "suspend":
        resume(session, act, row.target)
        return ""
    person = session.get(Person, row.person_id) if row.person_id else None
    mailbox = session.get(Mailbox, row.mailbox_id) if row.mailbox_id else None
    if row.verb == "add":
        return _remove(session, act, row, person, mailbox)
    return _restore(session, act, row, person, mailbox)


def _remove(
    session: Session, act: Act, row: JobRow, person: Person | None, mailbox: Mailbox | None
) -> str:
    if mailbox is None:
        return ""
    if mailbox.activated_at is not None or _is_used(session, mailbox):
        return "undo-in-use"
    code = session.get_one(Agency, mailbox.agency_id).code
    session.delete(mailbox)
    session.flush()
    changes = {"address": (mailbox.address, "")}
    recorded(session, act, Change("mailbox", "remove", row.target, changes, code, mailbox.address))
    if person is not None and "staff_no" in row.changes:
        session.delete(person)
        session.flush()
        gone = {"staff_no": (person.staff_no, ""), "full_name": (person.full_name, "")}
        recorded(session, act, Change("person", "remove", person.staff_no, gone, code))
    return ""


def _is_used(session: Session, mailbox: Mailbox) -> bool:
    """Whether mail, a password, an alias, a right or a role hangs on it."""
    columns = (
        RecipientRow.mailbox_id,
        Credential.mailbox_id,
        Alias.mailbox_id,
        Delegation.mailbox_id,
        Delegation.holder_id,
        RoleGrant.mailbox_id,
    )
    return any(
        session.exec(select(column).where(column == mailbox.id).limit(1)).first() is not None
        for column in columns
    )


def _restore(
    session: Session, act: Act, row: JobRow, person: Person | None, mailbox: Mailbox | None
) -> str:
    old = {name: pair[0] for name, pair in row.changes.items()}
    if _now(session, person, mailbox, row) != {name: pair[1] for name, pair in row.changes.items()}:
        return "undo-changed-since"
    if person is not None:
        for name, column in _PERSON_COLUMNS.items():
            if name in old:
                setattr(person, column, old[name])
        if "effective_on" in old:
            person.joined_on = None
        session.add(person)
    if mailbox is not None:
        if "full_name" in old:
            mailbox.display_name = old["full_name"]
        if "quota_mb" in old:
            mailbox.quota_mb = int(old["quota_mb"])
        session.add(mailbox)
    if "agency_code" in old:
        agency = session.exec(select(Agency).where(Agency.code == old["agency_code"])).one()
        for thing in (person, mailbox):
            if thing is not None and agency.id is not None:
                thing.agency_id = agency.id
    session.flush()
    changes = {name: (pair[1], pair[0]) for name, pair in row.changes.items()}
    code = session.get_one(Agency, mailbox.agency_id).code if mailbox else ""
    recorded(session, act, Change("mailbox", "edit", row.target, changes, code, row.target))
    return ""


def _now(
    session: Session, person: Person | None, mailbox: Mailbox | None, row: JobRow
) -> dict[str, str]:
    """The fields that the row changed, as they are now."""
    now: dict[str, str] = {}
    if mailbox is not None:
        code = session.get_one(Agency, mailbox.agency_id).code
        now |= {
            "full_name": mailbox.display_name,
            "agency_code": code,
            "quota_mb": str(mailbox.quota_mb),
        }
    if person is not None:
        now |= {name: getattr(person, column) for name, column in _PERSON_COLUMNS.items()}
        now["effective_on"] = person.joined_on.isoformat() if person.joined_on else ""
    return {name: now.get(name, "") for name in row.changes}
