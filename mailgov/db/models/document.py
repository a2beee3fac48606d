"""Documents that were taken, so that the same one is known when it comes again."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary
from sqlmodel import Field, SQLModel

from mailgov.db.types import Moment


class TakenDocument(SQLModel, table=True):
    """A document in a message that we took. What it says is not kept, only what it is known by."""

    __tablename__ = "taken_document"
    __table_args__ = (Index("ix_taken_document_identity", "identity"),)

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    identity: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # SHA-256
    message_id: str = Field(max_length=20)  # queue id; the message may be gone
    taken_at: datetime = Field(sa_type=Moment)
