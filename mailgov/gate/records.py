"""What is written down of a message at the gate: rows for the queue, events for the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.authentication.contribution import Contribution, Disposition
from mailgov.db.models import Mailbox, MessageRow, RecipientRow, Refusal
from mailgov.directory.groups import Member
from mailgov.errors import Conflict, NotFound
from mailgov.gate.outcome import Channel, Outcome
from mailgov.ledger.events import MessageAccepted, MessageAdvised, MessageRefused
from mailgov.message import Body, Client, Direction, Envelope, Recipient
from mailgov.queue import NewMessage, NewRecipient
from mailgov_policies import Action, Verdict
from mailgov_policies.stored import keep


def refusal(outcome: Outcome, event: MessageRefused) -> Refusal:
    """What a refused message showed, without its words: for trying rulesets on it later."""
    return Refusal(
        message_id=outcome.queue_id,
        agency_code=event.agency_code,
        facts=keep(outcome.facts),
        refused_at=event.at,
    )


def stored(session: Session, queue_id: str) -> tuple[MessageRow, Envelope]:
    """A message that waits, and its envelope with those who have not got it yet."""
    row = session.get(MessageRow, queue_id)
    if row is None:
        raise NotFound("queue-id-unknown", queue_id=queue_id)
    if row.done_at is not None:
        raise Conflict("message-gone", queue_id=queue_id)
    waiting = select(RecipientRow).where(
        RecipientRow.message_id == queue_id, col(RecipientRow.done_at).is_(None)
    )
    rows = session.exec(waiting.order_by(col(RecipientRow.id))).all()
    direction: dict[str, Direction] = {d: d for d in ("submission", "inbound", "internal")}
    envelope = Envelope(
        direction=direction[row.direction],
        mail_from=Address.parse(row.mail_from) if row.mail_from else None,
        recipients=(
            *(
                Recipient(Address.parse(one.address), original=one.original)
                for one in rows
                if one.group_id is None
            ),
            *_groups(session, rows),
        ),
        login=Address.parse(row.login) if row.login else None,
        client=Client(ip=row.client_ip),
        smtputf8=row.smtputf8,
    )
    return row, envelope


def _groups(session: Session, rows: Sequence[RecipientRow]) -> Iterable[Recipient]:
    """The groups that were written to: as such they were judged."""
    own = {row.mailbox_id for row in rows if row.group_id is None}  # who also passed it on
    through = dict.fromkeys(row.group_id for row in rows if row.group_id is not None)
    for group_id in through:
        if group_id in own:
            continue
        yield Recipient(Address.parse(session.get_one(Mailbox, group_id).address))


def deciding_codes(verdict: Verdict) -> list[str]:
    """The findings that brought the outcome about: a warning in a refused message is none."""
    if verdict.action >= Action.DEFER:
        least = verdict.action
    else:
        least = Action.TAG if verdict.delivers else Action.HOLD
    return list(dict.fromkeys(f.code for f in verdict.findings if f.action >= least))


def agency(outcome: Outcome) -> str:
    """The unit whose figures the message belongs to: sender's, else first recipient's."""
    known = outcome.facts.envelope
    if known.agency:
        return known.agency
    return next((r.agency for r in known.recipients if r.agency), "")


def authentication(outcome: Outcome) -> dict[str, str]:
    """What was found of an inbound message, for reports; nothing for our own."""
    if outcome.facts.envelope.direction != "inbound":
        return {}
    found = outcome.facts.envelope.authentication
    return {"spf": found.spf, "dkim": found.dkim, "dmarc": found.dmarc, "arc": found.arc}


def author(outcome: Outcome) -> str:
    """The domain in From, of a message whose author was authenticated."""
    return next((person.domain for person in outcome.facts.content.header.from_), "")


def contribute(
    session: Session, part: Contribution | None, outcome: Outcome, now: datetime
) -> None:
    """The message's row in a DMARC report; one that comes again counts when it is decided."""
    if part is None or outcome.verdict.action is Action.DEFER:
        return
    disposition: Disposition = "none"
    if not outcome.verdict.delivers:
        disposition = "quarantine" if outcome.accepted else "reject"
    part.keep(session, outcome.queue_id, now, disposition)


def new_message(
    outcome: Outcome,
    envelope: Envelope,
    body: Body,
    prefix: bytes,
    now: datetime,
    members: Mapping[int, Sequence[Member]],
) -> NewMessage:
    """What the queue is to take."""
    content = outcome.facts.content
    held = not outcome.verdict.delivers
    return NewMessage(
        queue_id=outcome.queue_id,
        envelope=envelope,
        body=body,
        spool_name="",  # told when it is kept
        prefix=prefix,
        verdict=outcome.verdict,
        document=content.document,
        agency_code=agency(outcome),
        message_id=content.header.message_id,
        header_from=content.header.from_[0].address if content.header.from_ else "",
        recipients=tuple(_new_recipients(outcome, envelope, members, held=held)),
        accepted_at=now,
        judged=outcome.facts,
    )


def _new_recipients(
    outcome: Outcome,
    envelope: Envelope,
    members: Mapping[int, Sequence[Member]],
    *,
    held: bool,
) -> Iterable[NewRecipient]:
    """Everybody who gets the message, once: groups give way to those whom they lead to."""
    known = outcome.facts.envelope.recipients
    found: dict[str, NewRecipient] = {}
    for recipient, fact in zip(envelope.recipients, known, strict=True):
        one = NewRecipient(
            address=str(recipient.address),
            original=recipient.original,
            notify=recipient.notify,
            destination="mailbox" if fact.local else recipient.address.domain,
            mailbox_id=fact.mailbox_id,
            state="held" if held else "queued",
        )
        if fact.kind != "group" or fact.mailbox_id is None:
            found[recipient.address.key] = one
            continue
        for member in members[fact.mailbox_id]:
            through = replace(
                one,
                address=member.address,
                mailbox_id=member.mailbox_id,
                group_id=fact.mailbox_id,
                original=one.original or f"rfc822;{recipient.address}",
            )
            found.setdefault(member.address, through)
    return found.values()


def advised(
    outcome: Outcome, envelope: Envelope, body: Body, now: datetime, elsewhere: str
) -> MessageAdvised:
    """The event of advice to another mail server."""
    document = outcome.facts.content.document
    return MessageAdvised(
        at=now,
        message_id=outcome.queue_id,
        mailbox=outcome.facts.envelope.login,
        agency_code=agency(outcome),
        actor=outcome.facts.envelope.login or outcome.facts.envelope.mail_from,
        direction=envelope.direction,
        action=outcome.verdict.action.label,
        codes=deciding_codes(outcome.verdict),
        category=document.category if document else "",
        document_type=document.type if document else "",
        header_message_id=outcome.facts.content.header.message_id,
        mail_from=outcome.facts.envelope.mail_from,
        recipients=[recipient.address for recipient in outcome.facts.envelope.recipients],
        size_bytes=body.size_bytes,
        elsewhere=elsewhere,
    )


def accepted(
    outcome: Outcome,
    envelope: Envelope,
    new: NewMessage,
    now: datetime,
    channel: Channel,
    reason: str,
) -> MessageAccepted:
    """The event of a message that we answer for from now on."""
    document = new.document
    return MessageAccepted(
        at=now,
        message_id=outcome.queue_id,
        mailbox=outcome.facts.envelope.login,
        agency_code=new.agency_code,
        actor=outcome.facts.envelope.login or outcome.facts.envelope.mail_from,
        direction=envelope.direction,
        action=outcome.verdict.action.label,
        codes=deciding_codes(outcome.verdict),
        category=document.category if document else "",
        document_type=document.type if document else "",
        number=document.number if document else "",
        symbol=document.symbol if document else "",
        urgency=document.urgency if document else "",
        recipients=len(new.recipients),
        size_bytes=new.size_bytes,
        channel=channel,
        reason=reason,
        authentication=authentication(outcome),
    )
