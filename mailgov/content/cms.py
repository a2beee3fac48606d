"""CMS, the envelope of S/MIME: what is signed is taken out, what is encrypted is named.

RFC 5652 in BER (X.690), indefinite lengths included. Signatures are not checked here.
"""

from typing import NamedTuple

from mailgov.content.archives import Damaged

_SIGNED = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_ENCRYPTED = (
    bytes.fromhex("2a864886f70d010703"),  # enveloped
    bytes.fromhex("2a864886f70d010706"),  # encrypted
    bytes.fromhex("2a864886f70d0109100117"),  # authenticated and enveloped, RFC 5083
)
_SEQUENCE, _SET, _OID, _OCTETS, _CONTEXT_0 = 0x30, 0x31, 0x06, 0x04, 0xA0
_MAX_DEPTH = 16
_MAX_PIECES = 100_000


class Signed(NamedTuple):
    """`content` is None for a detached signature. `encrypted` content can't be read."""

    content: bytes | None
    encrypted: bool = False


class _Element(NamedTuple):
    tag: int
    content: int  # first byte of the content
    end: int  # behind the content
    next: int  # behind the element


def open_cms(data: bytes) -> Signed:
    """What a CMS message holds. Raises Damaged."""
    try:
        outer = _expect(data, 0, len(data), _SEQUENCE)
        kind = _expect(data, outer.content, outer.end, _OID)
        oid = data[kind.content : kind.end]
        if oid in _ENCRYPTED:
            return Signed(None, encrypted=True)
        if oid != _SIGNED:
            raise Damaged("CMS of unknown type")
        wrapper = _expect(data, kind.next, outer.end, _CONTEXT_0)
        signed = _expect(data, wrapper.content, wrapper.end, _SEQUENCE)
        version = _element(data, signed.content, signed.end)
        digests = _expect(data, version.next, signed.end, _SET)
        inner = _expect(data, digests.next, signed.end, _SEQUENCE)
        content_kind = _expect(data, inner.content, inner.end, _OID)
        if content_kind.next >= inner.end:
            return Signed(None)
        content = _expect(data, content_kind.next, inner.end, _CONTEXT_0)
        octets = _element(data, content.content, content.end)
        return Signed(_octets(data, octets))
    except (IndexError, RecursionError) as exc:
        raise Damaged("damaged CMS") from exc


def _expect(data: bytes, position: int, end: int, tag: int) -> _Element:
    element = _element(data, position, end)
    if element.tag != tag:
        raise Damaged("damaged CMS")
    return element


def _element(data: bytes, position: int, end: int, depth: int = 0) -> _Element:
    """The element at a position (X.690, 8.1). Multi-byte tags do not occur in what we read."""
    tag = data[position]
    length = data[position + 1]
    position += 2
    if length == 0x80:
        return _indefinite(data, tag, position, end, depth)
    if length > 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[position : position + count], "big")
        position += count
    if position + length > end:
        raise Damaged("CMS cut short")
    return _Element(tag, position, position + length, position + length)


def _indefinite(data: bytes, tag: int, start: int, end: int, depth: int) -> _Element:
    """An element that ends with two zero bytes (8.1.3.6)."""
    if depth > _MAX_DEPTH:
        raise Damaged("CMS nested too deeply")
    position = start
    for _ in range(_MAX_PIECES):
        if data[position : position + 2] == b"\0\0":
            return _Element(tag, start, position, position + 2)
        position = _element(data, position, end, depth + 1).next
    raise Damaged("CMS in too many pieces")


def _octets(data: bytes, element: _Element, depth: int = 0) -> bytes:
    """An octet string, simple or made of pieces (8.7)."""
    if element.tag == _OCTETS:
        return data[element.content : element.end]
    if element.tag != _OCTETS | 0x20 or depth > _MAX_DEPTH:
        raise Damaged("damaged CMS")
    pieces = []
    position = element.content
    while position < element.end:
        piece = _element(data, position, element.end)
        pieces.append(_octets(data, piece, depth + 1))
        position = piece.next
    return b"".join(pieces)
