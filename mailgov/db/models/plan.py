"""What is to be done on a day: transfers, recalls, mergers."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class PlannedAct(SQLModel, table=True):
    """An act with its day. It is done once, and what came of it stays beside it."""

    __tablename__ = "planned_act"
    __table_args__ = (Index("ix_planned_act_state_on", "state", "on_day"),)

    id: int | None = Field(default=None, primary_key=True)  # the number people name it by
    kind: str = Field(max_length=40)  # such as mailbox.transfer, agency.merge
    subject: str = Field(index=True, max_length=254)  # Address.key, or the code of an agency
    agency_code: str = Field(default="", index=True)  # of the branch that it concerns
    on_day: date  # in Vietnam
    arguments: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    actor: str
    reason: str = ""
    state: str = "planned"  # planned, done, cancelled, failed
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    result: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    failure: str = ""  # code of the error
    failure_fields: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
