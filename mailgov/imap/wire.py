"""Commands off the wire under limits, and values onto it (RFC 3501, 9)."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

KiB, MiB = 1 << 10, 1 << 20
LINE_BYTES = 64 * KiB  # one line, and all literals of a command but that of APPEND
APPEND_BYTES = 35 * MiB
LITERAL_SECONDS = 300.0
_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\r?\n\Z")
_ANNOUNCED = re.compile(rb"\{\d{1,10}\+?\}\r?\n")
_TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+")
_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_PATTERN = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_NUMBER = re.compile(rb"\d{1,10}")
_PLAIN = re.compile(rb"[\x20-\x7e]*")

SequenceSet = tuple[tuple[int | None, int | None], ...]
"""Ranges of numbers; None stands for `*`."""


class BadCommand(Exception):
    """The command is not in the grammar; the text tells the client where."""


class Refused(Exception):
    """The session ends here; the text goes into the BYE."""


class TooLarge(Exception):
    """The literal announced is beyond the limit; nothing of it was asked for."""

    def __init__(self, tag: bytes) -> None:
        super().__init__(tag)
        self.tag = tag


class NotACommand(Exception):
    """The line is no command. `tag` is `*` when even that is missing."""

    def __init__(self, tag: bytes) -> None:
        super().__init__(tag)
        self.tag = tag


@dataclass(slots=True)
class Scanner:
    """Reads the arguments of a command from left to right. Every method raises BadCommand."""

    text: bytes
    literals: list[bytes] = field(default_factory=list)
    position: int = 0

    def take(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """The text that fits here."""
        found = pattern.match(self.text, self.position)
        if found is None:
            raise BadCommand(f"expected {what}")
        self.position = found.end()
        return found[0]

    def skip(self, mark: bytes) -> bool:
        """Step over a mark, in any case of letters, when it stands here."""
        end = self.position + len(mark)
        if self.text[self.position : end].upper() != mark:
            return False
        self.position = end
        return True

    def expect(self, mark: bytes) -> None:
        """Step over a mark that must stand here."""
        if not self.skip(mark):
            raise BadCommand(f"expected {mark.decode()}")

    def space(self) -> None:
        """Step over the one space between arguments."""
        self.expect(b" ")

    def end(self) -> None:
        """Nothing may follow."""
        if self.position != len(self.text):
            raise BadCommand("unexpected arguments")

    @property
    def at_end(self) -> bool:
        """Whether nothing follows."""
        return self.position == len(self.text)

    def peek(self) -> bytes:
        """The next byte; empty at the end."""
        return self.text[self.position : self.position + 1]

    def atom(self) -> bytes:
        """An atom, in capitals."""
        return self.take(_ATOM, "an atom").upper()

    def number(self) -> int:
        """A number below 2^32."""
        value = int(self.take(_NUMBER, "a number"))
        if value > 0xFFFFFFFF:
            raise BadCommand("the number is too large")
        return value

    def astring(self) -> bytes:
        """A string, quoted, literal or bare."""
        return self.string() if self.peek() in (b'"', b"{") else self.take(_ASTRING, "a string")

    def pattern(self) -> bytes:
        """A name of a folder with wildcards."""
        return self.string() if self.peek() in (b'"', b"{") else self.take(_PATTERN, "a pattern")

    def string(self) -> bytes:
        """A quoted string or a literal."""
        if self.peek() != b"{":
            quoted = self.take(_QUOTED, "a string")[1:-1]
            return re.sub(rb"\\(.)", rb"\1", quoted)
        self.take(_ANNOUNCED, "a literal")
        return self.literals.pop(0)

    def flags(self) -> frozenset[str]:
        """A list of flags, with or without its parentheses."""
        in_list = self.skip(b"(")
        found: list[str] = []
        while not (self.at_end or self.peek() == b")"):
            if found:
                self.space()
            found.append(self.take(_FLAG, "a flag").decode("ascii"))
        if in_list:
            self.expect(b")")
        return frozenset(found)

    def sequence_set(self) -> SequenceSet:
        """Numbers and ranges of numbers."""
        ranges = []
        while True:
            first = self._sequence_number()
            last = self._sequence_number() if self.skip(b":") else first
            ranges.append((first, last))
            if not self.skip(b","):
                return tuple(ranges)

    def _sequence_number(self) -> int | None:
        if self.skip(b"*"):
            return None
        if (number := self.number()) == 0:
            raise BadCommand("numbers of messages start at 1")
        return number


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its tag; `name` in capitals."""

    tag: bytes
    name: str
    arguments: Scanner


class CommandReader:
    """Reads commands with their literals.

    `literal_bytes` says how much the literals of a command may take; the session raises it for
    APPEND once somebody is signed in. `large` bounds how many great literals are held at a time,
    over all sessions.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        write: Callable[[bytes], None],
        large: asyncio.Semaphore,
    ) -> None:
        self._reader = reader
        self._write = write
        self._large = large
        self.signed_in = False

    async def line(self) -> bytes:
        """One line with its end. Raises Refused when it is too long, EOFError at the end."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as exc:
            raise Refused("the line is too long") from exc
        except asyncio.IncompleteReadError as exc:
            raise EOFError from exc

    async def command(self) -> Command:
        """The next command. Raises NotACommand, TooLarge, Refused and EOFError."""
        text = await self.line()
        tag = _TAG.match(text)
        literals: list[bytes] = []
        left = LINE_BYTES
        is_append = self.signed_in and re.match(rb"\S+ APPEND ", text, re.IGNORECASE) is not None
        while announced := _LITERAL.search(text):
            size, synchronising = int(announced[1]), not announced[2]
            most = APPEND_BYTES if is_append else left
            if size > most:
                # What a client sends without waiting can't be skipped cheaply: part company.
                if not synchronising or tag is None:
                    raise Refused("the literal is too large")
                raise TooLarge(tag[0])
            literals.append(await self._literal(size, synchronising))
            left -= min(size, left)
            more = await self.line()
            text += more
            if len(text) > LINE_BYTES:
                raise Refused("the command is too long")
        return _command(text.removesuffix(b"\n").removesuffix(b"\r"), literals)

    async def _literal(self, size: int, synchronising: bool) -> bytes:
        if size <= LINE_BYTES:
            return await self._read(size, synchronising)
        async with self._large:
            return await self._read(size, synchronising)

    async def _read(self, size: int, synchronising: bool) -> bytes:
        if synchronising:
            self._write(b"+ go ahead\r\n")
        try:
            async with asyncio.timeout(LITERAL_SECONDS):
                return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as exc:
            raise EOFError from exc
        except TimeoutError as exc:
            raise Refused("the literal takes too long") from exc


def _command(text: bytes, literals: list[bytes]) -> Command:
    scanner = Scanner(text, literals)
    tag = b"*"
    try:
        tag = scanner.take(_TAG, "a tag")
        scanner.space()
        name = scanner.atom()
        if name == b"UID":
            scanner.space()
            name += b" " + scanner.atom()
    except BadCommand as exc:
        raise NotACommand(tag) from exc
    return Command(tag, name.decode("ascii"), scanner)


def string(value: bytes | None) -> bytes:
    """A value as NIL, a quoted string, or a literal where quotes can't hold it."""
    if value is None:
        return b"NIL"
    if len(value) < KiB and _PLAIN.fullmatch(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return literal(value)


def astring(value: bytes) -> bytes:
    """A name bare, where it can stand so."""
    return value if _ASTRING.fullmatch(value) else string(value)


def literal(value: bytes) -> bytes:
    """A value as a literal: its very bytes."""
    return b"{%d}\r\n%b" % (len(value), value)


def numbers(values: list[int]) -> bytes:
    """Ascending numbers as a sequence set."""
    ranges: list[list[int]] = []
    for value in values:
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    return b",".join(b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in ranges)
