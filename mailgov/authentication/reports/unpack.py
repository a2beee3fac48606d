"""The reports within a mail or a file, unpacked under limits: whoever sends them is a stranger."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import IO

from mailgov.errors import InputError

MAX_PACKED_BYTES = 10 << 20
MAX_BYTES = 20 << 20
"""Of a report, unpacked; a year of a large domain has a tenth of it."""

MAX_PARTS = 20
MAX_FILES = 5
_CHUNK = 1 << 16


def reports_in(message: bytes) -> Iterator[bytes]:
    """Each document of a mail, unpacked; parts that hold none are passed over.

    Raises InputError `report-not-valid` for one that is packed wrong or is too large.
    """
    if len(message) > MAX_PACKED_BYTES:
        raise InputError("report-not-valid", reason="too large")
    for number, part in enumerate(message_from_bytes(message).walk()):
        if number >= MAX_PARTS:
            return
        data = _content(part)
        if data is not None:
            yield from unpacked(data)


def _content(part: Message) -> bytes | None:
    if part.is_multipart() or part.get_content_maintype() not in ("application", "text"):
        return None
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not _is_document(payload):
        return None
    return payload


def _is_document(data: bytes) -> bool:
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"<?xml", b"<feedback", b"{"))


def unpacked(data: bytes) -> Iterator[bytes]:
    """The documents of a file: it, or what is packed in it. Raises InputError `report-not-valid`."""
    try:
        if data.startswith(b"\x1f\x8b"):
            yield _limited(gzip.GzipFile(fileobj=io.BytesIO(data)))
        elif data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist()[:MAX_FILES]:
                    if not info.is_dir():
                        with archive.open(info) as file:
                            yield _limited(file)
        else:
            yield data
    except (
        OSError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
    ) as exc:
        raise InputError("report-not-valid", reason=type(exc).__name__) from exc


def _limited(stream: "IO[bytes] | gzip.GzipFile") -> bytes:
    found = bytearray()
    while chunk := stream.read(_CHUNK):
        found += chunk
        if len(found) > MAX_BYTES:
            raise InputError("report-not-valid", reason="too large")
    return bytes(found)
