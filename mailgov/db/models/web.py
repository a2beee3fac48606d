"""What the webmail keeps: sign-ins and working copies of drafts."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, LargeBinary
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class WebSession(SQLModel, table=True):
    """A sign-in. The cookie holds a random token; only its hash is kept."""

    __tablename__ = "web_session"

    token_hash: str = Field(primary_key=True, max_length=64)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    csrf: str
    agent: str = ""
    ip: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    used_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class Draft(SQLModel, table=True):
    """The working copy of a message being written."""

    __tablename__ = "draft"

    id: str = Field(primary_key=True, max_length=32)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    fields: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    state: str = "open"  # open, waiting, sending, failed, sent, discarded
    due_at: datetime | None = Field(default=None, sa_type=Moment, index=True)  # of what is waiting
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    updated_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class DraftFile(SQLModel, table=True):
    """A file attached to a draft, uploaded once."""

    __tablename__ = "draft_file"

    id: int | None = Field(default=None, primary_key=True)
    draft_id: str = Field(foreign_key="draft.id", index=True)
    name: str
    media_type: str
    size_bytes: int
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
