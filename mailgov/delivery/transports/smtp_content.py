"""The bytes of a message as the DATA phase needs them: what they ask of the peer, and dots."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CRLF = b"\r\n"
_MOST_HEADER = 1 << 20  # octets looked at as a whole; a field behind them says nothing
_TLS_REQUIRED = re.compile(
    rb"^TLS-Required[ \t]*:((?:[^\r]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Demands:
    """What a message asks of the server that takes it."""

    utf8_header: bool = False  # RFC 6532: only under SMTPUTF8
    eight_bit_body: bool = False  # only under 8BITMIME
    bare_line_ends: bool = (
        False  # a CR or LF alone: never leaves us, it could end the message early
    )
    # RFC 8689, 3: rather in clear than not at all, whatever the recipients' domain wants.
    tls_not_required: bool = False


def demands(chunks: Iterable[bytes]) -> Demands:
    """Look at a whole message once. Blocks while it reads."""
    header_ends, in_header = _HeaderEnd(), True
    utf8_header = eight_bit_body = False
    carriage_returns = line_feeds = line_ends = 0
    last = b""
    head = bytearray()
    for chunk in chunks:
        header, body = header_ends.split(chunk) if in_header else (b"", chunk)
        head += header[: _MOST_HEADER - len(head)]
        utf8_header = utf8_header or not header.isascii()
        eight_bit_body = eight_bit_body or not body.isascii()
        in_header = not header_ends.found
        carriage_returns += chunk.count(b"\r")
        line_feeds += chunk.count(b"\n")
        line_ends += chunk.count(_CRLF) + (last == b"\r" and chunk[:1] == b"\n")
        last = chunk[-1:] or last
    bare = not carriage_returns == line_feeds == line_ends
    return Demands(utf8_header, eight_bit_body, bare, _says_no_tls(bytes(head)))


def _says_no_tls(header: bytes) -> bool:
    """Whether `TLS-Required: No` stands there, and nothing that says otherwise."""
    said = [value.strip().lower() for value in _TLS_REQUIRED.findall(header)]
    return bool(said) and set(said) == {b"no"}


class _HeaderEnd:
    """Finds the empty line between header and body in a message that comes in pieces."""

    def __init__(self) -> None:
        self.found = False
        self._before = _CRLF  # the first line may be the empty one

    def split(self, chunk: bytes) -> tuple[bytes, bytes]:
        """The part of the chunk that belongs to the header, and the rest."""
        seen = self._before + chunk
        at = seen.find(b"\r\n\r\n")
        if at < 0:
            self._before = seen[-3:]
            return chunk, b""
        self.found = True
        end = max(at + 4 - len(self._before), 0)
        return chunk[:end], chunk[end:]


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The message with dots doubled at line starts, ending in a line end (RFC 5321, 4.5.2)."""
    before = _CRLF
    for chunk in chunks:
        seen = before + chunk
        yield seen.replace(b"\r\n.", b"\r\n..")[len(before) :]
        before = seen[-2:]
    if before != _CRLF:
        yield _CRLF
