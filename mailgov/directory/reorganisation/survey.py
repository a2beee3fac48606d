"""What a merger comes to, as the directory is now. Nothing is written here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from mailgov.db.models import (
    Agency,
    Delegation,
    DkimKey,
    Domain,
    GroupMember,
    Mailbox,
    Person,
    Post,
    RoleGrant,
)
from mailgov.directory.groups import KIND as GROUP
from mailgov.directory.provisioning import get_agency, get_domain
from mailgov.directory.provisioning.agencies import ancestors, require_open
from mailgov.directory.reorganisation.addresses import Box, NewAddress, give_addresses
from mailgov.directory.reorganisation.merger import Merger
from mailgov.errors import Conflict, InputError


@dataclass(frozen=True, slots=True)
class DomainChange:
    """A domain whose addresses move to another one."""

    id: int
    old: str
    new: str
    owner_id: int  # of the new one, where it has to be made
    is_made: bool  # by the merger itself
    signs: bool  # the new one has a DKIM key that signs


@dataclass(slots=True)
class MergerPlan:
    """Everything that a merger would change."""

    merger: Merger
    into: Agency
    sources: Sequence[Agency]
    units: Sequence[str] = ()  # codes of those below the sources, which go below `into`
    people: Sequence[tuple[int, str, int]] = ()  # id, staff number, agency
    mailboxes: Sequence[Box] = ()  # of the sources themselves
    office: Box | None = None  # who answers for the merged agency
    former_offices: Sequence[Box] = ()  # they become shared mailboxes
    new_addresses: Sequence[NewAddress] = ()
    domains: Sequence[DomainChange] = ()
    handed_over: Sequence[tuple[int, str, int]] = ()  # domains of the sources: id, name, agency
    groups: Sequence[str] = ()  # groups of the sources, and groups that name them as a branch
    delegations: int = 0
    roles: Sequence[tuple[int, str, str]] = ()  # grants over the sources: id, holder, role
    posts: int = 0
    source_codes: Mapping[int, str] = field(default_factory=dict)

    @property
    def clashes(self) -> list[NewAddress]:
        """Those who do not get the address that they would get if it were free."""
        return [one for one in self.new_addresses if one.clash]


def survey(session: Session, merger: Merger, today: date) -> MergerPlan:
    """What the merger comes to.

    Raises NotFound `agency-unknown`, `domain-unknown`; InputError `merge-into-itself`,
    `merge-domain-missing`, `merge-domain-not-theirs`; Conflict `agency-closed`, `agency-not-yet`,
    `agency-below-itself`, `merge-domain-of-other`, `no-free-address`.
    """
    into, sources = _agencies(session, merger)
    ids = [one.id for one in sources if one.id is not None]
    plan = MergerPlan(merger, into, sources)
    plan.source_codes = {one.id: one.code for one in sources if one.id is not None}
    below = select(Agency.code).where(col(Agency.parent_id).in_(ids)).order_by(Agency.code)
    plan.units = [code for code in session.exec(below) if code not in merger.sources]
    people = select(Person.id, Person.staff_no, Person.agency_id).where(
        col(Person.agency_id).in_(ids)
    )
    plan.people = [(one, number, unit) for one, number, unit in session.exec(people) if one]
    plan.domains = _domain_changes(session, merger, into, sources)
    mapped = {change.id: change for change in plan.domains}
    boxes = _boxes(session, ids, mapped.keys())
    plan.mailboxes = [box for box in boxes if box.agency_id in ids]
    _choose_office(session, plan)
    plan.new_addresses = give_addresses(
        session,
        [box for box in boxes if box.domain_id in mapped and box.state != "recalled"],
        {number: change.new for number, change in mapped.items()},
        plan.office,
        {box.id for box in plan.former_offices},
        today,
    )
    owned = select(Domain.id, Domain.name, Domain.agency_id).where(col(Domain.agency_id).in_(ids))
    plan.handed_over = [(one, name, unit) for one, name, unit in session.exec(owned) if one]
    _rights(session, plan, ids)
    return plan


def is_done(session: Session, merger: Merger) -> bool:
    """Whether all of it has come about already. Raises NotFound `agency-unknown`."""
    into = get_agency(session, merger.into)
    last_day = merger.on - timedelta(days=1)
    ended = [get_agency(session, code) for code in merger.sources]
    return all((one.successor_id, one.valid_to) == (into.id, last_day) for one in ended)


def _agencies(session: Session, merger: Merger) -> tuple[Agency, list[Agency]]:
    into = get_agency(session, merger.into)
    require_open(into, merger.on)
    if into.valid_from is not None and into.valid_from > merger.on:
        raise Conflict("agency-not-yet", code=into.code, on=into.valid_from)
    if not merger.sources or merger.into in merger.sources:
        raise InputError("merge-into-itself", into=merger.into)
    above = {one.id for one in ancestors(session, into)}
    sources = [get_agency(session, code) for code in dict.fromkeys(merger.sources)]
    for source in sources:
        require_open(source, merger.on)
        if source.id in above:
            raise Conflict("agency-below-itself", code=source.code, to=into.code)
    return into, sources


def _boxes(session: Session, agencies: Collection[int], domains: Collection[int]) -> list[Box]:
    """Mailboxes of agencies or in domains, in the order of agencies, then as they were made."""
    query = (
        select(
            Mailbox.id,
            Mailbox.address,
            Mailbox.kind,
            Mailbox.display_name,
            Mailbox.agency_id,
            Mailbox.domain_id,
            Mailbox.state,
            Mailbox.home,
        )  # type: ignore[call-overload]  # more columns than sqlmodel has types for
        .where(or_(col(Mailbox.agency_id).in_(agencies), col(Mailbox.domain_id).in_(domains)))
        .order_by(col(Mailbox.id))
    )
    rank = {agency: place for place, agency in enumerate(agencies)}
    found = [Box(*row) for row in session.exec(query)]
    return sorted(found, key=lambda box: (rank.get(box.agency_id, len(rank)), box.id))


def _choose_office(session: Session, plan: MergerPlan) -> None:
    """An agency has one office mailbox (rule one-address-per-holder): its own, else the first that comes."""
    offices = [box for box in plan.mailboxes if box.kind == "office" and box.state != "recalled"]
    own = select(Mailbox).where(
        Mailbox.agency_id == plan.into.id, Mailbox.kind == "office", Mailbox.state != "recalled"
    )
    present = session.exec(own).first()
    if present is not None:
        assert present.id is not None
        plan.office = Box(
            present.id, present.address, present.kind, present.display_name, present.agency_id,
            present.domain_id, present.state, present.home,
        )  # fmt: skip
    elif offices:
        plan.office = offices.pop(0)
    plan.former_offices = offices


def _domain_changes(
    session: Session, merger: Merger, into: Agency, sources: Sequence[Agency]
) -> list[DomainChange]:
    if merger.addresses == "keep":
        return []
    branch = _branch_ids(session, sources)
    owned = session.exec(
        select(Domain).where(col(Domain.agency_id).in_(branch)).order_by(Domain.name)
    ).all()
    pairs = _pairs(session, merger, into, sources, owned)
    ids = {one.id for one in sources}
    changes = []
    for domain in owned:
        new = _mapped(domain.name, pairs)
        if new and new != domain.name:
            assert domain.id is not None
            assert into.id is not None
            owner = into.id if domain.agency_id in ids else domain.agency_id
            changes.append(_change(session, domain, new, owner, into))
    return changes


def _pairs(
    session: Session,
    merger: Merger,
    into: Agency,
    sources: Sequence[Agency],
    owned: Sequence[Domain],
) -> Mapping[str, str]:
    names = {domain.name for domain in owned}
    if merger.domains:
        for old, new in merger.domains.items():
            if old not in names:
                raise InputError("merge-domain-not-theirs", domain=old)
            get_domain(session, new)
        return merger.domains
    target = _domain_of(session, into)
    ids = {one.id for one in sources}
    return {domain.name: target.name for domain in owned if domain.agency_id in ids}


def _domain_of(session: Session, agency: Agency) -> Domain:
    """The oldest domain of the agency, or of the nearest above that has one."""
    for upper in ancestors(session, agency):
        query = select(Domain).where(Domain.agency_id == upper.id).order_by(col(Domain.id))
        if (found := session.exec(query).first()) is not None:
            return found
    raise InputError("merge-domain-missing", code=agency.code)


def _mapped(name: str, pairs: Mapping[str, str]) -> str:
    """The new name by the pair that fits best; a pair holds for the domains below it too."""
    fitting = [old for old in pairs if name == old or name.endswith(f".{old}")]
    if not fitting:
        return ""
    old = max(fitting, key=len)
    return name.removesuffix(old) + pairs[old]


def _change(
    session: Session, domain: Domain, new: str, owner_id: int, into: Agency
) -> DomainChange:
    assert domain.id is not None
    present = session.exec(select(Domain).where(Domain.name == new)).first()
    if present is None:
        return DomainChange(domain.id, domain.name, new, owner_id, is_made=True, signs=False)
    allowed = {into.id, owner_id, *(one.id for one in ancestors(session, into))}
    if owner_id != into.id:
        allowed |= {one.id for one in ancestors(session, session.get_one(Agency, owner_id))}
    if present.agency_id not in allowed:
        holder = session.get_one(Agency, present.agency_id)
        raise Conflict(
            "merge-domain-of-other",
            domain=new,
            old=domain.name,
            code=holder.code,
            name=holder.name_vi,
        )
    keys = select(DkimKey.id).where(DkimKey.domain_id == present.id, DkimKey.state == "active")
    signs = session.exec(keys).first() is not None
    return DomainChange(domain.id, domain.name, new, present.agency_id, is_made=False, signs=signs)


def _branch_ids(session: Session, tops: Sequence[Agency]) -> set[int]:
    top = select(Agency.id).where(col(Agency.id).in_([one.id for one in tops]))
    tree = top.cte("branch", recursive=True)
    below = select(Agency.id).join(tree, col(Agency.parent_id) == tree.c.id)
    return {one for one in session.exec(select(tree.union(below).c.id)) if one is not None}


def _rights(session: Session, plan: MergerPlan, ids: Collection[int]) -> None:
    named = (
        select(Mailbox.address)
        .join(GroupMember, col(GroupMember.group_id) == col(Mailbox.id))
        .where(col(GroupMember.agency_id).in_(ids))
    )
    own = [box.address for box in plan.mailboxes if box.kind == GROUP]
    plan.groups = sorted({*own, *session.exec(named)})
    grants = (
        select(RoleGrant.id, Mailbox.address, RoleGrant.role)
        .join(Mailbox, col(Mailbox.id) == col(RoleGrant.mailbox_id))
        .where(col(RoleGrant.agency_id).in_(ids))
        .order_by(col(RoleGrant.id))
    )
    plan.roles = [(one, holder, role) for one, holder, role in session.exec(grants) if one]
    theirs = select(Mailbox.id).where(col(Mailbox.agency_id).in_(ids))
    used = or_(col(Delegation.mailbox_id).in_(theirs), col(Delegation.holder_id).in_(theirs))
    plan.delegations = session.exec(select(func.count()).select_from(Delegation).where(used)).one()
    posts = select(func.count()).select_from(Post).where(col(Post.agency_id).in_(ids))
    plan.posts = session.exec(posts.where(_open_post(plan.merger.on))).one()


def _open_post(on: date) -> ColumnElement[bool]:
    return or_(col(Post.last_day).is_(None), col(Post.last_day) >= on)
