"""Ending what somebody may do, at once: sign-ins, passwords, rights, roles (rule leaver-access).

Open SMTP and IMAP sessions end with what opened them: the relay asks at the next command, the mail
store follows the directory every second.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from mailgov.db.models import (
    Activation,
    Agency,
    Credential,
    Delegation,
    GroupMember,
    Mailbox,
    OfficeKeepers,
    RoleGrant,
    WebSession,
)
from mailgov.directory.change import Act, Change, recorded


def end_sign_ins(session: Session, act: Act, mailbox: Mailbox, *, passwords: bool) -> int:
    """End web sessions, app passwords and activation links; with `passwords` the password too.

    How many passwords of any kind ended.
    """
    end_open_sessions(session, act, mailbox)
    connection = session.connection()
    connection.execute(
        update(Activation)
        .where(col(Activation.mailbox_id) == mailbox.id, col(Activation.ended_at).is_(None))
        .values(ended_at=act.at)
    )
    kinds = ("password", "app") if passwords else ("app",)
    ended = connection.execute(
        update(Credential)
        .where(
            col(Credential.mailbox_id) == mailbox.id,
            col(Credential.kind).in_(kinds),
            col(Credential.revoked_at).is_(None),
        )
        .values(revoked_at=act.at)
    )
    return ended.rowcount


def end_open_sessions(session: Session, act: Act, mailbox: Mailbox) -> None:
    """End what is signed in to the webmail now."""
    session.connection().execute(
        update(WebSession)
        .where(col(WebSession.mailbox_id) == mailbox.id, col(WebSession.ended_at).is_(None))
        .values(ended_at=act.at)
    )


def end_rights(
    session: Session, act: Act, mailbox: Mailbox, *, of_agencies: Iterable[int | None] | None = None
) -> dict[str, list[str]]:
    """End what the mailbox may do with others', its roles and memberships.

    With `of_agencies` only what belongs to these; roles over the whole platform stay then. Returns
    what ended: `rights`, `roles`, `groups`.
    """
    agencies = None if of_agencies is None else set(of_agencies)
    return {
        "rights": _end_delegations(session, act, mailbox, agencies),
        "roles": _end_roles(session, act, mailbox, agencies),
        "groups": _end_memberships(session, act, mailbox, agencies),
    }


def kept_offices(session: Session, person_id: int | None) -> list[str]:
    """Mailboxes that the person keeps or is deputy for: they need somebody else now."""
    if person_id is None:
        return []
    query = (
        select(Mailbox.address)
        .join(OfficeKeepers, col(OfficeKeepers.mailbox_id) == col(Mailbox.id))
        .where(
            or_(
                col(OfficeKeepers.keeper_id) == person_id, col(OfficeKeepers.deputy_id) == person_id
            ),
            col(Mailbox.state) == "active",
        )
        .order_by(Mailbox.address)
    )
    return list(session.exec(query))


def _end_delegations(
    session: Session, act: Act, mailbox: Mailbox, agencies: set[int | None] | None
) -> list[str]:
    query = (
        select(Delegation, Mailbox)
        .join(Mailbox, col(Delegation.mailbox_id) == col(Mailbox.id))
        .where(Delegation.holder_id == mailbox.id)
        .order_by(Mailbox.address, Delegation.rights)
    )
    ended = []
    for row, used in session.exec(query).all():
        if agencies is not None and used.agency_id not in agencies:
            continue
        session.delete(row)
        fields = {"holder": (mailbox.address, ""), "rights": (row.rights, "")}
        _told(session, act, "mailbox", "revoke", used, fields)
        ended.append(f"{used.address} {row.rights}")
    return ended


def _end_roles(
    session: Session, act: Act, mailbox: Mailbox, agencies: set[int | None] | None
) -> list[str]:
    query = select(RoleGrant).where(RoleGrant.mailbox_id == mailbox.id).order_by(col(RoleGrant.id))
    ended = []
    for row in session.exec(query).all():
        if agencies is not None and row.agency_id not in agencies:
            continue
        branch = session.get_one(Agency, row.agency_id).code if row.agency_id else "*"
        session.delete(row)
        fields = {"role": (row.role, ""), "agency": (branch, "")}
        _told(session, act, "role", "revoke", mailbox, fields)
        ended.append(f"{row.role} {branch}")
    return ended


def _end_memberships(
    session: Session, act: Act, mailbox: Mailbox, agencies: set[int | None] | None
) -> list[str]:
    query = (
        select(Mailbox)
        .join(GroupMember, col(GroupMember.group_id) == col(Mailbox.id))
        .where(GroupMember.member_id == mailbox.id)
        .order_by(Mailbox.address)
    )
    ended = []
    for group in session.exec(query).all():
        if agencies is not None and group.agency_id not in agencies:
            continue
        session.connection().execute(
            delete(GroupMember).where(
                col(GroupMember.group_id) == group.id, col(GroupMember.member_id) == mailbox.id
            )
        )
        _told(session, act, "group", "edit", group, {"member": (mailbox.address, "")})
        ended.append(group.address)
    return ended


def _told(
    session: Session, act: Act, noun: str, verb: str, box: Mailbox, fields: dict[str, Any]
) -> None:
    code = session.get_one(Agency, box.agency_id).code
    change = Change(noun, verb, box.address, fields, agency_code=code, mailbox=box.address)
    recorded(session, act, change)
