"""Who still uses the old addresses after a merger: who writes to them, and who writes from them.

Counted from the ledger, and for senders of ours from what was accepted. Without names it tells domains
only; names are rows about persons, so looking at them is an event with its reason.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from mailgov.access import branch
from mailgov.db.models import Agency, EventRow, FormerAddress, Mailbox, MessageRow
from mailgov.directory.change import Act
from mailgov.directory.provisioning import get_agency
from mailgov.errors import InputError
from mailgov.ledger import record
from mailgov.ledger.events import MessageAccepted, RecipientDelivered, ReportRun

FIELDS = ("way", "old", "who", "messages", "last_at")
_AT_ONCE = 500  # values in one statement


@dataclass(slots=True)
class _Count:
    messages: int = 0
    last_at: datetime | None = None

    def add(self, at: datetime) -> None:
        self.messages += 1
        self.last_at = max(at, self.last_at or at)


_Counts = dict[tuple[str, str, str], _Count]  # way, old, who


def stragglers(
    session: Session, act: Act, code: str, since: datetime, *, names: bool = False
) -> list[dict[str, Any]]:
    """Use of the former addresses of an agency and all below it, most messages first.

    Raises NotFound `agency-unknown`; InputError `names-reason-missing` for names without `act.reason`.
    """
    agency = get_agency(session, code)
    if names and not act.reason.strip():
        raise InputError("names-reason-missing")
    old = _former(session, branch(session, agency.code))
    counts: _Counts = {}
    if old:
        for address, sender, at in _written_to(session, old, since):
            _add(counts, ("to", address, sender), at, names)
        for address, sender, at in _written_from(session, old, since):
            _add(counts, ("from", address, sender), at, names)
    if names:
        _note(session, act, agency, since)
    ordered = sorted(counts.items(), key=lambda item: (-item[1].messages, item[0]))
    return [
        {"way": way, "old": was, "who": who, "messages": one.messages, "last_at": one.last_at}
        for (way, was, who), one in ordered
    ]


def _add(counts: _Counts, what: tuple[str, str, str], at: datetime, names: bool) -> None:
    way, address, who = what
    if not names:
        address, who = address.rpartition("@")[2], who.rpartition("@")[2]
    counts.setdefault((way, address, who), _Count()).add(at)


def _former(session: Session, codes: Collection[str]) -> frozenset[str]:
    query = (
        select(FormerAddress.address)
        .join(Mailbox, col(Mailbox.id) == col(FormerAddress.mailbox_id))
        .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
        .where(col(Agency.code).in_(codes), col(FormerAddress.address) != col(Mailbox.address))
    )
    return frozenset(session.exec(query))


def _in_domains(column: ColumnElement[str], old: Iterable[str]) -> ColumnElement[bool]:
    domains = sorted({address.rpartition("@")[2] for address in old})
    return or_(*(column.endswith(f"@{name}", autoescape=True) for name in domains))


def _written_to(
    session: Session, old: frozenset[str], since: datetime
) -> Iterator[tuple[str, str, datetime]]:
    recipient: ColumnElement[str] = col(EventRow.data)["recipient"].as_string()
    query = select(EventRow.message_id, recipient, EventRow.at).where(
        EventRow.kind == RecipientDelivered.kind,
        EventRow.at >= since,
        _in_domains(func.lower(recipient), old),
    )
    found = [
        (message, address.lower(), at)
        for message, address, at in session.exec(query)
        if address.lower() in old
    ]
    senders = _senders(session, {message for message, _, _ in found})
    for message, address, at in found:
        yield address, senders.get(message, ""), at


def _senders(session: Session, messages: Collection[str]) -> Mapping[str, str]:
    """Who sent messages: the mailbox that signed in, or the sender of the envelope."""
    found: dict[str, str] = {}
    ordered = sorted(messages)
    for start in range(0, len(ordered), _AT_ONCE):
        query = select(EventRow.message_id, EventRow.actor).where(
            EventRow.kind == MessageAccepted.kind,
            col(EventRow.message_id).in_(ordered[start : start + _AT_ONCE]),
        )
        found |= dict(session.exec(query).all())
    return found


def _written_from(
    session: Session, old: frozenset[str], since: datetime
) -> Iterator[tuple[str, str, datetime]]:
    query = select(MessageRow.header_from, MessageRow.login, MessageRow.accepted_at).where(
        MessageRow.accepted_at >= since,
        MessageRow.login != "",
        _in_domains(func.lower(MessageRow.header_from), old),
    )
    for address, login, at in session.exec(query):
        if address.lower() in old:
            yield address.lower(), login, at


def _note(session: Session, act: Act, agency: Agency, since: datetime) -> None:
    record(
        session,
        ReportRun(
            at=act.at,
            actor=act.actor,
            agency_code=agency.code,
            report="stragglers",
            period=since.date().isoformat(),
            rows=True,
            reason=act.reason,
        ),
    )
