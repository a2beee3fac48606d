"""Mail domains and their signing keys."""

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class Domain(SQLModel, table=True):
    """A domain that we receive and send for."""

    __tablename__ = "domain"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)  # lower-case A-labels
    agency_id: int = Field(foreign_key="agency.id", index=True)
    state: str = "active"  # active, disabled
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class DomainSuccession(SQLModel, table=True):
    """Another domain has taken this one's place; mail to it is taken until a day all the same."""

    __tablename__ = "domain_succession"

    domain_id: int = Field(foreign_key="domain.id", primary_key=True)
    successor_id: int = Field(foreign_key="domain.id", index=True)
    since: date
    accepted_until: date | None = None  # the last day
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class DkimKey(SQLModel, table=True):
    """A DKIM key pair (RFC 6376). The private half is a file in the key folder, never a column."""

    __tablename__ = "dkim_key"
    __table_args__ = (UniqueConstraint("domain_id", "selector"),)

    id: int | None = Field(default=None, primary_key=True)
    domain_id: int = Field(foreign_key="domain.id")
    selector: str = Field(max_length=63)
    algorithm: str = "rsa2048"  # rsa2048, ed25519
    public_key: str  # base64, as in the p= tag
    file_name: str  # below keys/ in the data folder
    state: str = "active"  # pending waits for DNS, active signs, retired stays published, withdrawn
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    activate_at: datetime | None = Field(default=None, sa_type=Moment)  # planned; then DNS decides
    seen_at: datetime | None = Field(default=None, sa_type=Moment)  # last in DNS as it must be
    activated_at: datetime | None = Field(default=None, sa_type=Moment)
    retired_at: datetime | None = Field(default=None, sa_type=Moment)
    withdraw_at: datetime | None = Field(default=None, sa_type=Moment)  # its record may go then
