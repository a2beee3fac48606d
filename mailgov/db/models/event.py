"""The ledger's rows; `mailgov.ledger.events` gives them their types."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from mailgov.db.types import Moment

# Histories of mailboxes and agencies: changes only, which are few beside the events of mail.
_CHANGES: dict[str, Any] = {
    "sqlite_where": text("kind = 'directory.changed'"),
    "postgresql_where": text("kind = 'directory.changed'"),
}


class EventRow(SQLModel, table=True):
    """Something that happened. Rows are only ever added."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_kind_at", "kind", "at"),
        Index("ix_event_message", "message_id"),
        Index("ix_event_change_mailbox", "mailbox", "id", **_CHANGES),
        Index("ix_event_change_agency", "agency_code", "mailbox", "id", **_CHANGES),
    )

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    at: datetime = Field(sa_type=Moment)
    kind: str = Field(max_length=40)  # message.accepted, recipient.delivered, mailbox.added, …
    message_id: str = ""
    mailbox: str = ""  # Address.key of the mailbox concerned
    agency_code: str = ""
    actor: str = ""  # address, `cli:<user>` or a role of ours
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
