"""The body of a message as it comes off the wire, in blocks, never as a list of lines.

`DotReader` undoes the transparency of DATA and finds its end; `BodyCheck` counts and looks for
what we refuse. All here is pure.

Only CRLF.CRLF ends DATA (RFC 5321, 4.1.1.4). A CR or LF that stands alone was the way to smuggle a
second message past servers that disagreed about line ends; we read to the true end and refuse.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

_END = b"\r\n.\r\n"
_DOTTED = b"\r\n."
_LINE_END = re.compile(rb"\r\n|\r|\n")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FIELD_START = re.compile(rb"^[^ \t\r\n]", re.MULTILINE)


class DotReader:
    """Finds the end of DATA and removes the dot that was put before dots (RFC 5321, 4.5.2)."""

    def __init__(self) -> None:
        # The CRLF of the DATA command itself: a dot at once ends an empty message.
        self._held = b"\r\n"
        self._skip = 2  # of the bytes given out next, those that are not the message's
        self.ended = False
        self.rest = b""  # what came after the end: the next commands

    def feed(self, block: bytes) -> bytes:
        """Take a block off the wire; give the bytes of the message that are certain."""
        window = self._held + block
        dotted = _DOTTED in window
        end = window.find(_END) if dotted else -1
        if end >= 0:
            self.ended = True
            self.rest = window[end + len(_END) :]
            text = window[: end + 2]
        else:
            held = _possible_end(window)
            text = window[: len(window) - held]
            self._held = window[len(window) - held :]
        if dotted:
            text = text.replace(_DOTTED, b"\r\n")
        if self._skip and text:
            text, self._skip = text[self._skip :], 0
        return text


def _possible_end(window: bytes) -> int:
    """How many of the last bytes may be the start of the end."""
    for length in range(min(len(_END) - 1, len(window)), 0, -1):
        if window.endswith(_END[:length]):
            return length
    return 0


@dataclass(slots=True)
class BodyLimits:
    """What a body may be. `normalise` repairs stray line ends instead of refusing them."""

    message_bytes: int
    drop_after_bytes: int
    line_bytes: int
    header_bytes: int
    header_fields: int
    field_bytes: int
    received_hops: int
    normalise: bool = False


@dataclass(slots=True)
class BodyCheck:
    """Looks at a body as it passes. `refusal` names the reply once there is reason for one."""

    limits: BodyLimits
    size_bytes: int = 0
    refusal: str = ""
    _line_bytes: int = 0  # of the line that is still open
    _header: bytearray | None = field(default_factory=bytearray)  # None: the header has ended
    _carry: bytes = b""  # a CR that may be half a line end

    @property
    def hopeless(self) -> bool:
        """So much beyond the limit that reading on serves nobody."""
        return self.size_bytes > self.limits.message_bytes + self.limits.drop_after_bytes

    def feed(self, text: bytes) -> bytes:
        """Take bytes of the message; give those to store, nothing once it is refused."""
        if self._carry:
            text, self._carry = self._carry + text, b""
        if text.endswith(b"\r"):
            text, self._carry = text[:-1], b"\r"
        return self._pass(text)

    def finish(self) -> bytes:
        """The message has ended: give what is still to store."""
        text, self._carry = self._carry, b""
        text = self._pass(text) if text else b""
        if self._header is not None:
            self._judge_header(bytes(self._header))
        if self._line_bytes > self.limits.line_bytes:
            self.refusal = self.refusal or "line-too-long"
        if self._line_bytes:  # RFC 3030, 2: the last chunk need not end its line
            text += b"\r\n"
            self.size_bytes += 2
        return b"" if self.refusal else text

    def _pass(self, text: bytes) -> bytes:
        self.size_bytes += len(text)
        if not self.refusal:
            if has_bare_line_end(text):
                text = self._mend(text)
            self._measure_lines(text)
            if self._header is not None:
                self._gather_header(text)
            if self.size_bytes > self.limits.message_bytes:
                self.refusal = "message-too-big"
        return b"" if self.refusal else text

    def _mend(self, text: bytes) -> bytes:
        if not self.limits.normalise:
            self.refusal = "bare-line-end"
            return text
        mended = _LINE_END.sub(b"\r\n", text)
        self.size_bytes += len(mended) - len(text)
        return mended

    def _measure_lines(self, text: bytes) -> None:
        """Jump from line end to line end by the longest stride that a good line allows."""
        longest = self.limits.line_bytes
        start = -self._line_bytes  # where the open line began, before this text
        while start + longest + 2 <= len(text):
            end = text.rfind(b"\r\n", max(start, 0), start + longest + 2)
            if end < 0:
                self.refusal = self.refusal or "line-too-long"
                break
            start = end + 2
        last = text.rfind(b"\r\n", max(start, 0))
        if last >= 0:
            start = last + 2
        self._line_bytes = len(text) - start

    def _gather_header(self, text: bytes) -> None:
        assert self._header is not None
        seen = max(len(self._header) - 3, 0)
        self._header += text
        if self._header.startswith(b"\r\n"):
            self._header = None
            return
        end = self._header.find(b"\r\n\r\n", seen)
        if end >= 0:
            self._judge_header(bytes(self._header[: end + 2]))
            self._header = None
        elif len(self._header) > self.limits.header_bytes:
            # Also a message without any empty line: then all of it is header.
            self.refusal = self.refusal or "header-too-big"
            self._header = None

    def _judge_header(self, header: bytes) -> None:
        if self.refusal:
            return
        starts = [match.start() for match in _FIELD_START.finditer(header)]
        longest = max((b - a for a, b in pairwise([*starts, len(header)])), default=0)
        if (
            len(header) > self.limits.header_bytes
            or len(starts) > self.limits.header_fields
            or longest > self.limits.field_bytes
        ):
            self.refusal = "header-too-big"
        elif len(_RECEIVED.findall(header)) > self.limits.received_hops:
            self.refusal = "too-many-hops"  # RFC 5321, 6.3


def has_bare_line_end(text: bytes) -> bool:
    """Whether a CR or an LF stands alone; no CR may be the last byte."""
    pairs = text.count(b"\r\n")
    return text.count(b"\n") != pairs or text.count(b"\r") != pairs


class Pace:
    """Whether a message comes fast enough, by the minute: a trickle holds a place for nothing."""

    WINDOW_SECONDS = 60.0

    def __init__(self, floor_bytes_per_second: float, now: float) -> None:
        self._floor_bytes = floor_bytes_per_second * self.WINDOW_SECONDS
        self._since = now
        self._bytes = 0

    def too_slow(self, size_bytes: int, now: float, factor: float = 1) -> bool:
        """Note bytes that came; say whether the minute that ended was too slow.

        `factor` raises the floor.
        """
        self._bytes += size_bytes
        if now - self._since < self.WINDOW_SECONDS:
            return False
        slow = self._bytes < self._floor_bytes * factor
        self._since, self._bytes = now, 0
        return slow
