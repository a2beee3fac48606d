"""Who decides on a held message now: a pure function of agency tree, roles and time.

An agency's held mail belongs to whoever holds the role in it. When they let the deadline pass, it
passes to the next agency above that has somebody, and so on to the top: nothing lapses silently.
Deadlines count working hours only, so nothing passes over anybody's head at night or at Tết.
What waits for nothing but the moderators of groups is theirs first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from mailgov.db.models import Agency, Mailbox, RoleGrant
from mailgov.directory import moderation
from mailgov.working_time import WorkingTime
from mailgov_policies.verdict import Action

MODERATED = "group-moderated"
"""The rule by which mail waits for the moderators of a group."""

MODERATOR_ROLE = "moderator"

FALLBACK_ROLE = "it"
"""Who keeps held mail in an agency where nobody holds the role that is meant to."""

_MAX_LEVELS = 20  # of the agency tree
_DELIVERING = frozenset(action.label for action in Action if action < Action.HOLD)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Somebody who may decide."""

    address: str
    mailbox_id: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of somebody over an agency; an empty code means the whole platform."""

    role: str
    agency_code: str
    keeper: Keeper


@dataclass(frozen=True, slots=True)
class Desk:
    """Those who decide together, in one agency."""

    agency_code: str  # empty: for the whole platform
    role: str
    keepers: tuple[Keeper, ...]


@dataclass(frozen=True, slots=True)
class Deadline:
    """How much working time each owner has."""

    span: timedelta
    working: WorkingTime

    def passed(self, held_at: datetime, now: datetime) -> int:
        """How many owners have let it pass."""
        return self.working.between(held_at, now) // self.span

    def of(self, held_at: datetime, now: datetime) -> datetime:
        """When the present owner's time ends."""
        return self.working.after(held_at, self.span * (self.passed(held_at, now) + 1))


def desks(lineage: Sequence[str], grants: Iterable[Grant], role: str) -> tuple[Desk, ...]:
    """Every desk on the way up, nearest first. `lineage`: the agency, its parent, … the root."""
    given = list(grants)
    found = (_desk(code, given, role) for code in (*dict.fromkeys(lineage), ""))
    return tuple(desk for desk in found if desk is not None)


def _desk(agency_code: str, grants: Sequence[Grant], role: str) -> Desk | None:
    for name in (role, FALLBACK_ROLE):
        here = (g.keeper for g in grants if (g.role, g.agency_code) == (name, agency_code))
        if keepers := tuple(dict.fromkeys(here)):
            return Desk(agency_code, name, keepers)
    return None


def owner(
    on_the_way: Sequence[Desk], held_at: datetime, now: datetime, deadline: Deadline
) -> Desk | None:
    """The desk that decides now; the topmost one keeps what nobody decided. None: there is none."""
    if not on_the_way:
        return None
    return on_the_way[min(deadline.passed(held_at, now), len(on_the_way) - 1)]


def awaiting_moderators(findings: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Addresses of the groups whose moderators decide; none where another rule holds the message.

    `findings` are those kept with the verdict.
    """
    deciding = [one for one in findings if one["action"] not in _DELIVERING]
    if any(one["code"] != MODERATED for one in deciding):
        return ()
    return tuple(sorted({str(one["evidence"]["group"]) for one in deciding}))


def desks_for(
    session: Session, agency_code: str, role: str, on: date, groups: Sequence[str] = ()
) -> tuple[Desk, ...]:
    """The desks for mail of an agency, as the directory says on that day.

    Those who moderate all of `groups` come first, where there is somebody.
    """
    theirs = moderation.moderated(session, groups, on) if groups else None
    first: tuple[Desk, ...] = ()
    if theirs is not None:
        keepers = tuple(Keeper(one.address, one.mailbox_id) for one in theirs.moderators)
        first = (Desk(theirs.agency_code, MODERATOR_ROLE, keepers),)
    return first + _desks_above(session, agency_code, role, on)


def _desks_above(session: Session, agency_code: str, role: str, on: date) -> tuple[Desk, ...]:
    lineage = _lineage(session, agency_code)
    query = (
        select(RoleGrant.role, Agency.code, Mailbox.address, Mailbox.id)
        .join(Mailbox, col(Mailbox.id) == col(RoleGrant.mailbox_id))
        .join(Agency, col(Agency.id) == col(RoleGrant.agency_id), isouter=True)
        .where(
            col(RoleGrant.role).in_((role, FALLBACK_ROLE)),
            or_(col(RoleGrant.until).is_(None), col(RoleGrant.until) >= on),
            or_(col(RoleGrant.agency_id).is_(None), col(Agency.code).in_(lineage)),
            Mailbox.state == "active",
        )
        .order_by(col(Mailbox.address))
    )
    grants = [
        Grant(name, code or "", Keeper(address, mailbox_id or 0))
        for name, code, address, mailbox_id in session.exec(query)
    ]
    return desks(lineage, grants, role)


def _lineage(session: Session, agency_code: str) -> list[str]:
    codes: list[str] = []
    agency = session.exec(select(Agency).where(Agency.code == agency_code)).first()
    while agency is not None and len(codes) < _MAX_LEVELS:
        codes.append(agency.code)
        agency = session.get(Agency, agency.parent_id) if agency.parent_id else None
    return codes
