"""Storing a judged message: rows of message, verdict and recipients in the caller's transaction."""

from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from mailgov.queue.item import NewMessage
from mailgov.queue.tables import MESSAGE, RECIPIENT, VERDICT
from mailgov.queue.turns import lane_of, priority_of, rank_of
from mailgov_policies.stored import keep
from mailgov_policies.verdict import Verdict


def enqueue(session: Session, new: NewMessage) -> None:
    """Store a message. The body must be safe already (`Spool.keep`); the event is the caller's."""
    connection = session.connection()
    connection.execute(insert(MESSAGE), _message_values(new))
    verdict_id = connection.execute(
        insert(VERDICT).returning(VERDICT.c.id), _verdict_values(new)
    ).scalar_one()
    connection.execute(insert(RECIPIENT), _recipient_values(new, verdict_id))


def _message_values(new: NewMessage) -> dict[str, Any]:
    envelope, document = new.envelope, new.document
    return {
        "id": new.queue_id,
        "direction": envelope.direction,
        "mail_from": str(envelope.mail_from) if envelope.mail_from else "",
        "login": envelope.login.key if envelope.login else "",
        "agency_code": new.agency_code,
        "client_ip": envelope.client.ip,
        "message_id": new.message_id,
        "header_from": new.header_from,
        "smtputf8": envelope.smtputf8,
        "envid": envelope.envid,
        "ret": envelope.ret,
        "require_tls": envelope.require_tls,
        "priority": priority_of(envelope.priority, document),
        "document_category": document.category if document else "",
        "document_type": document.type if document else "",
        "document_number": document.number if document else "",
        "document_symbol": document.symbol if document else "",
        "urgency": document.urgency if document else "",
        "size_bytes": new.size_bytes,
        "content_sha256": new.body.sha256,
        "prefix": new.prefix,
        "content": None if new.spool_name else new.body.read(),
        "spool_name": new.spool_name,
        "state": "intact",
        "accepted_at": new.accepted_at,
    }


def _verdict_values(new: NewMessage) -> dict[str, Any]:
    return {
        "message_id": new.queue_id,
        "action": new.verdict.action.label,
        "code": new.verdict.code,
        "findings": _findings(new.verdict),
        "ruleset": new.verdict.ruleset,
        "facts": keep(new.judged) if new.judged else None,
        "judged_at": new.accepted_at,
    }


def _findings(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "code": finding.code,
            "action": finding.action.label,
            "where": finding.where,
            "evidence": dict(finding.evidence),
            "rule_version": finding.rule_version,
            "basis": finding.basis,
        }
        for finding in verdict.findings
    ]


def _recipient_values(new: NewMessage, verdict_id: int) -> list[dict[str, Any]]:
    rank = rank_of(priority_of(new.envelope.priority, new.document))
    return [
        {
            "message_id": new.queue_id,
            "verdict_id": verdict_id,
            "address": recipient.address,
            "original": recipient.original,
            "notify": ",".join(sorted(recipient.notify)),
            "destination": recipient.destination,
            "lane": lane_of(recipient.destination, new.agency_code),
            "rank": rank,
            "mailbox_id": recipient.mailbox_id,
            "group_id": recipient.group_id,
            "state": recipient.state,
            "attempts": 0,
            "next_attempt_at": new.accepted_at,
            "queued_at": new.accepted_at,
        }
        for recipient in new.recipients
    ]
