"""Agencies: a tree with dates; codes are never reused."""

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Agency(SQLModel, table=True):
    """A unit of the state, under its official code (Decision 20/2020/QĐ-TTg form, such as H99.02)."""

    __tablename__ = "agency"

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=35)
    parent_id: int | None = Field(default=None, foreign_key="agency.id", index=True)
    name_vi: str
    name_en: str = ""
    short_name: str = ""
    level: str  # ministry, ministry-unit, province, department, department-unit, ward, commune, special-zone
    headcount: int = 0  # declared by the agency; a staff list beats it
    regulation: str = ""  # number of its e-mail regulation in force
    office_mailbox: str = ""
    # What its people get unless their row says otherwise; empty and 0: as the agency above.
    address_scheme: str = Field(default="", sa_column_kwargs={"server_default": ""})
    person_quota_mb: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    office_quota_mb: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Months for which mailboxes of leavers stay, those of leaders, and how long mail is kept then.
    grace_months: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    leader_grace_months: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    retention_months: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # When its accounts were last gone through (rule account-review).
    reviewed_on: date | None = None
    valid_from: date | None = None
    valid_to: date | None = None  # the last day
    successor_id: int | None = Field(default=None, foreign_key="agency.id")
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class AgencyPast(SQLModel, table=True):
    """What an agency was until a day; what it is now stands in its own row.

    On a day it was what the past of the nearest later `until` says, else what it is now.
    """

    __tablename__ = "agency_past"
    __table_args__ = (UniqueConstraint("agency_id", "until"),)

    id: int | None = Field(default=None, primary_key=True)
    agency_id: int = Field(foreign_key="agency.id", index=True)
    until: date  # the first day on which this was no longer so
    parent_id: int | None = Field(default=None, foreign_key="agency.id")
    name_vi: str
    name_en: str = ""
    short_name: str = ""
    level: str
    headcount: int = 0
    regulation: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
