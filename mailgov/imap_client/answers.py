"""What IMAP says, taken apart: pure; knows no connection."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from imapclient import imap_utf7
from imapclient.response_parser import parse_fetch_response, parse_response

from mailgov.errors import NotFound

_SET_BYTES = 4000  # UIDs of one command

Unit = list[bytes]
"""One response: its line, and in turn each literal and the line that goes on after it."""


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
