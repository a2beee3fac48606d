"""What programs sign in with, and what they asked for: tokens and runs of commands."""

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class ApiToken(SQLModel, table=True):
    """A token of a mailbox's holder. It opens what its holder may do, and no more than it names."""

    __tablename__ = "api_token"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    digest: str = Field(unique=True, max_length=64)  # keyed, in hexadecimal
    label: str
    access: str  # read, change
    agency_id: int | None = Field(default=None, foreign_key="agency.id")  # none: as its holder
    commands: str = ""  # such as `mailbox agency/list scim`; empty: every one
    expires_on: date  # the last day
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    created_by: str
    last_used_at: datetime | None = Field(default=None, sa_type=Moment)
    last_used_from: str = ""  # IP address
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


class ApiRun(SQLModel, table=True):
    """One command that a program asked for; its streams and files lie in the data folder."""

    __tablename__ = "api_run"
    __table_args__ = (UniqueConstraint("token_id", "idempotency_key"),)

    id: str = Field(primary_key=True, max_length=40)
    token_id: int = Field(foreign_key="api_token.id", index=True)
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_digest: str = Field(max_length=64)  # SHA-256 of what was asked, in hexadecimal
    command: str  # such as `mailbox add`
    state: str  # running, ended, lost
    exit: int | None = None
    started_at: datetime = Field(default_factory=utc_now, sa_type=Moment, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
