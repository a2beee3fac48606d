"""App passwords: random ones, one for each program or device, with what each may open."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from mailgov.db.models import Agency, Credential, Mailbox
from mailgov.directory import tokens
from mailgov.directory.change import Act, Change, new_fields, recorded
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import Conflict, InputError, NotFound

SCOPES = ("dav", "imap", "smtp")
MOST_LABEL = 60  # letters


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """What was made. The password is nowhere kept: this is the only time it can be shown."""

    change: Change
    password: str = field(repr=False)


def add_app_password(
    session: Session,
    act: Act,
    address: str,
    *,
    label: str,
    scopes: Collection[str] = ("imap", "smtp"),
    most: int = 20,
) -> NewAppPassword:
    """Make a password for one program or device; `label` names it to its owner.

    Raises NotFound `mailbox-unknown`; InputError `app-password-label`, `app-password-scope`;
    Conflict `app-passwords-too-many`, `mailbox-recalled`.
    """
    mailbox = get_mailbox(session, address)
    label = " ".join(label.split())
    if not label or len(label) > MOST_LABEL or not label.isprintable():
        raise InputError("app-password-label", most=MOST_LABEL)
    wanted = sorted(set(scopes))
    if not wanted or not set(SCOPES).issuperset(wanted):
        raise InputError("app-password-scope", scopes=", ".join(wanted), known=", ".join(SCOPES))
    if mailbox.state == "recalled":
        raise Conflict("mailbox-recalled", address=mailbox.address)
    if len(in_force(session, mailbox)) >= most:
        raise Conflict("app-passwords-too-many", address=mailbox.address, most=most)
    assert mailbox.id is not None
    key, password = tokens.make_key(session), tokens.new_app_password()
    row = Credential(
        mailbox_id=mailbox.id,
        kind="app",
        hash=key.app_password(password),
        verifier=key.scram_verifier(mailbox.address, password),
        label=label,
        scopes=" ".join(wanted),
        created_at=act.at,
    )
    session.add(row)
    session.flush()
    fields = new_fields(id=row.id, label=label, scopes=row.scopes)
    return NewAppPassword(_recorded(session, act, "add", mailbox, fields), password)


def revoke_app_password(session: Session, act: Act, address: str, number: int) -> Change:
    """End an app password; what is signed in with it is signed out.

    Raises NotFound `mailbox-unknown`, `app-password-unknown`.
    """
    mailbox = get_mailbox(session, address)
    row = session.get(Credential, number)
    if row is None or row.kind != "app" or row.mailbox_id != mailbox.id:
        raise NotFound("app-password-unknown", address=mailbox.address, id=number)
    if row.revoked_at is not None:
        return _recorded(session, act, "revoke", mailbox, {})
    row.revoked_at = act.at
    session.add(row)
    fields = {"id": (str(row.id), ""), "label": (row.label, ""), "scopes": (row.scopes, "")}
    return _recorded(session, act, "revoke", mailbox, fields)


def in_force(session: Session, mailbox: Mailbox) -> list[Credential]:
    """The app passwords of a mailbox, oldest first."""
    return list(
        session.exec(
            select(Credential)
            .where(
                Credential.mailbox_id == mailbox.id,
                Credential.kind == "app",
                col(Credential.revoked_at).is_(None),
            )
            .order_by(col(Credential.id))
        )
    )


def _recorded(
    session: Session, act: Act, verb: str, mailbox: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    address = mailbox.address
    change = Change("app-password", verb, address, fields, agency_code=code, mailbox=address)
    return recorded(session, act, change)
