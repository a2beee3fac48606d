"""Bulk work as a thing to look up, to go on with, and to take back."""

import hashlib
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from mailgov.access import fence_of
from mailgov.bulk import agencies
from mailgov.bulk.undoing import Kept, TakeBack, take_back
from mailgov.bulk.undoing_agencies import take_back_agencies
from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import Job, JobRow
from mailgov.directory.change import Act
from mailgov.errors import Conflict, NotFound


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def begin(
    database: Database,
    act: Act,
    folder: Path,
    file: Path,
    options: Mapping[str, Any],
    kind: str = "mailbox.import",
) -> Job:
    """Open a job, with a copy of the file beside it, so that it can go on without the original."""
    day = local_date(act.at).isoformat()
    with database.write() as session:
        of_today = select(func.count()).where(col(Job.id).startswith(f"imp-{day}-"))
        today = session.connection().execute(of_today).scalar_one()  # those of others count too
        job = Job(
            id=f"imp-{day}-{today + 1}",
            kind=kind,
            file=file.name,
            digest=digest_of(file),
            options=dict(options),
            state="running",
            counts={},
            actor=act.actor,
            reason=act.reason,
            agency_code=_branch_of(session),
            created_at=act.at,
        )
        session.add(job)
        session.flush()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(file, copy_of(folder, job))
        copy_of(folder, job).chmod(0o600)
        session.expunge(job)
    return job


def _branch_of(session: Session) -> str:
    """The branch that the job is kept to; empty: the whole platform, or several branches."""
    found = fence_of(session)
    return found.tops[0] if found is not None and len(found.tops) == 1 else ""


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


def undo(
    database: Database,
    act: Act,
    folder: Path,
    job_id: str,
    others: Mapping[str, TakeBack] | None = None,
) -> list[Kept]:
    """Take back what a job wrote; says which rows had to stay. `others` undo further kinds of rows.

    Raises NotFound `job-unknown`, Conflict `job-undone`.
    """
    with database.read() as session:
        job = find(session, job_id)
        if job.state == "undone":
            raise Conflict("job-undone", job=job_id)
        counts = job.counts
        session.expunge(job)
    if job.kind == agencies.KIND:
        kept = take_back_agencies(database, act, job_id)
    else:
        kept = take_back(database, act, job_id, others)
    end(database, folder, job, "undone", counts, act.at)
    return kept
