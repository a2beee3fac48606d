"""What IMAP answers mean: responses in, values of the pages out. Pure; knows no connection."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from imapclient import imap_utf7

from mailgov.content.fields import decode_words
from mailgov.imap_client.answers import Unit, parsed
from mailgov_webmail.mailbox import ANSWERED, FLAGGED, FORWARDED, SEEN, Role, Summary

_ROLES: Mapping[bytes, Role] = {
    b"\\drafts": "drafts", b"\\sent": "sent", b"\\archive": "archive",
    b"\\junk": "junk", b"\\trash": "trash",
}  # fmt: skip


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
