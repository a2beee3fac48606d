"""Runs scripted IMAP sessions in the form of Dovecot's imaptest.

A script has settings, a blank line, and commands: `ok fetch 1 flags` sends a command and says how
it must end; lines after it that begin with `*` must come, those with `!` must not; `$name` is bound
when first seen, `$3` is the present number of what was message 3 when the command was sent. A number
before a command chooses the connection; `tag1 …` lines are sent together. A list that begins with
`$!unordered` names what it holds among others, in any order, `$!ban=` what it must not hold.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .imap_wire import Value, Wire, values

_FETCHED = ("flags", "uid", "internaldate", "envelope", "rfc822", "body", "binary", "modseq")
_COUNTED = ("messages", "recent", "unseen")
_NAME = re.compile(r"\$\$|\$(\w+)|\$\{(\w+)\}")


@dataclass
class Step:
    """A command with what it expects. `result` is the word of its end; empty: any."""

    connection: int
    tag: str
    result: str
    command: str
    expected: list[str] = field(default_factory=list)
    code: str = ""  # what must stand in the line of its end, such as `[trycreate]`


@dataclass
class Script:
    """A script and the messages of its mailbox."""

    settings: dict[str, str]
    steps: list[Step]
    messages: list[tuple[bytes, bytes]]  # when it came, as IMAP writes it, and its bytes

    @property
    def capabilities(self) -> frozenset[str]:
        """What a server must announce for the script to concern it."""
        return frozenset(self.settings.get("capabilities", "").upper().split())


def load(file: Path) -> Script:
    """Read a script; texts between {{{ and }}} become literals."""
    text = re.sub(
        r"(~?)\{\{\{\n(.*?)\n\}\}\}", _literal, file.read_bytes().decode("latin-1"), flags=re.DOTALL
    )
    head, _, body = text.partition("\n\n")
    settings = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    mailbox = file.with_name(f"{file.name}.mbox")
    if not mailbox.exists():
        mailbox = file.with_name("default.mbox")
    parts = re.split(rb"(?m)^From user@domain +(.*)\n", mailbox.read_bytes())[1:]
    messages = [
        (_internal_date(when), part.replace(b"\n", b"\r\n"))
        for when, part in zip(parts[::2], parts[1::2], strict=True)
    ]
    return Script(settings, list(_steps(body)), messages)


def _internal_date(when: bytes) -> bytes:
    """The moment of a line such as `From user@domain  Fri Feb 22 23:00:00 2008 +0200`."""
    _, month, day, hour, year, *zone = when.split()
    return b'"%2d-%b-%b %b %b" ' % (int(day), month, year, hour, zone[0] if zone else b"+0000")


def _literal(found: re.Match[str]) -> str:
    text = found[2] if found[1] else found[2].replace("\n", "\r\n")
    return f"{{{len(text)}}}\r\n{text}"


def _steps(body: str) -> Iterator[Step]:
    step: Step | None = None
    for line in _logical_lines(body):
        if line.startswith(("* ", "! ", "? ")):
            assert step is not None
            step.expected.append(line)
            continue
        found = re.match(r'(?:(\d) )?(?:(tag\d+) )?(?:(ok|no|bad|"")(?: |$))?(.*)', line, re.DOTALL)
        assert found is not None
        number, tag, result, command = found.groups()
        if step is not None and result and not tag and (not command or command.startswith("[")):
            step.result, step.code = result, command  # the end of the command before
            continue
        if step is not None:
            yield step
        step = Step(int(number or 1), tag or "", (result or "").strip('"'), command)
    if step is not None:
        yield step


def _logical_lines(body: str) -> Iterator[str]:
    position = 0
    while position < len(body):
        end = position
        while True:
            end = body.find("\n", end)
            end = len(body) if end < 0 else end
            found = re.search(r"\{(\d+)\}\r?\Z", body[position:end])
            if found is None:
                break
            end += 1 + int(found[1])
        line = body[position:end]
        if line and not line.startswith("#"):
            yield line
        position = end + 1


@dataclass
class Runner:
    """Runs one script against one server, as one user."""

    script: Script
    wires: list[Wire]
    names: dict[str, Value]
    _waiting: int = 0

    def run(self) -> None:
        self._prepare()
        pending: dict[tuple[int, str], bytes] = {}
        together: list[str] = []  # what commands sent together expect, in any order
        told: list[bytes] = []
        for step in self.script.steps:
            wire = self.wires[step.connection - 1]
            if step.tag and not step.result:
                pending[step.connection, step.tag] = wire.start(self._filled(step.command))
                together += step.expected
            elif step.tag:
                told += wire.finish(pending.pop((step.connection, step.tag)))
                if not pending:
                    step.expected, together = together, []
                    self._check(step, told)
                    told = []
            else:
                self._check(step, self._do(wire, step))

    def _prepare(self) -> None:
        """Bring the connections into the state in which the script begins."""
        state = self.script.settings.get("state", "selected")
        if state == "created" or state == "selected":
            self.wires[0].ok(self._filled("create $mailbox"))
        wanted = self.script.settings.get("messages", "0")
        count = len(self.script.messages) if wanted == "all" else int(wanted)
        for _ in range(count):
            self._append(self.wires[0], "$mailbox")
        if state == "selected":
            for wire in self.wires:
                wire.ok(self._filled("select $mailbox"))

    def _do(self, wire: Wire, step: Step) -> list[bytes]:
        if re.fullmatch(r"append( \S+( \([^)]*\))?)?", step.command):
            return self._append(wire, step.command.removeprefix("append").strip() or "$mailbox")
        return wire.run(self._filled(step.command))

    def _append(self, wire: Wire, arguments: str) -> list[bytes]:
        when, message = self.script.messages[self._waiting % len(self.script.messages)]
        self._waiting += 1
        folder, _, flags = self._filled(arguments).partition(b" ")
        return wire.append(folder, message, (flags + b" " if flags else b"") + when)

    def _filled(self, text: str) -> bytes:
        """The text with its names put in."""

        def value(found: re.Match[str]) -> str:
            if found[0] == "$$":
                return "$"
            known = self.names[found[1] or found[2]]
            return known.decode("latin-1") if isinstance(known, bytes) else str(known)

        return _NAME.sub(value, text).encode("latin-1")

    def _check(self, step: Step, responses: list[bytes]) -> None:
        *untagged, last = responses
        tag, got = last.split(b" ")[:2]
        assert not step.result or got.decode().lower() == step.result, (step.command, last)
        assert not step.code or self._fits(
            values(self._known(step.code).encode()), values(last)[2:3], _Numbers()
        ), (step.command, last)
        self.names["tag"] = tag.decode()
        there = [
            (values(response)[1:], numbers)
            for response, numbers in _with_numbers(untagged)
            if response.startswith(b"* ")
        ]
        for line in step.expected:
            wanted = values(self._known(line[2:]).encode("latin-1"))
            found = any(self._fits(wanted, have[: len(wanted)], now) for have, now in there)
            if line.startswith(("*", "!")):
                assert found == line.startswith("*"), (step.command, line, untagged)

    def _known(self, text: str) -> str:
        """Names of folders are put into the text; the others are compared as values."""
        for name in ("mailbox", "sep"):
            known = self.names.get(name)
            if known is not None:
                word = known.decode() if isinstance(known, bytes) else str(known)
                text = text.replace(f"${{{name}}}", word).replace(f"${name}", word)
        return text

    def _fits(self, wanted: Value, have: Value, numbers: "_Numbers") -> bool:
        """Whether a value is the one wanted; names are bound only when the whole fits."""
        bound = dict(self.names)
        fits = _fits(wanted, have, _Bound(bound, numbers))
        if fits:
            self.names = bound
        return fits


@dataclass
class _Numbers:
    """Which messages went since the command was sent, by the numbers they had then."""

    gone: tuple[int, ...] = ()

    def now(self, then: int) -> int:
        """The present number of a message."""
        return then - sum(number < then for number in self.gone)

    def without(self, now: int) -> "_Numbers":
        """After the removal of what has this number now."""
        then = now
        while then in self.gone or self.now(then) != now:
            then += 1
        return _Numbers((*self.gone, then))


def _with_numbers(responses: list[bytes]) -> Iterator[tuple[bytes, _Numbers]]:
    """Each response with the numbers that held when it came."""
    numbers = _Numbers()
    for response in responses:
        yield response, numbers
        if found := re.fullmatch(rb"\* (\d+) EXPUNGE", response):
            numbers = numbers.without(int(found[1]))


@dataclass
class _Bound:
    """What names stand for."""

    names: dict[str, Value]
    numbers: _Numbers

    def is_it(self, name: str, have: Value) -> bool:
        """Whether a name stands for a value; one that stands for nothing yet does from now on."""
        if name.isdigit():
            return have == str(self.numbers.now(int(name)))
        known = self.names.setdefault(name, have)
        if isinstance(known, list) or isinstance(have, list):
            return known == have
        return _bytes(known) == _bytes(have)

    def within(self, text: str) -> str:
        """A text of several names, such as `$uid1:$uid3`, with what they stand for."""

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if found[0] == "$$" or (not name.isdigit() and name not in self.names):
                return found[0]
            known = self.numbers.now(int(name)) if name.isdigit() else self.names[name]
            return known.decode() if isinstance(known, bytes) else str(known)

        return _NAME.sub(value, text)


def _fits(wanted: Value, have: Value, bound: _Bound) -> bool:
    if isinstance(wanted, str) and (name := re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", wanted)):
        return bound.is_it(name[1] or name[2], have)
    if isinstance(wanted, str) and "$" in wanted:
        wanted = bound.within(wanted)
    if isinstance(wanted, list) and isinstance(have, list):
        return _list_fits(wanted, have, bound)
    if isinstance(wanted, str) and isinstance(have, str) and wanted[:1] == have[:1] == "[":
        # A response code: `[copyuid $validity 1 2]` is one atom to the reader of responses.
        code, there = (values(text[1:-1].encode()) for text in (wanted, have))
        return len(code) <= len(there) and all(map(_fits, code, there, [bound] * len(code)))
    if isinstance(wanted, bytes) or isinstance(have, bytes):
        return _bytes(wanted).lower() == _bytes(have).lower()
    return wanted == have


def _list_fits(wanted: list[Value], have: list[Value], bound: _Bound) -> bool:
    directives = [value for value in wanted if str(value).startswith("$!")]
    if directives:
        banned = {str(value).removeprefix("$!ban=") for value in directives}
        wanted = wanted[len(directives) :]
        return not banned & set(map(str, have)) and all(
            any(_fits(one, other, bound) for other in have) for one in wanted
        )
    if _is_pairs(wanted):
        there = dict(zip(map(str, have[::2]), have[1::2], strict=False))
        pairs = zip(map(str, wanted[::2]), wanted[1::2], strict=True)
        return all(key in there and _fits(value, there[key], bound) for key, value in pairs)
    if _is_flags(wanted) or _is_flags(have):
        # Attributes of folders, \\Noselect apart, are the server's own to add.
        left = _flags(have) - _flags(wanted)
        return _flags(wanted) <= _flags(have) and left <= {"\\recent", "\\noselect"}
    return len(wanted) == len(have) and all(
        _fits(one, other, bound) for one, other in zip(wanted, have, strict=True)
    )


def _is_pairs(value: list[Value]) -> bool:
    first = value[0] if value else None
    return isinstance(first, str) and first.startswith(_FETCHED + _COUNTED) and len(value) % 2 == 0


def _is_flags(value: list[Value]) -> bool:
    return any(isinstance(v, str) and v.startswith(("\\", "$$")) for v in value)


def _flags(value: list[Value]) -> set[str]:
    """Flags without those that a server may add to any folder."""
    found = {str(flag).replace("$$", "$") for flag in value}
    return {
        flag for flag in found if flag not in ("\\hasnochildren", "\\haschildren", "\\unmarked")
    }


def _bytes(value: Value) -> bytes:
    if isinstance(value, list):
        return b"\0"  # a list is no string
    return value if isinstance(value, bytes) else value.encode("latin-1")
