"""The merger itself: everything in the caller's transaction, each change with its event.

Rows are written by the hundred thousand, so no objects are made of them.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, update
from sqlmodel import Session, SQLModel, col, select

from mailgov.clock import local_date
from mailgov.db.models import (
    Agency,
    Alias,
    Credential,
    Domain,
    DomainSuccession,
    FormerAddress,
    Forward,
    GroupMember,
    Mailbox,
    Person,
    Post,
    RoleGrant,
)
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning.agencies import move_agency
from mailgov.directory.reorganisation.addresses import NewAddress
from mailgov.directory.reorganisation.survey import MergerPlan
from mailgov.directory.reorganisation.telling import counts
from mailgov.ledger import record
from mailgov.ledger.events import DirectoryChanged

Fields = dict[str, tuple[str, str]]


def carry_out(session: Session, act: Act, plan: MergerPlan) -> dict[str, int]:
    """Do what was surveyed in the same transaction; says how much of each kind was changed.

    Raises Conflict `agency-changed-later`.
    """
    into = plan.into.id
    assert into is not None
    domain_ids = _domains(session, act, plan, into)
    for code in plan.units:
        move_agency(session, act, code, plan.into.code, on=plan.merger.on)
    _people(session, act, plan, into)
    changes = {box.id: _moved(plan, box.agency_id) for box in plan.mailboxes}
    _offices(session, plan, changes)
    _addresses(session, act, plan, domain_ids, changes)
    _agency_of_mailboxes(session, plan, into)
    _record_mailboxes(session, act, plan, changes)
    _members(session, plan, into)
    _roles(session, act, plan, into)
    _posts(session, plan, into)
    _end_sources(session, act, plan, into)
    return counts(plan)


def _moved(plan: MergerPlan, agency_id: int) -> Fields:
    return {"agency": (plan.source_codes[agency_id], plan.into.code)}


def _source_ids(plan: MergerPlan) -> list[int]:
    return list(plan.source_codes)


# Domains ---------------------------------------------------------------------------------------


def _domains(session: Session, act: Act, plan: MergerPlan, into: int) -> Mapping[str, int]:
    """Make those that are new and hand over those of the sources; ids of the new ones by name."""
    for change in plan.domains:
        if change.is_made:
            _make_domain(session, act, change.new, change.owner_id)
    for number, name, source in plan.handed_over:
        _update(session, Domain, number, agency_id=into)
        fields = _moved(plan, source)
        recorded(session, act, Change("domain", "edit", name, fields, agency_code=plan.into.code))
    names = {change.new for change in plan.domains}
    found = select(Domain.name, Domain.id).where(col(Domain.name).in_(names))
    ids = {name: one for name, one in session.exec(found) if one is not None}
    for change in plan.domains:
        session.merge(
            DomainSuccession(
                domain_id=change.id,
                successor_id=ids[change.new],
                since=plan.merger.on,
                accepted_until=plan.merger.alias_until or plan.merger.on - timedelta(days=1),
                created_at=act.at,
            )
        )
    session.flush()
    return ids


def _make_domain(session: Session, act: Act, name: str, owner_id: int) -> None:
    if session.exec(select(Domain.id).where(Domain.name == name)).first() is not None:
        return  # two old domains with one successor
    session.add(Domain(name=name, agency_id=owner_id, created_at=act.at))
    session.flush()
    code = session.get_one(Agency, owner_id).code
    fields = {"name": ("", name), "agency": ("", code), "state": ("", "active")}
    recorded(session, act, Change("domain", "add", name, fields, agency_code=code))


# People and mailboxes --------------------------------------------------------------------------


def _people(session: Session, act: Act, plan: MergerPlan, into: int) -> None:
    session.connection().execute(
        update(Person).where(col(Person.agency_id).in_(_source_ids(plan))).values(agency_id=into)
    )
    record(
        session,
        *(
            _event(act, plan, "person", staff_no, _moved(plan, source))
            for _, staff_no, source in plan.people
        ),
    )


def _offices(session: Session, plan: MergerPlan, changes: dict[int, Fields]) -> None:
    for box in plan.former_offices:
        _update(session, Mailbox, box.id, kind="shared")
        changes[box.id] = {**changes[box.id], "kind": ("office", "shared")}


def _addresses(
    session: Session,
    act: Act,
    plan: MergerPlan,
    domain_ids: Mapping[str, int],
    changes: dict[int, Fields],
) -> None:
    given = plan.new_addresses
    if not given:
        return
    connection = session.connection()
    old_domains = [change.old for change in plan.domains]
    _end_aliases(session, plan, old_domains)
    # An alias of the mailbox itself gives way to the address.
    connection.execute(
        delete(Alias).where(col(Alias.address) == bindparam("new")),
        [{"new": one.new} for one in given],
    )
    today = local_date(act.at)
    connection.execute(
        insert(FormerAddress),
        [
            {
                "address": one.box.address,
                "mailbox_id": one.box.id,
                "until": today,
                "created_at": act.at,
            }
            for one in given
        ],
    )
    connection.execute(
        update(Mailbox)
        .where(col(Mailbox.id) == bindparam("number"))
        .values(
            address=bindparam("new"), home=bindparam("kept"), domain_id=bindparam("new_domain")
        ),
        [
            {
                "number": one.box.id,
                "new": one.new,
                "kept": _home(one),
                "new_domain": domain_ids[one.new.partition("@")[2]],
            }
            for one in given
        ],
    )
    connection.execute(
        update(Credential)
        .where(col(Credential.mailbox_id) == bindparam("number"), col(Credential.verifier) != "")
        .values(verifier=""),
        [{"number": one.box.id} for one in given],
    )
    _forwards(session, {one.box.address: one.new for one in given}, old_domains)
    for one in given:
        changes.setdefault(one.box.id, {})["address"] = (one.box.address, one.new)
    if plan.merger.addresses == "alias":
        _lead_on(session, act, plan, changes)


def _forwards(session: Session, renamed: Mapping[str, str], old_domains: Sequence[str]) -> None:
    """Who passes mail on to an old address passes it on to the new one, once."""
    for domain in old_domains:
        query = select(Forward).where(col(Forward.target).endswith(f"@{domain}", autoescape=True))
        for row in session.exec(query).all():
            new = renamed.get(row.target)
            if new is None:
                continue
            same = select(Forward.id).where(
                Forward.mailbox_id == row.mailbox_id, Forward.target == new
            )
            if session.exec(same).first() is not None:
                session.delete(row)
            else:
                row.target = new
                session.add(row)
        # So are those told to write to somebody who is called otherwise now.
        told = select(Mailbox).where(col(Mailbox.contact).endswith(f"@{domain}", autoescape=True))
        for box in session.exec(told).all():
            box.contact = renamed.get(box.contact, box.contact)
            session.add(box)
    session.flush()


def _home(one: NewAddress) -> str:
    kept = one.box.home or one.box.address
    return "" if kept == one.new else kept


def _end_aliases(session: Session, plan: MergerPlan, old_domains: Sequence[str]) -> None:
    """Aliases in the old domains end when the addresses there do."""
    last = plan.merger.alias_until or plan.merger.on - timedelta(days=1)
    for domain in old_domains:
        session.connection().execute(
            update(Alias)
            .where(
                col(Alias.address).endswith(f"@{domain}", autoescape=True),
                or_(col(Alias.valid_until).is_(None), col(Alias.valid_until) > last),
            )
            .values(valid_until=last)
        )


def _lead_on(session: Session, act: Act, plan: MergerPlan, changes: dict[int, Fields]) -> None:
    """The old addresses lead to the new ones until the day that was set."""
    until = plan.merger.alias_until
    session.connection().execute(
        insert(Alias),
        [
            {
                "address": one.box.address,
                "mailbox_id": one.leads_to or one.box.id,
                "valid_until": until,
                "created_at": act.at,
            }
            for one in plan.new_addresses
        ],
    )
    for one in plan.new_addresses:
        if not one.leads_to:
            changes[one.box.id]["alias"] = ("", f"{one.box.address}, {until}")


def _agency_of_mailboxes(session: Session, plan: MergerPlan, into: int) -> None:
    session.connection().execute(
        update(Mailbox).where(col(Mailbox.agency_id).in_(_source_ids(plan))).values(agency_id=into)
    )


def _record_mailboxes(
    session: Session, act: Act, plan: MergerPlan, changes: Mapping[int, Fields]
) -> None:
    now = {box.id: box.address for box in plan.mailboxes}
    now |= {one.box.id: one.new for one in plan.new_addresses}
    record(
        session,
        *(_event(act, plan, "mailbox", now[one], fields) for one, fields in changes.items()),
    )


def _event(act: Act, plan: MergerPlan, noun: str, target: str, fields: Fields) -> DirectoryChanged:
    return DirectoryChanged(
        at=act.at,
        actor=act.actor,
        mailbox=target if noun == "mailbox" else "",
        agency_code=plan.into.code,
        noun=noun,
        verb="edit",
        target=target,
        changes={name: list(pair) for name, pair in fields.items()},
        reason=act.reason,
    )


# Groups, roles, posts --------------------------------------------------------------------------


def _members(session: Session, plan: MergerPlan, into: int) -> None:
    """Groups that have a source as a branch have the merged agency instead, once."""
    rows = session.exec(
        select(GroupMember).where(col(GroupMember.agency_id).in_([*_source_ids(plan), into]))
    ).all()
    has = {row.group_id for row in rows if row.agency_id == into}
    for row in rows:
        if row.agency_id == into:
            continue
        if row.group_id in has:
            session.delete(row)
        else:
            has.add(row.group_id)
            row.agency_id = into
            session.add(row)
    session.flush()


def _roles(session: Session, act: Act, plan: MergerPlan, into: int) -> None:
    """Roles over a source are roles over the merged agency; of two the one that lasts longer."""
    query = (
        select(RoleGrant, Mailbox.address)
        .join(Mailbox, col(Mailbox.id) == col(RoleGrant.mailbox_id))
        .where(col(RoleGrant.agency_id).in_([*_source_ids(plan), into]))
        .order_by(col(RoleGrant.id))
    )
    rows = list(session.exec(query))
    has = {(row.mailbox_id, row.role): row for row, _ in rows if row.agency_id == into}
    for row, holder in rows:
        if row.agency_id == into:
            continue
        before = plan.source_codes[row.agency_id or 0]
        other = has.setdefault((row.mailbox_id, row.role), row)
        if other is row:
            row.agency_id = into
            session.add(row)
        else:
            if other.until is not None and (row.until is None or row.until > other.until):
                other.until = row.until
                session.add(other)
            session.delete(row)
        fields = {"role": (row.role, row.role), "agency": (before, plan.into.code)}
        change = Change("role", "edit", holder, fields, agency_code=plan.into.code, mailbox=holder)
        recorded(session, act, change)
    session.flush()


def _posts(session: Session, plan: MergerPlan, into: int) -> None:
    session.connection().execute(
        update(Post)
        .where(
            col(Post.agency_id).in_(_source_ids(plan)),
            or_(col(Post.last_day).is_(None), col(Post.last_day) >= plan.merger.on),
        )
        .values(agency_id=into)
    )


# The agencies themselves -----------------------------------------------------------------------


def _end_sources(session: Session, act: Act, plan: MergerPlan, into: int) -> None:
    last_day = plan.merger.on - timedelta(days=1)
    verb = "close" if plan.merger.closing else "merge"
    for source in plan.sources:
        fields = {
            "valid_to": (str(source.valid_to or ""), str(last_day)),
            "successor": ("", plan.into.code),
        }
        source.valid_to, source.successor_id = last_day, into
        session.add(source)
        recorded(session, act, Change("agency", verb, source.code, fields, source.code))
    session.flush()
    taken_over = {"taken_over": ("", ", ".join(one.code for one in plan.sources))}
    change = Change("agency", "edit", plan.into.code, taken_over, agency_code=plan.into.code)
    recorded(session, act, change)


def _update(session: Session, model: type[SQLModel], number: int, **values: Any) -> None:
    table = model.__table__  # type: ignore[attr-defined]  # every table has one
    session.connection().execute(update(table).where(table.c.id == number).values(**values))
