"""Aliases, delegations and roles."""

from datetime import date

from sqlmodel import Session, select

from mailgov.access import ACTS, OPERATOR, fence_of
from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import Agency, Alias, Delegation, Domain, Mailbox, RoleGrant
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.former import holder_before
from mailgov.directory.naming import require_local_part
from mailgov.directory.provisioning.agencies import get_agency
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import Conflict, InputError, NotAllowed, NotFound

RIGHTS = ("read", "send-as", "on-behalf")


def add_alias(
    session: Session, act: Act, *, address: str, mailbox: str, until: date | None = None
) -> Change:
    """Let mail to `address` reach a mailbox, and the mailbox send from it; `until` is the last day.

    Raises InputError `address-not-valid`, `local-part-not-valid`, `name-reserved`; NotFound
    `mailbox-unknown`, `domain-unknown`; Conflict `alias-taken`, `address-was-used`.
    """
    target = get_mailbox(session, mailbox)
    alias = Address.parse(address.lower())
    require_local_part(alias.local, target.kind)
    if session.exec(select(Domain.id).where(Domain.name == alias.domain)).first() is None:
        raise NotFound("domain-unknown", domain=alias.domain)
    holder = session.exec(select(Mailbox.address).where(Mailbox.address == alias.key)).first()
    existing = session.exec(select(Alias).where(Alias.address == alias.key)).first()
    if existing is not None and existing.mailbox_id != target.id:
        holder = session.get_one(Mailbox, existing.mailbox_id).address
    elif holder is None and existing is None:
        before = holder_before(session, alias.key, local_date(act.at))
        if before is not None and before.id != target.id:
            raise Conflict("address-was-used", address=alias.key, holder=before.address)
    if holder is not None:
        raise Conflict("alias-taken", address=alias.key, holder=holder)
    if existing is not None:
        fields = edited_fields(existing, valid_until=until)
        session.add(existing)
        return _recorded(session, act, "alias", "edit", target, fields, alias.key)
    assert target.id is not None
    session.add(
        Alias(address=alias.key, mailbox_id=target.id, valid_until=until, created_at=act.at)
    )
    session.flush()
    fields = new_fields(address=alias.key, mailbox=target.address, valid_until=until)
    return _recorded(session, act, "alias", "add", target, fields, alias.key)


def remove_alias(session: Session, act: Act, address: str) -> Change:
    """Take an alias away. Raises InputError `address-not-valid`, NotFound `alias-unknown`."""
    key = Address.parse(address).key
    alias = session.exec(select(Alias).where(Alias.address == key)).first()
    if alias is None:
        raise NotFound("alias-unknown", address=key)
    target = session.get_one(Mailbox, alias.mailbox_id)
    session.delete(alias)
    session.flush()
    fields = {"address": (key, ""), "mailbox": (target.address, "")}
    return _recorded(session, act, "alias", "remove", target, fields, key)


def grant_send_as(
    session: Session,
    act: Act,
    *,
    mailbox: str,
    holder: str,
    rights: str = "send-as",
    until: date | None = None,
) -> Change:
    """Let the holder of one mailbox use another; `until` is the last day.

    Raises NotFound `mailbox-unknown`; InputError `rights-not-valid`; Conflict `delegation-to-self`.
    """
    if rights not in RIGHTS:
        raise InputError("rights-not-valid", rights=rights, known=", ".join(RIGHTS))
    used, user = get_mailbox(session, mailbox), get_mailbox(session, holder)
    if used.id == user.id:
        raise Conflict("delegation-to-self", address=used.address)
    existing = session.exec(
        select(Delegation).where(
            Delegation.mailbox_id == used.id,
            Delegation.holder_id == user.id,
            Delegation.rights == rights,
        )
    ).first()
    if existing is not None:
        fields = edited_fields(existing, until=until)
        session.add(existing)
        return _recorded(session, act, "mailbox", "grant", used, fields)
    assert used.id is not None
    assert user.id is not None
    session.add(
        Delegation(
            mailbox_id=used.id,
            holder_id=user.id,
            rights=rights,
            until=until,
            created_at=act.at,
        )
    )
    session.flush()
    fields = new_fields(holder=user.address, rights=rights, until=until)
    return _recorded(session, act, "mailbox", "grant", used, fields)


def revoke_delegation(
    session: Session, act: Act, *, mailbox: str, holder: str, rights: str = "send-as"
) -> Change:
    """End the right of one mailbox's holder to use another.

    Raises NotFound `mailbox-unknown`, InputError `rights-not-valid`.
    """
    if rights not in RIGHTS:
        raise InputError("rights-not-valid", rights=rights, known=", ".join(RIGHTS))
    used, user = get_mailbox(session, mailbox), get_mailbox(session, holder)
    existing = session.exec(
        select(Delegation).where(
            Delegation.mailbox_id == used.id,
            Delegation.holder_id == user.id,
            Delegation.rights == rights,
        )
    ).first()
    if existing is None:
        return _recorded(session, act, "mailbox", "revoke", used, {})
    session.delete(existing)
    fields = {"holder": (user.address, ""), "rights": (rights, "")}
    return _recorded(session, act, "mailbox", "revoke", used, fields)


def grant_role(
    session: Session,
    act: Act,
    *,
    mailbox: str,
    role: str,
    agency: str = "",
    until: date | None = None,
) -> Change:
    """Give a role over an agency and everything below it; over the whole when none is named.

    `until` is the last day. Raises InputError `role-not-valid`, `role-whole-only` for the role of
    those who run the platform, `role-ended`; NotFound `mailbox-unknown`, `agency-unknown`;
    NotAllowed `role-grant-not-allowed`.
    """
    _require_role(session, role)
    if role == OPERATOR and agency:
        raise InputError("role-whole-only", role=role)
    if until is not None and until < local_date(act.at):
        raise InputError("role-ended", until=until.strftime("%d/%m/%Y"))
    holder = get_mailbox(session, mailbox)
    branch: Agency | None = get_agency(session, agency) if agency else None
    branch_id = branch.id if branch else None
    existing = session.exec(
        select(RoleGrant).where(
            RoleGrant.mailbox_id == holder.id,
            RoleGrant.role == role,
            RoleGrant.agency_id == branch_id,
        )
    ).first()
    if existing is not None:
        fields = edited_fields(existing, until=until)
        session.add(existing)
        return _recorded(session, act, "role", "grant", holder, fields)
    assert holder.id is not None
    session.add(
        RoleGrant(
            mailbox_id=holder.id,
            role=role,
            agency_id=branch_id,
            until=until,
            created_at=act.at,
        )
    )
    session.flush()
    fields = new_fields(role=role, agency=agency or "*", until=until)
    return _recorded(session, act, "role", "grant", holder, fields)


def revoke_role(session: Session, act: Act, *, mailbox: str, role: str, agency: str = "") -> Change:
    """End a role at once; over the whole when no agency is named.

    Raises InputError `role-not-valid`; NotFound `mailbox-unknown`, `agency-unknown`,
    `role-not-held`; NotAllowed `role-grant-not-allowed`.
    """
    _require_role(session, role)
    holder = get_mailbox(session, mailbox)
    branch_id = get_agency(session, agency).id if agency else None
    existing = session.exec(
        select(RoleGrant).where(
            RoleGrant.mailbox_id == holder.id,
            RoleGrant.role == role,
            RoleGrant.agency_id == branch_id,
        )
    ).first()
    if existing is None:
        raise NotFound("role-not-held", address=holder.address, role=role, agency=agency or "*")
    session.delete(existing)
    session.flush()
    fields = {"role": (role, ""), "agency": (agency or "*", "")}
    return _recorded(session, act, "role", "revoke", holder, fields)


def _require_role(session: Session, role: str) -> None:
    """Raise for what is no role, and for one that somebody kept to a branch may not deal with."""
    if role not in ACTS:
        raise InputError("role-not-valid", role=role, known=", ".join(ACTS))
    if fence_of(session) is not None and role != "it":
        raise NotAllowed("role-grant-not-allowed")


def _recorded(
    session: Session,
    act: Act,
    noun: str,
    verb: str,
    mailbox: Mailbox,
    fields: dict[str, tuple[str, str]],
    target: str = "",
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    change = Change(
        noun, verb, target or mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    return recorded(session, act, change)
