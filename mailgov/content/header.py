"""The header of a message: who, what, when, and whether it can be read in one way only.

RFC 5322, 3.6: exactly one From, at most one of most others. Raw 8-bit text and RFC 2047 words are
both read.
"""

import re
import unicodedata
from datetime import UTC
from email.utils import parsedate_to_datetime

from mailgov.content.fields import Fields
from mailgov.content.lines import visible
from mailgov.content.lookalikes import in_latin
from mailgov.content.mailboxes import Mailboxes, read_mailboxes
from mailgov_policies.facts import Header, Person

MAX_SUBJECT = 2000  # letters kept
_MAX_CLAIMS, _MAX_SIGNS = 20, 40  # of one name
_SPEAKS_OF_ADDRESS = re.compile("[@\uff20\ufe6b]")
_SPACED_SIGN = re.compile(r"\s*([@.])\s*")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_CUT_WORD_BEFORE, _CUT_WORD_AFTER = re.compile(r"\A[^\s<>\"(),;]+"), re.compile(r"[^\s<>\"(),;]+\Z")
_SINGLE = (
    *("sender", "reply-to", "to", "cc", "subject", "date"),
    *("message-id", "in-reply-to", "references", "mime-version"),
)


def read_header(fields: Fields) -> Header:
    """The fields that rules need. Of fields given twice the first counts."""
    return Header(
        subject=unicodedata.normalize("NFC", fields.text("subject")[:MAX_SUBJECT]),
        from_=_people(fields, "from"),
        sender=next(iter(_people(fields, "sender")), None),
        reply_to=_people(fields, "reply-to"),
        to=_people(fields, "to"),
        cc=_people(fields, "cc"),
        resent_from=_people(fields, "resent-from") + _people(fields, "resent-sender"),
        message_id=fields.text("message-id")[:998],
        date=_date(fields.text("date")),
        from_fields=len(fields.all("from")),
    )


def header_defects(fields: Fields) -> tuple[str, ...]:
    """What keeps the header from having one reading; empty for nearly all mail."""
    found = []
    from_fields = fields.all("from")
    if not from_fields:
        found.append("no From field")
    if len(from_fields) > 1:
        found.append("two From fields")
    found += [
        f"two {name.title()} fields"
        for name in _SINGLE
        if len({item.value for item in fields.all(name)}) > 1
    ]
    for name in ("from", "sender", "resent-from", "resent-sender"):
        for item in fields.all(name):
            found += _mailbox_defects(name.title(), read_mailboxes(item.value))
    return tuple(dict.fromkeys(found))


def _mailbox_defects(name: str, mailboxes: Mailboxes) -> list[str]:
    if mailboxes.ambiguous:
        return [f"two addresses in one mailbox of {name}"]
    if name == "Sender" and len(mailboxes.people) > 1:  # RFC 5322, 3.6.2: one mailbox
        return ["several mailboxes in Sender"]
    if name == "From" and not any("@" in person.address for person in mailboxes.people):
        return ["From field without an address"]
    # Programs that open encoded words before they look for addresses find one there.
    if any(not one.address and _SPEAKS_OF_ADDRESS.search(one.name) for one in mailboxes.people):
        return [f"an address in the words of {name}"]
    return []


def _people(fields: Fields, name: str) -> tuple[Person, ...]:
    """Everybody with an address, over all fields of that name: nobody hides in a second field."""
    return tuple(
        Person(
            visible(person.name),
            person.address,
            _claims(visible(" ".join((person.name, *person.claims))), person.address),
        )
        for item in fields.all(name)
        for person in read_mailboxes(item.value).people
        if person.address
    )


def _claims(name: str, own: str) -> tuple[str, ...]:
    """Other addresses in a display name, which many programs show alone, whatever their letters."""
    signs = [match.start() for match in _SPEAKS_OF_ADDRESS.finditer(name)][:_MAX_SIGNS]
    found: dict[str, None] = {}
    # Around each sign only: names may be as long as a field.
    for at in signs:
        around = in_latin(unicodedata.normalize("NFKC", _around(name, at)))
        plain = _SPACED_SIGN.sub(r"\1", around.replace("\u3002", ".")).lower()
        found |= dict.fromkeys(address.rstrip(".") for address in _ADDRESS.findall(plain))
    return tuple(address for address in found if address != own)[:_MAX_CLAIMS]


def _around(name: str, at: int) -> str:
    """The stretch of a name around a sign, without words that its ends cut in two."""
    start, stop = max(0, at - 200), at + 400
    part = name[start:stop]
    if start:
        part = _CUT_WORD_BEFORE.sub("", part)
    return part if stop >= len(name) else _CUT_WORD_AFTER.sub("", part)


def _date(text: str) -> str:
    """RFC 3339 in the writer's zone; empty when it is no date."""
    try:
        moment = parsedate_to_datetime(text[:200])
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    if moment.tzinfo is None:  # RFC 5322, 3.3: -0000, time in UTC, zone unknown
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat()
