"""Adding mailboxes, opening and closing them, and their passwords."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov.access import sees, whole
from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import (
    Agency,
    Alias,
    Credential,
    Domain,
    Mailbox,
    Person,
    WebSession,
)
from mailgov.directory.agency_defaults import QUOTA_MB, quota_of
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.common_passwords import is_listed
from mailgov.directory.credentials import hash_password, matches, require_good
from mailgov.directory.former import holder_before
from mailgov.directory.naming import free_forms, person_name, require_local_part
from mailgov.directory.provisioning.agencies import ancestors, get_agency
from mailgov.errors import Conflict, InputError, NotFound

LEAST_CONTRACT_MONTHS = 12
"""Rule eligibility: whoever has a labour contract gets a mailbox from a year on (652/QĐ-BTTTT, 2016)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMailbox:
    """What is asked for. `kind` is person, office, post, shared, or group, which holds no mail."""

    address: str
    agency: str  # code
    name: str = ""  # of the person, or shown for the office; empty: the agency's name
    kind: str = "person"
    staff_no: str = ""  # key of the person on the staff list
    title: str = ""
    quota_mb: int | None = None  # None: what the agency gives the kind
    interagency_only: bool = False  # takes documents of state agencies only
    public_contact: bool = False  # is there for citizens and companies, and may write to them
    contract_months: int | None = None  # of the person's labour contract; None: on the payroll


def get_mailbox(session: Session, address: str) -> Mailbox:
    """The mailbox of that address, aliases not followed.

    Raises InputError `address-not-valid`, NotFound `mailbox-unknown`.
    """
    key = Address.parse(address).key
    mailbox = session.exec(select(Mailbox).where(Mailbox.address == key)).first()
    if mailbox is None:
        raise NotFound("mailbox-unknown", address=key)
    return mailbox


def add_mailbox(session: Session, act: Act, new: NewMailbox) -> Change:
    """Give a mailbox to a person, office or post of an agency.

    The address lies in a domain of the agency or of one above it. A person is known by staff
    number, comes onto the staff list with the first mailbox, and has one mailbox only
    (rule one-address-per-holder); without staff number there is none (rule eligibility). An agency
    has one office mailbox, by the same rule; further ones are shared.

    Raises InputError `address-not-valid`, `local-part-not-valid`, `name-reserved`,
    `mailbox-kind-not-valid`, `staff-number-missing`, `person-name-not-valid`, `quota-not-valid`,
    `domain-of-other-agency`; NotFound `agency-unknown`, `domain-unknown`;
    Conflict `mailbox-taken`, `one-address-per-holder`, `one-address-per-unit`, `staff-number-taken`, `person-left`.
    """
    address = Address.parse(new.address.lower())
    _require_form(address, new)
    agency = get_agency(session, new.agency)
    domain = _domain_for(session, address, agency)
    if (taken := holder_of(session, address.key, local_date(act.at))) is not None:
        if _already_so(session, taken, agency, new):
            return _nothing("add", taken, agency.code)
        raise _taken_by(session, act, taken, address, agency, domain)
    if new.kind == "office":
        _require_first_office(session, agency)
    person = _person(session, act, agency, new) if new.kind == "person" else None
    name = person.full_name if person else (new.name.strip() or agency.name_vi)
    assert agency.id is not None
    assert domain.id is not None
    mailbox = Mailbox(
        address=address.key,
        kind=new.kind,
        display_name=name,
        person_id=person.id if person else None,
        agency_id=agency.id,
        domain_id=domain.id,
        quota_mb=new.quota_mb or quota_of(session, agency, new.kind),
        interagency_only=new.interagency_only,
        public_contact=new.public_contact,
        created_at=act.at,
    )
    session.add(mailbox)
    session.flush()
    fields = new_fields(
        address=address.key,
        kind=new.kind,
        name=name,
        agency=agency.code,
        staff_no=new.staff_no,
        title=new.title,
        quota_mb=mailbox.quota_mb,
        state="active",
    )
    change = Change(
        "mailbox", "add", address.key, fields, agency_code=agency.code, mailbox=address.key
    )
    return recorded(session, act, change)


def _require_form(address: Address, new: NewMailbox) -> None:
    if new.kind not in QUOTA_MB:
        raise InputError("mailbox-kind-not-valid", kind=new.kind, kinds=", ".join(QUOTA_MB))
    require_local_part(address.local, new.kind)
    if new.kind == "person":
        if not new.staff_no.strip():
            raise InputError("staff-number-missing", address=str(address))
        if new.contract_months is not None and new.contract_months < LEAST_CONTRACT_MONTHS:
            raise InputError("eligibility", months=LEAST_CONTRACT_MONTHS)
        person_name(new.name)
    if new.quota_mb is not None and new.quota_mb < 1:
        raise InputError("quota-not-valid", quota=new.quota_mb)


def _require_first_office(session: Session, agency: Agency) -> None:
    other = select(Mailbox.address).where(
        Mailbox.agency_id == agency.id, Mailbox.kind == "office", Mailbox.state != "recalled"
    )
    if (address := session.exec(other).first()) is not None:
        raise Conflict(
            "one-address-per-unit", agency=agency.code, name=agency.name_vi, address=address
        )


def _domain_for(session: Session, address: Address, agency: Agency) -> Domain:
    domain = session.exec(whole(select(Domain).where(Domain.name == address.domain))).first()
    owners = {owner.id for owner in ancestors(session, agency)}
    lent = domain is not None and domain.agency_id in owners
    if domain is None or not (lent or sees(session, domain.agency_id)):
        raise NotFound("domain-unknown", domain=address.domain)
    if not lent:
        owner = session.get_one(Agency, domain.agency_id)
        raise InputError(
            "domain-of-other-agency",
            domain=domain.name,
            owner=owner.code,
            owner_name=owner.name_vi,
            agency=agency.code,
        )
    if domain.state != "active":
        raise Conflict("domain-disabled", domain=domain.name)
    return domain


def holder_of(session: Session, key: str, today: date) -> Mailbox | None:
    """The mailbox that the address leads to, as its own address or as an alias, or once led to."""
    mailbox = session.exec(select(Mailbox).where(Mailbox.address == key)).first()
    if mailbox is None:
        mailbox = session.exec(
            select(Mailbox)
            .join(Alias, col(Alias.mailbox_id) == col(Mailbox.id))
            .where(Alias.address == key)
        ).first()
    return mailbox or holder_before(session, key, today)


def _already_so(session: Session, taken: Mailbox, agency: Agency, new: NewMailbox) -> bool:
    """Whether the mailbox is just what is asked for, so that nothing need be done."""
    if taken.address != new.address.lower() or (taken.kind, taken.agency_id) != (
        new.kind,
        agency.id,
    ):
        return False
    if new.kind != "person":
        return not new.name or new.name.strip() == taken.display_name
    person = session.get(Person, taken.person_id) if taken.person_id else None
    return person is not None and (person.staff_no, person.full_name) == (
        new.staff_no.strip(),
        person_name(new.name),
    )


def _taken_by(
    session: Session, act: Act, taken: Mailbox, address: Address, agency: Agency, domain: Domain
) -> Conflict:
    person = session.get(Person, taken.person_id) if taken.person_id else None
    holder_agency = session.get_one(Agency, taken.agency_id)
    about = [person.staff_no] if person else []
    holder = f"{taken.display_name} ({', '.join([*about, holder_agency.name_vi])})"
    # In a domain of its own the unit's name in the address would say nothing.
    unit = "" if domain.agency_id == agency.id else agency.short_name
    suggestion = free_address(session, address, local_date(act.at), unit)
    return Conflict("mailbox-taken", address=address.key, holder=holder, suggestion=suggestion)


def free_address(session: Session, address: Address, today: date, unit: str = "") -> str:
    """An address like the given one that is free, by the rules for collisions."""
    for local in free_forms(address.local, unit):
        key = Address(local, address.domain).key
        if holder_of(session, key, today) is None:
            return key
    raise Conflict("no-free-address", address=address.key)


def _person(session: Session, act: Act, agency: Agency, new: NewMailbox) -> Person:
    """The person of that staff number, added or brought up to date."""
    name, staff_no = person_name(new.name), new.staff_no.strip()
    person = session.exec(select(Person).where(Person.staff_no == staff_no)).first()
    if person is None:
        return _add_person(session, act, agency, name, new)
    if person.full_name != name:
        raise Conflict("staff-number-taken", staff_no=staff_no, name=person.full_name)
    if person.left_on is not None and person.left_on <= local_date(act.at):
        raise Conflict("person-left", staff_no=staff_no, name=name, left_on=person.left_on)
    held = session.exec(
        select(Mailbox).where(
            Mailbox.person_id == person.id, Mailbox.kind == "person", Mailbox.state != "recalled"
        )
    ).first()
    if held is not None:
        raise Conflict("one-address-per-holder", name=name, staff_no=staff_no, address=held.address)
    fields = edited_fields(
        person,
        agency_id=agency.id,
        title=new.title or None,
        contract_months=new.contract_months,
    )
    session.add(person)
    recorded(session, act, Change("person", "edit", staff_no, fields, agency_code=agency.code))
    return person


def _add_person(session: Session, act: Act, agency: Agency, name: str, new: NewMailbox) -> Person:
    assert agency.id is not None
    person = Person(
        staff_no=new.staff_no.strip(),
        full_name=name,
        agency_id=agency.id,
        title=new.title,
        contract_months=new.contract_months,
        created_at=act.at,
    )
    session.add(person)
    session.flush()
    fields = new_fields(
        staff_no=person.staff_no,
        full_name=name,
        agency=agency.code,
        title=new.title,
        contract_months=new.contract_months,
    )
    change = Change("person", "add", person.staff_no, fields, agency_code=agency.code)
    recorded(session, act, change)
    return person


def suspend(session: Session, act: Act, address: str) -> Change:
    """Stop a mailbox: nobody sends from it, no program signs in, and open sign-ins end.

    Its holder may sign in to the webmail again, which shows the mail and says why nothing else goes.

    `act.reason` is required. Raises NotFound `mailbox-unknown`, InputError `reason-missing`,
    Conflict `mailbox-recalled`.
    """
    mailbox = get_mailbox(session, address)
    if not act.reason.strip():
        raise InputError("reason-missing", address=mailbox.address)
    _require_not_recalled(mailbox)
    if mailbox.state == "suspended":
        return _nothing("suspend", mailbox, _code(session, mailbox))
    fields = edited_fields(mailbox, state="suspended", suspend_reason=act.reason.strip())
    mailbox.suspended_at = act.at
    session.add(mailbox)
    _end_sign_ins(session, act, mailbox)
    return _mailbox_change(session, act, "suspend", mailbox, fields)


def resume(session: Session, act: Act, address: str) -> Change:
    """Open a suspended mailbox again. Raises NotFound `mailbox-unknown`, Conflict `mailbox-recalled`."""
    mailbox = get_mailbox(session, address)
    _require_not_recalled(mailbox)
    if mailbox.state == "active":
        return _nothing("resume", mailbox, _code(session, mailbox))
    fields = edited_fields(mailbox, state="active", suspend_reason="")
    mailbox.suspended_at = mailbox.suspended_until = None
    session.add(mailbox)
    return _mailbox_change(session, act, "resume", mailbox, fields)


def set_password(
    session: Session,
    act: Act,
    address: str,
    password: str,
    *,
    must_change: bool = False,
    reuse: int = 0,
    breached: Path | None = None,
) -> Change:
    """Replace the password of a mailbox and end its open sign-ins.

    `must_change` asks for another one at the first sign-in (rule first-login-change), the last `reuse`
    passwords may not come back (rule password-history), nor what stands in the file `breached`. Takes
    about 30 ms for each hash. Raises NotFound `mailbox-unknown`; InputError `password-length`,
    `password-content`, `password-common`, `password-used`, `password-too-long`.
    """
    mailbox = get_mailbox(session, address)
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    names = [mailbox.display_name, *([person.full_name] if person else [])]
    require_good(password, local_part=mailbox.address.rpartition("@")[0], names=names)
    if breached is not None and is_listed(breached, password):
        raise InputError("password-common")
    assert mailbox.id is not None
    _require_new(session, mailbox.id, password, reuse)
    replaced = session.connection().execute(
        update(Credential)
        .where(
            col(Credential.mailbox_id) == mailbox.id,
            col(Credential.kind) == "password",
            col(Credential.revoked_at).is_(None),
        )
        .values(revoked_at=act.at)
    )
    session.add(
        Credential(
            mailbox_id=mailbox.id,
            hash=hash_password(password),
            must_change=must_change,
            created_at=act.at,
        )
    )
    _end_sign_ins(session, act, mailbox)
    fields = {
        "password": ("set" if replaced.rowcount else "", "set anew" if replaced.rowcount else "set")
    }
    return _mailbox_change(session, act, "edit", mailbox, fields)


def _require_new(session: Session, mailbox_id: int, password: str, reuse: int) -> None:
    """Raise InputError `password-used` for one of the last passwords."""
    if not reuse:
        return
    last = (
        select(Credential.hash)
        .where(Credential.mailbox_id == mailbox_id, Credential.kind == "password")
        .order_by(col(Credential.id).desc())
        .limit(reuse)
    )
    if any(matches(stored, password) for stored in session.exec(last)):
        raise InputError("password-used", count=reuse)


def _end_sign_ins(session: Session, act: Act, mailbox: Mailbox) -> None:
    session.connection().execute(
        update(WebSession)
        .where(col(WebSession.mailbox_id) == mailbox.id, col(WebSession.ended_at).is_(None))
        .values(ended_at=act.at)
    )


def _require_not_recalled(mailbox: Mailbox) -> None:
    if mailbox.state == "recalled":
        raise Conflict("mailbox-recalled", address=mailbox.address)


def _code(session: Session, mailbox: Mailbox) -> str:
    return session.get_one(Agency, mailbox.agency_id).code


def _nothing(verb: str, mailbox: Mailbox, agency_code: str) -> Change:
    return Change(
        "mailbox", verb, mailbox.address, agency_code=agency_code, mailbox=mailbox.address
    )


def _mailbox_change(
    session: Session, act: Act, verb: str, mailbox: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    code = _code(session, mailbox)
    change = Change(
        "mailbox", verb, mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    return recorded(session, act, change)
