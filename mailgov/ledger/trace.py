"""Finding messages by who wrote to whom and when; never by what was written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select

from mailgov.db.models import EventRow, MessageRow, RecipientRow, VerdictRow
from mailgov.ledger.events import MessageAdvised, MessageRefused
from mailgov.ledger.store import of_message

Step = dict[str, Any]

# What a step shows of its event; other fields of events are for reports.
_SHOWN = (
    "recipient",
    "recipients",
    "reply",
    "codes",
    "action",
    "next_attempt_at",
    "notice",
    "reason",
    "elsewhere",
)


def find(
    session: Session,
    *,
    sender: str = "",
    recipient: str = "",
    header_message_id: str = "",
    since: datetime,
    limit: int,
) -> list[str]:
    """Ids of accepted and refused messages, and of those judged for other servers, latest first.

    Addresses are compared without case. Looks at messages since that moment only.
    """
    accepted = _accepted(session, sender, recipient, header_message_id, since, limit)
    refused = _not_kept(session, sender, recipient, header_message_id, since, limit)
    # Queue ids begin with the time, so their order is that of the messages.
    return sorted({*accepted, *refused}, reverse=True)[:limit]


def _accepted(
    session: Session,
    sender: str,
    recipient: str,
    header_message_id: str,
    since: datetime,
    limit: int,
) -> Sequence[str]:
    query = select(MessageRow.id).where(col(MessageRow.accepted_at) >= since)
    if sender:
        query = query.where(
            or_(
                func.lower(MessageRow.mail_from) == sender.lower(),
                col(MessageRow.login) == sender.lower(),
            )
        )
    if recipient:
        wanted = select(RecipientRow.message_id).where(
            RecipientRow.message_id == MessageRow.id,
            func.lower(RecipientRow.address) == recipient.lower(),
        )
        query = query.where(wanted.exists())
    if header_message_id:
        query = query.where(MessageRow.message_id == header_message_id)
    return session.exec(query.order_by(col(MessageRow.id).desc()).limit(limit)).all()


def _not_kept(
    session: Session,
    sender: str,
    recipient: str,
    header_message_id: str,
    since: datetime,
    limit: int,
) -> list[str]:
    conditions: list[ColumnElement[bool]] = [
        col(EventRow.kind).in_((MessageRefused.kind, MessageAdvised.kind)),
        col(EventRow.at) >= since,
    ]
    if header_message_id:
        told = EventRow.data["header_message_id"].as_string()
        conditions.append(told == header_message_id)
    rows = session.exec(
        select(EventRow)
        .where(*conditions)
        .order_by(col(EventRow.id).desc())
        .execution_options(yield_per=500)
    )
    found = []
    for row in rows:
        senders = {row.mailbox, row.data.get("mail_from", "").lower()}
        recipients = {address.lower() for address in row.data.get("recipients", ())}
        if (not sender or sender.lower() in senders) and (
            not recipient or recipient.lower() in recipients
        ):
            found.append(row.message_id)
            if len(found) == limit:
                break
    return found


def steps(session: Session, queue_id: str) -> list[Step]:
    """What happened to one message, in order; empty when nothing is known of it."""
    return [
        {
            "at": row.at,
            "message": row.message_id,
            "kind": row.kind,
            "actor": row.actor,
            **{name: row.data[name] for name in _SHOWN if row.data.get(name)},
        }
        for row in of_message(session, queue_id)
    ]


def findings(session: Session, queue_id: str) -> list[dict[str, Any]]:
    """What the rules found in one message; of one that left nothing here, the codes alone."""
    kept = session.exec(select(VerdictRow).where(VerdictRow.message_id == queue_id)).first()
    if kept is not None:
        return kept.findings
    query = select(EventRow).where(
        EventRow.message_id == queue_id,
        col(EventRow.kind).in_((MessageRefused.kind, MessageAdvised.kind)),
    )
    refused = session.exec(query).first()
    codes = refused.data.get("codes", ()) if refused is not None else ()
    return [{"code": code, "action": "", "where": "", "evidence": {}} for code in codes]
