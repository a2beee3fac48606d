"""FETCH: what is asked for, and the answer for each message (RFC 3501, 6.4.5 and 7.4.2)."""

from dataclasses import dataclass
from datetime import datetime

from mailgov.clock import VIETNAM
from mailgov.imap import mime, structure
from mailgov.imap.folder import Description, Entry
from mailgov.imap.view import View
from mailgov.imap.wire import BadCommand, Scanner, astring, literal

HOP_BYTES = 512 * 1024  # answered in one go, before other sessions have their turn
HOP_MESSAGES = 200
MAX_ITEMS = 100
_MACROS = {
    b"ALL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"),
    b"FAST": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"),
    b"FULL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"),
}
_ATTRIBUTES = (  # longer names before those that they begin with
    b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"RFC822.HEADER", b"RFC822.TEXT", b"RFC822",
    b"ENVELOPE", b"BODYSTRUCTURE", b"UID", b"X-GUID",
)  # fmt: skip
_KINDS = (b"HEADER.FIELDS.NOT", b"HEADER.FIELDS", b"HEADER", b"TEXT", b"MIME")
_DESCRIBED = frozenset({b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"RFC822.HEADER"})
_OLD_SECTIONS = {b"RFC822": b"", b"RFC822.HEADER": b"HEADER", b"RFC822.TEXT": b"TEXT"}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing asked for. With `is_section` a part of the bytes: path, kind, fields, and piece."""

    name: bytes  # as it is repeated in the answer
    is_section: bool = False
    peek: bool = True
    path: tuple[int, ...] = ()
    kind: bytes = b""
    fields: frozenset[bytes] = frozenset()
    first: int | None = None
    count: int = 0


def parse(scanner: Scanner) -> tuple[Item, ...]:
    """The items of a FETCH command. Raises BadCommand."""
    for macro, attributes in _MACROS.items():
        if scanner.text[scanner.position :].upper() == macro:
            scanner.skip(macro)
            return tuple(Item(name) for name in attributes)
    if not scanner.skip(b"("):
        return (_item(scanner),)
    items = [_item(scanner)]
    while scanner.skip(b" "):
        items.append(_item(scanner))
        if len(items) > MAX_ITEMS:
            raise BadCommand("too much is asked for")
    scanner.expect(b")")
    return tuple(items)


def _item(scanner: Scanner) -> Item:
    for name in _ATTRIBUTES:
        if scanner.skip(name):
            if name in _OLD_SECTIONS:
                return Item(name, True, name == b"RFC822.HEADER", kind=_OLD_SECTIONS[name])
            return Item(name)
    scanner.expect(b"BODY")
    peek = scanner.skip(b".PEEK")
    if not scanner.skip(b"["):
        if peek:
            raise BadCommand("expected a section")
        return Item(b"BODY")
    return _section(scanner, peek)


def _section(scanner: Scanner, peek: bool) -> Item:
    path: list[int] = []
    dot = True
    while dot and scanner.peek().isdigit():
        path.append(scanner.number())
        dot = scanner.skip(b".")
    kind = next((kind for kind in _KINDS if dot and scanner.skip(kind)), b"")
    if (path and dot and not kind) or (kind == b"MIME" and not path) or 0 in path:
        raise BadCommand("expected a section")
    section = b".".join([*(b"%d" % number for number in path), *([kind] if kind else [])])
    fields: list[bytes] = []
    if kind.startswith(b"HEADER.FIELDS"):
        fields = _field_names(scanner)
        section += b" (%b)" % b" ".join(astring(field) for field in fields)
    scanner.expect(b"]")
    name = b"BODY[%b]" % section
    first, count = None, 0
    if scanner.skip(b"<"):
        first = scanner.number()
        scanner.expect(b".")
        count = scanner.number()
        scanner.expect(b">")
        name += b"<%d>" % first
    wanted = frozenset(field.lower() for field in fields)
    return Item(name, True, peek, tuple(path), kind, wanted, first, count)


def _field_names(scanner: Scanner) -> list[bytes]:
    scanner.space()
    scanner.expect(b"(")
    found = [scanner.astring()]
    while scanner.skip(b" "):
        found.append(scanner.astring())
    scanner.expect(b")")
    return found


def answer(view: View, chosen: list[tuple[int, int]], items: tuple[Item, ...]) -> tuple[bytes, int]:
    """Answers for the first of the chosen messages, and how many that were.

    Reading without PEEK marks a message as seen. Vanished messages have no answer.
    """
    chosen = chosen[:HOP_MESSAGES]
    folder = view.folder
    uids = [uid for _, uid in chosen]
    described: dict[int, Description] = {}
    if any(item.name in _DESCRIBED or _is_header(item) for item in items):
        described = folder.describe(uids)
    if view.writable and any(not item.peek for item in items):
        unseen = [
            uid for uid in uids if uid in folder.entries and "S" not in folder.entries[uid].letters
        ]
        folder.set_flags(unseen, "+", frozenset({"\\Seen"}))
    else:
        unseen = []
    lines: list[bytes] = []
    size = 0
    for done, (number, uid) in enumerate(chosen, 1):
        entry = folder.entries.get(uid)
        if entry is not None:
            values = _values(view, entry, items, described.get(uid), told=uid in unseen)
            if values is not None:
                lines.append(b"* %d FETCH (%b)\r\n" % (number, b" ".join(values)))
                size += len(lines[-1])
        if size > HOP_BYTES:
            return b"".join(lines), done
    return b"".join(lines), len(chosen)


def _is_header(item: Item) -> bool:
    """Whether the message's own header is enough to answer."""
    return item.is_section and not item.path and item.kind.startswith(b"HEADER")


def _values(
    view: View, entry: Entry, items: tuple[Item, ...], described: Description | None, *, told: bool
) -> list[bytes] | None:
    """Names and values in the order asked for; None for a message that is no more."""
    try:
        values = [b"%b %b" % (item.name, _value(view, entry, item, described)) for item in items]
    except FileNotFoundError:
        return None
    if told and all(item.name != b"FLAGS" for item in items):
        values.append(b"FLAGS " + view.flags_list(entry))
    return values


def _value(view: View, entry: Entry, item: Item, described: Description | None) -> bytes:
    if item.is_section:
        return _bytes(view, entry, item, described)
    if item.name == b"FLAGS":
        return view.flags_list(entry)
    if item.name == b"UID":
        return b"%d" % entry.uid
    if item.name == b"X-GUID":  # as Dovecot has it: the name of the file
        return astring(entry.name.encode("utf-8", "surrogateescape"))
    if item.name == b"RFC822.SIZE":
        return b"%d" % entry.size
    if item.name == b"INTERNALDATE":
        return internal_date(entry.received)
    if described is None:
        raise FileNotFoundError
    if item.name == b"ENVELOPE":
        return described.envelope
    return described.body if item.name == b"BODY" else described.bodystructure


def _bytes(view: View, entry: Entry, item: Item, described: Description | None) -> bytes:
    if _is_header(item) and described is not None:
        data = described.header
        root = mime.Part(0, len(data), len(data), [])
    else:
        data, root = view.folder.read(entry)
    found = structure.section(data, root, item.path, item.kind, item.fields)
    if found is None:
        return b"NIL"
    if item.first is not None:
        found = found[item.first : item.first + item.count]
    return literal(found)


def internal_date(received: int) -> bytes:
    """A moment in seconds since 1970 as INTERNALDATE, in Vietnam's time."""
    moment = datetime.fromtimestamp(received, VIETNAM)
    return f'"{moment.day:2}-{MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S %z}"'.encode()
