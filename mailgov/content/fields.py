"""Header fields of a message or a part: split, unfolded, decoded; nothing is trusted or re-written.

RFC 5322 (2.2, 3.6.8), RFC 2047 (encoded words), RFC 2045 and 2231 (parameters), each read the way
mail programs read broken ones, since that is what the recipient sees.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgov.content.charsets import decode

MAX_ENCODED_WORDS = 500  # of a field; beyond, it is shown raw
MAX_PARAMETERS = 64  # of a field; further ones are not read

_NAME = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_ENCODED_WORD = re.compile(rb"=\?([^?\s]{1,75})\?([bBqQ])\?([^?\r\n]*)\?=")
_LANGUAGE = re.compile(rb"\*.*", re.DOTALL)  # RFC 2231, 5
_SPACE = re.compile(rb"[ \t\r\n]+")
_PARAMETER = re.compile(
    rb';\s*+([^\s=;"]++)\s*+=\s*+("(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^;]*+)', re.DOTALL
)
_SECTION = re.compile(r"^([^*]+)(?:\*(\d{1,3}))?(\*)?$")  # RFC 2231, 3 and 4
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: name in lower case, value as bytes without folds."""

    name: str
    value: bytes

    @property
    def text(self) -> str:
        """The value decoded, as a person reads it."""
        return decode_words(self.value)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one header block in order, and what keeps the block from having one reading."""

    items: tuple[Field, ...] = ()
    defects: tuple[str, ...] = ()

    def all(self, name: str) -> list[Field]:
        """Every field of that name (in lower case)."""
        return [item for item in self.items if item.name == name]

    def get(self, name: str) -> bytes:
        """The value of the first field of that name; empty when there is none."""
        return next((item.value for item in self.items if item.name == name), b"")

    def text(self, name: str) -> str:
        """The decoded value of the first field of that name."""
        return decode_words(self.get(name))


def split_fields(block: bytes) -> Fields:
    """The fields of a header block, line ends CRLF or LF."""
    items: list[Field] = []
    defects: list[str] = []
    if b"\0" in block:
        defects.append("NUL in the header")
    if block.count(b"\r") != block.count(b"\r\n"):
        defects.append("bare CR in the header")
    for line, first in _unfolded(block):
        match = _NAME.match(line)
        if line.strip() and b":" not in first:  # what some programs take for the end of the header
            defects.append("header line that is no field")
        if match:
            items.append(Field(match[1].decode("ascii").lower(), line[match.end() :].strip()))
        elif line.strip():
            defects.append("header line that is no field")
    return Fields(tuple(items), tuple(dict.fromkeys(defects)))


def _unfolded(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Logical lines, each with its first line alone; an mbox separator at the start is left out."""
    logical: list[bytes] = []
    for number, line in enumerate(block.split(b"\n")):
        line = line.removesuffix(b"\r")
        if number == 0 and line.startswith((b"From ", b">From ")) and not _NAME.match(line):
            continue
        if logical and line.startswith((b" ", b"\t")):
            logical.append(line)
            continue
        if logical:
            yield b"".join(logical), logical[0]
        logical = [line]
    if logical:
        yield b"".join(logical), logical[0]


def decode_words(value: bytes) -> str:
    """A field value in Unicode: encoded words, else raw 8-bit text. Never raises.

    White space between encoded words vanishes (RFC 2047, 6.2). Neighbours of one charset are joined
    before decoding, since many programs cut inside a letter.
    """
    if b"=?" not in value:
        return _clean(decode(value))
    if value.count(b"=?") > MAX_ENCODED_WORDS:
        return _clean(decode(value))
    pieces: list[tuple[str, bytearray]] = []  # charset (`-` for text between) and bytes
    position = 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[position : match.start()]
        charset = _LANGUAGE.sub(b"", match[1]).decode("ascii", "replace").lower()
        after_word = position > 0 and not between.strip()
        if between and not after_word:
            pieces.append(("-", bytearray(between)))
        content = _word_bytes(match[2], match[3])
        if after_word and pieces and pieces[-1][0] == charset:
            pieces[-1][1].extend(content)
        else:
            pieces.append((charset, bytearray(content)))
        position = match.end()
    pieces.append(("-", bytearray(value[position:])))
    return _clean("".join(decode(bytes(raw), "" if cs == "-" else cs) for cs, raw in pieces))


def _word_bytes(encoding: bytes, content: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(content, header=True)
    return decode_base64(content)


def _clean(text: str) -> str:
    """White space of folds becomes one space; controls that C0-using encodings need stay out."""
    return _CONTROLS.sub(" ", text.replace("\r\n", " ").replace("\n", " ")).strip()


_NOT_BASE64 = bytes(
    sorted(
        set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    )
)


def decode_base64(data: bytes) -> bytes:
    """Bytes of base64 text; foreign characters are skipped, missing padding is added.

    Text behind padding is decoded as well: mail programs differ there, and nothing may hide.
    """
    kept = data.translate(None, _NOT_BASE64).rstrip(b"=")
    return b"".join(map(_decode_piece, kept.split(b"="))) if b"=" in kept else _decode_piece(kept)


def _decode_piece(piece: bytes) -> bytes:
    if len(piece) % 4 == 1:  # six bits are no byte
        piece = piece[:-1]
    return binascii.a2b_base64(piece + b"=" * (-len(piece) % 4))


@dataclass(frozen=True, slots=True)
class Value:
    """A value with parameters: `text/plain; charset=utf-8`. Names and value in lower case."""

    value: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()  # parameters given twice with different values


def parse_value(raw: bytes) -> Value:
    """Value and parameters of Content-Type or Content-Disposition (RFC 2045, 5.1; RFC 2231)."""
    head, _, _ = raw.partition(b";")
    value = _SPACE.sub(b"", head).decode("ascii", "replace").lower()
    sections: dict[str, dict[int, tuple[bool, bytes]]] = {}
    repeated: set[str] = set()
    for count, match in enumerate(_PARAMETER.finditer(raw)):
        if count == MAX_PARAMETERS:
            break
        name = _SECTION.match(match[1].decode("ascii", "replace").lower())
        if name is None:
            continue
        number = int(name[2]) if name[2] else (-1 if name[3] else -2)
        found = (bool(name[3]), _unquoted(match[2]))
        known = sections.setdefault(name[1], {}).setdefault(number, found)
        if known != found:
            repeated.add(name[1])
    parameters = {name: _joined(parts) for name, parts in sections.items()}
    return Value(value, parameters, frozenset(repeated))


def _unquoted(raw: bytes) -> bytes:
    raw = raw.strip()
    if raw.startswith(b'"'):
        inner = raw[1:-1] if raw.endswith(b'"') and len(raw) > 1 else raw[1:]
        return re.sub(rb"\\(.)", rb"\1", inner, flags=re.DOTALL)
    return raw


def _joined(parts: dict[int, tuple[bool, bytes]]) -> str:
    """One parameter from its pieces: extended form first, then continuations, then plain."""
    if -1 in parts:
        return _clean(_extended([parts[-1]]))
    numbered = [parts[number] for number in sorted(parts) if number >= 0]
    if numbered:
        if numbered[0][0]:
            return _clean(_extended(numbered))
        return decode_words(b"".join(piece for _, piece in numbered))
    return decode_words(parts[-2][1])


def _extended(pieces: list[tuple[bool, bytes]]) -> str:
    """`charset'language'percent-encoded`, continued in further pieces (RFC 2231, 4)."""
    first = pieces[0][1]
    charset = b""
    if first.count(b"'") >= 2:
        charset, _, first = first.split(b"'", 2)
    raw = b"".join(
        _percent_decoded(piece) if encoded else piece
        for encoded, piece in [(True, first), *pieces[1:]]
    )
    return decode(raw, charset.decode("ascii", "replace").lower())


def _percent_decoded(raw: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), raw)
