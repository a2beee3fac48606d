"""One linear look at raw bytes before any parser sees them (limits of `config.Limits`).

Every later step is linear only within these bounds, so a message that breaks one is not parsed.
"""

import re

from mailgov.config import Limits

MAX_FIELD_BYTES = 64 << 10
MAX_ADDRESSES = 2_000  # @ signs in the header block
MAX_DASH_LINES = 200_000  # lines that begin with two hyphens: candidates for MIME delimiters

_FOLDED = re.compile(rb"\r?\n[ \t]")


def header_end(data: bytes, start: int = 0, stop: int | None = None) -> int:
    """Where the header block that begins at `start` ends: behind the line end of its last field.

    The empty line itself is not part of it. Without an empty line all is header.
    """
    stop = len(data) if stop is None else min(stop, len(data))
    if data.startswith((b"\r\n", b"\n"), start):
        return start
    crlf = data.find(b"\n\r\n", start, stop)
    bare = data.find(b"\n\n", start, stop if crlf < 0 else crlf)
    found = bare if bare >= 0 else crlf
    return stop if found < 0 else found + 1


def body_start(data: bytes, end_of_header: int) -> int:
    """The first byte behind the empty line that follows a header block."""
    if data.startswith(b"\r\n", end_of_header):
        return end_of_header + 2
    if data.startswith(b"\n", end_of_header):
        return end_of_header + 1
    return end_of_header


def prescan(data: bytes, limits: Limits) -> tuple[str, ...]:
    """Names of the limits that a message breaks; empty for nearly all mail."""
    if len(data) > limits.message_bytes:
        return ("message too large",)
    end = header_end(data)
    broken = []
    if end > limits.header_bytes:
        broken.append("header block too large")
    else:
        broken += _header_breaches(data[:end], limits)
    if _has_long_line(data, limits.line_bytes):
        broken.append("line too long")
    if data.count(b"\n--") > MAX_DASH_LINES:
        broken.append("too many delimiter lines")
    return tuple(broken)


def _header_breaches(header: bytes, limits: Limits) -> list[str]:
    broken = []
    folds = header.count(b"\n ") + header.count(b"\n\t")
    if header.count(b"\n") - folds > limits.header_fields:
        broken.append("too many header fields")
    if header.count(b"@") > MAX_ADDRESSES:
        broken.append("too many addresses")
    if len(header) > MAX_FIELD_BYTES:
        unfolded = _FOLDED.sub(b" ", header)
        if _has_long_line(unfolded, MAX_FIELD_BYTES):
            broken.append("header field too long")
    return broken


def _has_long_line(data: bytes, limit_bytes: int) -> bool:
    """Whether a line has more than so many bytes: hops from line end to line end, far apart."""
    position = 0
    while len(data) - position > limit_bytes:
        line_end = data.rfind(b"\n", position, position + limit_bytes + 1)
        if line_end < 0:
            return True
        position = line_end + 1
    return False
