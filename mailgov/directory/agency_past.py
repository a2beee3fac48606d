"""Agencies as they were on a day: kept when they change, found again by date.

Codes are never reused, so a code means one agency on every day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from sqlmodel import Session, col, select

from mailgov.db.models import Agency, AgencyPast
from mailgov.errors import Conflict, NotFound

DATED = ("name_vi", "name_en", "short_name", "level", "headcount", "regulation")
"""What an agency was is known by date for these, and for the agency above it."""
_KEPT = ("parent_id", *DATED)


@dataclass(frozen=True, slots=True)
class AgencyThen:
    """An agency as it was on a day."""

    id: int
    code: str
    parent: str  # code; empty at the top
    name_vi: str
    name_en: str
    short_name: str
    level: str
    headcount: int
    regulation: str


def keep_past(session: Session, agency: Agency, on: date) -> None:
    """Keep what an agency is until `on`, before it is changed with effect from that day.

    Several changes of one day leave one past. What it was before its first day is not kept. Raises
    Conflict `agency-changed-later` when it has been changed with effect from a later day already:
    then its past would be told wrongly.
    """
    latest = session.exec(
        select(col(AgencyPast.until))
        .where(AgencyPast.agency_id == agency.id)
        .order_by(col(AgencyPast.until).desc())
    ).first()
    if latest is not None and latest > on:
        raise Conflict("agency-changed-later", code=agency.code, on=latest)
    if latest == on or (agency.valid_from is not None and agency.valid_from >= on):
        return
    assert agency.id is not None
    kept = {name: getattr(agency, name) for name in _KEPT}
    session.add(AgencyPast(agency_id=agency.id, until=on, **kept))
    session.flush()


def tree_at(session: Session, day: date) -> dict[str, AgencyThen]:
    """The agencies that were there on a day, by code, with the structure of that day.

    Those whose first day is not known have always been there.
    """
    agencies = session.exec(select(Agency).order_by(Agency.code)).all()
    codes = {row.id: row.code for row in agencies}
    past = _past_on(session, day)
    return {
        row.code: _then(row, past.get(row.id, row), codes)
        for row in agencies
        if is_there(row.valid_from, row.valid_to, day)
    }


def is_there(first: date | None, last: date | None, day: date) -> bool:
    """Whether a day lies between two days, both included; None is open."""
    return (first is None or first <= day) and (last is None or last >= day)


def _past_on(session: Session, day: date) -> Mapping[int | None, AgencyPast]:
    """What was otherwise on that day than it is now, by agency."""
    query = select(AgencyPast).where(AgencyPast.until > day).order_by(col(AgencyPast.until).desc())
    return {row.agency_id: row for row in session.exec(query)}  # the nearest `until` comes last


def _then(row: Agency, was: Agency | AgencyPast, codes: Mapping[int | None, str]) -> AgencyThen:
    assert row.id is not None
    return AgencyThen(
        row.id,
        row.code,
        codes.get(was.parent_id, ""),
        was.name_vi,
        was.name_en,
        was.short_name,
        was.level,
        was.headcount,
        was.regulation,
    )


def branch_codes(tree: Mapping[str, AgencyThen], top: str) -> frozenset[str]:
    """An agency and everything below it in a tree. Raises NotFound `agency-unknown`."""
    if top not in tree:
        like = ", ".join(get_close_matches(top, tree, n=3)) or ", ".join(list(tree)[:3]) or "-"
        raise NotFound("agency-unknown", agency=top, like=like)
    below: dict[str, list[str]] = {}
    for row in tree.values():
        below.setdefault(row.parent, []).append(row.code)
    found: set[str] = set()
    waiting = [top]
    while waiting:
        code = waiting.pop()
        if code not in found:
            found.add(code)
            waiting += below.get(code, [])
    return frozenset(found)


def branch_ids(session: Session, code: str, at: date) -> frozenset[int]:
    """Ids of an agency and everything below it, as the tree was on a day.

    Raises NotFound `agency-unknown` when it was not there.
    """
    tree = tree_at(session, at)
    return frozenset(tree[one].id for one in branch_codes(tree, code))


def told(session: Session, agency: Agency) -> list[dict[str, object]]:
    """What an agency was before, latest first: until which day, and what was otherwise then."""
    query = (
        select(AgencyPast)
        .where(AgencyPast.agency_id == agency.id)
        .order_by(col(AgencyPast.until).desc())
    )
    later: Agency | AgencyPast = agency
    found = []
    for row in session.exec(query):
        codes = _codes(session, (row.parent_id, later.parent_id))
        changed = {name for name in _KEPT if getattr(row, name) != getattr(later, name)}
        values = {name: getattr(row, name) for name in _KEPT if name in changed}
        if "parent_id" in values:
            values = {"parent": codes.get(values.pop("parent_id"), ""), **values}
        found.append({"until": row.until, **values})
        later = row
    return found


def _codes(session: Session, ids: Iterable[int | None]) -> Mapping[int | None, str]:
    wanted = [one for one in ids if one is not None]
    return dict(
        session.exec(select(Agency.id, Agency.code).where(col(Agency.id).in_(wanted))).all()
    )
