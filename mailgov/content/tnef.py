"""TNEF, the `winmail.dat` of Outlook: attachments and body taken out ([MS-OXTNEF]).

Only what a reader of mail needs: titles, long names, data, and the text in its plain, HTML or
compressed RTF form ([MS-OXRTFCP]).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mailgov.content.archives import Budget, Damaged, Member
from mailgov.content.charsets import decode

_SIGNATURE = 0x223E9F78
_ATTACH_START, _ATTACH_TITLE, _ATTACH_DATA, _ATTACH_PROPERTIES = 0x69002, 0x18010, 0x6800F, 0x69005
_BODY, _MESSAGE_PROPERTIES = 0x2800C, 0x69003
_LONG_NAME, _DATA_BINARY, _DATA_OBJECT = 0x3707, 0x37010102, 0x3701000D
_PLAIN, _HTML, _RTF = 0x1000, 0x10130102, 0x10090102
_RTF_SEED = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    b"\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0"
    b"\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


@dataclass(slots=True)
class _Attachment:
    name: str = ""
    data: bytes = b""


def tnef_members(data: bytes, budget: Budget) -> Iterator[Member]:
    """Attachments, then the body as `body.txt`, `body.html` or `body.rtf`. Raises Bomb, Damaged."""
    attachments: list[_Attachment] = []
    bodies: dict[str, bytes] = {}
    for attribute, content in _attributes(data):
        if attribute == _ATTACH_START:
            attachments.append(_Attachment())
        elif attribute == _BODY:
            bodies["body.txt"] = content.rstrip(b"\0")
        elif attribute == _MESSAGE_PROPERTIES:
            bodies |= _bodies(dict(_properties(content)))
        elif attachments:
            _fill(attachments[-1], attribute, content)
    for attachment in attachments:
        budget.take_file()
        budget.take_bytes(len(attachment.data))
        yield Member(attachment.name or "attachment", len(attachment.data), attachment.data)
    for name, content in bodies.items():
        yield Member(name, len(content), content)


def _fill(attachment: _Attachment, attribute: int, content: bytes) -> None:
    if attribute == _ATTACH_TITLE:
        attachment.name = attachment.name or _text(content)
    elif attribute == _ATTACH_DATA:
        attachment.data = content
    elif attribute == _ATTACH_PROPERTIES:
        for tag, value in _properties(content):
            if tag >> 16 == _LONG_NAME:
                attachment.name = _text(value, wide=tag & 0xFFFF == 0x1F)
            elif tag == _DATA_BINARY and not attachment.data:
                attachment.data = value
            elif tag == _DATA_OBJECT and not attachment.data:
                attachment.data = value[16:]  # behind the interface identifier


def _bodies(properties: dict[int, bytes]) -> dict[str, bytes]:
    found = {}
    for tag, value in properties.items():
        if tag >> 16 == _PLAIN:
            found["body.txt"] = _text(value, wide=tag & 0xFFFF == 0x1F).encode("utf-8")
        elif tag == _HTML:
            found["body.html"] = value
        elif tag == _RTF:
            found["body.rtf"] = _unpacked_rtf(value)
    return found


def _text(raw: bytes, *, wide: bool = False) -> str:
    return raw.decode("utf-16-le", "replace").rstrip("\0") if wide else decode(raw.rstrip(b"\0"))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and content of each attribute (2.1.2). Raises Damaged."""
    if len(data) < 6 or int.from_bytes(data[:4], "little") != _SIGNATURE:
        raise Damaged("no TNEF")
    position = 6
    while position + 9 <= len(data):
        _, attribute, size = struct.unpack_from("<BII", data, position)
        position += 9
        if position + size > len(data):
            raise Damaged("TNEF cut short")
        yield attribute & 0xFFFFF, data[position : position + size]
        position += size + 2


_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8}
_VARIABLE = frozenset({0x1E, 0x1F, 0x0D, 0x102})


def _properties(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and first value of each MAPI property (2.1.3.3). Ends where it can't be read further."""
    try:
        (count,) = struct.unpack_from("<I", content)
        position = 4
        for _ in range(min(count, len(content) // 8)):
            kind, identifier = struct.unpack_from("<HH", content, position)
            position += 4
            if identifier >= 0x8000:
                position = _skip_name(content, position)
            tag, base = identifier << 16 | (kind & 0x0FFF), kind & 0x0FFF
            values = 1
            if kind & 0x1000 or base in _VARIABLE:
                (values,) = struct.unpack_from("<I", content, position)
                position += 4
            for number in range(min(values, len(content))):
                value, position = _value(content, position, base)
                if number == 0:
                    yield tag, value
    except struct.error:
        return


def _skip_name(content: bytes, position: int) -> int:
    (by_name,) = struct.unpack_from("<I", content, position + 16)
    position += 20
    if not by_name:
        return position + 4
    return position + 4 + _padded(content, position)


def _padded(content: bytes, position: int) -> int:
    """The size written at a position, rounded up to four bytes."""
    size: int = struct.unpack_from("<I", content, position)[0]
    return (size + 3) // 4 * 4


def _value(content: bytes, position: int, base: int) -> tuple[bytes, int]:
    if base in _VARIABLE:
        (variable,) = struct.unpack_from("<I", content, position)
        start = position + 4
        return content[start : start + variable], start + _padded(content, position)
    size = _FIXED.get(base, 16 if base == 0x48 else 4)
    if position + size > len(content):
        raise struct.error
    return content[position : position + size], position + size


def _unpacked_rtf(packed: bytes) -> bytes:
    """Compressed RTF ([MS-OXRTFCP] 2.2.3); output is bounded by the size that the header gives."""
    if len(packed) < 16:
        return b""
    _, raw_size, kind = struct.unpack_from("<III", packed)
    if kind == 0x414C454D:  # MELA: stored
        return packed[16:]
    window = bytearray(_RTF_SEED.ljust(4096, b"\0"))
    write = len(_RTF_SEED)
    output = bytearray()
    position = 16
    limit = min(raw_size, 64 * len(packed))
    while position < len(packed) and len(output) < limit:
        control = packed[position]
        position += 1
        for bit in range(8):
            if control >> bit & 1:
                if position + 2 > len(packed):
                    return bytes(output)
                reference = packed[position] << 8 | packed[position + 1]
                position += 2
                offset, length = reference >> 4, (reference & 0xF) + 2
                if offset == write:
                    return bytes(output)
                piece = [window[(offset + step) & 4095] for step in range(length)]
            elif position < len(packed):
                piece = [packed[position]]
                position += 1
            else:
                return bytes(output)
            for byte in piece:
                window[write] = byte
                write = (write + 1) & 4095
            output += bytes(piece)
    return bytes(output)
