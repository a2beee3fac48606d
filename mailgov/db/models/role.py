"""Who administers or audits which branch of the agency tree."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class RoleGrant(SQLModel, table=True):
    """A role of a mailbox's holder over an agency and all below it; no agency means the whole."""

    __tablename__ = "role_grant"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    role: str  # it, auditor, security-officer
    agency_id: int | None = Field(default=None, foreign_key="agency.id")
    until: date | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
