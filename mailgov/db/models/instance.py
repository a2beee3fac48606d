"""Facts about this installation, such as the spool's identity."""

from sqlmodel import Field, SQLModel

# Names people in reports by a keyed hash, the same in every report of this installation.
PSEUDONYM_KEY = "pseudonym-key"

# Signs the senders of mail that is passed on (mailgov/srs.py).
RETURN_PATH_KEY = "return-path-key"


class Instance(SQLModel, table=True):
    """One named value."""

    __tablename__ = "instance"

    key: str = Field(primary_key=True)
    value: str
