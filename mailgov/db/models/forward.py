"""Where a mailbox passes its mail on to by itself."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Forward(SQLModel, table=True):
    """One target of one mailbox, possibly until a date."""

    __tablename__ = "forward"
    __table_args__ = (UniqueConstraint("mailbox_id", "target"),)

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    target: str = Field(max_length=254)  # as it is written to; Address.key of a mailbox of ours
    keep_copy: bool = True
    until: date | None = None  # the last day
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    told_at: datetime | None = Field(default=None, sa_type=Moment)  # that mail is not passed on
