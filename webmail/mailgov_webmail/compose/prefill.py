"""The letter that a reply, a forward or an unfinished message begins with."""

from collections.abc import Iterable
from typing import Literal

from mailgov.addresses import Address
from mailgov.errors import InputError
from mailgov_policies.facts import Person
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.people import Recipient, as_typed
from mailgov_webmail.reading import Reading
from mailgov_webmail.words import Words

Kind = Literal["reply", "all", "forward", "edit"]

MAX_QUOTED = 100_000  # letters
_PREFIXES = ("re:", "fw:", "fwd:", "tl:", "trả lời:", "chuyển tiếp:")


def prefilled(
    kind: Kind, reading: Reading, source: str, own: Iterable[str], words: Words
) -> Letter:
    """The letter to start with. `own` are addresses of the writer, who is not written to."""
    if kind == "edit":
        return _again(reading, source)
    subject = reading.header.subject
    sender = _answered_as(reading, own)
    if kind == "forward":
        return Letter(
            sender=sender,
            subject=_prefixed("Fwd", subject),
            body=f"\n\n{_forwarded(reading, words)}",
            source=f"forward {source}",
        )
    to, cc = _answer_to(reading, set(own), everyone=kind == "all")
    message_id = reading.field("message-id")
    return Letter(
        sender=sender,
        to=as_typed(to),
        cc=as_typed(cc),
        subject=_prefixed("Re", subject),
        body=f"\n\n{_quoted(reading, words)}",
        source=f"reply {source}",
        in_reply_to=message_id,
        references=_references(reading, message_id),
    )


def answer_count(reading: Reading, own: Iterable[str]) -> int:
    """How many people a reply to all goes to."""
    to, cc = _answer_to(reading, set(own), everyone=True)
    return len(to) + len(cc)


def _answer_to(
    reading: Reading, own: set[str], *, everyone: bool
) -> tuple[list[Recipient], list[Recipient]]:
    """RFC 5322, 3.6.3: to Reply-To or From; with everyone, those of To and Cc as well."""
    header = reading.header
    first = _recipients(header.reply_to or header.from_)
    if first and all(person.address.key in own for person in first):
        first = _recipients(header.to)  # going on with one's own letter
    known = {person.address.key for person in first} | own
    if not everyone:
        return first, []
    cc = [p for p in _recipients((*header.to, *header.cc)) if p.address.key not in known]
    return first, list({person.address.key: person for person in cc}.values())


def _recipients(people: Iterable[Person]) -> list[Recipient]:
    found = []
    for person in people:
        try:
            found.append(Recipient(Address.parse(person.address), person.name))
        except InputError:
            continue  # nobody can be answered there
    return found


def _answered_as(reading: Reading, own: Iterable[str]) -> str:
    """The own address that the message came to, so that the answer comes from there."""
    addressed = {person.address for person in (*reading.header.to, *reading.header.cc)}
    return next((address for address in own if address in addressed), "")


def _prefixed(prefix: str, subject: str) -> str:
    bare = subject.strip()
    return bare if bare.lower().startswith(_PREFIXES) and prefix == "Re" else f"{prefix}: {bare}"


def _references(reading: Reading, message_id: str) -> str:
    """RFC 5322, 3.6.4: the thread so far and this message; the middle of long ones may go."""
    earlier = (reading.field("references") or reading.field("in-reply-to")).split()
    thread = [*earlier, message_id] if message_id else earlier
    return " ".join(thread if len(thread) <= 20 else [thread[0], *thread[-19:]])


def _quoted(reading: Reading, words: Words) -> str:
    sender = _shown(reading.header.from_)
    sent_at = words.moment(reading.sent_at) if reading.sent_at else ""
    lines = reading.text[:MAX_QUOTED].rstrip().split("\n")
    quoted = "\n".join(
        f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines
    )
    return f"{words('compose.wrote', at=sent_at, sender=sender)}\n{quoted}\n"


def _forwarded(reading: Reading, words: Words) -> str:
    header = reading.header
    lines = [
        f"---------- {words('compose.forwarded')} ----------",
        f"{words('message.from')}: {_shown(header.from_)}",
        f"{words('message.date')}: {words.moment(reading.sent_at) if reading.sent_at else ''}",
        f"{words('message.subject')}: {header.subject}",
        f"{words('message.to')}: {_shown(header.to)}",
    ]
    if header.cc:
        lines.append(f"{words('message.cc')}: {_shown(header.cc)}")
    return "\n".join([*lines, "", reading.text[:MAX_QUOTED].rstrip(), ""])


def _shown(people: Iterable[Person]) -> str:
    return ", ".join(f"{p.name} <{p.address}>" if p.name else p.address for p in people)


def _again(reading: Reading, source: str) -> Letter:
    header = reading.header
    return Letter(
        to=as_typed(_recipients(header.to)),
        cc=as_typed(_recipients(header.cc)),
        subject=header.subject,
        body=reading.text,
        source=f"edit {source}",
        in_reply_to=reading.field("in-reply-to"),
        references=reading.field("references"),
    )
