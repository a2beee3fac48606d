"""Delivery status notifications: words for people, fields for machines, the header that returns.

A report (RFC 3464) in three parts: what, to whom, why and what to do now, in Vietnamese and then
English; the machine part; the header of the message. It is written by hand, part by part, because
every value in it comes from elsewhere and each has its own way to be made harmless.
"""

import base64
import quopri
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.utils import format_datetime
from hashlib import sha256

from mailgov.addresses import Address
from mailgov.clock import VIETNAM
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock
from mailgov.delivery.outcome import NoticeKind, Outcome
from mailgov.delivery.status import DELIVERED, EXPIRED, advice_for, rule_named_in, status_of
from mailgov.delivery.transports import Taken
from mailgov.errors import DeliveryError
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import NewMessage, NewRecipient, QueuedMessage
from mailgov.texts import Language, entry, words
from mailgov_policies.verdict import Action, Verdict

RULESET = "notice"
"""What the verdict of our own notices names as its ruleset: nobody judges them."""

MAX_SUBJECT_SIGNS = 120
MAX_RETURNED_OCTETS = 64 << 10
MAX_WHOLE_OCTETS = 192 << 10
"""Larger messages return as their header only, whatever was asked: notices stay small."""

MAX_DIAGNOSTIC_SIGNS = 900  # with its name below the 998 of RFC 5322, 2.1.1

_ACTIONS = {"failure": "failed", "delay": "delayed"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Where the notice goes: the sender of the message, and their mailbox if it is ours."""

    address: Address
    destination: str
    mailbox_id: int | None


@dataclass(frozen=True, slots=True)
class Occasion:
    """Everything a notice tells of: outcomes of one kind for one message."""

    kind: NoticeKind
    message: QueuedMessage
    outcomes: Sequence[Outcome]
    header: HeaderBlock  # of the message, as it was to be delivered
    now: datetime
    whole: bytes | None = None  # the message itself, where its sender wants it back (RET=FULL)
    for_postmaster: bool = False  # its sender can't be told


def notice(occasion: Occasion, sender: Sender, config: Config) -> NewMessage:
    """The notice, ready to be signed and queued: null sender, a verdict of its own."""
    queue_id = new_queue_id(occasion.now)
    content = compose(occasion, sender.address, config, queue_id)
    return NewMessage(
        queue_id=queue_id,
        envelope=Envelope(
            direction="internal",
            mail_from=None,  # RFC 5321, 6.1
            recipients=(Recipient(sender.address),),
            smtputf8=sender.address.needs_smtputf8,
        ),
        body=Body(len(content), sha256(content).digest(), data=content),
        spool_name="",
        prefix=b"",
        verdict=Verdict(Action.PASS, "", (), (), RULESET),
        document=None,
        agency_code=occasion.message.agency_code,
        message_id=f"<{queue_id}@{config.site.hostname}>",
        header_from=f"postmaster@{config.site.hostname}",
        recipients=(
            NewRecipient(str(sender.address), sender.destination, mailbox_id=sender.mailbox_id),
        ),
        accepted_at=occasion.now,
    )


def compose(occasion: Occasion, to: Address, config: Config, queue_id: str) -> bytes:
    """The bytes of a notice. Pure."""
    subject = subject_of(occasion.header)
    boundary = f"=_{queue_id}"  # no line of quoted-printable or base64 can start with --=_
    kind = "undeliverable" if occasion.for_postmaster else occasion.kind
    title = words(config.site.language, f"notice.{kind}.subject", subject=subject)
    operator = config.site.organisation or config.site.hostname
    fields = [
        f"From: {_encoded(operator)} <postmaster@{config.site.hostname}>",
        f"To: <{to}>",
        f"Subject: {_encoded(title)}",
        f"Date: {format_datetime(occasion.now.astimezone(VIETNAM))}",
        f"Message-ID: <{queue_id}@{config.site.hostname}>",
        *([f"References: {id_}"] if (id_ := _message_id(occasion.message)) else []),
        "Auto-Submitted: auto-replied",  # RFC 3834, 5
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    parts = [
        _text_part(_told(occasion, subject, config)).encode(),
        _part("message/delivery-status", _machine_part(occasion, config)).encode(),
        _returned_part(occasion),
    ]
    opening, closing = f"--{boundary}\r\n".encode(), f"--{boundary}--\r\n".encode()
    body = b"".join(opening + part for part in parts)
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body + closing


def subject_of(header: HeaderBlock) -> str:
    """The subject as people read it, in one bounded line; empty when it can't be read."""
    raw = next((value for name, value in header.fields if name == b"subject"), b"")
    text = raw[: 8 * MAX_SUBJECT_SIGNS].decode("utf-8", "replace").replace("\r\n", "")
    try:
        text = str(make_header(decode_header(text.strip())))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return ""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= MAX_SUBJECT_SIGNS else text[: MAX_SUBJECT_SIGNS - 1] + "…"


def _told(occasion: Occasion, subject: str, config: Config) -> str:
    """The readable part: Vietnamese, then English."""
    return "\r\n\r\n".join(
        _told_in(language, occasion, subject, config) for language in ("vi", "en")
    )


def _told_in(language: Language, occasion: Occasion, subject: str, config: Config) -> str:
    def say(key: str, **fields: object) -> str:
        return words(language, f"notice.{key}", **fields)

    sent = _moment(occasion.message.accepted_at)
    until = _moment(_end(occasion, config))
    kind = "undeliverable" if occasion.for_postmaster else occasion.kind
    sender = str(occasion.message.mail_from or "<>")
    lines = [say(f"{kind}.lead", until=until, sender=sender)]
    for outcome in occasion.outcomes:
        lines += ["", f"  {outcome.result.item.address}"]
        lines += [f"  {line}" for line in _why_and_what(language, occasion.kind, outcome, config)]
    shown = subject or say("line.no-subject")
    lines += ["", say("line.subject", subject=shown), say("line.sent", sent=sent)]
    lines += [say(f"{kind}.end", until=until)]
    if config.site.contact:
        lines.append(say("line.contact", contact=config.site.contact))
    lines.append(say("line.reference", reference=occasion.message.queue_id))
    return "\r\n".join(lines)


def _why_and_what(
    language: Language, kind: NoticeKind, outcome: Outcome, config: Config
) -> list[str]:
    """Why, in our words and the peer's, and what to do now."""

    def say(key: str, **fields: object) -> str:
        return words(language, f"notice.{key}", **fields)

    if isinstance(outcome.answer, Taken):
        return [say(f"success.{'relayed' if outcome.answer.by == 'relay' else 'delivered'}")]
    error = outcome.answer
    rule = rule_named_in(error)
    known = entry(language, f"rule.{rule}") if rule else {}
    why = str(known["title"]) if "title" in known else say(f"why.{error.code}", **error.fields)
    days = round(config.delivery.give_up_hours / 24)
    lines = [say("line.why", why=why)]
    if outcome.has_expired:
        lines.insert(0, say("line.expired", days=days))
    if error.reply:
        lines.append(say("line.reply", reply=error.reply))
    if kind == "failure":
        lines += _advice(language, error, known)
        if known:
            lines.append(say("line.help", link=f"{config.help_base}/help/rules/{rule}"))
    return lines


def _advice(language: Language, error: DeliveryError, rule: object) -> list[str]:
    """Numbered steps: those of the rule that was named, else the advice for the status."""
    steps = rule.get("steps", {}).get("webmail") if isinstance(rule, dict) else None
    if not steps:
        steps = entry(language, "notice.todo").get(advice_for(error), [])
    label = words(language, "notice.line.todo")
    return [label, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def _end(occasion: Occasion, config: Config) -> datetime:
    """When the last attempt is made."""
    first = min(outcome.result.item.queued_at for outcome in occasion.outcomes)
    return first + timedelta(hours=config.delivery.give_up_hours)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(VIETNAM):%H:%M %d/%m/%Y}"


def _machine_part(occasion: Occasion, config: Config) -> str:
    """RFC 3464, 2: fields of the message, then of each recipient."""
    message = occasion.message
    fields = [f"Reporting-MTA: dns; {config.site.hostname}"]
    if message.envid:
        fields.append(f"Original-Envelope-Id: {_printable(message.envid)}")
    fields.append(f"Arrival-Date: {format_datetime(message.accepted_at)}")
    blocks = [fields, *(_recipient_block(occasion, o, config) for o in occasion.outcomes)]
    return "\r\n\r\n".join("\r\n".join(block) for block in blocks) + "\r\n"


def _recipient_block(occasion: Occasion, outcome: Outcome, config: Config) -> list[str]:
    item, answer = outcome.result.item, outcome.answer
    fields = [f"Original-Recipient: {_printable(item.original)}"] if item.original else []
    fields.append(f"Final-Recipient: {_address_field(item.address)}")
    if isinstance(answer, Taken):
        action, status = ("relayed" if answer.by == "relay" else "delivered"), DELIVERED
    else:
        action = _ACTIONS[occasion.kind]
        status = EXPIRED if outcome.has_expired else status_of(answer)
    fields += [f"Action: {action}", f"Status: {status}"]
    host = answer.fields.get("host", "") if isinstance(answer, DeliveryError) else ""
    if host and item.mailbox is None:
        fields.append(f"Remote-MTA: dns; {_printable(str(host))}")
    if answer.reply and item.mailbox is None:
        fields.append(f"Diagnostic-Code: smtp; {_printable(answer.reply)[:MAX_DIAGNOSTIC_SIGNS]}")
    fields.append(f"Last-Attempt-Date: {format_datetime(occasion.now)}")
    if occasion.kind == "delay":
        fields.append(f"Will-Retry-Until: {format_datetime(_end(occasion, config))}")
    return fields


def _address_field(address: Address) -> str:
    """RFC 6533, 3: an address beyond ASCII in its form for seven bits."""
    text = str(address)
    if text.isascii():
        return f"rfc822; {text}"
    return "utf-8; " + "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in text)


def _printable(text: str) -> str:
    """One line in ASCII, for a field of the machine part."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)


def _text_part(text: str) -> str:
    encoded = base64.encodebytes(f"{text}\r\n".encode()).decode().replace("\n", "\r\n")
    return _part("text/plain; charset=utf-8", encoded, "base64")


def _returned_part(occasion: Occasion) -> bytes:
    """The message where its sender asked for it, else its header: the content may be a secret."""
    whole = occasion.whole
    if whole is None:
        raw = occasion.header.raw[:MAX_RETURNED_OCTETS].replace(b"\r\n", b"\n")
        crlf = quopri.encodestring(raw).decode().replace("\n", "\r\n")
        return _part("text/rfc822-headers; charset=utf-8", crlf, "quoted-printable").encode()
    kind = "message/rfc822" if occasion.header.raw.isascii() else "message/global"  # RFC 6532, 3.7
    encoding = "7bit" if whole.isascii() else "8bit"  # nothing else is allowed (RFC 2046, 5.2.1)
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + whole + (b"" if whole.endswith(b"\r\n") else b"\r\n")


def _part(media_type: str, content: str, encoding: str = "7bit") -> str:
    return (
        f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{content}\r\n"
    )


def _encoded(text: str) -> str:
    """Text for a header field (RFC 2047), which can then hold no line end."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return Header(plain, "utf-8").encode(linesep="\r\n")


def _message_id(message: QueuedMessage) -> str:
    found = re.fullmatch(r"\s*(<[!-;=?-~]{1,300}>)\s*", message.message_id)
    return found[1] if found else ""
