"""Adding domains."""

from collections.abc import Sequence
from functools import cache

from publicsuffixlist import PublicSuffixList
from sqlmodel import Session, select

from mailgov.addresses import is_within, parse_domain
from mailgov.db.models import Agency, Domain
from mailgov.directory.change import Act, Change, new_fields, recorded
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
