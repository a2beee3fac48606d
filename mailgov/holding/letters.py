"""Notices about held and refused mail: Vietnamese, then English; never a word of the message.

The sender sees the subject again, because it is theirs; keepers and officers get who, when, which
rule and the reference under which they find the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import Literal

from mailgov.addresses import Address
from mailgov.clock import VIETNAM
from mailgov.config import Config
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import MAILBOX, NewMessage, NewRecipient
from mailgov.texts import LANGUAGES, Language, words
from mailgov.texts.explanation import Explanation, of_finding, of_rule
from mailgov_policies.verdict import Action, Finding, Verdict

RULESET = "notice"
"""What the verdict of our own notices names as its ruleset: nobody judges them."""

LetterKind = Literal[
    "held",
    "keeper",
    "secret",
    "reminder",
    "passed",
    "asked",
    "released",
    "removed",
    "wrong",
    "stale",
    "unforwarded",
    "password-age",
    "unused",
    "quota",
    "review",
]

_MAX_RECIPIENTS = 10  # named in a letter; of more the number is told
_MAX_SIGNS = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line about the message, `[notice.line]` by key, with what fills its places."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told to one mailbox of ours."""

    kind: LetterKind
    to: str
    mailbox_id: int
    agency_code: str
    subject: str  # what the title names: a subject of the reader's own, a reference, a count
    lines: tuple[Line, ...]
    codes: tuple[str, ...] = ()  # rules that decided
    findings: tuple[Finding, ...] = ()  # instead of codes, for whoever may know what was found
    rows: tuple[str, ...] = ()  # already in the same form for both languages
    until: datetime | None = None


def named(addresses: Sequence[str]) -> str:
    """Addresses in a line; of many the first ones and their number."""
    shown = ", ".join(addresses[:_MAX_RECIPIENTS])
    return f"{shown}, … ({len(addresses)})" if len(addresses) > _MAX_RECIPIENTS else shown


def moment(at: datetime) -> str:
    """A moment as people in Vietnam read it."""
    return f"{at.astimezone(VIETNAM):%H:%M %d/%m/%Y}"


def as_message(letter: Letter, config: Config, now: datetime) -> NewMessage:
    """The letter, ready for the queue: null sender, a verdict of its own."""
    queue_id = new_queue_id(now)
    content = compose(letter, config, now, queue_id)
    address = Address.parse(letter.to)
    return NewMessage(
        queue_id=queue_id,
        envelope=Envelope(
            direction="internal",
            mail_from=None,  # an automatic answer must not be answered (RFC 3834, 3.3)
            recipients=(Recipient(address),),
            smtputf8=address.needs_smtputf8,
        ),
        body=Body(len(content), sha256(content).digest(), data=content),
        spool_name="",
        prefix=b"",
        verdict=Verdict(Action.PASS, "", (), (), RULESET),
        document=None,
        agency_code=letter.agency_code,
        message_id=f"<{queue_id}@{config.site.hostname}>",
        header_from=f"postmaster@{config.site.hostname}",
        recipients=(NewRecipient(letter.to, MAILBOX, mailbox_id=letter.mailbox_id),),
        accepted_at=now,
    )


def compose(letter: Letter, config: Config, now: datetime, queue_id: str) -> bytes:
    """The bytes of a letter. Pure."""
    mail = EmailMessage(policy=SMTP)
    operator = config.site.organisation or config.site.hostname
    mail["From"] = HeaderAddress(_one_line(operator), "postmaster", config.site.hostname)
    mail["To"] = f"<{letter.to}>"
    title = words(config.site.language, f"notice.{letter.kind}.subject", subject=letter.subject)
    mail["Subject"] = _one_line(title)
    mail["Date"] = format_datetime(now.astimezone(VIETNAM))
    mail["Message-ID"] = f"<{queue_id}@{config.site.hostname}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5
    told = "\r\n\r\n".join(_told(language, letter, config) for language in LANGUAGES)
    mail.set_content(f"{told}\r\n", charset="utf-8", cte="base64")
    return mail.as_bytes()


def _told(language: Language, letter: Letter, config: Config) -> str:
    def say(key: str, **fields: object) -> str:
        return words(language, f"notice.{key}", **fields)

    until = moment(letter.until) if letter.until else ""
    lines = [say(f"{letter.kind}.lead", until=until), ""]
    lines += [say(f"line.{line.key}", **{line.key: _one_line(line.value)}) for line in letter.lines]
    for told in _explained(language, letter):
        lines.append(say("line.why", why=told.title.rstrip(".")))
        if told.where:
            lines += [say("line.where", where=told.where), _one_line(told.why)]
        lines.append(say("line.basis", basis=told.basis))
        lines.append(say("line.rule", link=told.link(config.help_base)))
    lines += [_one_line(row) for row in letter.rows]
    lines += ["", say(f"{letter.kind}.end", until=until)]
    if config.site.contact:
        lines.append(say("line.contact", contact=config.site.contact))
    return "\r\n".join(lines)


def _explained(language: Language, letter: Letter) -> list[Explanation]:
    if letter.findings:
        return [of_finding(language, f.code, f.where, f.evidence, f.basis) for f in letter.findings]
    return [of_rule(language, code) for code in letter.codes]


def _one_line(text: str) -> str:
    clean = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return clean if len(clean) <= _MAX_SIGNS else f"{clean[: _MAX_SIGNS - 1]}…"
