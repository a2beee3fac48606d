"""Mailboxes, what opens them, and who else may use them."""

from datetime import date, datetime

from sqlalchemy import Index, false
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment

DEFAULT_QUOTA_MB = 5 * 1024  # rule quota: 5 GiB personal


class Mailbox(SQLModel, table=True):
    """A mailbox of a kind: person, office (vanthu@), post (chutich@), shared."""

    __tablename__ = "mailbox"
    __table_args__ = (Index("ix_mailbox_state_address", "state", "address"),)  # pages of lists

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(unique=True, max_length=254)  # Address.key
    kind: str = "person"
    display_name: str = ""
    # The address whose folder holds its mail; empty: its own. A mailbox that is renamed keeps it.
    home: str = Field(
        default="", max_length=254, index=True, sa_column_kwargs={"server_default": ""}
    )
    person_id: int | None = Field(default=None, foreign_key="person.id", index=True)
    agency_id: int = Field(foreign_key="agency.id", index=True)
    domain_id: int = Field(foreign_key="domain.id", index=True)
    state: str = "active"  # active, suspended, recalled
    quota_mb: int = DEFAULT_QUOTA_MB
    interagency_only: bool = False  # takes documents of state agencies only
    public_contact: bool = Field(  # is there for citizens and companies, and may write to them
        default=False, sa_column_kwargs={"server_default": false()}
    )
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    activated_at: datetime | None = Field(default=None, sa_type=Moment)  # first sign-in
    suspended_at: datetime | None = Field(default=None, sa_type=Moment)
    suspended_until: date | None = None
    suspend_reason: str = ""
    # Nobody signs in, but mail arrives: not used for long (rule inactive-account).
    locked_at: datetime | None = Field(default=None, sa_type=Moment)
    reopened_at: datetime | None = Field(default=None, sa_type=Moment)  # last time it was resumed
    # The end: stop on a day, read-only for a time of grace, kept, and then the mail is removed.
    recalled_at: datetime | None = Field(default=None, sa_type=Moment)
    readable_until: date | None = None  # the last day of grace
    kept_until: date | None = None  # before this day has passed nothing is removed
    holder_reads: bool = Field(  # who had it may still read in the time of grace
        default=False, sa_column_kwargs={"server_default": false()}
    )
    # Whom senders are told to write to instead, and who gets what still comes.
    contact: str = Field(default="", max_length=254, sa_column_kwargs={"server_default": ""})
    receipt: str = Field(default="", max_length=40, sa_column_kwargs={"server_default": ""})
    removed_at: datetime | None = Field(default=None, sa_type=Moment)
    # The Dovecot behind a proxy that has the mail; empty: the first of `mailstore.backends`.
    backend: str = Field(default="", max_length=253, sa_column_kwargs={"server_default": ""})


class Alias(SQLModel, table=True):
    """Another address of a mailbox, possibly until a date."""

    __tablename__ = "alias"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(unique=True, max_length=254)  # Address.key
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    valid_until: date | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class FormerAddress(SQLModel, table=True):
    """An address that a mailbox had as its own; nobody else gets it while mail may look for it."""

    __tablename__ = "former_address"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(max_length=254, index=True)  # Address.key
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    until: date  # the first day on which the mailbox had another one
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class OfficeKeepers(SQLModel, table=True):
    """Who answers for a mailbox that is nobody's own (rule office-mailbox-owner)."""

    __tablename__ = "office_keepers"

    mailbox_id: int = Field(foreign_key="mailbox.id", primary_key=True)
    keeper_id: int | None = Field(default=None, foreign_key="person.id", index=True)
    deputy_id: int | None = Field(default=None, foreign_key="person.id", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class Credential(SQLModel, table=True):
    """What signs in to a mailbox: the person's password (argon2id) or a random app password."""

    __tablename__ = "credential"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    kind: str = "password"  # password, app
    hash: str  # of a password the PHC string, of an app password its keyed digest in hexadecimal
    label: str = ""
    # What an app password opens, such as `imap smtp`, and what SCRAM is checked against (RFC 5803).
    scopes: str = Field(default="", sa_column_kwargs={"server_default": ""})
    verifier: str = Field(default="", sa_column_kwargs={"server_default": ""})
    must_change: bool = False
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    last_used_at: datetime | None = Field(default=None, sa_type=Moment)
    last_used_from: str = Field(default="", sa_column_kwargs={"server_default": ""})  # IP address
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


class Activation(SQLModel, table=True):
    """A link by which the holder sets the first password, or one after a loss; good for once."""

    __tablename__ = "activation"

    token_hash: str = Field(primary_key=True, max_length=64)  # SHA-256 of a random token
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)  # used, or made void


class Told(SQLModel, table=True):
    """What the holder of a mailbox was told of by a letter, so that nobody hears it twice."""

    __tablename__ = "told"

    mailbox_id: int = Field(primary_key=True, foreign_key="mailbox.id")
    matter: str = Field(primary_key=True, max_length=20)  # quota, unused, password-age
    step: str = Field(max_length=40)  # such as 80 of a quota
    at: datetime = Field(sa_type=Moment)


class Delegation(SQLModel, table=True):
    """The holder may use another mailbox: rights are `read`, `send-as`, `on-behalf`."""

    __tablename__ = "delegation"

    id: int | None = Field(default=None, primary_key=True)
    mailbox_id: int = Field(foreign_key="mailbox.id", index=True)  # the one that is used
    holder_id: int = Field(foreign_key="mailbox.id", index=True)  # the one who uses it
    rights: str = "send-as"
    until: date | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
