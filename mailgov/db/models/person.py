"""People on the staff list; the staff number is the key."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Person(SQLModel, table=True):
    """An official: cán bộ, công chức, viên chức, người lao động."""

    __tablename__ = "person"

    id: int | None = Field(default=None, primary_key=True)
    staff_no: str = Field(unique=True, max_length=40)
    full_name: str
    agency_id: int = Field(foreign_key="agency.id", index=True)
    title: str = ""
    staff_group: str = ""  # lanh-dao, cong-chuc, vien-chuc, nguoi-lao-dong
    phone: str = Field(default="", sa_column_kwargs={"server_default": ""})
    joined_on: date | None = None
    left_on: date | None = None  # the first day on which they were no longer there
    # Length of a labour contract in months; none for those on the payroll (rule eligibility).
    contract_months: int | None = None
    manager_id: int | None = None  # another person, as the personnel system says; may be gone
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class Post(SQLModel, table=True):
    """A post (chức vụ) that a person holds or held; a person may hold several at a time."""

    __tablename__ = "post"

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    agency_id: int = Field(foreign_key="agency.id", index=True)
    title: str = Field(max_length=120)
    mailbox_id: int | None = Field(  # of the post, such as chutich@
        default=None, foreign_key="mailbox.id", index=True
    )
    first_day: date
    last_day: date | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
