"""A mailbox gets another address: what it had stays known, and nobody else gets it.

The mail stays in the folder of the first address, so nothing moves on the disk. Mail to the former
address goes on arriving as to an alias, until its last day. Whoever uses the former address is not
found any more by sign-ins: programs are told the new name.
"""

from datetime import date

from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import Agency, Alias, Credential, Domain, FormerAddress, Forward, Mailbox
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.former import holder_before
from mailgov.directory.naming import require_local_part
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import Conflict, NotFound


def rename_mailbox(
    session: Session,
    act: Act,
    address: str,
    new_address: str,
    *,
    alias_until: date | None = None,
    keep_alias: bool = True,
) -> Change:
    """Give a mailbox another address, of a domain of ours; whose the domain is, the caller knows.

    The old address stays as an alias, until `alias_until` where that is named; without `keep_alias`
    mail to it is refused at once. App passwords go on, except by SCRAM, whose check holds the name.

    Raises InputError `address-not-valid`, `local-part-not-valid`, `name-reserved`; NotFound
    `mailbox-unknown`, `domain-unknown`; Conflict `alias-taken`, `address-was-used`.
    """
    mailbox = get_mailbox(session, address)
    new = Address.parse(new_address.lower())
    old = mailbox.address
    code = session.get_one(Agency, mailbox.agency_id).code
    if new.key == old:
        return Change("mailbox", "edit", old, agency_code=code, mailbox=old)
    require_local_part(new.local, mailbox.kind)
    domain = session.exec(select(Domain).where(Domain.name == new.domain)).first()
    if domain is None:
        raise NotFound("domain-unknown", domain=new.domain)
    _require_free(session, new.key, mailbox, local_date(act.at))
    assert mailbox.id is not None
    assert domain.id is not None
    session.add(
        FormerAddress(
            address=old, mailbox_id=mailbox.id, until=local_date(act.at), created_at=act.at
        )
    )
    mailbox.home = "" if mailbox.home == new.key else mailbox.home or old
    mailbox.address, mailbox.domain_id = new.key, domain.id
    session.add(mailbox)
    session.flush()
    session.connection().execute(
        update(Credential)
        .where(col(Credential.mailbox_id) == mailbox.id, col(Credential.verifier) != "")
        .values(verifier="")
    )
    # What leads to the mailbox goes on leading there when the alias has ended.
    session.connection().execute(
        update(Forward).where(col(Forward.target) == old).values(target=new.key)
    )
    session.connection().execute(
        update(Mailbox).where(col(Mailbox.contact) == old).values(contact=new.key)
    )
    fields = {"address": (old, new.key)}
    if keep_alias:
        session.add(
            Alias(address=old, mailbox_id=mailbox.id, valid_until=alias_until, created_at=act.at)
        )
        session.flush()
        fields["alias"] = ("", f"{old}, {alias_until}" if alias_until else old)
    change = Change("mailbox", "edit", new.key, fields, agency_code=code, mailbox=new.key)
    return recorded(session, act, change)


def _require_free(session: Session, key: str, mailbox: Mailbox, today: date) -> None:
    """The address is nobody's; an alias of the mailbox itself gives way."""
    taken = session.exec(select(Mailbox).where(Mailbox.address == key)).first()
    alias = session.exec(select(Alias).where(Alias.address == key)).first()
    if alias is not None and alias.mailbox_id == mailbox.id:
        session.delete(alias)
        session.flush()
    elif alias is not None:
        taken = session.get_one(Mailbox, alias.mailbox_id)
    if taken is not None:
        raise Conflict("alias-taken", address=key, holder=taken.address)
    before = holder_before(session, key, today)
    if before is not None and before.id != mailbox.id:
        raise Conflict("address-was-used", address=key, holder=before.address)
