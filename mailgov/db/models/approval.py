"""What needs two persons: asked for by one, approved by another, done once."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Approval(SQLModel, table=True):
    """A request for one act, and what came of it. Nothing is ever taken out."""

    __tablename__ = "approval"

    id: str = Field(primary_key=True, max_length=40)  # such as `apr-2026-11-22-1`
    kind: str = Field(max_length=40)  # key-export, bulk-release, open-names
    subject: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))  # what it is for
    # SHA-256 of kind and subject: this act, no other.
    digest: str = Field(index=True, max_length=64)
    agency_code: str = Field(default="", index=True, max_length=35)  # empty: the whole platform
    actor: str  # who asks
    person: str  # Address.key of who asks; an account of the operating system: `cli:<user>`
    reason: str
    state: str = Field(default="asked", index=True)  # asked, approved, denied, withdrawn, used
    decided_by: str = ""  # actor
    decision_reason: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    decided_at: datetime | None = Field(default=None, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)
