"""Adding domains, and taking them out of use."""

from collections.abc import Sequence
from functools import cache

from publicsuffixlist import PublicSuffixList
from sqlalchemy import ColumnElement, false, func, true
from sqlmodel import Session, col, select

from mailgov.addresses import is_within, parse_domain
from mailgov.clock import local_date
from mailgov.db.models import (
    Agency,
    Alias,
    DkimKey,
    Domain,
    DomainSuccession,
    Mailbox,
)
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.provisioning.agencies import get_agency
from mailgov.errors import Conflict, InputError, NotFound


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def get_domain(session: Session, name: str) -> Domain:
    """The domain of that name. Raises NotFound `domain-unknown`, InputError `domain-not-valid`."""
    domain = session.exec(select(Domain).where(Domain.name == parse_domain(name))).first()
    if domain is None:
        raise NotFound("domain-unknown", domain=name)
    return domain


def add_domain(
    session: Session, act: Act, *, name: str, agency: str, official_suffixes: Sequence[str]
) -> Change:
    """Take mail for a domain, on behalf of its agency.

    Official mail comes from official domains (rule sender-official-domain), and nobody owns a
    suffix such as gov.vn. Raises InputError `domain-not-valid`, `domain-not-official`,
    `domain-is-suffix`; NotFound `agency-unknown`; Conflict `domain-taken`.
    """
    domain = parse_domain(name)
    if not is_within(domain, list(official_suffixes)):
        raise InputError(
            "domain-not-official", domain=domain, suffixes=", ".join(official_suffixes)
        )
    if _suffixes().is_public(domain):
        raise InputError("domain-is-suffix", domain=domain)
    owner = get_agency(session, agency)
    existing = session.exec(select(Domain).where(Domain.name == domain)).first()
    if existing is not None:
        if existing.agency_id == owner.id:
            return Change("domain", "add", domain, agency_code=agency)
        holder = session.get_one(Agency, existing.agency_id)
        raise Conflict("domain-taken", domain=domain, code=holder.code, name=holder.name_vi)
    assert owner.id is not None
    session.add(Domain(name=domain, agency_id=owner.id, created_at=act.at))
    session.flush()
    fields = new_fields(name=domain, agency=agency, state="active")
    return recorded(session, act, Change("domain", "add", domain, fields, agency_code=agency))


def enable_domain(session: Session, act: Act, name: str) -> Change:
    """Put a disabled domain into use again. Raises as `get_domain`."""
    return _set_state(session, act, get_domain(session, name), "active")


def disable_domain(session: Session, act: Act, name: str) -> Change:
    """Take a domain out of use: no new addresses in it, no signatures, no reports.

    Nobody may be cut off by it: it is refused while open mailboxes, aliases in force or a domain
    that takes its place need it. Raises as `get_domain`, and Conflict `domain-in-use`.
    """
    domain = get_domain(session, name)
    if domain.state == "active":
        today = local_date(act.at)
        alias = col(Alias.valid_until)
        accepted = col(DomainSuccession.accepted_until)
        _require_unused(
            session,
            domain,
            mailboxes=col(Mailbox.state).in_(("active", "suspended")),
            aliases=alias.is_(None) | (alias >= today),
            successions=accepted.is_(None) | (accepted >= today),
        )
    return _set_state(session, act, domain, "disabled")


def remove_domain(session: Session, act: Act, name: str) -> tuple[Change, list[str]]:
    """Forget a disabled domain that nothing is left of, with its keys.

    Returns the key files too, which the caller deletes once that is committed. Raises as
    `get_domain`, and Conflict `domain-not-disabled`, `domain-in-use`.
    """
    domain = get_domain(session, name)
    if domain.state != "disabled":
        raise Conflict("domain-not-disabled", domain=domain.name)
    _require_unused(session, domain, mailboxes=true(), aliases=true(), successions=false())
    owner = session.get_one(Agency, domain.agency_id)
    keys = session.exec(select(DkimKey).where(DkimKey.domain_id == domain.id)).all()
    files = [key.file_name for key in keys]
    successions = select(DomainSuccession).where(
        (DomainSuccession.domain_id == domain.id) | (DomainSuccession.successor_id == domain.id)
    )
    for row in (*keys, *session.exec(successions)):
        session.delete(row)
    session.flush()
    session.delete(domain)
    session.flush()
    change = Change(
        "domain", "remove", domain.name, {"name": (domain.name, "")}, agency_code=owner.code
    )
    return recorded(session, act, change), files


def _set_state(session: Session, act: Act, domain: Domain, state: str) -> Change:
    owner = session.get_one(Agency, domain.agency_id)
    fields = edited_fields(domain, state=state)
    session.add(domain)
    session.flush()
    verb = "enable" if state == "active" else "disable"
    return recorded(
        session, act, Change("domain", verb, domain.name, fields, agency_code=owner.code)
    )


def _require_unused(
    session: Session,
    domain: Domain,
    *,
    mailboxes: ColumnElement[bool],
    aliases: ColumnElement[bool],
    successions: ColumnElement[bool],
) -> None:
    """Raise Conflict `domain-in-use` where anything of these kinds needs the domain."""
    inside = f"%@{domain.name}"
    counted = {
        "mailboxes": select(func.count())
        .select_from(Mailbox)
        .where(Mailbox.domain_id == domain.id, mailboxes),
        "aliases": select(func.count())
        .select_from(Alias)
        .where(col(Alias.address).like(inside), aliases),
        "successions": select(func.count())
        .select_from(DomainSuccession)
        .where(DomainSuccession.domain_id == domain.id, successions),
    }
    found = {name: session.exec(query).one() for name, query in counted.items()}
    if any(found.values()):
        raise Conflict("domain-in-use", domain=domain.name, **found)
