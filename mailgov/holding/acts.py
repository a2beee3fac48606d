"""What is held by the policy, and what those who decide may do: release or remove it.

Nobody reads content here: headers, rules and recipients are enough to decide or to ask the sender.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from sqlalchemy import Select, or_, select
from sqlmodel import Session, col
from sqlmodel import select as select_model

from mailgov import ledger
from mailgov.access import EVERYTHING, Role, Scope, inside, scope
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.content.header_block import split_header
from mailgov.db.models import EventRow, MessageRow, RecipientRow, VerdictRow
from mailgov.directory import moderation
from mailgov.errors import Conflict, NotFound
from mailgov.holding.keepers import MODERATED, Desk, awaiting_moderators, desks_for, owner
from mailgov.holding.refused_secrets import is_secret
from mailgov.holding.sending import deadline
from mailgov.holding.telling import tell_asked, tell_decided
from mailgov.ledger.events import MessageRejudged, ReleaseAsked
from mailgov.message import Body
from mailgov.queue import admin
from mailgov.queue.admin import Intervention, Picked
from mailgov.queue.tables import MESSAGE, RECIPIENT, VERDICT
from mailgov_policies.verdict import Action, Verdict

HOLDING = ("hold", "quarantine")
"""Actions of verdicts by which mail is held."""

SHOWN_FIELDS = ("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id")
_MAX_FIELD_OCTETS = 1000
_ASK_AGAIN = timedelta(days=1)
_HEADER_OCTETS = 256 << 10


@dataclass(frozen=True, slots=True)
class Held:
    """A message that the policy holds."""

    queue_id: str
    action: str  # hold, quarantine
    code: str  # of the gravest finding
    mail_from: str  # empty: null sender
    agency_code: str
    accepted_at: datetime
    recipients: tuple[str, ...]  # those still held
    owner: str  # who decides now: `role agency`; empty: nobody holds the role
    decide_by: datetime  # when it passes to the agency above
    keepers: tuple[int, ...]  # mailbox ids of those who decide now
    findings: tuple[Mapping[str, Any], ...] = ()  # as kept with the verdict


def waiting(
    session: Session,
    config: Config,
    now: datetime,
    *,
    since: datetime | None = None,
    code: str = "",
    of: Scope = EVERYTHING,
    limit: int,
) -> list[Held]:
    """What is held, oldest first; `code` keeps those that this rule decided, `of` those agencies."""
    query = _query(limit).where(*inside(session, MESSAGE.c.agency_code))
    if since is not None:
        query = query.where(MESSAGE.c.accepted_at >= since)
    if code:
        query = query.where(VERDICT.c.code == code)
    if not of.everything:
        query = query.where(MESSAGE.c.agency_code.in_(sorted(of.codes)))
    return _listed(session, config, now, query)


def of_mailbox(
    session: Session, config: Config, now: datetime, mailbox_id: int, address: str, *, limit: int
) -> list[Held]:
    """What is held of the mail that somebody sent or should get, oldest first."""
    for_them = (
        select(RECIPIENT.c.id)
        .where(
            RECIPIENT.c.message_id == MESSAGE.c.id,
            RECIPIENT.c.mailbox_id == mailbox_id,
            RECIPIENT.c.state == "held",
        )
        .exists()
    )
    query = _query(limit).where(or_(MESSAGE.c.login == address, for_them))
    return _listed(session, config, now, query)


def of_groups(
    session: Session, config: Config, now: datetime, mailbox_id: int, *, limit: int
) -> list[Held]:
    """What waits for somebody as moderator of groups, oldest first."""
    groups = moderation.moderated_by(session, mailbox_id, local_date(now))
    if not groups:
        return []
    to_them = (
        select(RECIPIENT.c.id)
        .where(
            RECIPIENT.c.message_id == MESSAGE.c.id,
            RECIPIENT.c.group_id.in_(sorted(groups)),
            RECIPIENT.c.state == "held",
        )
        .exists()
    )
    query = _query(limit).where(VERDICT.c.code == MODERATED, to_them)
    found = _listed(session, config, now, query)
    return [one for one in found if mailbox_id in one.keepers]


def is_of(session: Session, queue_id: str, mailbox_id: int, address: str) -> bool:
    """Whether somebody sent this message, or should get it."""
    row = session.get(MessageRow, queue_id)
    if row is None:
        return False
    theirs = select_model(RecipientRow.id).where(
        RecipientRow.message_id == queue_id, RecipientRow.mailbox_id == mailbox_id
    )
    return row.login == address or session.exec(theirs).first() is not None


def _query(limit: int) -> Select[Any]:
    return (
        select(
            MESSAGE.c.id,
            VERDICT.c.action,
            VERDICT.c.code,
            MESSAGE.c.mail_from,
            MESSAGE.c.agency_code,
            MESSAGE.c.accepted_at,
            VERDICT.c.findings,
        )
        .join(VERDICT, VERDICT.c.message_id == MESSAGE.c.id)
        .where(MESSAGE.c.done_at.is_(None), VERDICT.c.action.in_(HOLDING), _HAS_HELD)
        .order_by(MESSAGE.c.id)
        .limit(limit)
    )


def _listed(session: Session, config: Config, now: datetime, query: Select[Any]) -> list[Held]:
    rows = session.connection().execute(query).all()
    return [_held(session, config, now, row) for row in rows]


_HAS_HELD = (
    select(RECIPIENT.c.id)
    .where(RECIPIENT.c.message_id == MESSAGE.c.id, RECIPIENT.c.state == "held")
    .exists()
)


def _held(session: Session, config: Config, now: datetime, row: Any) -> Held:
    queue_id, action, code, mail_from, agency_code, accepted_at, findings = row
    desk = owner_of(session, config, agency_code, accepted_at, now, findings)
    addresses = select_model(RecipientRow.address).where(
        RecipientRow.message_id == queue_id, RecipientRow.state == "held"
    )
    return Held(
        queue_id=queue_id,
        action=action,
        code=code,
        mail_from=mail_from,
        agency_code=agency_code,
        accepted_at=accepted_at,
        recipients=tuple(session.exec(addresses.order_by(col(RecipientRow.id)))),
        owner=f"{desk.role} {desk.agency_code}".strip() if desk else "",
        decide_by=deadline(config).of(accepted_at, now),
        keepers=tuple(keeper.mailbox_id for keeper in desk.keepers) if desk else (),
        findings=tuple(one for one in findings if one.get("action") in HOLDING),
    )


def owner_of(
    session: Session,
    config: Config,
    agency_code: str,
    held_at: datetime,
    now: datetime,
    findings: Iterable[Mapping[str, Any]],
) -> Desk | None:
    """Who decides now on mail of an agency that was held then, for these findings."""
    groups = awaiting_moderators(findings)
    on_the_way = desks_for(session, agency_code, config.policy.hold_role, local_date(now), groups)
    return owner(on_the_way, held_at, now, deadline(config))


def may_decide(
    session: Session,
    config: Config,
    now: datetime,
    queue_id: str,
    mailbox_id: int,
    roles: Iterable[Role],
) -> bool:
    """Whether somebody secures the branch that a held message belongs to, or owns it now.

    Raises what `pick` raises.
    """
    agency_code = pick(session, queue_id)[0].agency_code
    if agency_code in scope(session, roles, "secure"):
        return True
    held_at = session.get_one(MessageRow, queue_id).accepted_at
    findings = _findings(session, queue_id)
    desk = owner_of(session, config, agency_code, held_at, now, findings)
    return desk is not None and any(k.mailbox_id == mailbox_id for k in desk.keepers)


def _findings(session: Session, queue_id: str) -> Sequence[Mapping[str, Any]]:
    found = select_model(VerdictRow.findings).where(VerdictRow.message_id == queue_id)
    return session.exec(found).one()


def headers(body: Body) -> list[tuple[str, str]]:
    """The header fields that people know a message by, decoded, each in one bounded line. Blocks."""
    with body.open() as stream:
        block = split_header(stream.read(_HEADER_OCTETS))
    return [
        (name.decode("ascii", "replace"), _decoded(value))
        for name, value in block.fields
        if name.decode("ascii", "replace") in SHOWN_FIELDS
    ]


def _decoded(value: bytes) -> str:
    text = value[:_MAX_FIELD_OCTETS].decode("utf-8", "replace").replace("\r\n", "").strip()
    try:
        text = str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        pass  # shown as it stands
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def pick(session: Session, queue_id: str) -> list[Picked]:
    """The held recipients of a message that the policy holds.

    Raises NotFound `queue-id-unknown`; Conflict `not-held`, or `message-corrupt` when the bytes
    are not those that were accepted.
    """
    found = session.exec(
        select_model(MessageRow, VerdictRow)
        .join(VerdictRow, col(VerdictRow.message_id) == col(MessageRow.id))
        .where(MessageRow.id == queue_id)
    ).first()
    if found is None:
        raise NotFound("queue-id-unknown", queue_id=queue_id)
    message, verdict = found
    if message.state != "intact":
        raise Conflict("message-corrupt", queue_id=queue_id)
    rows = session.exec(
        select_model(RecipientRow)
        .where(RecipientRow.message_id == queue_id, RecipientRow.state == "held")
        .order_by(col(RecipientRow.id))
    )
    picked = [Picked(row.id or 0, queue_id, row.address, message.agency_code) for row in rows]
    if not picked or verdict.action not in HOLDING:
        raise Conflict("not-held", queue_id=queue_id)
    return picked


def ask(session: Session, config: Config, queue_id: str, by: Intervention) -> bool:
    """Ask those who decide to release a message; once a day, so that nobody is flooded.

    Whether they were asked now. Raises what `pick` raises.
    """
    picked = pick(session, queue_id)
    asked = select_model(EventRow).where(
        EventRow.message_id == queue_id,
        EventRow.kind == ReleaseAsked.kind,
        col(EventRow.at) > by.at - _ASK_AGAIN,
    )
    if session.exec(asked).first() is not None:
        return False
    message = session.get_one(MessageRow, queue_id)
    findings = _findings(session, queue_id)
    desk = owner_of(session, config, message.agency_code, message.accepted_at, by.at, findings)
    event = ReleaseAsked(
        at=by.at,
        message_id=queue_id,
        mailbox=by.actor,
        agency_code=message.agency_code,
        actor=by.actor,
        recipients=len(picked),
    )
    ledger.record(session, event)
    until = deadline(config).of(message.accepted_at, by.at)
    tell_asked(session, config, desk, queue_id, by, until)
    return True


def permits(verdict: Verdict) -> bool:
    """Whether the rules in force now leave the release to those who decide."""
    return verdict.action < Action.DEFER


def may_be_overruled(verdict: Verdict) -> bool:
    """Whether somebody may let go what the rules in force now refuse: never what is marked secret."""
    return not is_secret(verdict)


def release(
    session: Session,
    config: Config,
    picked: Sequence[Picked],
    verdict: Verdict,
    by: Intervention,
) -> None:
    """Let the recipients go and tell the sender; what the rules say now stays in the ledger.

    Raises Conflict `release-forbidden` for what nobody may overrule.
    """
    queue_id = picked[0].queue_id
    if not (permits(verdict) or may_be_overruled(verdict)):
        raise Conflict("release-forbidden", queue_id=queue_id, code=verdict.code)
    deciding = (f.code for f in verdict.findings if f.action >= Action.HOLD)
    event = MessageRejudged(
        at=by.at,
        message_id=queue_id,
        agency_code=picked[0].agency_code,
        actor=by.actor,
        action=verdict.action.label,
        codes=list(dict.fromkeys(deciding)),
        ruleset=verdict.ruleset,
        overruled=not permits(verdict),
        reason=by.reason,
    )
    ledger.record(session, event)
    admin.release(session, picked, by)
    tell_decided(session, config, "released", queue_id, _login(session, queue_id), by)


def remove(
    session: Session, config: Config, picked: Sequence[Picked], by: Intervention
) -> list[str]:
    """Take the message out for good and tell the sender. Returns spool files to remove afterwards."""
    queue_id = picked[0].queue_id
    tell_decided(session, config, "removed", queue_id, _login(session, queue_id), by)
    return admin.remove(session, picked, by)


def _login(session: Session, queue_id: str) -> str:
    return session.get_one(MessageRow, queue_id).login
