"""Whom we have asked to try again, and who did: senders that come back are mail servers."""

from datetime import datetime

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel

from mailgov.db.types import Moment


class Greylisted(SQLModel, table=True):
    """A triplet of network, sender and recipient, or a network that proved itself."""

    __tablename__ = "greylist"

    key: bytes = Field(  # SHA-256: no list of who writes to whom is kept
        sa_column=Column(LargeBinary(32), primary_key=True)
    )
    first_at: datetime = Field(sa_type=Moment)
    last_at: datetime = Field(sa_type=Moment, index=True)
    passes: int = 0  # times it came back after the wait
