"""Bulk work, and what it did to each row: so that it can go on, be looked up and be taken back."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Job(SQLModel, table=True):
    """One import."""

    __tablename__ = "job"

    id: str = Field(primary_key=True, max_length=40)  # such as `imp-2026-11-21-1`
    kind: str  # mailbox.import
    file: str  # name, as given
    digest: str = Field(index=True)  # SHA-256 of the file, in hexadecimal
    options: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    state: str  # running, done, cancelled, undone
    counts: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))  # verb: rows
    actor: str
    reason: str = ""
    # At the top of the branch that it was kept to; empty: the whole platform, or several branches.
    agency_code: str = Field(default="", max_length=35, sa_column_kwargs={"server_default": ""})
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class JobRow(SQLModel, table=True):
    """What was written for one row. Rows that changed nothing have none."""

    __tablename__ = "job_row"

    job_id: str = Field(primary_key=True, foreign_key="job.id", max_length=40)
    number: int = Field(primary_key=True)  # of the row in the sheet
    verb: str  # add, edit, suspend
    target: str  # address
    person_id: int | None = None
    mailbox_id: int | None = None
    changes: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))  # field: [old, new]
    undone_at: datetime | None = Field(default=None, sa_type=Moment)
