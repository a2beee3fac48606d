"""The address of a new mailbox: as given, by the scheme of the agency, or the nearest that is free."""

from datetime import date

from sqlmodel import Session, col, select

from mailgov.addresses import Address, parse_domain
from mailgov.db.models import Agency, Domain, Mailbox, Person
from mailgov.directory.agency_defaults import scheme_of
from mailgov.directory.naming import RESERVED, local_part, person_name, require_scheme
from mailgov.directory.provisioning import get_agency
from mailgov.directory.provisioning.mailboxes import free_address, holder_of
from mailgov.errors import InputError

SUGGESTED = ("de-nghi", "suggested")
"""In the place of a scheme: the address as given, or what is suggested where it is taken."""


def chosen_address(
    session: Session,
    address: str,
    *,
    agency: str,
    name: str,
    staff_no: str = "",
    scheme: str = "",
    today: date,
) -> str:
    """The address that a new mailbox gets; `@domain` alone asks for one by the scheme.

    Whoever has a mailbox already keeps its address, so that asking again changes nothing. Raises
    InputError `address-not-valid`, `domain-not-valid`, `address-scheme-not-valid`,
    `address-scheme-needs-domain`, `person-name-not-valid`, `name-without-address`; NotFound
    `agency-unknown`; Conflict `no-free-address`.
    """
    unit = get_agency(session, agency)
    if not address.startswith("@"):
        if not scheme:
            return address
        if scheme not in SUGGESTED:
            raise InputError("address-scheme-needs-domain", domain=address.rpartition("@")[2])
        return _free(session, Address.parse(address.lower()), unit, staff_no, today)
    domain = parse_domain(address[1:])
    chosen = scheme_of(session, unit) if scheme in ("", *SUGGESTED) else require_scheme(scheme)
    local = local_part(person_name(name), chosen, unit.short_name)
    if not local:
        raise InputError("name-without-address", name=name)
    return _free(session, Address(local, domain), unit, staff_no, today)


def _free(session: Session, first: Address, unit: Agency, staff_no: str, today: date) -> str:
    held = select(Mailbox.address).join(Person, col(Person.id) == col(Mailbox.person_id))
    held = held.where(Person.staff_no == staff_no.strip(), Mailbox.state != "recalled")
    if staff_no and (own := session.exec(held).first()) is not None:
        return own
    if first.local not in RESERVED and holder_of(session, first.key, today) is None:
        return first.key
    owner = session.exec(select(Domain.agency_id).where(Domain.name == first.domain)).first()
    # In a domain of its own the unit's name in the address would say nothing.
    return free_address(session, first, today, "" if owner == unit.id else unit.short_name)
