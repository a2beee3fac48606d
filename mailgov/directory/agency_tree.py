"""The agency tree with people, mailboxes and domains, as it is or as it was on a day.

Rows say where people, mailboxes and domains belong now; where they belonged then is found by going
back through the ledger from now to that day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from mailgov.clock import VIETNAM, local_date
from mailgov.db.models import Agency, Domain, EventRow, FormerAddress, Mailbox, Person
from mailgov.directory.agency_past import AgencyThen, branch_codes, tree_at
from mailgov.ledger.events import DirectoryChanged

Record = dict[str, Any]

FIELDS = ("code", "name", "level", "depth", "headcount", "people", "mailboxes", "domains")
_OWNER = ("agency", "agency_code")  # what events call the field


@dataclass
class _Figures:
    people: dict[str, int] = field(default_factory=dict)
    mailboxes: dict[str, int] = field(default_factory=dict)
    domains: dict[str, list[str]] = field(default_factory=dict)


def agency_tree(
    session: Session, top: str = "", *, at: date | None = None, now: datetime
) -> list[Record]:
    """Agencies in the order of the tree with their depth; sums include everything below.

    Raises NotFound `agency-unknown` when the top is not there on that day.
    """
    today = local_date(now)
    day = at or today
    tree = tree_at(session, day)
    if top:
        inside = branch_codes(tree, top)
        tree = {code: row for code, row in tree.items() if code in inside}
    figures = _figures(session, day, today)
    below: dict[str, list[AgencyThen]] = {}
    for row in tree.values():
        below.setdefault(row.parent if row.parent in tree else "", []).append(row)
    found: list[Record] = []
    for row in below.get("", []):
        _walk(row, 0, below, figures, found)
    return found


def _walk(
    row: AgencyThen,
    depth: int,
    below: Mapping[str, list[AgencyThen]],
    figures: _Figures,
    found: list[Record],
) -> Record:
    record: Record = {
        "code": row.code,
        "name": row.name_vi,
        "level": row.level,
        "depth": depth,
        "headcount": row.headcount,
        "people": figures.people.get(row.code, 0),
        "mailboxes": figures.mailboxes.get(row.code, 0),
        "domains": sorted(figures.domains.get(row.code, [])),
    }
    found.append(record)
    for lower in below.get(row.code, []):
        sums = _walk(lower, depth + 1, below, figures, found)
        for name in ("headcount", "people", "mailboxes"):
            record[name] += sums[name]
    return record


def _figures(session: Session, day: date, today: date) -> _Figures:
    end = datetime.combine(day + timedelta(days=1), time(), VIETNAM)
    codes = dict(session.exec(select(Agency.id, Agency.code)).all())
    moved = _owners_then(session, end) if day < today else {}
    found = _Figures()
    for staff_no, agency_id in session.exec(_people(day, end)):
        _count(found.people, moved.get(("person", staff_no)) or codes[agency_id])
    names = _names_then(session, day) if day < today else {}
    boxes = select(Mailbox.id, Mailbox.address, Mailbox.agency_id).where(Mailbox.created_at < end)
    if day >= today:
        boxes = boxes.where(Mailbox.state != "recalled")
    closed = _closed_by(session, end) if day < today else frozenset()
    for number, address, agency_id in session.exec(boxes):
        known = names.get(number, address)
        if known not in closed:
            _count(found.mailboxes, moved.get(("mailbox", known)) or codes[agency_id])
    domains = select(Domain.name, Domain.agency_id).where(Domain.created_at < end)
    for name, agency_id in session.exec(domains):
        code = moved.get(("domain", name)) or codes[agency_id]
        found.domains.setdefault(code, []).append(name)
    return found


def _people(day: date, end: datetime) -> Any:
    """On the staff list on a day: staff number, and where they are now."""
    return select(Person.staff_no, Person.agency_id).where(
        Person.created_at < end,
        or_(col(Person.joined_on).is_(None), col(Person.joined_on) <= day),
        or_(col(Person.left_on).is_(None), col(Person.left_on) > day),
    )


def _count(figures: dict[str, int], code: str) -> None:
    figures[code] = figures.get(code, 0) + 1


def _owners_then(session: Session, end: datetime) -> dict[tuple[str, str], str]:
    """What has another agency since: the code of the one it had, by noun and target.

    Targets are called as they were called when they moved; the first move since counts.
    """
    found: dict[tuple[str, str], str] = {}
    renamed: dict[str, str] = {}  # address since: address then
    for told in _changes_since(session, end):
        target = renamed.get(told["target"], told["target"])
        changes = told["changes"]
        if told["noun"] == "mailbox" and "address" in changes and all(changes["address"]):
            target = renamed.get(changes["address"][0], changes["address"][0])
            renamed[changes["address"][1]] = target
        for name in _OWNER:
            if name in changes and changes[name][0] and told["verb"] != "add":
                found.setdefault((told["noun"], target), changes[name][0])
    return found


def _changes_since(session: Session, end: datetime) -> Iterable[Mapping[Any, Any]]:
    query = (
        select(EventRow.data)
        .where(EventRow.kind == DirectoryChanged.kind, EventRow.at >= end)
        .order_by(col(EventRow.id))
    )
    return session.exec(query.execution_options(yield_per=1000))


def _names_then(session: Session, day: date) -> dict[int | None, str]:
    """The addresses that renamed mailboxes had on a day."""
    query = (
        select(FormerAddress.mailbox_id, FormerAddress.address)
        .where(FormerAddress.until > day)
        .order_by(col(FormerAddress.until).desc(), col(FormerAddress.id).desc())
    )
    return dict(session.exec(query).all())


def _closed_by(session: Session, end: datetime) -> frozenset[str]:
    """Addresses of the mailboxes that were recalled by then."""
    query = select(EventRow.mailbox).where(
        EventRow.kind == DirectoryChanged.kind,
        EventRow.at < end,
        col(EventRow.data)["verb"].as_string() == "recall",
    )
    return frozenset(session.exec(query))
