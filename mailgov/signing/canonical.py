"""The two canonical forms of header fields and bodies (RFC 6376, 3.4), in one pass over the bytes.

Cost is linear in the size whatever a stranger sends: no expression that can backtrack, no body
held as a whole. Line ends are CRLF, as everywhere inside.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

_CRLF = b"\r\n"
_FIELD_ENDS = re.compile(rb"\r\n(?![ \t])")
_BLANKS = re.compile(rb"[ \t]+")

Field = tuple[bytes, bytes]
"""A header field: name without the colon, and everything after it, final CRLF included."""


def split_fields(header: bytes) -> list[Field]:
    """The fields of a header block in order, folded lines kept with their field.

    Lines that are no field, such as an mbox `From ` line, are left out: nobody can sign them.
    """
    block = (_CRLF + header).partition(b"\r\n\r\n")[0].removeprefix(_CRLF)
    lines = _FIELD_ENDS.split(block.removesuffix(_CRLF))
    parts = (line.partition(b":") for line in lines)
    return [(name, value + _CRLF) for name, colon, value in parts if colon]


def relaxed_field(field: Field) -> bytes:
    """RFC 6376, 3.4.2, with the final CRLF."""
    name, value = field
    words = _BLANKS.sub(b" ", value.replace(_CRLF, b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + words + _CRLF


def simple_field(field: Field) -> bytes:
    """RFC 6376, 3.4.1: as it is."""
    return field[0] + b":" + field[1]


class BodyForm(Protocol):
    """A canonical form of a body that arrives in pieces."""

    def feed(self, chunk: bytes) -> bytes:
        """What is certain to belong to the canonical body so far."""

    def end(self) -> bytes:
        """What remains, now that no more comes."""


class SimpleBody:
    """RFC 6376, 3.4.3: empty lines at the end count as one line end."""

    def __init__(self) -> None:
        self._held_line_ends = 0  # they may be the end
        self._rest = b""  # a CR that may belong to a line end

    def feed(self, chunk: bytes) -> bytes:
        """What is certain to belong to the canonical body so far."""
        data = self._rest + chunk
        text = data.rstrip(_CRLF)
        tail = data[len(text) :]
        line_ends = tail.count(_CRLF)
        rest = tail[2 * line_ends :]
        if tail.count(b"\n") != line_ends or rest not in (b"", b"\r"):
            # A bare CR or LF is text like any other; none comes through our relay.
            text, line_ends, rest = data, 0, b""
        self._rest = rest
        if not text:
            self._held_line_ends += line_ends
            return b""
        held, self._held_line_ends = self._held_line_ends, line_ends
        return _CRLF * held + text

    def end(self) -> bytes:
        """The one line end that every body has, after a CR that stood alone."""
        return (_CRLF * self._held_line_ends + self._rest if self._rest else b"") + _CRLF


class RelaxedBody:
    """RFC 6376, 3.4.4: blanks shrink to one, vanish at line ends; an empty body stays empty."""

    def __init__(self) -> None:
        self._lines = SimpleBody()
        self._rest = b""  # a blank that may stand at a line end
        self._is_empty = True

    def feed(self, chunk: bytes) -> bytes:
        """What is certain to belong to the canonical body so far."""
        data = (self._rest + chunk).replace(b"\t", b" ")
        while b"  " in data:  # each round halves every run, so rounds are few
            data = data.replace(b"  ", b" ")
        data = data.replace(b" \r\n", _CRLF)
        self._rest = next((rest for rest in (b" ", b" \r") if data.endswith(rest)), b"")
        return self._through_lines(data.removesuffix(self._rest))

    def _through_lines(self, data: bytes) -> bytes:
        text = self._lines.feed(data)
        self._is_empty = self._is_empty and not text
        return text

    def end(self) -> bytes:
        """What was held back and the final line end, unless there was nothing at all."""
        text = self._through_lines(self._rest)
        return b"" if self._is_empty else text + self._lines.end()


def body_chunks(message: Iterable[bytes]) -> Iterator[bytes]:
    """The body of a message that comes in pieces: everything after the first empty line."""
    before = _CRLF  # a message may begin with its empty line
    chunks = iter(message)
    for chunk in chunks:
        found = (before + chunk).find(b"\r\n\r\n")
        if found >= 0:
            yield (before + chunk)[found + 4 :]
            break
        before = (before + chunk)[-3:]
    yield from chunks


def body_hash(message: Iterable[bytes], form: BodyForm) -> bytes:
    """SHA-256 over the canonical body of a message."""
    digest = hashlib.sha256()
    for chunk in body_chunks(message):
        digest.update(form.feed(chunk))
    digest.update(form.end())
    return digest.digest()
