"""Vi phạm theo quy tắc: what the rules found, and what became of it.

Findings = refused at submission or at the border + held for approval + sent with a warning. What
the webmail told a writer before sending is counted beside them: those may have been mended. So are
reports that a rule struck wrongly.
"""

from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, col, select

from mailgov.clock import VIETNAM
from mailgov.db.models import EventRow
from mailgov.ledger.events import (
    HitWrong,
    MessageAccepted,
    MessageAdvised,
    MessageChecked,
    MessageRefused,
)
from mailgov.reports.engine import Column, Definition, Question, Report, Row

DEFINITION = Definition(
    key="violations",
    version=2,
    columns=(
        Column("findings", "count"),
        Column("refused", "count"),
        Column("held", "count"),
        Column("sent_with_warning", "count"),
        Column("told_before_sending", "count"),
        Column("reported_wrong", "count"),
    ),
    headline="findings",
    cuts=("rule", "agency"),
)

_HELD = ("hold", "quarantine")
_KINDS = tuple(
    kind.kind
    for kind in (MessageAccepted, MessageAdvised, MessageRefused, MessageChecked, HitWrong)
)


def rows(session: Session, question: Question) -> Iterator[Row]:
    """A row for each finding: a message with two codes has two."""
    query = select(EventRow).where(
        col(EventRow.kind).in_(_KINDS),
        col(EventRow.at) >= question.period.start,
        col(EventRow.at) < question.period.end,
    )
    for event in session.exec(query.order_by(col(EventRow.id))):
        if event.agency_code not in question.tree:
            continue
        for code in _codes(event):
            yield Row(
                event.agency_code,
                frozenset(_columns(event.kind, event.data)),
                group=code,
                key=event.message_id or event.data.get("draft", ""),
                facts={
                    "at": event.at.astimezone(VIETNAM).isoformat(timespec="seconds"),
                    "rule": code,
                    "channel": event.data.get("channel", "web"),
                },
            )


def _codes(event: EventRow) -> list[str]:
    """The rules concerned: a report is about one of those that struck."""
    if event.kind == HitWrong.kind:
        return [event.data["code"]]
    return list(event.data.get("codes", []))


def _columns(kind: str, data: dict[str, Any]) -> Iterator[str]:
    if kind == HitWrong.kind:
        yield "reported_wrong"
        return
    if kind == MessageChecked.kind:
        yield "told_before_sending"
        return
    yield "findings"
    if kind == MessageRefused.kind:
        yield "refused"
    else:
        yield "held" if data.get("action") in _HELD else "sent_with_warning"


REPORT = Report(DEFINITION, rows)
