"""Agencies: a tree with dates; codes are never reused."""

from datetime import date, datetime

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
    valid_from: date | None = None
    valid_to: date | None = None
    successor_id: int | None = Field(default=None, foreign_key="agency.id")
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
