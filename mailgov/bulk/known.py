"""What the directory holds of the people, agencies and addresses that a file names."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from sqlmodel import Session, col, select

from mailgov.access import fence_of, sees, whole
from mailgov.addresses import Address
from mailgov.db.models import Agency, Alias, Domain, FormerAddress, Mailbox, Person
from mailgov.directory.agency_defaults import QUOTA_MB
from mailgov.directory.naming import (
    DEFAULT_SCHEME,
    RESERVED,
    Scheme,
    free_forms,
    local_part,
    require_scheme,
)
from mailgov.errors import Conflict, InputError, NotFound

_AT_ONCE = 1000  # values in one statement


@dataclass(frozen=True, slots=True)
class KnownAgency:
    """An agency, and the domain in which its people get their addresses."""

    id: int
    code: str
    name: str
    parent_id: int | None
    short_name: str
    valid_to: date | None
    successor: str
    scheme: str = ""  # of addresses; empty: as the agency above
    quotas: tuple[int, int] = (0, 0)  # MiB of people and offices; 0: as the agency above


@dataclass(frozen=True, slots=True)
class KnownDomain:
    """A domain of ours; `agency_id` owns it."""

    id: int
    name: str
    agency_id: int


@dataclass(slots=True)
class Held:
    """A person with the mailbox they hold, as they are now."""

    person_id: int
    staff_no: str
    full_name: str
    agency_id: int
    title: str
    group: str
    phone: str
    joined_on: date | None
    left_on: date | None
    mailbox_id: int | None = None
    address: str = ""
    state: str = ""
    quota_mb: int = 0


@dataclass(slots=True)
class HeldOffice:
    """A mailbox that is nobody's own."""

    mailbox_id: int
    address: str
    kind: str
    agency_id: int
    display_name: str
    quota_mb: int
    state: str


@dataclass
class Directory:
    """Agencies and domains, read once; people and addresses as rows ask for them.

    Addresses of a domain are read when the first row needs one there, and those given to earlier
    rows count as taken: what is planned is what will be written.
    """

    agencies: dict[str, KnownAgency]
    domains: dict[str, KnownDomain]
    people: dict[str, Held] = field(default_factory=dict)
    offices: dict[str, HeldOffice] = field(default_factory=dict)
    taken: dict[str, dict[str, str]] = field(default_factory=dict)  # domain: address: holder
    elsewhere: set[str] = field(default_factory=set)  # staff numbers of other branches
    _by_id: dict[int, KnownAgency] = field(default_factory=dict)
    _domain_of: dict[int, KnownDomain | None] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session) -> "Directory":
        """Agencies and domains as they are now."""
        rows = session.exec(select(Agency)).all()
        codes = {row.id: row.code for row in rows}
        agencies = {
            row.code: KnownAgency(
                row.id or 0,
                row.code,
                row.name_vi,
                row.parent_id,
                row.short_name,
                row.valid_to,
                codes.get(row.successor_id, ""),
                row.address_scheme,
                (row.person_quota_mb, row.office_quota_mb),
            )
            for row in rows
        }
        domains = {
            row.name: KnownDomain(row.id or 0, row.name, row.agency_id)
            for row in session.exec(select(Domain).order_by(col(Domain.id).desc()))
        }
        known = cls(agencies, domains)
        known._by_id = {agency.id: agency for agency in agencies.values()}
        known._borrow(session)
        return known

    def _borrow(self, session: Session) -> None:
        """What lies above the own branch lends its domains and its defaults, and is not shown."""
        found = fence_of(session)
        if found is None:
            return
        upper = session.exec(whole(select(Agency).where(col(Agency.id).in_(found.above)))).all()
        for row in upper:
            self._by_id[row.id or 0] = KnownAgency(
                row.id or 0,
                row.code,
                row.name_vi,
                row.parent_id,
                row.short_name,
                row.valid_to,
                "",
                row.address_scheme,
                (row.person_quota_mb, row.office_quota_mb),
            )
        lent = whole(select(Domain).where(col(Domain.agency_id).in_(found.above)))
        for domain in session.exec(lent.order_by(col(Domain.id).desc())):
            self.domains[domain.name] = KnownDomain(domain.id or 0, domain.name, domain.agency_id)

    def agency(self, code: str, today: date) -> KnownAgency:
        """Raises NotFound `cell-agency-unknown`, Conflict `cell-agency-closed`."""
        found = self.agencies.get(code)
        if found is None:
            like = get_close_matches(code, self.agencies, n=1)
            raise NotFound("cell-agency-unknown", code=code, like=like[0] if like else "-")
        if found.valid_to is not None and found.valid_to < today:
            raise Conflict(
                "cell-agency-closed",
                code=code,
                closed_on=found.valid_to.strftime("%d/%m/%Y"),
                successor=found.successor or "-",
            )
        return found

    def code_of(self, agency_id: int) -> str:
        """The agency's code."""
        return self._by_id[agency_id].code

    def above(self, agency: KnownAgency) -> Iterator[KnownAgency]:
        """The agency and all above it, nearest first."""
        at: KnownAgency | None = agency
        while at is not None:
            yield at
            at = self._by_id.get(at.parent_id) if at.parent_id is not None else None

    def scheme_of(self, agency: KnownAgency) -> Scheme:
        """The address scheme that is set nearest above."""
        chosen = (upper.scheme for upper in self.above(agency))
        return next((require_scheme(scheme) for scheme in chosen if scheme), DEFAULT_SCHEME)

    def quota_of(self, agency: KnownAgency, kind: str) -> int:
        """MiB that a new mailbox of a kind gets, as set nearest above."""
        place = 0 if kind in ("person", "post") else 1
        chosen = (upper.quotas[place] for upper in self.above(agency))
        return next((quota for quota in chosen if quota), QUOTA_MB[kind])

    def domain_for(self, agency: KnownAgency) -> KnownDomain:
        """The oldest domain of the agency, or of the nearest above that has one.

        Raises InputError `cell-agency-without-domain`.
        """
        if agency.id not in self._domain_of:
            first = {domain.agency_id: domain for domain in self.domains.values()}
            self._domain_of[agency.id] = next(
                (first[upper.id] for upper in self.above(agency) if upper.id in first), None
            )
        domain = self._domain_of[agency.id]
        if domain is None:
            raise InputError("cell-agency-without-domain", code=agency.code)
        return domain

    def require_domain(self, address: str, agency: KnownAgency) -> KnownDomain:
        """The domain of an address, if people of this agency may have theirs in it.

        Raises InputError `cell-domain-unknown`, `cell-domain-of-other-agency`.
        """
        name = address.rpartition("@")[2]
        domain = self.domains.get(name)
        if domain is None:
            raise InputError("cell-domain-unknown", domain=name)
        if all(upper.id != domain.agency_id for upper in self.above(agency)):
            owner = self.code_of(domain.agency_id)
            raise InputError(
                "cell-domain-of-other-agency", domain=name, owner=owner, code=agency.code
            )
        return domain

    def load(
        self, session: Session, staff_numbers: Iterable[str], addresses: Iterable[str]
    ) -> None:
        """Read the people and office mailboxes that rows name, unless they are known already."""
        for numbers in _portions(set(staff_numbers) - self.people.keys()):
            self._load_people(session, numbers)
        wanted = set(addresses)
        for portion in _portions(wanted - self.offices.keys()):
            query = select(Mailbox).where(
                col(Mailbox.address).in_(portion), Mailbox.kind != "person"
            )
            for row in session.exec(query):
                self.offices[row.address] = HeldOffice(
                    row.id or 0,
                    row.address,
                    row.kind,
                    row.agency_id,
                    row.display_name,
                    row.quota_mb,
                    row.state,
                )
        session.expunge_all()

    def _load_people(self, session: Session, numbers: Sequence[str]) -> None:
        people = session.exec(select(Person).where(col(Person.staff_no).in_(numbers))).all()
        if fence_of(session) is not None:
            every = whole(select(Person.staff_no).where(col(Person.staff_no).in_(numbers)))
            self.elsewhere.update(set(session.exec(every)) - {one.staff_no for one in people})
        boxes = {
            box.person_id: box
            for box in session.exec(
                select(Mailbox).where(
                    col(Mailbox.person_id).in_([person.id for person in people]),
                    Mailbox.kind == "person",
                    Mailbox.state != "recalled",
                )
            )
        }
        for person in people:
            held = Held(
                person.id or 0,
                person.staff_no,
                person.full_name,
                person.agency_id,
                person.title,
                person.staff_group,
                person.phone,
                person.joined_on,
                person.left_on,
            )
            if (box := boxes.get(person.id)) is not None:
                held.mailbox_id, held.address = box.id, box.address
                held.state, held.quota_mb = box.state, box.quota_mb
            self.people[person.staff_no] = held

    def addresses_in(self, session: Session, domain: KnownDomain) -> dict[str, str]:
        """Every address of a domain, with its holder: of mailboxes in any state, aliases, former ones."""
        if domain.name not in self.taken:
            ending = f"@{domain.name}"
            named = (Mailbox.display_name, Mailbox.agency_id)
            boxes = select(Mailbox.address, *named).where(Mailbox.domain_id == domain.id)
            aliases = (
                select(Alias.address, *named)
                .join(Mailbox, col(Alias.mailbox_id) == col(Mailbox.id))
                .where(col(Alias.address).endswith(ending, autoescape=True))
            )
            before = (
                select(FormerAddress.address, *named)
                .join(Mailbox, col(FormerAddress.mailbox_id) == col(Mailbox.id))
                .where(col(FormerAddress.address).endswith(ending, autoescape=True))
            )
            # Nobody is given an address that others have; who they are is another question.
            found = [
                (address, name if sees(session, agency_id) else "…")
                for query in (before, aliases, boxes)
                for address, name, agency_id in session.exec(whole(query))
            ]
            self.taken[domain.name] = dict(found)
        return self.taken[domain.name]

    def new_address(
        self, session: Session, name: str, agency: KnownAgency
    ) -> tuple[str, KnownDomain, str]:
        """A free address by the scheme: given name and initials. Also who held the first choice.

        Raises InputError `cell-name-without-address`, `cell-agency-without-domain`.
        """
        domain = self.domain_for(agency)
        local = local_part(name, self.scheme_of(agency), agency.short_name)
        if not local:
            raise InputError("cell-name-without-address", name=name)
        taken = self.addresses_in(session, domain)
        first = Address(local, domain.name).key
        if first not in taken and local not in RESERVED:
            return first, domain, ""
        unit = "" if domain.agency_id == agency.id else agency.short_name
        for form in free_forms(local, unit):
            if (key := Address(form, domain.name).key) not in taken:
                return key, domain, taken.get(first, local)
        raise InputError("cell-name-without-address", name=name)


def _portions(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
