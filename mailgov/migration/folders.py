"""Folders of another server, and what they are called here. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imapclient import imap_utf7

from mailgov.mailstore.layout import SPECIAL_FOLDERS

MAX_BYTES = 240  # of a folder's name on the disk, under the 255 of file systems
# What the disk (Maildir++) and IMAP can't bear in a name; a full stop divides levels on the disk.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f.%*\\/]|^~")
_USES = {use.lower().encode(): name for name, use in SPECIAL_FOLDERS.items()}
_VIEWS = frozenset(
    {b"\\all", b"\\flagged", b"\\important"}
)  # RFC 6154: shown there, kept elsewhere
_CLOSED = frozenset({b"\\noselect", b"\\nonexistent"})

# Names that servers and programs give to folders of a use, where the server does not tell it.
KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "Drafts": ("drafts", "draft", "nháp", "bản nháp", "thư nháp"),
    "Sent": (
        "sent", "sent items", "sent messages", "sent mail", "sent-mail",
        "đã gửi", "thư đã gửi", "mục đã gửi", "các mục đã gửi", "tin đã gửi",
    ),
    "Archive": ("archive", "archives", "lưu trữ", "thư lưu trữ"),
    "Junk": (
        "junk", "junk e-mail", "junk email", "junk mail", "spam", "bulk mail",
        "thư rác", "email rác", "thư điện tử rác",
    ),
    "Trash": (
        "trash", "deleted items", "deleted messages", "deleted", "bin",
        "thùng rác", "mục đã xóa", "mục đã xoá", "các mục đã xóa", "thư đã xóa", "thư đã xoá",
    ),
}  # fmt: skip
_BY_NAME = {known: name for name, all_ in KNOWN_NAMES.items() for known in all_}


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of LIST: attributes in lower case, the sign between levels, the name as it travels."""

    attributes: frozenset[bytes]
    separator: str
    wire: str


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Prefixes of names (RFC 2342): of one's own folders, and of those of others."""

    personal: tuple[str, ...] = ("",)
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to copy. `name` is its own, readable; `target` is what it is called here."""

    wire: str
    name: str
    target: str
    subscribed: bool = False


def readable(wire: str) -> str:
    """A name from modified UTF-7 (RFC 3501, 5.1.3), or as it stands where it is UTF-8 already."""
    try:
        name = str(imap_utf7.decode(wire.encode("ascii")))
    except (UnicodeError, ValueError):
        return wire
    return name


def listed_from(values: tuple[Any, ...]) -> Listed | None:
    """What a response says, when it is LIST or LSUB and has a name."""
    if len(values) != 4 or values[0] not in (b"LIST", b"LSUB"):
        return None
    _, attributes, separator, name = values
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
    between = separator.decode("ascii", "replace") if isinstance(separator, bytes) else ""
    return Listed(frozenset(flag.lower() for flag in attributes or ()), between, text)


def namespaces_from(values: tuple[Any, ...]) -> Namespaces | None:
    """What a response says, when it is NAMESPACE."""
    if len(values) != 4 or values[0] != b"NAMESPACE":
        return None
    personal, *others = ([_text(one[0]) for one in group or ()] for group in values[1:])
    return Namespaces(tuple(personal) or ("",), tuple(name for group in others for name in group))


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def plan(
    found: Iterable[Listed], subscribed: Iterable[str] = (), spaces: Namespaces | None = None
) -> tuple[list[Folder], list[str]]:
    """Folders to copy with their names here, and the names of those left out.

    Left out is what belongs to others, and views that repeat messages of other folders. No two
    folders become one, except that those of a use go into ours of that use.
    """
    spaces = spaces or Namespaces()
    subscriptions = set(subscribed)
    chosen: list[Folder] = []
    left_out: list[str] = []
    taken = {name.casefold() for name in SPECIAL_FOLDERS} | {"inbox"}
    uses: dict[str, str] = {}
    everything = sorted(found, key=lambda one: (one.wire.upper() != "INBOX", one.wire))
    for one in everything:
        for attribute in one.attributes & _USES.keys():
            uses.setdefault(_USES[attribute], one.wire)
    for one in everything:
        if one.attributes & _CLOSED:
            continue
        name = readable(one.wire)
        if one.attributes & _VIEWS or _is_of_others(one.wire, spaces):
            left_out.append(name)
            continue
        target = _target(one, spaces, uses)
        if target not in SPECIAL_FOLDERS and target != "INBOX":
            target = _unique(target, taken)
        chosen.append(Folder(one.wire, name, target, one.wire in subscriptions))
    return chosen, left_out


def _is_of_others(wire: str, spaces: Namespaces) -> bool:
    """Whether the longest prefix that fits is that of another's space."""
    own = max((len(p) for p in spaces.personal if wire.startswith(p)), default=-1)
    foreign = max((len(p) for p in spaces.others if wire.startswith(p)), default=-1)
    return foreign > own


def _target(one: Listed, spaces: Namespaces, uses: Mapping[str, str]) -> str:
    if one.wire.upper() == "INBOX":
        return "INBOX"
    wire = one.wire
    for prefix in sorted(spaces.personal, key=len, reverse=True):
        if prefix and wire.startswith(prefix) and wire != prefix:
            wire = wire.removeprefix(prefix)
            break
    levels = [readable(level) for level in (wire.split(one.separator) if one.separator else [wire])]
    for name, its in uses.items():
        if its == one.wire:
            return name
    if len(levels) == 1:
        by_name = _BY_NAME.get(levels[0].strip().casefold())
        # A folder that the server names for the use goes first; this one is then a folder like others.
        if by_name is not None and by_name not in uses:
            return by_name
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    return "/".join(_FORBIDDEN.sub("-", level).strip() or "-" for level in levels)


def _unique(name: str, taken: set[str]) -> str:
    """A name that no other folder has, short enough for the disk."""
    short = _cut(name, MAX_BYTES - 8)
    candidate, number = short, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{short} ({number})"
    taken.add(candidate.casefold())
    return candidate


def _cut(name: str, most: int) -> str:
    return name.encode()[:most].decode("utf-8", "ignore")
