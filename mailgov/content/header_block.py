"""The header block as raw bytes: field by field, nothing decoded, nothing re-written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:(.*)", re.DOTALL)


@dataclass(frozen=True)
class HeaderBlock:
    """Everything before the empty line, with the CRLF that ends its last field."""

    raw: bytes

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """Each field whole, its folded lines and final CRLF included (RFC 5322, 2.2.3)."""
        return tuple(_unfolded(self.raw))

    @property
    def fields(self) -> Iterator[tuple[bytes, bytes]]:
        """Name in lower case and raw value of each field; the name is empty for junk lines."""
        for line in self.lines:
            match = _FIELD.match(line)
            yield (match[1].lower(), match[2]) if match else (b"", line)

    def without(self, positions: frozenset[int]) -> "HeaderBlock":
        """The same block less the fields at these positions."""
        return HeaderBlock(b"".join(f for i, f in enumerate(self.lines) if i not in positions))


def split_header(start: bytes) -> HeaderBlock:
    """The header block of a message, given its first bytes with CRLF line ends."""
    if start.startswith(b"\r\n"):
        return HeaderBlock(b"")
    end = start.find(b"\r\n\r\n")
    if end >= 0:
        return HeaderBlock(start[: end + 2])
    return HeaderBlock(start[: start.rfind(b"\r\n") + 2] if b"\r\n" in start else start)


def _unfolded(raw: bytes) -> Iterator[bytes]:
    field: list[bytes] = []
    for line in _crlf_lines(raw):
        if field and not line.startswith((b" ", b"\t")):
            yield b"".join(field)
            field = []
        field.append(line)
    if field:
        yield b"".join(field)


def _crlf_lines(raw: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(raw):
        end = raw.find(b"\r\n", start)
        end = len(raw) if end < 0 else end + 2
        yield raw[start:end]
        start = end
