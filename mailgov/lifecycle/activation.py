"""Activation links: how somebody gets to a first password, or to a new one after a loss.

A link is a random token that only its holder knows; its digest is kept. It is good once, for some days,
and only the latest one of a mailbox is good.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov.config import Config, Lifecycle
from mailgov.db.models import Activation, Agency, Mailbox, Person
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_mailbox
from mailgov.directory.provisioning.mailboxes import set_password
from mailgov.errors import Conflict, NotAllowed
from mailgov.lifecycle.access import end_sign_ins
from mailgov.lifecycle.passwords import reuse_of

_TOKEN_BYTES = 20  # 160 bits
LONGEST_TOKEN = 64  # a bound on what a stranger can make us hash


@dataclass(frozen=True, slots=True)
class NewActivation:
    """A link as it is given out: shown once."""

    change: Change
    token: str
    expires_at: datetime

    def link(self, config: Config) -> str:
        """Where the holder goes with it."""
        url = config.web.url or f"http://{config.web.listen}"
        return f"{url.rstrip('/')}/activate/{self.token}"


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom a link is for."""

    address: str
    name: str


def issue(
    session: Session, act: Act, address: str, days: int, *, end_access: bool = True
) -> NewActivation:
    """A new link; earlier ones are void. With `end_access` passwords and open sign-ins end too.

    Raises NotFound `mailbox-unknown`; Conflict `mailbox-recalled`, `mailbox-suspended`.
    """
    mailbox = get_mailbox(session, address)
    if mailbox.state != "active":
        raise Conflict(f"mailbox-{mailbox.state}", address=mailbox.address)
    if end_access:
        end_sign_ins(session, act, mailbox, passwords=True)
    else:
        _void(session, act, mailbox)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    expires = act.at + timedelta(days=days)
    assert mailbox.id is not None
    session.add(
        Activation(
            token_hash=_digest(token),
            mailbox_id=mailbox.id,
            created_at=act.at,
            expires_at=expires,
        )
    )
    code = session.get_one(Agency, mailbox.agency_id).code
    fields = {"activation": ("", expires.isoformat(timespec="minutes"))}
    if end_access:
        fields["password"] = ("", "ended")
    change = Change(
        "mailbox", "reset", mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    return NewActivation(recorded(session, act, change), token, expires)


def invited(session: Session, token: str, now: datetime) -> Invited:
    """Whom a link is for. Raises NotAllowed `activation-over`: unknown, used, replaced or too old."""
    _, mailbox = _find(session, token, now)
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    return Invited(mailbox.address, person.full_name if person else mailbox.display_name)


def activate(
    session: Session, token: str, password: str, now: datetime, settings: Lifecycle
) -> str:
    """Set the password that the holder of a link chose; the link is used up. Returns the address.

    Raises NotAllowed `activation-over`, and what `set_password` raises; then the link stays good.
    """
    row, mailbox = _find(session, token, now)
    act = Act(mailbox.address, now)
    reuse = reuse_of(session, mailbox, settings)
    set_password(
        session,
        act,
        mailbox.address,
        password,
        reuse=reuse,
        breached=settings.breached_passwords,
    )
    row.ended_at = now
    mailbox.activated_at = mailbox.activated_at or now
    mailbox.locked_at = None
    session.add_all([row, mailbox])
    return mailbox.address


def _find(session: Session, token: str, now: datetime) -> tuple[Activation, Mailbox]:
    row = None
    if token and len(token) <= LONGEST_TOKEN:
        row = session.get(Activation, _digest(token))
    if row is None or row.ended_at is not None or row.expires_at <= now:
        raise NotAllowed("activation-over")
    mailbox = session.get_one(Mailbox, row.mailbox_id)
    if mailbox.state != "active":
        raise NotAllowed("activation-over")
    return row, mailbox


def _void(session: Session, act: Act, mailbox: Mailbox) -> None:
    session.connection().execute(
        update(Activation)
        .where(col(Activation.mailbox_id) == mailbox.id, col(Activation.ended_at).is_(None))
        .values(ended_at=act.at)
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def waiting(session: Session, mailbox_id: int, now: datetime) -> datetime | None:
    """When the link of a mailbox ends that can still be used; None: there is none."""
    query = select(Activation.expires_at).where(
        Activation.mailbox_id == mailbox_id,
        col(Activation.ended_at).is_(None),
        col(Activation.expires_at) > now,
    )
    return session.exec(query).first()
