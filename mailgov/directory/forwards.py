"""Forwards: what arrives for one mailbox goes to others too, or instead.

Within the platform everybody gets a message once, however many forwards lead to them, and circles end
where they began. What leads outside is passed on as a message of its own (mailgov/forwarding).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import BindParameter, bindparam
from sqlmodel import Session, col, or_, select

from mailgov.addresses import Address
from mailgov.db.models import Agency, Forward, Mailbox
from mailgov.directory import queries
from mailgov.directory.groups import KIND
from mailgov.directory.provisioning.mailboxes import get_mailbox

MOST_TARGETS = 5
FIELDS = ("address", "target", "keep_copy", "until", "told_at")

_MOST_STEPS = 5  # from mailbox to mailbox to mailbox

_IDS: BindParameter[list[int]] = bindparam("ids", expanding=True)
_ANY = select(Forward.id).where(col(Forward.mailbox_id).in_(_IDS)).limit(1)


@dataclass(frozen=True, slots=True)
class Step:
    """From a mailbox to another one of ours."""

    origin: int  # mailbox id
    mailbox_id: int
    address: str
    keep_copy: bool


@dataclass(frozen=True, slots=True)
class WayOut:
    """From a mailbox to an address elsewhere."""

    forward_id: int
    mailbox_id: int
    address: str
    agency_code: str
    target: str
    told: bool  # the holder knows that mail is not passed on


@dataclass(frozen=True, slots=True)
class Spread:
    """Where mail for some mailboxes goes by their forwards."""

    steps: Sequence[Step] = ()
    ways_out: Sequence[WayOut] = ()
    _keeps: frozenset[int] = field(default=frozenset())

    def leaves(self) -> frozenset[int]:
        """Mailboxes that keep no copy: what they passed on stays with somebody, no mail is lost."""
        origins = {step.origin for step in self.steps}
        safe = {step.mailbox_id for step in self.steps} - origins | self._keeps
        left: set[int] = set()
        while True:
            more = {
                step.origin
                for step in self.steps
                if step.origin not in self._keeps and step.mailbox_id in safe | left
            } - left
            if not more:
                return frozenset(left)
            left |= more


def spread(session: Session, mailbox_ids: Collection[int], today: date) -> Spread:
    """Where mail for these mailboxes goes besides, and what stays."""
    steps: list[Step] = []
    ways_out: list[WayOut] = []
    keeps: set[int] = set()
    seen: set[int] = set()
    level = set(mailbox_ids)
    for _ in range(_MOST_STEPS):
        level -= seen
        if not level:
            break
        seen |= level
        if not _forwards(session, level):
            break
        rows = _in_force(session, level, today)
        ours = queries.mailboxes(session, [row.target for row, _, _ in rows], today)
        domains = {row.target.rpartition("@")[2] for row, _, _ in rows}
        local = queries.local_domains(session, domains)
        for row, origin, code in rows:
            assert origin.id is not None
            assert row.id is not None
            target = ours.get(row.target)
            if target is None and row.target.rpartition("@")[2] not in local:
                keeps.add(origin.id)  # official mail does not leave without a trace
                told = row.told_at is not None
                way = WayOut(row.id, origin.id, origin.address, code, row.target, told)
                ways_out.append(way)
                continue
            if row.keep_copy or not _takes(target):
                keeps.add(origin.id)
            if target is not None and _takes(target):
                steps.append(Step(origin.id, target.mailbox_id, target.address, row.keep_copy))
        level = {step.mailbox_id for step in steps}
    return Spread(tuple(steps), tuple(ways_out), frozenset(keeps))


def _takes(target: queries.LocalMailbox | None) -> bool:
    return target is not None and target.state == "active" and target.kind != KIND


def _forwards(session: Session, mailbox_ids: Iterable[int]) -> bool:
    """Whether any of them does: most do not, and every message asks."""
    found = session.connection().execute(_ANY, {"ids": list(mailbox_ids)})
    return found.first() is not None


def _in_force(
    session: Session, mailbox_ids: Iterable[int], today: date
) -> Sequence[tuple[Forward, Mailbox, str]]:
    query = (
        select(Forward, Mailbox, Agency.code)
        .join(Mailbox, col(Forward.mailbox_id) == col(Mailbox.id))
        .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
        .where(
            col(Forward.mailbox_id).in_(mailbox_ids),
            # Recalled: what still comes goes to the successor.
            col(Mailbox.state).in_(("active", "recalled")),
            or_(col(Forward.until).is_(None), col(Forward.until) >= today),
        )
        .order_by(col(Forward.id))
    )
    return session.exec(query).all()


def listed(session: Session, address: str = "") -> list[dict[str, Any]]:
    """Forwards in alphabetical order. Raises NotFound `mailbox-unknown`."""
    query = (
        select(Forward, Mailbox.address)
        .join(Mailbox, col(Forward.mailbox_id) == col(Mailbox.id))
        .order_by(Mailbox.address, Forward.target)
    )
    if address:
        query = query.where(Forward.mailbox_id == get_mailbox(session, address).id)
    return [
        {
            "address": of,
            "target": one.target,
            "keep_copy": one.keep_copy,
            "until": one.until,
            "told_at": one.told_at,
        }
        for one, of in session.exec(query)
    ]


def key_of(address: Address, *, ours: bool) -> str:
    """How a target is kept: local parts elsewhere keep their letters."""
    return address.key if ours else str(address)
