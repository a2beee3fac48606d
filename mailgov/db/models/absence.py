"""Answers that a mailbox gives by itself while its holder is away (RFC 3834)."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Absence(SQLModel, table=True):
    """What a mailbox answers, from the first to the last day; one for each mailbox."""

    __tablename__ = "absence"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", unique=True)
    text: str
    first_day: date | None = None
    last_day: date | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class AbsenceAnswer(SQLModel, table=True):
    """Who was answered when: nobody hears the same more than once in a week."""

    __tablename__ = "absence_answer"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    sender: str = Field(index=True)  # Address.key
    at: datetime = Field(sa_type=Moment)
