"""What guards signing in: second factors, failures of the day, places an owner is known from."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class SecondFactor(SQLModel, table=True):
    """The code generator of a mailbox's holder (RFC 6238); in force once a code of it was shown."""

    __tablename__ = "second_factor"

    mailbox_id: int = Field(primary_key=True, foreign_key="mailbox.id")
    secret: str  # encrypted: base64 of nonce and AES-256-GCM
    last_step: int = 0  # of the last code taken: neither it nor an older one is taken again
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    confirmed_at: datetime | None = Field(default=None, sa_type=Moment)


class RecoveryCode(SQLModel, table=True):
    """A code on paper for the day the generator is lost; good for once."""

    __tablename__ = "recovery_code"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    hash: str = Field(max_length=64)  # keyed digest in hexadecimal
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class SignInFailure(SQLModel, table=True):
    """Failed sign-ins to one name from one network, counted for a day. Names may be nobody's."""

    __tablename__ = "sign_in_failure"

    name_hash: str = Field(primary_key=True, max_length=64)  # what was typed may be a password
    network: str = Field(primary_key=True, max_length=43)
    failures: int = 0
    since: datetime = Field(sa_type=Moment, index=True)  # the first one counted


class KnownPlace(SQLModel, table=True):
    """A network or browser from which the holder of a mailbox has signed in lately."""

    __tablename__ = "known_place"
    __table_args__ = (UniqueConstraint("mailbox_id", "kind", "value"),)

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    kind: str  # network, browser
    value: str = Field(max_length=64)  # the network, or the digest of the browser's token
    seen_at: datetime = Field(sa_type=Moment)
