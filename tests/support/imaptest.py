"""Runs scripted IMAP sessions in the form of Dovecot's imaptest.

A script has settings, a blank line, and commands: `ok fetch 1 flags` sends a command and says how
it must end; lines after it that begin with `*` must come, those with `!` must not; `$name` is bound
when first seen. A number before a command chooses the connection; `tag1 …` lines are sent together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .imap_wire import Value, Wire, values

_FETCHED = ("flags", "uid", "internaldate", "envelope", "rfc822", "body")


@dataclass
class Step:
    """A command with what it expects. `result` is the word of its end; empty: any."""

    connection: int
    tag: str
    result: str
    command: str
    expected: list[str] = field(default_factory=list)


@dataclass
class Script:
    """A script and the messages of its mailbox."""

    settings: dict[str, str]
    steps: list[Step]
    messages: list[bytes]


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
    parts = re.split(rb"(?m)^From user@domain.*\n", mailbox.read_bytes())[1:]
    messages = [part.replace(b"\n", b"\r\n") for part in parts]
    return Script(settings, list(_steps(body)), messages)


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
        if step is not None:
            yield step
        found = re.match(r'(?:(\d) )?(?:(tag\d+) )?(?:(ok|no|bad|"")(?: |$))?(.*)', line, re.DOTALL)
        assert found is not None
        number, tag, result, command = found.groups()
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
        pending: dict[str, bytes] = {}
        together: list[str] = []  # what commands sent together expect, in any order
        told: list[bytes] = []
        for step in self.script.steps:
            wire = self.wires[step.connection - 1]
            if step.tag and not step.result:
                pending[step.tag] = wire.start(self._filled(step.command))
                together += step.expected
            elif step.tag:
                told += wire.finish(pending.pop(step.tag))
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
            self.wires[0].ok(self._filled("select $mailbox"))

    def _do(self, wire: Wire, step: Step) -> list[bytes]:
        if re.fullmatch(r"append( \S+( \(.*\))?)?", step.command):
            return self._append(wire, step.command.removeprefix("append").strip() or "$mailbox")
        return wire.run(self._filled(step.command))

    def _append(self, wire: Wire, arguments: str) -> list[bytes]:
        message = self.script.messages[self._waiting % len(self.script.messages)]
        self._waiting += 1
        folder, _, flags = self._filled(arguments).partition(b" ")
        return wire.append(folder, message, flags + b" " if flags else b"")

    def _filled(self, text: str) -> bytes:
        """The text with its names put in."""

        def value(found: re.Match[str]) -> str:
            if found[0] == "$$":
                return "$"
            known = self.names[found[1] or found[2]]
            return known.decode("latin-1") if isinstance(known, bytes) else str(known)

        return re.sub(r"\$\$|\$(\w+)|\$\{(\w+)\}", value, text).encode("latin-1")

    def _check(self, step: Step, responses: list[bytes]) -> None:
        *untagged, last = responses
        got = last.split(b" ")[1].decode().lower()
        assert not step.result or got == step.result, (step.command, last)
        there = [values(response)[1:] for response in untagged if response.startswith(b"* ")]
        for line in step.expected:
            wanted = values(self._known(line[2:]).encode("latin-1"))
            found = any(self._fits(wanted, have[: len(wanted)]) for have in there)
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

    def _fits(self, wanted: Value, have: Value) -> bool:
        """Whether a value is the one wanted; names are bound only when the whole fits."""
        bound = dict(self.names)
        fits = _fits(wanted, have, bound)
        if fits:
            self.names = bound
        return fits


def _fits(wanted: Value, have: Value, names: dict[str, Value]) -> bool:
    if isinstance(wanted, str) and wanted.startswith("$") and not wanted.startswith("$$"):
        return names.setdefault(wanted[1:], have) == have
    if isinstance(wanted, list) and isinstance(have, list):
        if _is_pairs(wanted):
            there = dict(zip(map(str, have[::2]), have[1::2], strict=False))
            pairs = zip(map(str, wanted[::2]), wanted[1::2], strict=True)
            return all(key in there and _fits(value, there[key], names) for key, value in pairs)
        if _is_flags(wanted) or _is_flags(have):
            # Attributes of folders, \\Noselect apart, are the server's own to add.
            left = _flags(have) - _flags(wanted)
            return _flags(wanted) <= _flags(have) and left <= {"\\recent", "\\noselect"}
        return len(wanted) == len(have) and all(
            _fits(one, other, names) for one, other in zip(wanted, have, strict=True)
        )
    if isinstance(wanted, bytes) or isinstance(have, bytes):
        return _bytes(wanted).lower() == _bytes(have).lower()
    return wanted == have


def _is_pairs(value: list[Value]) -> bool:
    first = value[0] if value else None
    return isinstance(first, str) and first.startswith(_FETCHED) and len(value) % 2 == 0


def _is_flags(value: list[Value]) -> bool:
    return bool(value) and all(isinstance(v, str) and v.startswith(("\\", "$$")) for v in value)


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
