"""Reports that a rule struck wrongly: from whoever was struck to those who keep the rule.

A report changes nothing about the message; it is told to the keepers of the reporter's agency and
counted, so that rules can be mended. It never carries a word of the message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from mailgov import ledger
from mailgov.access import EVERYTHING, Scope
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db.models import EventRow, MessageRow, RecipientRow, VerdictRow
from mailgov.errors import Conflict, NotFound
from mailgov.holding.keepers import desks_for
from mailgov.holding.telling import tell_wrong
from mailgov.ledger.events import HitWrong, MessageAdvised, MessageRefused
from mailgov.queue.admin import Intervention

_AGAIN = timedelta(days=1)
_NO_FINDING = ("", "pass")


@dataclass(frozen=True, slots=True)
class Struck:
    """What is said to be wrong."""

    code: str
    agency_code: str
    codes: tuple[str, ...] = ()  # of the message's findings, the gravest first
    queue_id: str = ""  # empty: found before sending, or not known
    draft: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """One report."""

    at: datetime
    code: str
    actor: str
    agency_code: str
    queue_id: str
    face: str
    reason: str


def on_message(session: Session, queue_id: str, code: str = "") -> Struck:
    """A message that a rule struck, whatever became of it; `code`: which rule, if not the gravest.

    Raises NotFound `queue-id-unknown`; Conflict `not-struck` when that rule found nothing in it.
    """
    row = session.exec(
        select(MessageRow.agency_code, VerdictRow.findings)
        .join(VerdictRow, col(VerdictRow.message_id) == col(MessageRow.id))
        .where(MessageRow.id == queue_id)
    ).first()
    if row is not None:
        agency_code, findings = row
        codes = [one["code"] for one in findings if one.get("action") not in _NO_FINDING]
    else:
        refused = _refusal(session, queue_id)
        agency_code, codes = refused.agency_code, refused.data.get("codes", [])
    codes = list(dict.fromkeys(codes))
    if not codes or (code and code not in codes):
        raise Conflict("not-struck", queue_id=queue_id, code=code or "-")
    return Struck(code or codes[0], agency_code, tuple(codes), queue_id)


def is_of(session: Session, queue_id: str, mailbox_id: int, address: str) -> bool:
    """Whether somebody sent this message, got it, or was refused it; here or for another server."""
    row = session.get(MessageRow, queue_id)
    if row is None:
        return _refusal(session, queue_id).mailbox == address
    theirs = select(RecipientRow.id).where(
        RecipientRow.message_id == queue_id, RecipientRow.mailbox_id == mailbox_id
    )
    return row.login == address or session.exec(theirs).first() is not None


def _refusal(session: Session, queue_id: str) -> EventRow:
    query = select(EventRow).where(
        EventRow.message_id == queue_id,
        col(EventRow.kind).in_((MessageRefused.kind, MessageAdvised.kind)),
    )
    found = session.exec(query).first()
    if found is None:
        raise NotFound("queue-id-unknown", queue_id=queue_id)
    return found


def report(
    session: Session,
    config: Config,
    struck: Struck,
    by: Intervention,
    *,
    face: str,
    mailbox: str = "",
) -> bool:
    """Note a report and tell the keepers; the same one again within a day is not noted twice."""
    if _is_known(session, struck, by):
        return False
    event = HitWrong(
        at=by.at,
        message_id=struck.queue_id,
        mailbox=mailbox,
        agency_code=struck.agency_code,
        actor=by.actor,
        code=struck.code,
        codes=list(struck.codes or (struck.code,)),
        reason=by.reason,
        face=face,
        draft=struck.draft,
    )
    ledger.record(session, event)
    role, today = config.policy.hold_role, local_date(by.at)
    nearest = next(iter(desks_for(session, struck.agency_code, role, today)), None)
    tell_wrong(session, config, nearest, struck.code, struck.queue_id, by)
    return True


def _is_known(session: Session, struck: Struck, by: Intervention) -> bool:
    query = select(EventRow).where(
        EventRow.kind == HitWrong.kind,
        EventRow.message_id == struck.queue_id,
        col(EventRow.at) > by.at - _AGAIN,
        EventRow.actor == by.actor,
    )
    return any(
        row.data["code"] == struck.code and row.data.get("draft", "") == struck.draft
        for row in session.exec(query)
    )


def reports(
    session: Session,
    *,
    since: datetime | None = None,
    code: str = "",
    of: Scope = EVERYTHING,
    limit: int,
) -> Sequence[Reported]:
    """What was reported, latest first; `code` keeps those about this rule, `of` those agencies."""
    query = select(EventRow).where(EventRow.kind == HitWrong.kind)
    if since is not None:
        query = query.where(col(EventRow.at) >= since)
    if code:
        query = query.where(EventRow.data["code"].as_string() == code)
    if not of.everything:
        query = query.where(
            or_(col(EventRow.agency_code).in_(sorted(of.codes)), EventRow.agency_code == "")
        )
    rows = session.exec(query.order_by(col(EventRow.id).desc()).limit(limit))
    return [
        Reported(
            at=row.at,
            code=row.data["code"],
            actor=row.actor,
            agency_code=row.agency_code,
            queue_id=row.message_id,
            face=row.data.get("face", ""),
            reason=row.data.get("reason", ""),
        )
        for row in rows
    ]
