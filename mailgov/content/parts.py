"""The MIME tree of a message, in one pass over its bytes for each level of nesting.

A multipart is cut at the lines of its own boundary; each piece is then cut at its own, so the cost
is size times depth and both are bounded. Where mail programs differ, the reading that shows more
parts is taken: what one program shows as an attachment must not escape the rules. RFC 2045, 2046.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgov.config import Limits
from mailgov.content.charsets import decode
from mailgov.content.fields import Fields, Value, decode_base64, parse_value, split_fields
from mailgov.content.prescan import body_start, header_end

MAX_BOUNDARY_BYTES = 256
MAX_PART_HEADER_BYTES = 64 << 10
_LIMITS = frozenset({"too many parts", "parts nested too deeply"})
MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_NO_TYPE = Value()
_DIGEST_TYPE = Value("message/rfc822")  # of what a multipart/digest holds (RFC 2046, 5.1.5)
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_UU_BEGIN = re.compile(rb"^begin (?:-base64 )?[0-7]{3,4} (\S[^\r\n]{0,255})\r?$", re.MULTILINE)
_UU_END = re.compile(rb"^end[ \t]*\r?$", re.MULTILINE)
# A boundary as some program may find it: with its form (RFC 2231), its value and what follows that.
_BOUNDARY = re.compile(
    rb'(?<![\w*-])boundary(?P<form>\*[0-9]*\*?)?\s*=\s*(?P<value>"[^"]*"|[^;"]*)(?P<rest>[^;]*)',
    re.IGNORECASE,
)
_PLAIN_BOUNDARY = re.compile(rb'"[^"\\]+"|[^\s()"\\]+')
MAX_ODD_LINES = 100  # that only begin like a delimiter, of a message


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf or a container. `number` is the section number of IMAP (RFC 9051, 6.4.5.1)."""

    number: str
    fields: Fields
    type: Value
    disposition: Value
    raw: bytes = b""  # content as transported; empty for containers, unless they sign it
    children: tuple["Part", ...] = ()
    outside: bytes = b""  # of a multipart: what stands before, between and behind its parts

    @property
    def media_type(self) -> str:
        """Declared type in lower case; RFC 2045, 5.2 gives the default."""
        return self.type.value or "text/plain"

    @property
    def transfer_encoding(self) -> str:
        """Declared transfer encoding, its first word in lower case."""
        value = self.fields.get("content-transfer-encoding")
        words = value.decode("ascii", "replace").lower().replace(";", " ").split()
        return words[0] if words else ""

    @property
    def names(self) -> tuple[str, ...]:
        """File names that a mail program may show, the likeliest first."""
        given = (
            self.disposition.parameters.get("filename", ""),
            self.type.parameters.get("name", ""),
            self.fields.text("content-description") if self._is_attachment else "",
        )
        return tuple(dict.fromkeys(name for name in given[:2] if name)) or tuple(
            name for name in given[2:] if "." in name
        )

    @property
    def _is_attachment(self) -> bool:
        return self.disposition.value == "attachment"

    @property
    def is_body(self) -> bool:
        """Whether it is text that a mail program shows by itself."""
        return (
            self.media_type in ("text/plain", "text/html")
            and not self._is_attachment
            and not self.names
        )

    def content(self) -> bytes:
        """The bytes behind the transfer encoding. Never raises; unknown encodings stay raw."""
        encoding = self.transfer_encoding
        if encoding == "base64":
            return decode_base64(self.raw)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.raw)
        if encoding in ("x-uuencode", "uuencode", "x-uue"):
            return next((data for _, data in uuencoded_files(self.raw)), self.raw)
        return self.raw

    @property
    def is_decodable(self) -> bool:
        """Whether the transfer encoding is one we know."""
        return self.transfer_encoding in _IDENTITY | {
            "base64",
            "quoted-printable",
            "x-uuencode",
            "uuencode",
            "x-uue",
        }

    def text(self) -> str:
        """The content as text by its declared charset."""
        return decode(self.content(), self.type.parameters.get("charset", ""))

    def walk(self) -> Iterator["Part"]:
        """This part and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class _Count:
    """What has been spent of the limits, and what was wrong."""

    limits: Limits
    parts: int = 0
    defects: list[str] = field(default_factory=list)
    boundaries: set[bytes] = field(default_factory=set)
    odd_lines: set[bytes] = field(default_factory=set)

    def see_delimiter(self, line: bytes) -> None:
        """Note a line that begins like a delimiter but is none by RFC 2046, 5.1.1."""
        if len(self.odd_lines) <= MAX_ODD_LINES:
            self.odd_lines.add(line)

    @property
    def has_odd_delimiter(self) -> bool:
        """Whether such a line is no delimiter of another multipart either.

        Dovecot takes it for one, as RFC 2046 once allowed, and so shows other parts than others do.
        """
        return len(self.odd_lines) > MAX_ODD_LINES or any(
            line not in self.boundaries and line.removesuffix(b"--") not in self.boundaries
            for line in self.odd_lines
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """The root part and what keeps the message from having one reading."""

    root: Part
    defects: tuple[str, ...]


def read_parts(data: bytes, limits: Limits) -> Tree:
    """The tree of a message. `prescan` has passed. Never raises."""
    count = _Count(limits)
    root = _message(data, "", 0, count)
    if count.has_odd_delimiter:
        count.defects.append("line that only begins like a boundary")
    return Tree(root, tuple(dict.fromkeys(count.defects)))


def _message(data: bytes, prefix: str, depth: int, count: _Count) -> Part:
    """A whole message: header and body. A body that is no multipart has number 1."""
    end = header_end(data)
    fields = split_fields(data[:end])
    count.defects += fields.defects
    start = body_start(data, end)
    return _part(data[start:], fields, prefix, depth, count, is_message=True)


def _part(
    body: bytes,
    fields: Fields,
    number: str,
    depth: int,
    count: _Count,
    *,
    is_message: bool = False,
    default: Value = _NO_TYPE,
) -> Part:
    count.parts += 1
    type_ = parse_value(fields.get("content-type"))
    if not type_.value:
        type_ = default
    disposition = parse_value(fields.get("content-disposition"))
    count.defects += _ambiguities(fields, type_, disposition)
    leaf_number = (f"{number}.1" if number else "1") if is_message else number
    leaf = Part(leaf_number, fields, type_, disposition, body)
    if count.parts > count.limits.mime_parts:
        count.defects.append("too many parts")
        return leaf
    if type_.value.startswith("multipart/"):
        children, outside = _children(body, type_, number, depth, count)
        if not children and leaf.transfer_encoding not in _IDENTITY:
            # RFC 2045, 6.4 forbids to encode a multipart; some programs decode it all the same.
            children, outside = _children(leaf.content(), type_, number, depth, count)
        if children:
            signed = body if type_.value == "multipart/signed" else b""
            return Part(number, fields, type_, disposition, signed, children, outside)
        return leaf
    if leaf.media_type in MESSAGE_TYPES:
        if depth >= count.limits.mime_depth:
            count.defects.append("parts nested too deeply")
            return leaf
        outer_defects = count.defects
        count.defects = []
        inner = _message(leaf.content(), leaf_number, depth + 1, count)
        # What is wrong inside a forwarded or returned message does not make this one ambiguous.
        count.defects = outer_defects + [d for d in count.defects if d in _LIMITS]
        return Part(leaf_number, fields, type_, disposition, body, (inner,))
    return leaf


def _ambiguities(fields: Fields, type_: Value, disposition: Value) -> list[str]:
    """What lets two mail programs see different parts."""
    found = []
    for name in ("content-type", "content-transfer-encoding", "content-disposition"):
        values = {item.value for item in fields.items if item.name == name}
        if len(values) > 1:
            found.append(f"two {name.title()} fields")
    raw_type = fields.get("content-type")
    if b"(" in raw_type.partition(b";")[0] or b'"' in raw_type.partition(b";")[0]:
        found.append("comment in Content-Type")
    if type_.value.startswith("multipart/"):
        found += _boundary_ambiguities(raw_type, type_)
    if {"filename"} & disposition.repeated or {"name"} & type_.repeated:
        found.append("two file names in one field")
    return found


def _boundary_ambiguities(raw_type: bytes, type_: Value) -> list[str]:
    """What lets two mail programs cut a multipart at different lines."""
    given = list(_BOUNDARY.finditer(raw_type))
    plain = {match["value"].strip() for match in given if not match["form"]}
    if "boundary" in type_.repeated or len(plain) > 1 or (plain and len(plain) < len(given)):
        return ["two boundary parameters"]
    for match in given:
        value = match["value"].strip()
        if not match["form"] and (
            not _PLAIN_BOUNDARY.fullmatch(value)
            or match["rest"].strip()
            or value.strip(b'"').rstrip() != _boundary(type_)
        ):
            return ["boundary with two readings"]
    return []


def _children(
    body: bytes, type_: Value, number: str, depth: int, count: _Count
) -> tuple[tuple[Part, ...], bytes]:
    """The parts of a multipart, and what it has outside them."""
    boundary = _boundary(type_)
    if not boundary or len(boundary) > MAX_BOUNDARY_BYTES:
        count.defects.append("multipart without boundary")
        return (), b""
    if depth >= count.limits.mime_depth:
        count.defects.append("parts nested too deeply")
        return (), b""
    children: list[Part] = []
    outside: list[bytes] = []
    count.boundaries.add(boundary)
    default = _DIGEST_TYPE if type_.value == "multipart/digest" else _NO_TYPE
    for piece in _pieces(body, boundary, count, outside):
        if count.parts >= count.limits.mime_parts:
            count.defects.append("too many parts")
            break
        end = header_end(piece, 0, MAX_PART_HEADER_BYTES)
        if end >= MAX_PART_HEADER_BYTES:
            count.defects.append("part header too large")
        fields = split_fields(piece[:end])
        count.defects += fields.defects
        child = f"{number}.{len(children) + 1}" if number else str(len(children) + 1)
        content = piece[body_start(piece, end) :]
        children.append(_part(content, fields, child, depth + 1, count, default=default))
    if not children and b"\n--" in body:
        count.defects.append("multipart whose boundary does not occur")
    return tuple(children), b"\r\n".join(outside)


def _boundary(type_: Value) -> bytes:
    return type_.parameters.get("boundary", "").encode("utf-8", "surrogateescape").rstrip()


def _pieces(
    body: bytes, boundary: bytes, count: _Count | None = None, outside: list[bytes] | None = None
) -> Iterator[bytes]:
    """What stands between the delimiter lines; the line end before a delimiter belongs to it.

    Parts behind the closing delimiter count as well: some programs show them. `outside` takes what
    stands before the first part and behind a closing delimiter (RFC 2046, 5.1.1: preamble, epilogue).
    """
    delimiter = b"--" + boundary
    start = -1
    closed = 0  # where what is outside begins
    position = 0 if body.startswith(delimiter) else _next(body, delimiter, 0)
    while position >= 0:
        line_end = body.find(b"\n", position)
        line_end = len(body) if line_end < 0 else line_end + 1
        tail = body[position + len(delimiter) : line_end].strip()
        if tail in (b"", b"--"):
            if start >= 0:
                yield _without_line_end(body[start:position])
            elif outside is not None and (text := body[closed:position].strip()):
                outside.append(text)
            start, closed = (-1, line_end) if tail else (line_end, closed)
        elif count is not None:
            count.see_delimiter(body[position + 2 : line_end].rstrip())
        position = _next(body, delimiter, max(line_end - 1, position + 1))
    if start >= 0:  # cut short: what is there counts
        yield body[start:]
    elif outside is not None and (text := body[closed:].strip()):
        outside.append(text)


def _next(body: bytes, delimiter: bytes, position: int) -> int:
    found = body.find(b"\n" + delimiter, position)
    return found + 1 if found >= 0 else -1


def _without_line_end(piece: bytes) -> bytes:
    return piece.removesuffix(b"\n").removesuffix(b"\r")


def signed_entity(part: Part) -> bytes:
    """What a multipart/signed signs: its first part with its header, to the byte (RFC 1847, 2.1)."""
    return next(_pieces(part.raw, _boundary(part.type)), b"")


def uuencoded_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files in uuencode inside text, as old programs send and many still show them."""
    position = 0
    while begin := _UU_BEGIN.search(data, position):
        end = _UU_END.search(data, begin.end())
        if end is None:
            return
        lines = data[begin.end() : end.start()].split(b"\n")
        yield decode(begin[1].strip()), b"".join(map(_uu_line, lines))
        position = end.end()


def _uu_line(line: bytes) -> bytes:
    line = line.rstrip(b"\r")
    if not line:
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:  # trailing junk: take as many characters as the length byte asks for
        wanted = ((((line[0] - 32) & 63) * 4 + 5) // 3) + 1
        try:
            return binascii.a2b_uu(line[:wanted])
        except binascii.Error:
            return b""
