"""What IMAP answers mean: responses in, values of the pages out. Pure; knows no connection."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from imapclient import imap_utf7
from imapclient.response_parser import parse_fetch_response, parse_response

from mailgov.content.fields import decode_words
from mailgov.errors import NotFound
from mailgov_webmail.mailbox import ANSWERED, FLAGGED, FORWARDED, SEEN, Role, Summary

_SET_BYTES = 4000  # UIDs of one command
_ROLES: Mapping[bytes, Role] = {
    b"\\drafts": "drafts", b"\\sent": "sent", b"\\archive": "archive",
    b"\\junk": "junk", b"\\trash": "trash",
}  # fmt: skip

Unit = list[bytes]
"""One response: its line, and in turn each literal and the line that goes on after it."""


def summary(row: Mapping[bytes, Any]) -> Summary:
    """One row of a list, from the items of a FETCH response."""
    envelope = row[b"ENVELOPE"]
    senders = people(envelope.from_)
    name, address = senders[0] if senders else ("", "")
    received = row.get(b"INTERNALDATE")
    return Summary(
        uid=row[b"UID"],
        flags=flags_of(row),
        from_name=name,
        from_address=address,
        to=tuple(name or address for name, address in people(envelope.to)),
        subject=decoded(envelope.subject),
        received_at=received.astimezone(UTC) if received else datetime.fromtimestamp(0, UTC),
        size_bytes=row.get(b"RFC822.SIZE", 0),
        has_files=has_files(row.get(b"BODYSTRUCTURE", ())),
    )


def flags_of(row: Mapping[bytes, Any]) -> frozenset[str]:
    """The flags of a message, those that the pages know in their one spelling."""
    known = {flag.lower(): flag for flag in (SEEN, FLAGGED, ANSWERED, FORWARDED)}
    words = (_text(flag) for flag in row.get(b"FLAGS", ()))
    return frozenset(known.get(word.lower(), word) for word in words)


def people(addresses: Iterable[Any] | None) -> list[tuple[str, str]]:
    """Names and addresses; the marks of groups (RFC 3501, 7.4.2) are left out."""
    return [
        (decoded(a.name), _address(_text(a.mailbox), _text(a.host)))
        for a in addresses or ()
        if a.mailbox is not None and a.host is not None
    ]


def _address(local: str, domain: str) -> str:
    """An address, as much of it as there is."""
    if local == "MISSING_MAILBOX":  # the mail stores' word for it
        return ""
    return local if domain == "MISSING_DOMAIN" else f"{local}@{domain}"


def has_files(structure: Any) -> bool:
    """Whether a BODYSTRUCTURE has a part that a person would call an attached file."""
    if not isinstance(structure, tuple) or not structure:
        return False
    if isinstance(structure[0], list | tuple):
        parts = structure[0] if isinstance(structure[0], list) else structure
        return any(has_files(part) for part in parts if isinstance(part, tuple))
    kind = f"{_text(structure[0])}/{_text(structure[1])}".lower()
    if kind in ("application/pkcs7-signature", "application/pgp-signature"):
        return False
    dispositions = [item[0] for item in structure[3:] if isinstance(item, tuple) and item]
    if any(isinstance(d, bytes) and d.lower() == b"attachment" for d in dispositions):
        return True
    return not kind.startswith(("text/", "image/", "multipart/"))


def decoded(value: bytes | None) -> str:
    """A header value of an envelope in words (RFC 2047); raw 8-bit text is read as such."""
    return decode_words(value or b"")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def quoted(text: str) -> str:
    """A quoted string; what can't stand in one becomes a blank."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = re.sub(r"[\x00\r\n]", " ", escaped)
    return f'"{plain}"'


def folder_name(name: str) -> str:
    """A folder's name on the wire (RFC 3501, 5.1.3). Raises NotFound `folder-missing`.

    No folder has control characters in its name, and Dovecot repeats them decoded in its refusal.
    """
    if any(ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in name):
        raise NotFound("folder-missing", folder=name)
    return quoted(imap_utf7.encode(name).decode("ascii"))


def parsed(unit: Unit) -> tuple[Any, ...]:
    """The atoms, strings and lists of a response, without its `* `."""
    return tuple(parse_response(_records([unit[0][2:], *unit[1:]])))


def _records(unit: Unit) -> list[Any]:
    """Pair every line that announces a literal with the literal, as the parser wants it."""
    pairs = [(unit[i], unit[i + 1]) for i in range(0, len(unit) - 1, 2)]
    return [*pairs, unit[-1]]


def fetched(units: Iterable[Unit]) -> list[Mapping[bytes, Any]]:
    """What FETCH responses say, one mapping for each message."""
    records: list[Any] = []
    for unit in units:
        if found := re.match(rb"\* (\d+) FETCH (?=\()", unit[0], re.IGNORECASE):
            records += _records([b"%b %b" % (found[1], unit[0][found.end() :]), *unit[1:]])
    if not records:
        return []
    return list(parse_fetch_response(records, normalise_times=False, uid_is_key=False).values())


def listed(units: Iterable[Unit]) -> list[tuple[set[bytes], str]]:
    """Attributes, in lower case, and names of LIST responses."""
    found = []
    for unit in units:
        kind, *rest = parsed(unit)
        if kind == b"LIST" and len(rest) == 3:
            name = rest[2] if isinstance(rest[2], bytes) else str(rest[2]).encode()
            found.append(({flag.lower() for flag in rest[0]}, imap_utf7.decode(name)))
    return found


def role(name: str, flags: set[bytes]) -> Role:
    """What a folder is for, by its special use."""
    if name.upper() == "INBOX":
        return "inbox"
    return next((role for flag, role in _ROLES.items() if flag in flags), "")


def status(units: Iterable[Unit]) -> dict[bytes, int]:
    """The values of a STATUS response; empty when there is none."""
    for unit in units:
        kind, *rest = parsed(unit)
        if kind == b"STATUS" and len(rest) == 2:
            return dict(zip(rest[1][::2], rest[1][1::2], strict=True))
    return {}


def numbers(units: Iterable[Unit], kind: bytes) -> list[int]:
    """The numbers of responses such as `* 3 EXISTS`."""
    found = (re.fullmatch(rb"\* (\d+) %b" % kind, unit[0]) for unit in units)
    return [int(match[1]) for match in found if match]


def uid_sets(uids: Iterable[int]) -> list[str]:
    """UIDs as sets of ranges, each short enough for a command."""
    ranges: list[list[int]] = []
    for uid in sorted(set(uids)):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    words = [str(a) if a == b else f"{a}:{b}" for a, b in ranges]
    sets: list[str] = []
    for word in words:
        if sets and len(sets[-1]) + len(word) < _SET_BYTES:
            sets[-1] += f",{word}"
        else:
            sets.append(word)
    return sets


def uids_of(uid_set: bytes) -> list[int]:
    """The UIDs of a set such as `1:3,7`."""
    uids: list[int] = []
    for part in uid_set.split(b","):
        first, _, last = part.partition(b":")
        uids += range(int(first), int(last or first) + 1)
    return uids
