"""The statements behind the look-ups, built once: the road of mail makes no objects of rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col

from mailgov.access import Role
from mailgov.db.models import (
    Agency,
    Alias,
    Credential,
    Delegation,
    Domain,
    Forward,
    Mailbox,
    RoleGrant,
    SecondFactor,
)

READ_ONLY = frozenset({"suspended", "reading"})  # states in which the holder reads in the webmail


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in, and what they may do."""

    mailbox_id: int
    address: str
    display_name: str
    kind: str
    agency_code: str
    agency_name: str
    state: str
    may_send_as: tuple[str, ...]  # own address first, then aliases, then delegated mailboxes
    roles: tuple[Role, ...]
    on_behalf_of: tuple[str, ...] = ()  # mailboxes that may stand in From beside an own Sender
    second_factor: bool = False  # in force
    credentials_ended_at: datetime | None = None  # the last time a password of any kind was revoked
    password_due: bool = False  # it must be changed before anything else

    @property
    def only_reads(self) -> bool:
        """Whether the mailbox may be read, and nothing else may be done with it."""
        return self.state in READ_ONLY


@dataclass(frozen=True, slots=True)
class LocalMailbox:
    """A mailbox of ours that mail is addressed to."""

    mailbox_id: int
    address: str  # its own address, also when an alias was asked for
    kind: str
    agency_code: str
    state: str
    interagency_only: bool
    quota_mb: int
    home: str = ""  # the address whose folder holds the mail; empty: its own
    contact: str = ""  # whom to write to instead, in the time of grace


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against. No credential: nobody can sign in."""

    mailbox_id: int
    state: str
    activated_at: datetime | None
    credential_id: int | None
    stored: str | None  # PHC string
    last_used_at: datetime | None
    second_factor: bool = False  # in force


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A password that opens a mailbox to one program."""

    credential_id: int
    scopes: str  # such as `imap smtp`
    last_used_at: datetime | None
    verifier: str  # for SCRAM, RFC 5803


def _in_force(last_day: Mapped[date | None]) -> ColumnElement[bool]:
    """The last day, if there is one, has not passed."""
    return or_(last_day.is_(None), last_day >= bindparam("today"))


_MAILBOX_ID = cast("Mapped[int]", col(Mailbox.id))  # no stored row is without
_AGENCY_OF_MAILBOX = col(Mailbox.agency_id) == col(Agency.id)
_KEYS: BindParameter[list[str]] = bindparam("keys", expanding=True)

# As its holder finds it: `locked` for not being used, `reading` in the time of grace.
_SIGN_IN_STATE: ColumnElement[str] = case(
    (and_(col(Mailbox.state) == "active", col(Mailbox.locked_at).is_not(None)), "locked"),
    (
        and_(
            col(Mailbox.state) == "recalled",
            col(Mailbox.holder_reads),
            col(Mailbox.readable_until) >= bindparam("today"),
        ),
        "reading",
    ),
    else_=col(Mailbox.state),
)
# As those who write to it find it: `passing` where it is recalled and somebody gets its mail.
_ARRIVAL_STATE: ColumnElement[str] = case(
    (
        and_(
            col(Mailbox.state) == "recalled",
            exists().where(
                col(Forward.mailbox_id) == col(Mailbox.id), _in_force(col(Forward.until))
            ),
        ),
        "passing",
    ),
    else_=col(Mailbox.state),
)
_CONTACT: ColumnElement[str] = case(
    (
        and_(
            col(Mailbox.state) == "recalled",
            col(Mailbox.readable_until).is_not(None),
            col(Mailbox.readable_until) >= bindparam("today"),
        ),
        col(Mailbox.contact),
    ),
    else_="",
)
_LOGIN = (
    select(
        _MAILBOX_ID,
        _SIGN_IN_STATE,
        col(Mailbox.activated_at),
        col(Credential.id),
        col(Credential.hash),
        col(Credential.last_used_at),
        col(SecondFactor.confirmed_at).is_not(None),
    )
    .join(SecondFactor, col(SecondFactor.mailbox_id) == col(Mailbox.id), isouter=True)
    .join(
        Credential,
        and_(
            col(Credential.mailbox_id) == col(Mailbox.id),
            col(Credential.kind) == "password",
            col(Credential.revoked_at).is_(None),
        ),
        isouter=True,
    )
    .where(col(Mailbox.address) == bindparam("key"))
    .order_by(col(Credential.id).desc())
    .limit(1)
)
_APP_PASSWORDS = (
    select(
        cast("Mapped[int]", col(Credential.id)),
        col(Credential.scopes),
        col(Credential.last_used_at),
        col(Credential.verifier),
    )
    .where(
        col(Credential.mailbox_id) == bindparam("id"),
        col(Credential.kind) == "app",
        col(Credential.revoked_at).is_(None),
    )
    .order_by(col(Credential.id))
)
_APP_PASSWORD = _APP_PASSWORDS.where(col(Credential.hash) == bindparam("hash"))
_ACCOUNT = (
    select(
        _MAILBOX_ID,
        col(Mailbox.address),
        col(Mailbox.display_name),
        col(Mailbox.kind),
        col(Agency.code),
        col(Agency.name_vi),
        _SIGN_IN_STATE,
        col(SecondFactor.confirmed_at).is_not(None),
        select(func.max(col(Credential.revoked_at)))
        .where(col(Credential.mailbox_id) == col(Mailbox.id))
        .scalar_subquery(),
        exists().where(
            col(Credential.mailbox_id) == col(Mailbox.id),
            col(Credential.kind) == "password",
            col(Credential.revoked_at).is_(None),
            col(Credential.must_change),
        ),
    )
    .join(Agency, _AGENCY_OF_MAILBOX)
    .join(SecondFactor, col(SecondFactor.mailbox_id) == col(Mailbox.id), isouter=True)
    .where(col(Mailbox.address) == bindparam("key"))
)
_ALIASES_OF = (
    select(col(Alias.address))
    .where(col(Alias.mailbox_id) == bindparam("id"), _in_force(col(Alias.valid_until)))
    .order_by(col(Alias.address))
)
_DELEGATED_TO = (
    select(col(Mailbox.address))
    .join(Delegation, col(Delegation.mailbox_id) == col(Mailbox.id))
    .where(
        col(Delegation.holder_id) == bindparam("id"),
        col(Delegation.rights) == bindparam("rights"),
        col(Mailbox.state) == "active",
        _in_force(col(Delegation.until)),
    )
    .order_by(col(Mailbox.address))
)
_ROLES_OF = (
    select(col(RoleGrant.role), col(Agency.code))
    .join(Agency, col(RoleGrant.agency_id) == col(Agency.id), isouter=True)
    .where(col(RoleGrant.mailbox_id) == bindparam("id"), _in_force(col(RoleGrant.until)))
    .order_by(col(RoleGrant.id))
)
_LOCAL = (
    _MAILBOX_ID,
    col(Mailbox.address),
    col(Mailbox.kind),
    col(Agency.code),
    _ARRIVAL_STATE,
    col(Mailbox.interagency_only),
    col(Mailbox.quota_mb),
    col(Mailbox.home),
    _CONTACT,
)
_BY_ADDRESS = (
    select(*_LOCAL).join(Agency, _AGENCY_OF_MAILBOX).where(col(Mailbox.address).in_(_KEYS))
)
_BY_ALIAS = (
    select(col(Alias.address), *_LOCAL)
    .join(Mailbox, col(Alias.mailbox_id) == col(Mailbox.id))
    .join(Agency, _AGENCY_OF_MAILBOX)
    .where(col(Alias.address).in_(_KEYS), _in_force(col(Alias.valid_until)))
)
_DOMAINS = select(col(Domain.name)).where(col(Domain.name).in_(_KEYS))
_AGENCY_CODE = (
    select(col(Agency.code))
    .join(Mailbox, _AGENCY_OF_MAILBOX)
    .where(col(Mailbox.address) == bindparam("key"))
)


def login(session: Session, key: str, today: date) -> Login | None:
    """What a sign-in to a mailbox is checked against; None when there is no such mailbox."""
    row = session.connection().execute(_LOGIN, {"key": key, "today": today}).first()
    return Login(*row) if row is not None else None


def app_password(session: Session, mailbox_id: int, digest: str) -> AppPassword | None:
    """The app password of a mailbox with this digest."""
    wanted = {"id": mailbox_id, "hash": digest}
    row = session.connection().execute(_APP_PASSWORD, wanted).first()
    return AppPassword(*row) if row is not None else None


def app_passwords(session: Session, mailbox_id: int) -> list[AppPassword]:
    """Every app password of a mailbox that is in force."""
    rows = session.connection().execute(_APP_PASSWORDS, {"id": mailbox_id})
    return [AppPassword(*row) for row in rows]


def account(session: Session, key: str, today: date) -> Account | None:
    """The account of a mailbox's own address; None when there is none."""
    connection = session.connection()
    row = connection.execute(_ACCOUNT, {"key": key, "today": today}).first()
    if row is None:
        return None
    whose = {"id": row[0], "today": today}
    may_send_as = (
        row[1],
        *connection.execute(_ALIASES_OF, whose).scalars(),
        *connection.execute(_DELEGATED_TO, {**whose, "rights": "send-as"}).scalars(),
    )
    on_behalf = connection.execute(_DELEGATED_TO, {**whose, "rights": "on-behalf"}).scalars()
    # Who may only read their own mail does nothing in an office either.
    held = connection.execute(_ROLES_OF, whose).all() if row[6] not in READ_ONLY else ()
    roles = tuple(Role(role, code or "") for role, code in held)
    return _account((*row[:7], may_send_as, roles, tuple(on_behalf), *row[7:]))


def mailboxes(session: Session, keys: Iterable[str], today: date) -> dict[str, LocalMailbox]:
    """Our mailboxes among these addresses and aliases: two look-ups by unique index."""
    wanted = {key for key in keys if key}
    connection = session.connection()
    rows = connection.execute(_BY_ADDRESS, {"keys": list(wanted), "today": today})
    found = {row[1]: _local(row) for row in rows}
    if rest := wanted - found.keys():
        aliases = connection.execute(_BY_ALIAS, {"keys": list(rest), "today": today})
        found |= {row[0]: _local(row[1:]) for row in aliases}
    return found


def _account(values: Sequence[Any]) -> Account:
    return Account(*values)


def _local(values: Sequence[Any]) -> LocalMailbox:
    return LocalMailbox(*values)


def local_domains(session: Session, names: Iterable[str]) -> frozenset[str]:
    """Those of the domains that are ours."""
    return frozenset(session.connection().execute(_DOMAINS, {"keys": list(names)}).scalars())


def agency_code(session: Session, key: str) -> str:
    """Code of the agency of a mailbox; empty when there is no such mailbox."""
    return session.connection().execute(_AGENCY_CODE, {"key": key}).scalar() or ""
