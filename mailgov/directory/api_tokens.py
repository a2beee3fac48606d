"""Tokens of programs for the administration interface and for SCIM (RFC 6750).

A token has 256 random bits and is kept as a keyed digest, so looking one up tells nothing by its
time. It opens what its holder may do at the moment of use, narrowed to what the token names: an
end, reading or changing, a branch, some commands.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal, cast

from sqlmodel import Session, col, select

from mailgov.access import Role, branch
from mailgov.clock import local_date
from mailgov.db.models import Agency, ApiToken, Mailbox
from mailgov.directory import queries, tokens
from mailgov.directory.change import Act, Change, new_fields, recorded
from mailgov.directory.provisioning.agencies import get_agency
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import Conflict, InputError, NotFound

Access = Literal["read", "change"]
ACCESS: tuple[Access, ...] = ("read", "change")
PREFIX = "mailgov_"  # so that scanners of source code know one that was left lying
MOST_LABEL = 60  # letters
MOST_TOKENS = 50  # of one mailbox
_SECRET_BYTES = 32
_NOTED_EVERY = timedelta(minutes=5)

FIELDS = (
    "id",
    "address",
    "label",
    "access",
    "agency",
    "commands",
    "expires_on",
    "created_at",
    "created_by",
    "last_used_at",
    "last_used_from",
    "token_state",
)


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """What was made. The token is nowhere kept: this is the only time it can be shown."""

    change: Change
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token was shown, and what it opens now."""

    token_id: int
    address: str
    mailbox_id: int
    access: Access
    roles: tuple[Role, ...]  # of the holder, narrowed to the branch of the token
    agency_code: str = ""  # the branch that the token names; empty: as the roles say
    commands: tuple[str, ...] = ()  # empty: every one
    noted: bool = True  # its use was written a short while ago

    def permits(self, command: str) -> bool:
        """Whether the token is for this command: `mailbox` names all of a noun, or the whole path."""
        return not self.commands or any(
            command == one or command.startswith(f"{one} ") for one in self.commands
        )


def add_api_token(
    session: Session,
    act: Act,
    address: str,
    *,
    label: str,
    access: str = "read",
    agency: str = "",
    commands: Collection[str] = (),
    expires_on: date,
    most_days: int = 366,
) -> NewApiToken:
    """Make a token of a mailbox's holder; `label` says which program has it.

    Raises NotFound `mailbox-unknown`, `agency-unknown`; InputError `api-token-label`,
    `api-token-access`, `api-token-end`, `api-token-holder`; Conflict `api-tokens-too-many`,
    `mailbox-recalled`.
    """
    mailbox = get_mailbox(session, address)
    label = " ".join(label.split())
    _require_good(label, access, expires_on, local_date(act.at), most_days)
    if mailbox.kind == "group":
        raise InputError("api-token-holder", address=mailbox.address)
    if mailbox.state == "recalled":
        raise Conflict("mailbox-recalled", address=mailbox.address)
    if len(_in_force(session, mailbox, local_date(act.at))) >= MOST_TOKENS:
        raise Conflict("api-tokens-too-many", address=mailbox.address, most=MOST_TOKENS)
    over = get_agency(session, agency) if agency else None
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    assert mailbox.id is not None
    row = ApiToken(
        mailbox_id=mailbox.id,
        digest=tokens.make_key(session).digest("api-token", secret),
        label=label,
        access=access,
        agency_id=over.id if over else None,
        commands="/".join(" ".join(one.split()) for one in commands),
        expires_on=expires_on,
        created_at=act.at,
        created_by=act.actor,
    )
    session.add(row)
    session.flush()
    fields = new_fields(
        id=row.id,
        label=label,
        access=access,
        agency=agency,
        commands=row.commands,
        expires_on=expires_on,
    )
    return NewApiToken(_recorded(session, act, "add", mailbox, fields), secret)


def revoke_api_token(session: Session, act: Act, number: int) -> Change:
    """End a token at once. Raises NotFound `api-token-unknown`."""
    row = session.get(ApiToken, number)
    if row is None:
        raise NotFound("api-token-unknown", id=number)
    mailbox = session.get_one(Mailbox, row.mailbox_id)
    if row.revoked_at is not None:
        return _recorded(session, act, "revoke", mailbox, {})
    row.revoked_at = act.at
    session.add(row)
    fields = {"id": (str(row.id), ""), "label": (row.label, "")}
    return _recorded(session, act, "revoke", mailbox, fields)


def listing(
    session: Session, today: date, *, address: str = "", within: str = ""
) -> Sequence[Mapping[str, Any]]:
    """Tokens, newest last; never the tokens themselves. Raises NotFound `mailbox-unknown`."""
    query = (
        select(ApiToken, Mailbox.address)
        .join(Mailbox, col(Mailbox.id) == col(ApiToken.mailbox_id))
        .order_by(col(ApiToken.id))
    )
    if address:
        query = query.where(ApiToken.mailbox_id == get_mailbox(session, address).id)
    if within:
        owners = select(Agency.id).where(col(Agency.code).in_(branch(session, within)))
        query = query.where(col(Mailbox.agency_id).in_(owners))
    return [_record(session, row, owner, today) for row, owner in session.exec(query)]


def find_bearer(session: Session, token: str, now: datetime) -> Bearer | None:
    """Whose token it is and what it opens; None for what is no token, ended, or of a closed mailbox."""
    key = tokens.find_key(session)
    if key is None or not token.startswith(PREFIX):
        return None
    digest = key.digest("api-token", token)
    row = session.exec(select(ApiToken).where(ApiToken.digest == digest)).first()
    today = local_date(now)
    if row is None or row.revoked_at is not None or row.expires_on < today:
        return None
    mailbox = session.get_one(Mailbox, row.mailbox_id)
    account = queries.account(session, mailbox.address, today)
    if account is None or account.state != "active":
        return None
    over = session.get_one(Agency, row.agency_id).code if row.agency_id else ""
    assert row.id is not None
    return Bearer(
        token_id=row.id,
        address=account.address,
        mailbox_id=account.mailbox_id,
        access=cast(Access, row.access),
        roles=_narrowed(session, account.roles, over),
        agency_code=over,
        commands=tuple(filter(None, row.commands.split("/"))),
        noted=row.last_used_at is not None and now - row.last_used_at < _NOTED_EVERY,
    )


def ended(session: Session, token: str, now: datetime) -> bool:
    """Whether it was one of ours and its time is over, which its owner may be told."""
    key = tokens.find_key(session)
    if key is None:
        return False
    digest = key.digest("api-token", token)
    row = session.exec(select(ApiToken).where(ApiToken.digest == digest)).first()
    return row is not None and (row.revoked_at is not None or row.expires_on < local_date(now))


def note_use(session: Session, bearer: Bearer, ip: str, now: datetime) -> None:
    """Write when and from where a token was used last."""
    row = session.get_one(ApiToken, bearer.token_id)
    row.last_used_at, row.last_used_from = now, ip
    session.add(row)


def _require_good(label: str, access: str, expires_on: date, today: date, most_days: int) -> None:
    if not label or len(label) > MOST_LABEL or not label.isprintable():
        raise InputError("api-token-label", most=MOST_LABEL)
    if access not in ACCESS:
        raise InputError("api-token-access", access=access, known=", ".join(ACCESS))
    last = today + timedelta(days=most_days)
    if not today <= expires_on <= last:
        raise InputError("api-token-end", day=expires_on, last=last)


def _narrowed(session: Session, roles: Collection[Role], over: str) -> tuple[Role, ...]:
    """The roles as far as they lie in a branch: those above it are brought down to it."""
    if not over:
        return tuple(roles)
    inside = branch(session, over)
    kept = []
    for role in roles:
        if role.agency_code in inside:
            kept.append(role)
        elif not role.agency_code or over in branch(session, role.agency_code):
            kept.append(replace(role, agency_code=over))
    return tuple(kept)


def _in_force(session: Session, mailbox: Mailbox, today: date) -> list[ApiToken]:
    return list(
        session.exec(
            select(ApiToken).where(
                ApiToken.mailbox_id == mailbox.id,
                col(ApiToken.revoked_at).is_(None),
                ApiToken.expires_on >= today,
            )
        )
    )


def _record(session: Session, row: ApiToken, address: str, today: date) -> dict[str, Any]:
    over = session.get_one(Agency, row.agency_id).code if row.agency_id else ""
    state = "revoked" if row.revoked_at else "expired" if row.expires_on < today else "active"
    return {
        "id": row.id,
        "address": address,
        "label": row.label,
        "access": row.access,
        "agency": over,
        "commands": [one for one in row.commands.split("/") if one],
        "expires_on": row.expires_on,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "last_used_at": row.last_used_at,
        "last_used_from": row.last_used_from,
        "token_state": state,
    }


def _recorded(
    session: Session, act: Act, verb: str, mailbox: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    address = mailbox.address
    change = Change("token", verb, address, fields, agency_code=code, mailbox=address)
    return recorded(session, act, change)
