"""TLS policies that other domains publish (MTA-STS, RFC 8461), kept as long as they ask for."""

from datetime import datetime

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from mailgov.db.types import Moment


class StsPolicy(SQLModel, table=True):
    """The last policy that a domain had, so that nobody can make us forget it (RFC 8461, 10.2)."""

    __tablename__ = "sts_policy"

    domain: str = Field(primary_key=True, max_length=255)
    policy_id: str  # of the TXT record under which it was fetched
    mode: str  # enforce, testing, none
    mx: list[str] = Field(sa_column=Column(JSON, nullable=False))
    fetched_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment, index=True)
