"""Names of folders: on the wire (modified UTF-7), on the disk (Maildir++), against patterns."""

import binascii
import re

from imapclient import imap_utf7

SEPARATOR = "/"
MAX_BYTES = 240  # of a folder's name on the disk, under the 255 of file systems
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f.%*\\]|//|^/|/$|^~")


class NameNotValid(ValueError):
    """The name can't be that of a folder."""


def decode(wire: bytes) -> str:
    """The name that a client sent (RFC 3501, 5.1.3); INBOX in capitals. Raises NameNotValid."""
    if not wire.isascii():
        raise NameNotValid("folder names are in modified UTF-7")
    try:
        name = str(imap_utf7.decode(wire))
        if imap_utf7.encode(name) != wire:
            raise NameNotValid("not valid modified UTF-7")
    except (binascii.Error, UnicodeError) as exc:
        raise NameNotValid("not valid modified UTF-7") from exc
    first, slash, rest = name.partition(SEPARATOR)
    return f"INBOX{slash}{rest}" if first.upper() == "INBOX" else name


def encode(name: str) -> bytes:
    """The name as it travels."""
    return bytes(imap_utf7.encode(name))


def require_valid(name: str) -> None:
    """Raise NameNotValid for names that the disk or the protocol can't bear.

    The full stop divides levels on the disk (Maildir++), so no name may hold one, as with Dovecot.
    """
    if not name or _FORBIDDEN.search(name) or len(name.encode()) > MAX_BYTES:
        raise NameNotValid("a folder can't have this name")


def on_disk(name: str) -> str:
    """The folder's directory below the Maildir; empty for INBOX, which is the Maildir itself."""
    return "" if name == "INBOX" else "." + name.replace(SEPARATOR, ".")


def from_disk(directory: str) -> str:
    """The folder's name from its directory."""
    return directory[1:].replace(".", SEPARATOR)


def matches(pattern: str, name: str) -> bool:
    """Whether a LIST pattern fits: `*` anything, `%` anything but the separator (RFC 3501, 6.3.8).

    Both as they travel: a pattern may end in the midst of a letter.

    All ways to fit are followed side by side, so that no pattern costs more than its length times
    that of the name.
    """
    if name.startswith("INBOX") and pattern[:5].upper() == "INBOX":
        pattern = "INBOX" + pattern[5:]
    pattern = re.sub(r"[*%]*\*[*%]*", "*", pattern)
    places = _past_wildcards(pattern, {0})
    for letter in name:
        reached = set()
        for place in places:
            if place < len(pattern):
                sign = pattern[place]
                if sign == "*" or (sign == "%" and letter != SEPARATOR):
                    reached.add(place)
                elif sign == letter:
                    reached.add(place + 1)
        places = _past_wildcards(pattern, reached)
        if not places:
            return False
    return len(pattern) in places


def _past_wildcards(pattern: str, places: set[int]) -> set[int]:
    """A wildcard may stand for nothing: every place behind one is reached as well."""
    found = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] in "*%":
            place += 1
            found.add(place)
    return found
