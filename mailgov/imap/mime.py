"""Where the parts of a message lie in its bytes. Pure, linear, and never wrong-footed by bad mail.

Positions are kept rather than copies: what is served is cut from the stored bytes and nothing is
ever written anew.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_DEPTH, MAX_PARTS = 30, 1000  # beyond them a part is taken as one piece
MAX_BOUNDARY = 256
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_FOLD = re.compile(rb"(?<![ \t])[ \t]*+\r?\n[ \t]+")
_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))', re.DOTALL)
_MEDIA_TYPE = re.compile(rb"\s*([^\s/;]+)\s*/\s*([^\s;]+)")
_UNENCODED = (b"", b"7bit", b"8bit", b"binary")

Parameters = tuple[tuple[bytes, bytes], ...]
Fields = list[tuple[bytes, bytes]]
"""Name in lower case, value unfolded and stripped; in the order of the header."""


@dataclass(slots=True)
class Part:
    """A message or a part of one, by positions in the message's bytes."""

    header_start: int
    body_start: int
    end: int
    fields: Fields
    main: bytes = b"text"
    sub: bytes = b"plain"
    parameters: Parameters = ((b"charset", b"us-ascii"),)
    children: "list[Part]" = field(default_factory=list)  # of a multipart
    message: "Part | None" = None  # inside message/rfc822

    def get(self, name: bytes) -> bytes | None:
        """The first field of this name, which is given in lower case."""
        return next((value for key, value in self.fields if key == name), None)

    @property
    def encoding(self) -> bytes:
        """The transfer encoding in lower case; empty when none is named."""
        return (self.get(b"content-transfer-encoding") or b"").strip().lower()


def parse(data: bytes) -> Part:
    """The tree of a message."""
    return _Parser(data).message(0, len(data), 0)


def header_end(data: bytes, start: int = 0, end: int | None = None) -> int:
    """The position after the blank line that closes a header; the end when there is none."""
    end = len(data) if end is None else end
    for blank in (b"\r\n", b"\n"):
        if data.startswith(blank, start, end):
            return start + len(blank)
    found = _BLANK_LINE.search(data, start, end)
    return found.end() if found else end


def raw_fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each field's name in lower case and its very bytes; a line that is no field has no name."""
    name, lines = b"", list[bytes]()
    for line in _LINE.findall(header):
        if lines and line[:1] in (b" ", b"\t"):
            lines.append(line)
            continue
        if lines:
            yield name, b"".join(lines)
        if line in (b"\r\n", b"\n"):
            return
        found = _FIELD_NAME.match(line)
        name, lines = (found[1].lower() if found else b""), [line]
    if lines:
        yield name, b"".join(lines)


def read_fields(header: bytes) -> Fields:
    """Names and unfolded values of a header block."""
    return [
        (name, _FOLD.sub(b" ", raw[raw.index(b":") + 1 :]).strip())
        for name, raw in raw_fields(header)
        if name
    ]


def media_type(value: bytes | None) -> tuple[bytes, bytes, Parameters] | None:
    """Type, subtype and parameters of a Content-Type (RFC 2045, 5.1); None when it is no good."""
    found = _MEDIA_TYPE.match(value) if value else None
    if value is None or found is None:
        return None
    return found[1].lower(), found[2].lower(), parameters(value[found.end() :])


def parameters(value: bytes) -> Parameters:
    """The parameters after a type or a disposition, names in lower case, values unquoted."""
    return tuple(
        (name.lower(), re.sub(rb"\\(.)", rb"\1", quoted) or plain.strip())
        for name, quoted, plain in _PARAMETER.findall(value)
    )


class _Parser:
    """One walk over one message, with a count of its parts."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0

    def message(self, start: int, end: int, depth: int) -> Part:
        return self._part(start, end, depth, (b"text", b"plain"))

    def _part(self, start: int, end: int, depth: int, default: tuple[bytes, bytes]) -> Part:
        self._parts += 1
        body = header_end(self._data, start, end)
        part = Part(start, body, end, read_fields(self._data[start:body]))
        kind = media_type(part.get(b"content-type"))
        if kind is not None:
            part.main, part.sub, part.parameters = kind
        elif default != (b"text", b"plain"):
            part.main, part.sub, part.parameters = *default, ()
        if part.main == b"multipart":
            self._split(part, depth)
        elif (part.main, part.sub) == (b"message", b"rfc822"):
            if part.encoding in _UNENCODED and depth < MAX_DEPTH and self._parts < MAX_PARTS:
                part.message = self.message(body, end, depth + 1)
            else:  # RFC 2046, 5.2.1, forbids encoding it; what can't be looked into is a file
                part.main, part.sub = b"application", b"octet-stream"
        return part

    def _split(self, part: Part, depth: int) -> None:
        boundary = dict(part.parameters).get(b"boundary", b"")
        pieces = list(self._pieces(boundary, part.body_start, part.end))
        if depth >= MAX_DEPTH or self._parts + len(pieces) > MAX_PARTS or not boundary:
            part.main, part.sub, part.parameters = b"application", b"octet-stream", ()
            return
        default = (b"message", b"rfc822") if part.sub == b"digest" else (b"text", b"plain")
        for start, end in pieces or [(part.end, part.end)]:
            part.children.append(self._part(start, end, depth + 1, default))

    def _pieces(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Start and end of each part between the delimiter lines (RFC 2046, 5.1.1)."""
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            return
        delimiter = re.compile(rb"(?<![^\n])--%b(--)?[ \t]*(?:\r?\n|\Z)" % re.escape(boundary))
        opened: int | None = None
        for found in delimiter.finditer(self._data, start, end):
            if opened is not None:
                yield opened, self._before_line_end(opened, found.start())
            opened = None if found[1] else found.end()
            if found[1]:
                return
        if opened is not None:
            yield opened, end

    def _before_line_end(self, start: int, end: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        for line_end in (b"\r\n", b"\n"):
            if self._data.endswith(line_end, start, end):
                return end - len(line_end)
        return end
