"""Văn bản gửi theo loại: documents that went by mail.

Messages sent with a document type or e-mail category; one message is one document, however many
recipients it has.
"""

from collections.abc import Iterator

from sqlmodel import Session, col, select

from mailgov.clock import VIETNAM
from mailgov.db.models import EventRow
from mailgov.ledger.events import MessageAccepted
from mailgov.reports.engine import Column, Definition, Question, Report, Row

DEFINITION = Definition(
    key="documents",
    version=1,
    columns=(
        Column("documents", "count"),
        Column("sent", "count"),
        Column("received", "count"),
        Column("urgent", "count"),
        Column("numbered", "count"),
    ),
    headline="documents",
    cuts=("agency", "category"),
)


def rows(session: Session, question: Question) -> Iterator[Row]:
    """A row for each message that is a document."""
    query = select(EventRow).where(
        EventRow.kind == MessageAccepted.kind,
        col(EventRow.at) >= question.period.start,
        col(EventRow.at) < question.period.end,
    )
    for event in session.exec(query.order_by(col(EventRow.id))):
        data = event.data
        category = data.get("category", "")
        if event.agency_code not in question.tree or not (category or data.get("document_type")):
            continue
        columns = {"documents", "received" if data["direction"] == "inbound" else "sent"}
        if data.get("urgency"):
            columns.add("urgent")
        if data.get("number"):
            columns.add("numbered")
        yield Row(
            event.agency_code,
            frozenset(columns),
            group=category or "other",
            key=event.message_id,
            facts={
                "at": event.at.astimezone(VIETNAM).isoformat(timespec="seconds"),
                "direction": data["direction"],
                "type": data.get("document_type", ""),
                "number": data.get("number", ""),
                "symbol": data.get("symbol", ""),
                "codes": " ".join(data.get("codes", [])),
            },
        )


REPORT = Report(DEFINITION, rows)
