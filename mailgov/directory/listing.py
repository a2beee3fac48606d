"""What the directory holds, as records ready for tables and JSON. Synchronous, for administrators."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select

from mailgov import lookups
from mailgov.access import branch, fence_of
from mailgov.config import Limits
from mailgov.db.models import (
    Absence,
    Agency,
    Alias,
    DkimKey,
    Domain,
    DomainSuccession,
    EventRow,
    GroupMember,
    Mailbox,
    RoleGrant,
)
from mailgov.directory import moderation
from mailgov.directory.change import Act
from mailgov.directory.groups import KIND, members
from mailgov.directory.provisioning import get_agency, get_domain, get_mailbox
from mailgov.directory.provisioning.app_passwords import in_force
from mailgov.errors import InputError
from mailgov.ledger import record
from mailgov.ledger.events import ReportRun, SignIn, SignInsHeld
from mailgov.lookups import SessionSource
from mailgov.lookups.history import changes_of_agency

Record = dict[str, Any]

AGENCY_FIELDS = ("code", "name", "level", "parent", "headcount", "mailboxes", "domains")
MAILBOX_FIELDS = lookups.MAILBOX_FIELDS
DOMAIN_FIELDS = ("name", "agency", "agency_name", "state", "mailboxes", "keys")
ALIAS_FIELDS = ("address", "mailbox", "valid_until")
ABSENCE_FIELDS = ("address", "first_day", "last_day")
GROUP_FIELDS = ("address", "name", "agency", "state", "members", "mode")
MEMBER_FIELDS = ("member", "kind", "name", "part")
APP_PASSWORD_FIELDS = ("id", "label", "scopes", "created_at", "last_used_at", "last_used_from")
SIGN_IN_FIELDS = ("at", "channel", "result", "from")
ROLE_FIELDS = ("mailbox", "name", "role", "agency", "until")


def agencies(session: Session, *, within: str = "", level: str = "") -> list[Record]:
    """Agencies in the order of their codes; `within` is the top of a branch.

    Raises NotFound `agency-unknown`.
    """
    query = select(Agency).order_by(Agency.code)
    if within:
        query = query.where(col(Agency.code).in_(_branch(session, within)))
    if level:
        query = query.where(Agency.level == level)
    rows = session.exec(query).all()
    boxes = _counts(session, col(Mailbox.agency_id), col(Mailbox.state) != "recalled")
    domains = _domain_names(session)
    codes = dict(session.exec(select(Agency.id, Agency.code)).all())
    return [
        {
            "code": row.code,
            "name": row.name_vi,
            "level": row.level,
            "parent": codes.get(row.parent_id, ""),
            "headcount": row.headcount,
            "mailboxes": boxes.get(row.id, 0),
            "domains": domains.get(row.id, []),
        }
        for row in rows
    ]


def agency(session: Session, code: str) -> Record:
    """Everything about one agency. Raises NotFound `agency-unknown`."""
    return lookups.agency(_source(session), code)


def agency_tree(session: Session, top: str = "") -> list[Record]:
    """Agencies in the order of the tree with their depth; sums include everything below."""
    rows = agencies(session, within=top)
    below: dict[str, list[Record]] = {}
    known = {row["code"] for row in rows}
    for row in rows:
        parent = row["parent"] if row["parent"] in known else ""
        below.setdefault(parent, []).append(row)
    ordered: list[Record] = []

    def walk(code: str, depth: int) -> tuple[int, int]:
        people = boxes = 0
        for row in below.get(code, []):
            node = {**row, "depth": depth}
            ordered.append(node)
            sums = walk(row["code"], depth + 1)
            node["headcount"] += sums[0]
            node["mailboxes"] += sums[1]
            people, boxes = people + node["headcount"], boxes + node["mailboxes"]
        return people, boxes

    walk("", 0)
    return ordered


def domains(session: Session, *, within: str = "") -> list[Record]:
    """Domains in alphabetical order. Raises NotFound `agency-unknown`."""
    query = (
        select(Domain, Agency)
        .join(Agency, col(Domain.agency_id) == col(Agency.id))
        .order_by(Domain.name)
    )
    if within:
        query = query.where(col(Agency.code).in_(_branch(session, within)))
    boxes = _counts(session, col(Mailbox.domain_id))
    keys = _counts(session, col(DkimKey.domain_id), col(DkimKey.state) == "active")
    return [
        {
            "name": domain.name,
            "agency": owner.code,
            "agency_name": owner.name_vi,
            "state": domain.state,
            "mailboxes": boxes.get(domain.id, 0),
            "keys": keys.get(domain.id, 0),
        }
        for domain, owner in session.exec(query)
    ]


def domain(session: Session, name: str) -> Record:
    """Everything about one domain. Raises NotFound `domain-unknown`."""
    row = get_domain(session, name)
    owner = session.get_one(Agency, row.agency_id)
    keys = session.exec(select(DkimKey).where(DkimKey.domain_id == row.id).order_by("selector"))
    return {
        "name": row.name,
        "agency": owner.code,
        "agency_name": owner.name_vi,
        "state": row.state,
        "mailboxes": _counts(session, col(Mailbox.domain_id)).get(row.id, 0),
        "keys": [
            {"selector": key.selector, "algorithm": key.algorithm, "state": key.state}
            for key in keys
        ],
        **_succession(session, row),
        "created_at": row.created_at,
        "history": changes_of_agency(_source(session), "domain", row.name, owner.code),
    }


def _succession(session: Session, row: Domain) -> Record:
    """Which domain has taken its place, and until when mail to it is taken all the same."""
    found = session.get(DomainSuccession, row.id)
    successor = session.get(Domain, found.successor_id) if found else None
    return {
        "successor": successor.name if successor else "",
        "accepted_until": found.accepted_until if found else None,
    }


def mailboxes(
    session: Session, *, within: str = "", state: str = "", kind: str = "", limit: int = 1000
) -> list[Record]:
    """Mailboxes in the order of their addresses. Raises NotFound `agency-unknown`."""
    source = _source(session)
    return list(lookups.mailboxes(source, within=within, state=state, kind=kind, limit=limit))


def mailbox(session: Session, address: str) -> Record:
    """Everything about one mailbox; never a word of mail. Raises NotFound `mailbox-unknown`."""
    return lookups.mailbox(_source(session), address)


def app_passwords(session: Session, address: str) -> list[Record]:
    """The app passwords of a mailbox, oldest first; never the passwords. Raises NotFound `mailbox-unknown`."""
    return [
        {name: getattr(row, name) for name in APP_PASSWORD_FIELDS}
        for row in in_force(session, get_mailbox(session, address))
    ]


def sign_ins(
    session: Session, act: Act, address: str, *, since: datetime | None = None, limit: int = 1000
) -> list[Record]:
    """Sign-ins and attempts of a mailbox, newest first. Looking is an event, with its reason.

    Raises NotFound `mailbox-unknown`, InputError `reason-missing`.
    """
    box = get_mailbox(session, address)
    if not act.reason.strip():
        raise InputError("reason-missing", address=box.address)
    kinds = (SignIn.kind, SignInsHeld.kind)
    query = select(EventRow).where(EventRow.mailbox == box.address, col(EventRow.kind).in_(kinds))
    if since is not None:
        query = query.where(EventRow.at >= since)
    rows = session.exec(query.order_by(col(EventRow.id).desc()).limit(limit)).all()
    code = session.get_one(Agency, box.agency_id).code
    record(
        session,
        ReportRun(
            at=act.at,
            actor=act.actor,
            mailbox=box.address,
            agency_code=code,
            report="sign-ins",
            period="",
            rows=True,
            reason=act.reason,
        ),
    )
    return [
        {
            "at": row.at,
            "channel": row.data["channel"],
            "result": _result(row),
            "from": row.data.get("ip") or row.data.get("network", ""),
        }
        for row in rows
    ]


def _result(row: EventRow) -> str:
    if row.kind == SignInsHeld.kind:
        return "held"
    return "yes" if row.data["success"] else "no"


def aliases(session: Session, *, mailbox: str = "") -> list[Record]:
    """Aliases in alphabetical order. Raises NotFound `mailbox-unknown`."""
    query = (
        select(Alias, Mailbox.address)
        .join(Mailbox, col(Alias.mailbox_id) == col(Mailbox.id))
        .order_by(Alias.address)
    )
    if mailbox:
        query = query.where(Alias.mailbox_id == get_mailbox(session, mailbox).id)
    return [
        {"address": alias.address, "mailbox": target, "valid_until": alias.valid_until}
        for alias, target in session.exec(query)
    ]


def absences(session: Session) -> list[Record]:
    """Mailboxes that answer by themselves, in alphabetical order; never what they answer."""
    query = (
        select(Mailbox.address, Absence)
        .join(Absence, col(Absence.mailbox_id) == col(Mailbox.id))
        .order_by(Mailbox.address)
    )
    return [
        {"address": address, "first_day": one.first_day, "last_day": one.last_day}
        for address, one in session.exec(query)
    ]


def groups(session: Session, limits: Limits) -> list[Record]:
    """Groups in alphabetical order: to how many mailboxes each leads, and the mode in force."""
    query = (
        select(Mailbox, Agency.code)
        .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
        .where(Mailbox.kind == KIND)
        .order_by(Mailbox.address)
    )
    return [_group(session, group, code, limits) for group, code in session.exec(query)]


def _group(session: Session, group: Mailbox, agency: str, limits: Limits) -> Record:
    assert group.id is not None
    size = len(members(session, [group.id], limits.group_recipients))
    chosen = moderation.chosen_mode(session, group.id)
    return {
        "address": group.address,
        "name": group.display_name,
        "agency": agency,
        "state": group.state,
        "members": size,
        "mode": moderation.mode_in_force(chosen, size, limits),
    }


def group_members(session: Session, group: str, today: date) -> list[Record]:
    """Members as they were added, then moderators: those named, else who keeps the office mailbox.

    Raises NotFound `mailbox-unknown`.
    """
    box = get_mailbox(session, group)
    group_id = box.id
    mailboxes = (
        select(Mailbox.address, Mailbox.kind, Mailbox.display_name)
        .join(GroupMember, col(GroupMember.member_id) == col(Mailbox.id))
        .where(GroupMember.group_id == group_id)
        .order_by(Mailbox.address)
    )
    branches = (
        select(Agency.code, Agency.name_vi)
        .join(GroupMember, col(GroupMember.agency_id) == col(Agency.id))
        .where(GroupMember.group_id == group_id)
        .order_by(Agency.code)
    )
    return [
        *(_member(a, k, n, "member") for a, k, n in session.exec(mailboxes)),
        *(_member(c, "branch", n, "member") for c, n in session.exec(branches)),
        *(
            _member(one.address, one.kind, one.display_name, "moderator")
            for one in _moderators(session, box, today)
        ),
    ]


def _member(address: str, kind: str, name: str, part: str) -> Record:
    return {"member": address, "kind": kind, "name": name, "part": part}


def _moderators(session: Session, group: Mailbox, today: date) -> list[Mailbox]:
    assert group.id is not None
    if group.kind != KIND:
        return []
    return moderation.named_moderators(session, group.id) or [
        session.get_one(Mailbox, one.mailbox_id)
        for one in moderation.moderators(session, group, today)
    ]


def roles(
    session: Session, *, mailbox: str = "", within: str = "", on: date | None = None
) -> list[Record]:
    """Granted roles by holder; `on` keeps those in force that day.

    Raises NotFound `mailbox-unknown`, `agency-unknown`.
    """
    query = (
        select(RoleGrant, Mailbox, Agency.code)
        .join(Mailbox, col(RoleGrant.mailbox_id) == col(Mailbox.id))
        .join(Agency, col(RoleGrant.agency_id) == col(Agency.id), isouter=True)
        .order_by(Mailbox.address, RoleGrant.role)
    )
    if mailbox:
        query = query.where(RoleGrant.mailbox_id == get_mailbox(session, mailbox).id)
    if within:
        query = query.where(col(Agency.code).in_(_branch(session, within)))
    if on is not None:
        query = query.where(or_(col(RoleGrant.until).is_(None), col(RoleGrant.until) >= on))
    return [
        {
            "mailbox": box.address,
            "name": box.display_name,
            "role": grant.role,
            "agency": code or "*",
            "until": grant.until,
        }
        for grant, box, code in session.exec(query)
    ]


def _source(session: Session) -> SessionSource:
    kept = fence_of(session)
    return SessionSource(session, kept.tops if kept else None)


def _branch(session: Session, top: str) -> Collection[str]:
    get_agency(session, top)
    return branch(session, top)


def _counts(
    session: Session, by: ColumnElement[int] | Any, *conditions: ColumnElement[bool]
) -> dict[int | None, int]:
    query = select(by, func.count()).where(*conditions).group_by(by)
    return dict(session.exec(query).all())


def _domain_names(session: Session) -> dict[int | None, list[str]]:
    names: dict[int | None, list[str]] = {}
    for owner, name in session.exec(select(Domain.agency_id, Domain.name).order_by(Domain.name)):
        names.setdefault(owner, []).append(name)
    return names
