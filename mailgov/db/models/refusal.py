"""What was known of refused mail, without its words: so that other rules can be tried on it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer
from sqlmodel import Field, SQLModel

from mailgov.db.types import Moment


class Refusal(SQLModel, table=True):
    """A message that the policy refused for good. Refused secrets have no row: rule secret-no-copy."""

    __tablename__ = "refusal"

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    message_id: str = Field(max_length=20)  # queue id, as in the ledger
    agency_code: str = ""
    facts: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    refused_at: datetime = Field(sa_type=Moment, index=True)
