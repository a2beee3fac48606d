"""Tỷ lệ sử dụng thường xuyên: who uses the mailbox (M02, M02b).

People with an act of use on at least half of the working days / people on the staff list at the end
(M02); of those whose mailbox was open for the whole period (M02b). An act is a message opened, a
message sent or a draft written by the owner; signing in is none.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from sqlmodel import Session, col, select

from mailgov.clock import local_date
from mailgov.db.models import EventRow
from mailgov.ledger.events import ACTS_OF_USE, MessageAccepted
from mailgov.reports.engine import Column, Definition, Question, Report, Row
from mailgov.reports.people import Official, officials, present_addresses

DEFINITION = Definition(
    key="active-use",
    version=1,
    columns=(
        Column("people", "count"),
        Column("regular", "count"),
        Column("active_use", "rate", "regular", "people"),
        Column("open_all_period", "count"),
        Column("regular_of_open", "count"),
        Column("active_use_of_issued", "rate", "regular_of_open", "open_all_period"),
        Column("some", "count"),
        Column("none", "count"),
    ),
    headline="active_use",
    cuts=("agency",),
    people="people",
)


def rows(session: Session, question: Question) -> Iterator[Row]:
    """A row for each person on the staff list, with the days on which the mailbox was used."""
    days = question.period.elapsed(question.today).working_days
    used = _days_of_use(session, question)
    for official in officials(session, question):
        on = len(used[official.mailbox] & days)
        yield Row(
            official.agency,
            frozenset(_columns(official, on, len(days), question)),
            key=official.pseudonym,
            facts={"days_used": str(on), "working_days": str(len(days))},
        )


def _columns(official: Official, on: int, of: int, question: Question) -> Iterator[str]:
    yield "people"
    regular = of > 0 and 2 * on >= of
    yield "regular" if regular else "some" if on else "none"
    opened = official.opened_at
    if official.active and opened is not None and opened < question.period.start:
        yield "open_all_period"
        if regular:
            yield "regular_of_open"


def _days_of_use(session: Session, question: Question) -> dict[str, set[date]]:
    used: dict[str, set[date]] = defaultdict(set)
    now_called = present_addresses(session)
    within = (
        col(EventRow.at) >= question.period.start,
        col(EventRow.at) < question.period.end,
        col(EventRow.mailbox) != "",
    )
    reading = [kind for kind in ACTS_OF_USE if kind != MessageAccepted.kind]
    read = select(EventRow.mailbox, EventRow.at).where(col(EventRow.kind).in_(reading), *within)
    for mailbox, at in session.exec(read):
        used[now_called(mailbox, at)].add(local_date(at))
    sent = select(EventRow.mailbox, EventRow.at, EventRow.data).where(
        EventRow.kind == MessageAccepted.kind, *within
    )
    for mailbox, at, data in session.exec(sent):
        if data.get("direction") != "inbound":  # a message that arrives is nobody's act
            used[now_called(mailbox, at)].add(local_date(at))
    return used


REPORT = Report(DEFINITION, rows)
