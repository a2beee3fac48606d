"""Answers in the name of those who are away, as RFC 3834 wants them.

Once in seven days to each sender, from the null sender, to people only: not to lists, notices and
other automatic mail, nor to whoever did not write to the mailbox itself, nor to addresses that the
sender's domain does not stand for.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import Protocol

from sqlmodel import Session, col, or_, select

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.clock import VIETNAM, local_date
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock, split_header
from mailgov.db import Database
from mailgov.db.models import Absence, AbsenceAnswer, Agency, Mailbox
from mailgov.ledger.events import MessageAccepted
from mailgov.logs import logger
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import MAILBOX, NewMessage, NewRecipient, enqueue
from mailgov.texts import words
from mailgov_policies import Action, Verdict, facts

AGAIN = timedelta(days=7)
RULESET = "notice"

_MACHINES = re.compile(
    r"(?:owner-.*|.*-(?:request|owner|bounces?)|mailer-daemon|postmaster|listserv|majordomo"
    r"|no-?reply|do-?not-?reply)",
    re.IGNORECASE,
)
_LIST_FIELDS = frozenset(
    {b"list-id", b"list-help", b"list-subscribe", b"list-unsubscribe", b"list-post", b"list-owner"}
)
_LONGEST_SUBJECT = 200

log = logger("absence")


@dataclass(frozen=True, slots=True)
class Away:
    """A mailbox whose holder is away, and what it answers."""

    mailbox_id: int
    address: str
    name: str
    agency_code: str
    text: str


def deserves_answer(envelope: Envelope, header: HeaderBlock, known: facts.Envelope) -> bool:
    """Whether a person wrote the message, and who it is can be believed (RFC 3834, 2)."""
    sender = envelope.mail_from
    if sender is None or _MACHINES.fullmatch(sender.local):
        return False
    if envelope.direction == "inbound" and known.authentication.spf != "pass":
        return False  # an answer would hit whoever was named
    return not any(_is_automatic(name, value) for name, value in header.fields)


def _is_automatic(name: bytes, value: bytes) -> bool:
    text = value.strip().lower()
    if name == b"auto-submitted":
        return text != b"no"
    if name == b"precedence":
        return text in (b"bulk", b"list", b"junk")
    if name == b"x-auto-response-suppress":
        return True
    return name in _LIST_FIELDS


def addressed(header: HeaderBlock, addresses: Iterable[str]) -> bool:
    """Whether one of the addresses stands in To or Cc."""
    text = b" ".join(value for name, value in header.fields if name in (b"to", b"cc")).lower()
    return any(
        re.search(rb"(?<![\w.+-])" + re.escape(one.encode()) + rb"(?![\w.-])", text)
        for one in addresses
    )


def away(session: Session, mailbox_ids: Sequence[int], sender: str, now: datetime) -> list[Away]:
    """Those of the mailboxes that answer this sender now."""
    today = local_date(now)
    answered = select(AbsenceAnswer.mailbox_id).where(
        AbsenceAnswer.sender == sender, col(AbsenceAnswer.at) > now - AGAIN
    )
    query = (
        select(Mailbox, Absence.text, Agency.code)
        .join(Absence, col(Absence.mailbox_id) == col(Mailbox.id))
        .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
        .where(
            col(Mailbox.id).in_(mailbox_ids),
            Mailbox.address != sender,
            or_(col(Absence.first_day).is_(None), col(Absence.first_day) <= today),
            or_(col(Absence.last_day).is_(None), col(Absence.last_day) >= today),
            col(Mailbox.id).not_in(answered),
        )
        .order_by(Mailbox.address)
    )
    return [
        Away(box.id or 0, box.address, box.display_name, code, text)
        for box, text, code in session.exec(query)
    ]


class Signing(Protocol):
    """What answers to other places need of DKIM."""

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """A DKIM-Signature field to prepend; None when the domain has no key."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The message that may be answered."""

    envelope: Envelope
    known: facts.Envelope
    content: facts.Content
    read_header: Callable[[], HeaderBlock]  # blocks


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, ready for the queue."""

    one: Away
    sender: str
    new: NewMessage


async def answers(
    asked: Asked, database: Database, signer: Signing, config: Config, now: datetime
) -> list[Answer]:
    """What the message is answered by itself; nothing for most. Raises Unavailable."""
    sender = asked.envelope.mail_from
    theirs = {r.mailbox_id: r.address for r in asked.known.recipients if r.mailbox_id is not None}
    if sender is None or not theirs:
        return []
    found, to_mailbox = await database.query(
        lambda session: (
            away(session, list(theirs), sender.key, now),
            _mailbox_id(session, sender.key),
        )
    )
    if not found:
        return []
    header = await asyncio.to_thread(asked.read_header)
    if not deserves_answer(asked.envelope, header, asked.known):
        return []
    told = []
    for one in found:
        if not addressed(header, {one.address, theirs[one.mailbox_id]}):
            continue
        queue_id = new_queue_id(now)
        subject, message_id = asked.content.header.subject, asked.content.header.message_id
        content = compose(one, sender, subject, message_id, config, now, queue_id)
        prefix = b""
        if to_mailbox is None:
            signature = await _signature(signer, content, one)
            if signature is None:
                log.warning("absence.unsigned", mailbox=one.address)
                continue  # unsigned mail in our name would be refused or mistrusted elsewhere
            prefix = signature
        new = as_message(one, content, prefix, sender, to_mailbox, config, now, queue_id)
        told.append(Answer(one, sender.key, new))
    return told


async def _signature(signer: Signing, content: bytes, one: Away) -> bytes | None:
    body = Body(len(content), sha256(content).digest(), data=content)
    header = split_header(content)
    return await signer.sign(header.raw, body, one.address.partition("@")[2])


def _mailbox_id(session: Session, key: str) -> int | None:
    query = select(Mailbox.id).where(Mailbox.address == key, Mailbox.state == "active")
    return session.exec(query).first()


def compose(
    one: Away, to: Address, subject: str, message_id: str, config: Config, now: datetime,
    queue_id: str,
) -> bytes:  # fmt: skip
    """The answer. Pure."""
    mail = EmailMessage(policy=SMTP)
    local, _, domain = one.address.partition("@")
    mail["From"] = HeaderAddress(_one_line(one.name), local, domain)
    mail["To"] = f"<{to}>"
    title = words(config.site.language, "notice.away.subject", subject=_one_line(subject))
    mail["Subject"] = title
    mail["Date"] = format_datetime(now.astimezone(VIETNAM))
    mail["Message-ID"] = f"<{queue_id}@{config.site.hostname}>"
    if message_id.isascii() and re.fullmatch(r"<[^\s<>]{1,250}>", message_id):
        mail["In-Reply-To"] = mail["References"] = message_id
    mail["Auto-Submitted"] = "auto-replied"  # RFC 3834, 5
    mail.set_content(f"{one.text}\r\n", charset="utf-8", cte="base64")
    return mail.as_bytes()


def as_message(
    one: Away, content: bytes, prefix: bytes, to: Address, mailbox_id: int | None, config: Config,
    now: datetime, queue_id: str,
) -> NewMessage:  # fmt: skip
    """The answer, ready for the queue: null sender, a verdict of its own."""
    destination = MAILBOX if mailbox_id is not None else to.domain
    return NewMessage(
        queue_id=queue_id,
        envelope=Envelope(
            direction="internal",
            mail_from=None,
            recipients=(Recipient(to),),
            smtputf8=to.needs_smtputf8,
        ),
        body=Body(len(content), sha256(content).digest(), data=content),
        spool_name="",
        prefix=prefix,
        verdict=Verdict(Action.PASS, "", (), (), RULESET),
        document=None,
        agency_code=one.agency_code,
        message_id=f"<{queue_id}@{config.site.hostname}>",
        header_from=one.address,
        recipients=(NewRecipient(str(to), destination, mailbox_id=mailbox_id),),
        accepted_at=now,
    )


def record(session: Session, answer: Answer) -> None:
    """Queue an answer and note it, in the transaction of the message that it answers."""
    new, one = answer.new, answer.one
    enqueue(session, new)
    session.add(AbsenceAnswer(mailbox_id=one.mailbox_id, sender=answer.sender, at=new.accepted_at))
    event = MessageAccepted(
        at=new.accepted_at,
        message_id=new.queue_id,
        agency_code=new.agency_code,
        actor=one.address,
        direction=new.envelope.direction,
        action=new.verdict.action.label,
        size_bytes=new.size_bytes,
        channel="notice",
    )
    ledger.record(session, event)


def _one_line(text: str) -> str:
    clean = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return clean[:_LONGEST_SUBJECT]
