"""Groups: mailboxes of kind `group`, which hold no mail; who is in them, and who may write to them."""

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


class GroupMode(SQLModel, table=True):
    """Who may write to a group without waiting for a moderator; without a row: everybody."""

    __tablename__ = "group_mode"

    group_id: int = Field(foreign_key="mailbox.id", primary_key=True)
    mode: str  # open, members, moderated


class GroupModerator(SQLModel, table=True):
    """A mailbox that decides on what others write to the group."""

    __tablename__ = "group_moderator"

    group_id: int = Field(foreign_key="mailbox.id", primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", primary_key=True, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
