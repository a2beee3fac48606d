"""Facts about this installation, such as the spool's identity."""

from sqlmodel import Field, SQLModel


class Instance(SQLModel, table=True):
    """One named value."""

    __tablename__ = "instance"

    key: str = Field(primary_key=True)
    value: str
