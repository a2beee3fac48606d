"""What a signed-in client can do to folders and messages (RFC 3501, 6.3 and 6.4).

Each command reads its arguments, does its work in the thread of the mailbox, sends the responses
that belong to it and returns the words of its OK. Raises BadCommand, FolderError, NameNotValid.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from mailgov.imap import fetch as fetching
from mailgov.imap import mime, names
from mailgov.imap import search as searching
from mailgov.imap.account import Account, FolderError, SharedAccount
from mailgov.imap.folder import SYSTEM_FLAGS, Entry
from mailgov.imap.view import View
from mailgov.imap.wire import BadCommand, Scanner, SequenceSet, astring, numbers
from mailgov.mailstore.acts import Kind
from mailgov.mailstore.layout import SPECIAL_FOLDERS

T = TypeVar("T")

SEARCH_HOP = 100  # messages searched in one go, before other sessions have their turn
MAX_KEYWORDS, MAX_KEYWORD_BYTES = 50, 100
_FLAGS = " ".join(sorted(SYSTEM_FLAGS))
_DATE_TIME = re.compile(
    rb'"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})"'  # RFC 3501, date-time
)
_ACTS: Mapping[str, Kind] = {"\\Answered": "answered", "\\Deleted": "removed", "\\Seen": "read"}
_STATUS_ITEMS = ("messages", "recent", "uidnext", "uidvalidity", "unseen")


@dataclass(slots=True)
class Conversation:
    """What commands work with: the mailbox, the folder selected, and the way to the client."""

    account: SharedAccount
    send: Callable[[bytes], Awaitable[None]]
    view: View | None = None
    told: Callable[[Kind, str], None] = lambda _kind, _folder: None  # what a person did, once each
    read_only: bool = False  # SELECT opens as EXAMINE does, and `CHANGES` are refused

    def act(self, kind: Kind, folder: str, count: int = 1) -> None:
        """Tell of what was done to messages of a folder."""
        for _ in range(count):
            self.told(kind, folder)

    @property
    def selected(self) -> View:
        """The folder selected; only in the selected state."""
        assert self.view is not None
        return self.view

    def require_writable(self) -> View:
        """The folder selected, which EXAMINE would have opened for reading only."""
        if not self.selected.writable:
            raise FolderError("", "the folder is open for reading only")
        return self.selected

    async def run(self, work: Callable[[Account], T]) -> T:
        """Do something in the thread of the mailbox."""
        return await self.account.run(work)

    async def change(self, work: Callable[[Account], T]) -> T:
        """The same, and let other sessions know."""
        result = await self.account.run(work)
        self.account.tell()
        return result

    async def respond(self, *lines: bytes) -> None:
        """Send untagged responses."""
        await self.send(b"".join(line + b"\r\n" for line in lines))


Handler = Callable[[Conversation, Scanner], Awaitable[str]]


def _folder_name(scanner: Scanner) -> str:
    return names.decode(scanner.astring())


def _one_folder(scanner: Scanner) -> str:
    scanner.space()
    name = _folder_name(scanner)
    scanner.end()
    return name


# Folders


async def select(talk: Conversation, scanner: Scanner, *, writable: bool) -> str:
    """SELECT and EXAMINE."""
    name = _one_folder(scanner)
    writable = writable and not talk.read_only
    talk.view = None  # whatever comes of it, the old folder is closed

    def work(account: Account) -> tuple[View, int | None]:
        view = View(account.folder(name), writable=writable)
        entries = view.folder.entries.values()
        first = (at for at, entry in enumerate(entries, 1) if "S" not in entry.letters)
        return view, next(first, None)

    view, first_unseen = await talk.run(work)
    folder = view.folder
    permanent = f"{_FLAGS} \\*" if writable else ""
    lines = [
        f"FLAGS ({_FLAGS})",
        f"OK [PERMANENTFLAGS ({permanent})] flags that stay",
        f"{len(view.uids)} EXISTS",
        f"{len(view.recent)} RECENT",
        f"OK [UIDVALIDITY {folder.uidvalidity}] UIDs valid",
        f"OK [UIDNEXT {folder.uidnext}] next UID",
    ]
    if first_unseen:
        lines.append(f"OK [UNSEEN {first_unseen}] first unseen message")
    await talk.respond(*(f"* {line}".encode() for line in lines))
    talk.view = view
    return f"[READ-{'WRITE' if writable else 'ONLY'}] folder opened"


async def create(talk: Conversation, scanner: Scanner) -> str:
    """CREATE. A separator at the end says that folders below will follow, and is left out."""
    scanner.space()
    name = names.decode(scanner.astring().removesuffix(names.SEPARATOR.encode()))
    scanner.end()
    await talk.change(lambda account: account.create(name))
    return "folder made"


async def delete(talk: Conversation, scanner: Scanner) -> str:
    """DELETE."""
    name = _one_folder(scanner)
    await talk.change(lambda account: account.delete(name))
    return "folder deleted"


async def rename(talk: Conversation, scanner: Scanner) -> str:
    """RENAME."""
    scanner.space()
    old = _folder_name(scanner)
    new = _one_folder(scanner)
    await talk.change(lambda account: account.rename(old, new))
    return "folder renamed"


async def subscribe(talk: Conversation, scanner: Scanner) -> str:
    """SUBSCRIBE."""
    name = _one_folder(scanner)
    await talk.run(lambda account: account.subscribe(name))
    return "subscribed"


async def unsubscribe(talk: Conversation, scanner: Scanner) -> str:
    """UNSUBSCRIBE."""
    name = _one_folder(scanner)
    await talk.run(lambda account: account.unsubscribe(name))
    return "unsubscribed"


def _list_arguments(scanner: Scanner) -> str:
    """Reference and pattern of LIST, put together, as they travel."""
    scanner.space()
    reference = scanner.astring()
    scanner.space()
    pattern = scanner.pattern()
    scanner.end()
    return (reference + pattern).decode("ascii", "replace") if pattern else ""


def _matches(pattern: str, name: str) -> bool:
    return names.matches(pattern, names.encode(name).decode("ascii"))


async def list_folders(talk: Conversation, scanner: Scanner) -> str:
    """LIST, with the special use of folders (RFC 6154)."""
    pattern = _list_arguments(scanner)
    if not pattern:
        await talk.respond(b'* LIST (\\Noselect) "/" ""')
        return "listed"
    there = set(await talk.run(Account.names))
    parents = {parent for name in there for parent in _parents(name)}
    lines = []
    for name in sorted(there | parents):
        if _matches(pattern, name):
            attributes = ["\\HasChildren" if name in parents else "\\HasNoChildren"]
            if name not in there:
                attributes.append("\\Noselect")
            if name in SPECIAL_FOLDERS:
                attributes.append(SPECIAL_FOLDERS[name])
            lines.append(_listed("LIST", attributes, name))
    await talk.respond(*lines)
    return "listed"


async def list_subscribed(talk: Conversation, scanner: Scanner) -> str:
    """LSUB. A folder that only leads to subscribed ones is shown as such (RFC 3501, 6.3.9)."""
    pattern = _list_arguments(scanner)
    subscribed = set(await talk.run(Account.subscribed))
    found: dict[str, list[str]] = {name: [] for name in subscribed if _matches(pattern, name)}
    for name in subscribed - found.keys():
        for parent in _parents(name):
            if parent not in subscribed and _matches(pattern, parent):
                found[parent] = ["\\Noselect"]
    await talk.respond(*(_listed("LSUB", found[name], name) for name in sorted(found)))
    return "listed"


def _parents(name: str) -> list[str]:
    steps = name.split(names.SEPARATOR)
    return [names.SEPARATOR.join(steps[:count]) for count in range(1, len(steps))]


def _listed(kind: str, attributes: list[str], name: str) -> bytes:
    head = f'* {kind} ({" ".join(attributes)}) "/" '
    return head.encode() + astring(names.encode(name))


async def status(talk: Conversation, scanner: Scanner) -> str:
    """STATUS."""
    scanner.space()
    name = _folder_name(scanner)
    scanner.space()
    scanner.expect(b"(")
    items = [scanner.atom().decode().lower()]
    while scanner.skip(b" "):
        items.append(scanner.atom().decode().lower())
    scanner.expect(b")")
    scanner.end()
    if not set(items) <= set(_STATUS_ITEMS):
        raise BadCommand("unknown status item")
    found = await talk.run(lambda account: account.status(name))
    values = " ".join(f"{item.upper()} {getattr(found, item)}" for item in items)
    await talk.respond(b"* STATUS %b (%b)" % (astring(names.encode(name)), values.encode()))
    return "status told"


async def namespace(talk: Conversation, scanner: Scanner) -> str:
    """NAMESPACE (RFC 2342)."""
    scanner.end()
    await talk.respond(b'* NAMESPACE (("" "/")) NIL NIL')
    return "namespaces told"


async def get_quota_root(talk: Conversation, scanner: Scanner) -> str:
    """GETQUOTAROOT (RFC 9208): one root for all folders."""
    name = _one_folder(scanner)
    await talk.run(lambda account: account.folder(name))
    await talk.respond(b'* QUOTAROOT %b ""' % astring(names.encode(name)))
    return await _tell_quota(talk)


async def get_quota(talk: Conversation, scanner: Scanner) -> str:
    """GETQUOTA."""
    scanner.space()
    if scanner.astring():
        raise FolderError("NONEXISTENT", "there is no such quota root")
    scanner.end()
    return await _tell_quota(talk)


async def _tell_quota(talk: Conversation) -> str:
    used, granted = await talk.run(Account.used_bytes), talk.account.quota_bytes
    kib = b"STORAGE %d %d" % (-(-used // 1024), granted // 1024) if granted else b""
    await talk.respond(b'* QUOTA "" (%b)' % kib)
    return "quota told"


async def append(talk: Conversation, scanner: Scanner) -> str:
    """APPEND, with the UID given (RFC 4315)."""
    scanner.space()
    name = _folder_name(scanner)
    scanner.space()
    flags: frozenset[str] = frozenset()
    if scanner.peek() == b"(":
        flags = _flags(scanner)
        scanner.space()
    received = int(time.time())
    if scanner.peek() == b'"':
        received = _moment(scanner)
        scanner.space()
    if scanner.peek() != b"{":
        raise BadCommand("expected a literal")
    data = scanner.string()
    scanner.end()
    if not data:
        raise FolderError("", "an empty message is not stored")

    def work(account: Account) -> tuple[int, int]:
        folder = account.target(name)
        account.require_room(len(data), talk.account.quota_bytes)
        return folder.uidvalidity, folder.append(data, flags, received)

    uidvalidity, uid = await talk.change(work)
    talk.act("saved", name)
    return f"[APPENDUID {uidvalidity} {uid}] message stored"


def _moment(scanner: Scanner) -> int:
    text = scanner.take(_DATE_TIME, "a date").decode("ascii")[1:-1]
    day, month, rest = text.split("-", 2)
    try:
        number = fetching.MONTHS.index(month.title()) + 1
        moment = datetime.strptime(f"{int(day)}-{number}-{rest}", "%d-%m-%Y %H:%M:%S %z")
        return max(0, int(moment.timestamp()))
    except (ValueError, OverflowError) as exc:
        raise BadCommand("expected a date") from exc


def _flags(scanner: Scanner) -> frozenset[str]:
    flags = scanner.flags()
    if len(flags) > MAX_KEYWORDS or any(len(flag) > MAX_KEYWORD_BYTES for flag in flags):
        raise FolderError("LIMIT", "there are too many flags")
    return flags


# Messages


async def check(talk: Conversation, scanner: Scanner) -> str:  # noqa: ARG001 - a command like others
    """CHECK: nothing waits to be written."""
    scanner.end()
    return "nothing to do"


async def close(talk: Conversation, scanner: Scanner) -> str:
    """CLOSE: removes what is marked as deleted, without a word."""
    scanner.end()
    view = talk.selected
    if view.writable and not view.folder.gone:
        await talk.change(lambda _: view.folder.expunge())
    talk.view = None
    return "folder closed"


async def unselect(talk: Conversation, scanner: Scanner) -> str:
    """UNSELECT (RFC 3691): closes and removes nothing."""
    scanner.end()
    talk.view = None
    return "folder closed"


async def expunge(talk: Conversation, scanner: Scanner) -> str:
    """EXPUNGE."""
    scanner.end()
    view = talk.require_writable()
    await talk.change(lambda _: view.folder.expunge())
    return "expunged"


async def uid_expunge(talk: Conversation, scanner: Scanner) -> str:
    """UID EXPUNGE (RFC 4315)."""
    uids = _numbers(scanner)
    scanner.end()
    view = talk.require_writable()

    def work(_: Account) -> None:
        view.folder.expunge([uid for _, uid in view.chosen(uids, by_uid=True)])

    await talk.change(work)
    return "expunged"


def _numbers(scanner: Scanner) -> SequenceSet:
    scanner.space()
    return scanner.sequence_set()


async def fetch(talk: Conversation, scanner: Scanner, *, by_uid: bool) -> str:
    """FETCH and UID FETCH."""
    chosen_by = _numbers(scanner)
    scanner.space()
    items = fetching.parse(scanner)
    scanner.end()
    if by_uid and all(item.name != b"UID" for item in items):
        items = (fetching.Item(b"UID"), *items)
    view = talk.selected
    chosen = await talk.run(lambda _: view.chosen(chosen_by, by_uid=by_uid))
    marks = view.writable and any(not item.peek for item in items)

    def work(_: Account) -> tuple[list[bytes], bytes, int]:
        told = view.sync(expunges=False) if marks else []
        before = view.folder.version
        answers, done = fetching.answer(view, chosen, items)
        opened[0] += marks and view.folder.version != before
        if marks:
            view.heard()
        return told, answers, done

    opened = [0]
    while chosen:
        told, answers, done = await (talk.change if marks else talk.run)(work)
        await talk.respond(*told)
        await talk.send(answers)
        chosen = chosen[done:]
    talk.act("read", view.folder.name, opened[0])
    return "fetched"


async def store(talk: Conversation, scanner: Scanner, *, by_uid: bool) -> str:
    """STORE and UID STORE."""
    chosen_by = _numbers(scanner)
    scanner.space()
    change = scanner.peek().decode() if scanner.peek() in (b"+", b"-") else ""
    scanner.skip(change.encode())
    scanner.expect(b"FLAGS")
    silent = scanner.skip(b".SILENT")
    scanner.space()
    flags = _flags(scanner)
    scanner.end()
    view = talk.require_writable()
    acts: list[Kind] = []

    def work(_: Account) -> list[bytes]:
        told = view.sync(expunges=False)
        chosen = view.chosen(chosen_by, by_uid=by_uid)
        number_of = {uid: number for number, uid in chosen}
        was = {uid: view.folder.entries[uid].flags for uid in number_of if uid in view.folder.entries}  # fmt: skip
        touched = view.folder.set_flags(number_of, change, flags)
        for entry in touched:
            acts.extend(kind for flag, kind in _ACTS.items() if flag in entry.flags - was[entry.uid])  # fmt: skip
        view.heard()
        if not silent:
            told += [_flags_told(view, number_of[e.uid], e, by_uid=by_uid) for e in touched]
        return told

    await talk.respond(*(await talk.change(work)))
    for kind in acts:
        talk.act(kind, view.folder.name)
    return "flags stored"


def _flags_told(view: View, number: int, entry: Entry, *, by_uid: bool) -> bytes:
    uid = b"UID %d " % entry.uid if by_uid else b""
    return b"* %d FETCH (%bFLAGS %b)" % (number, uid, view.flags_list(entry))


async def copy(talk: Conversation, scanner: Scanner, *, by_uid: bool, move: bool) -> str:
    """COPY and MOVE (RFC 6851), with the UIDs given (RFC 4315)."""
    chosen_by = _numbers(scanner)
    name = _one_folder(scanner)
    view = talk.require_writable() if move else talk.selected

    def work(account: Account) -> tuple[int, list[tuple[int, int]]]:
        target = account.target(name)
        uids = [uid for _, uid in view.chosen(chosen_by, by_uid=by_uid)]
        if not move:
            sizes = (view.folder.entries[uid].size for uid in uids if uid in view.folder.entries)
            account.require_room(sum(sizes), talk.account.quota_bytes)
        return target.uidvalidity, target.receive(view.folder, uids, move=move)

    uidvalidity, pairs = await talk.change(work)
    if not pairs:
        return "nothing to do"
    talk.act("filed", name, len(pairs))
    there, here = (numbers([pair[side] for pair in pairs]).decode() for side in (0, 1))
    code = f"[COPYUID {uidvalidity} {there} {here}]"
    if move:
        await talk.respond(f"* OK {code} moved".encode())
        return "moved"
    return f"{code} copied"


async def search(talk: Conversation, scanner: Scanner, *, by_uid: bool) -> str:
    """SEARCH and UID SEARCH. Raises BadCharset."""
    scanner.space()
    test = searching.parse(scanner)
    view = talk.selected
    waiting = list(enumerate(view.uids, 1))
    found: list[int] = []

    def work(_: Account) -> list[int]:
        hop = _Hop(view, [uid for _, uid in waiting[:SEARCH_HOP]])
        return [
            uid if by_uid else number
            for number, uid in waiting[:SEARCH_HOP]
            if (entry := view.folder.entries.get(uid)) and test(_Found(hop, number, entry))
        ]

    while waiting:
        found += await talk.run(work)
        waiting = waiting[SEARCH_HOP:]
    await talk.respond(b"".join([b"* SEARCH", *(b" %d" % number for number in found)]))
    return "searched"


class _Hop:
    """Messages searched in one go: their headers are read together, when one is needed."""

    def __init__(self, view: View, uids: list[int]) -> None:
        self.view = view
        self._uids = uids
        self._headers: dict[int, bytes] | None = None

    def header(self, uid: int) -> bytes:
        if self._headers is None:
            described = self.view.folder.describe(self._uids)
            self._headers = {uid: found.header for uid, found in described.items()}
        return self._headers.get(uid, b"")


@dataclass(slots=True)
class _Found:
    """A message as search criteria see it."""

    _hop: _Hop
    _number: int
    _entry: Entry

    @property
    def flags(self) -> frozenset[str]:
        return self._hop.view.flags(self._entry)

    @property
    def received(self) -> int:
        return self._entry.received

    @property
    def size(self) -> int:
        return self._entry.size

    def in_sequence(self, numbers: SequenceSet) -> bool:
        return self._hop.view.holds(self._number, numbers)

    def in_uids(self, numbers: SequenceSet) -> bool:
        return self._hop.view.holds_uid(self._entry.uid, numbers)

    def header(self) -> mime.Fields:
        return mime.read_fields(self._hop.header(self._entry.uid))

    def content(self) -> bytes:
        try:
            return self._hop.view.folder.read(self._entry)[0]
        except FileNotFoundError:
            return b""


WITH_MAILBOX: dict[str, Handler] = {
    "APPEND": append,
    "CREATE": create,
    "DELETE": delete,
    "EXAMINE": partial(select, writable=False),
    "GETQUOTA": get_quota,
    "GETQUOTAROOT": get_quota_root,
    "LIST": list_folders,
    "LSUB": list_subscribed,
    "NAMESPACE": namespace,
    "RENAME": rename,
    "SELECT": partial(select, writable=True),
    "STATUS": status,
    "SUBSCRIBE": subscribe,
    "UNSUBSCRIBE": unsubscribe,
}
WITH_FOLDER: dict[str, Handler] = {
    "CHECK": check,
    "CLOSE": close,
    "COPY": partial(copy, by_uid=False, move=False),
    "EXPUNGE": expunge,
    "FETCH": partial(fetch, by_uid=False),
    "MOVE": partial(copy, by_uid=False, move=True),
    "SEARCH": partial(search, by_uid=False),
    "STORE": partial(store, by_uid=False),
    "UID COPY": partial(copy, by_uid=True, move=False),
    "UID EXPUNGE": uid_expunge,
    "UID FETCH": partial(fetch, by_uid=True),
    "UID MOVE": partial(copy, by_uid=True, move=True),
    "UID SEARCH": partial(search, by_uid=True),
    "UID STORE": partial(store, by_uid=True),
    "UNSELECT": unselect,
}
# What a mailbox that may only be read refuses (RFC 5530, NOPERM).
CHANGES = frozenset(
    {"APPEND", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "COPY", "UID COPY"}
    | {"EXPUNGE", "MOVE", "STORE", "UID EXPUNGE", "UID MOVE", "UID STORE"}
)
