"""Who gets mail that is written to a group: a mailbox of kind `group`, which holds no mail itself."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class GroupMember(SQLModel, table=True):
    """A mailbox or group of ours, or everybody of an agency and all below it; one of the two."""

    __tablename__ = "group_member"

    id: int | None = Field(default=None, primary_key=True)
    group_id: int = Field(foreign_key="mailbox.id", index=True)
    member_id: int | None = Field(default=None, foreign_key="mailbox.id", index=True)
    agency_id: int | None = Field(default=None, foreign_key="agency.id", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
