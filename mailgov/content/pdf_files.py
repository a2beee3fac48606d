"""PDF: password, scripts and launch actions, embedded files. Text is read in `extract`.

ISO 32000-1. Names of actions stand in dictionaries, in the clear or in compressed object streams;
streams of pages and pictures are passed over, since chance puts any short name into them.
"""

import io
import re
import zlib
from collections.abc import Iterator

import pypdf
import pypdf.errors
import pypdf.generic
import pypdfium2

from mailgov.content.archives import Bomb, Budget, Damaged, Member
from mailgov.content.opened import Opened

_ENDS_NAME = rb"(?=[\s/<>\[\](){}%]|$)"
_ACTIONS = (
    (re.compile(rb"/(?:JavaScript|JS)" + _ENDS_NAME), "javascript"),
    (re.compile(rb"/Launch" + _ENDS_NAME), "launch action"),
    (re.compile(rb"/RichMedia" + _ENDS_NAME), "rich media"),
    (re.compile(rb"/(?:SubmitForm|ImportData)" + _ENDS_NAME), "form submission"),
)
_EMBEDDED = re.compile(rb"/EmbeddedFiles?" + _ENDS_NAME)
_ENCRYPT = re.compile(rb"/Encrypt" + _ENDS_NAME)
_HEX_IN_NAME = re.compile(rb"#([0-9A-Fa-f]{2})")
_PROPERTY = re.compile(
    rb"/(?:Title|Subject|Keywords)\s*(\((?:[^()\\]|\\.){1,500}\)|<[0-9A-Fa-f\s]{2,2000}>)"
)
_MAX_OBJECT_STREAM_BYTES = 16 << 20
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|(.))", re.DOTALL)
_MAX_EMBEDDED = 100


def open_pdf(data: bytes, budget: Budget) -> Opened:
    """A PDF looked into. Never raises: state and reason tell."""
    try:
        text = b"\n".join(_dictionaries(data, budget))
        if b"#" in text:
            text = _HEX_IN_NAME.sub(lambda match: bytes([int(match[1], 16)]), text)
        if _ENCRYPT.search(text):
            if _asks_password(data):
                return Opened("pdf", "encrypted", "password")
            text += _decrypted_dictionaries(data)
    except Bomb as exc:
        return Opened("pdf", "bomb", str(exc))
    except Damaged as exc:
        return Opened("pdf", "unscannable", str(exc))
    found = tuple(word for pattern, word in _ACTIONS if pattern.search(text))
    members = _embedded_files(data, budget) if _EMBEDDED.search(text) else iter(())
    return Opened("pdf", active=found, members=members, properties=_properties(text))


def _dictionaries(data: bytes, budget: Budget) -> Iterator[bytes]:
    """Everything but the content of streams, and object streams unpacked."""
    position = 0
    while True:
        start = data.find(b"stream", position)
        if start < 0:
            yield data[position:]
            return
        yield data[position:start]
        end = data.find(b"endstream", start)
        end = len(data) if end < 0 else end
        dictionary = data[max(position, start - 2000) : start]
        if b"/ObjStm" in dictionary[max(0, dictionary.rfind(b"obj")) :]:
            yield _inflated(data[start + 6 : end].lstrip(b"\r\n"), budget)
        position = end + 9


def _inflated(packed: bytes, budget: Budget) -> bytes:
    """An object stream unpacked, as far as it goes; encrypted ones give nothing."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _MAX_OBJECT_STREAM_BYTES)
    except zlib.error:
        return b""
    if unpacker.unconsumed_tail:
        raise Bomb(f"object stream larger than {_MAX_OBJECT_STREAM_BYTES >> 20} MiB")
    budget.take_bytes(len(text))
    return text


def _asks_password(data: bytes) -> bool:
    """Whether it does not open with the empty password, as mere print locks do."""
    try:
        pypdfium2.PdfDocument(data).close()
    except pypdfium2.PdfiumError:
        return True
    return False


def _decrypted_dictionaries(data: bytes) -> bytes:
    """Object streams of a file that is encrypted with the empty password. Raises Damaged."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        reader.decrypt("")
        numbers = sorted({stream for stream, _ in reader.xref_objStm.values()})
        streams = [reader.get_object(pypdf.generic.IndirectObject(n, 0, reader)) for n in numbers]
        return b"\n".join(
            s.get_data() for s in streams if isinstance(s, pypdf.generic.StreamObject)
        )
    except Exception as exc:  # what pypdf raises on hostile bytes has no bounds
        raise Damaged(f"damaged encrypted PDF: {type(exc).__name__}") from exc


def _embedded_files(data: bytes, budget: Budget) -> Iterator[Member]:
    """Files attached to the document. Raises Bomb, Damaged."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        raise Damaged("damaged PDF with embedded files") from exc
    try:
        for number in range(min(document.count_attachments(), _MAX_EMBEDDED)):
            budget.take_file()
            attachment = document.get_attachment(number)
            name = attachment.get_name()
            try:
                content = bytes(attachment.get_data())
            except pypdfium2.PdfiumError:
                yield Member(name, 0, None, why="damaged embedded file")
                continue
            budget.take_bytes(len(content))
            yield Member(name, len(content), content)
    finally:
        document.close()


def _properties(text: bytes) -> tuple[str, ...]:
    """Title, subject and keywords (14.3.3)."""
    return tuple(_string(value) for value in _PROPERTY.findall(text)[:20])


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF]) if match[1] else match[2]


def _string(value: bytes) -> str:
    """A PDF text string: UTF-16 with mark, else PDFDocEncoding, near enough to Latin-1 (7.9.2.2)."""
    if value.startswith(b"<"):
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", value)
        raw = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    else:
        raw = _ESCAPE.sub(_unescaped, value[1:-1])
    return (
        raw[2:].decode("utf-16-be", "replace")
        if raw.startswith(b"\xfe\xff")
        else raw.decode("latin-1")
    )
