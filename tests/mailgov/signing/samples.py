"""A domain with keys, and what dkimpy thinks of our signatures."""

import re
from datetime import UTC, datetime
from pathlib import Path

import dkim

from mailgov.db import Database
from mailgov.db.models import Agency, Domain
from mailgov.message import Body
from mailgov.signing import keys
from mailgov.signing.dns_records import dkim_value
from mailgov.signing.keys import Algorithm, create_key

from ..queue.samples import NOON, body_of

THEN = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
"""When our samples were signed: no verifier takes it for the future."""

DOMAIN = "sonoivu.tinhmau.gov.vn"
MESSAGE = (
    b"From: =?utf-8?q?An?= <an@sonoivu.tinhmau.gov.vn>\r\n"
    b"To: binh@example.vn,\r\n\tchi@example.vn\r\n"
    b"Subject:  Giay   moi \r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0700\r\n"
    b"Message-ID: <1@sonoivu.tinhmau.gov.vn>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"Kinh  moi\tong \r\n\r\nDong cuoi \r\n\r\n\r\n"
)


def add_domain(database: Database, name: str = DOMAIN) -> None:
    """A domain of an agency."""
    with database.write() as session:
        agency = Agency(code="H99.02", name_vi="Sở Nội vụ", level="department")
        session.add(agency)
        session.flush()
        assert agency.id is not None
        session.add(Domain(name=name, agency_id=agency.id))


def add_key(
    database: Database, folder: Path, selector: str = "2026a", algorithm: Algorithm = "rsa2048"
) -> str:
    """A key of the domain; the value of its TXT record."""
    with database.write() as session:
        key = create_key(session, folder, DOMAIN, selector, algorithm, clock=lambda: NOON)
        return dkim_value(key.algorithm, key.public_key)


def activate(database: Database, selector: str) -> None:
    """Let a key sign."""

    with database.write() as session:
        keys.activate_key(session, DOMAIN, selector, clock=lambda: NOON)


def header_of(message: bytes) -> bytes:
    """The header block."""
    return message.partition(b"\r\n\r\n")[0] + b"\r\n"


def as_body(message: bytes) -> Body:
    """The message as the gate has it."""
    return body_of(message)


def dkimpy_accepts(message: bytes, record: str) -> bool:
    """Whether dkimpy, with its own arithmetic, verifies the first signature."""
    found: bool = dkim.verify(message, dnsfunc=lambda name, timeout=5: record.encode())
    return found


def signatures_in(message: bytes) -> list[dict[str, str]]:
    """The tags of each DKIM-Signature field."""
    unfolded = re.sub(rb"\r\n[ \t]+", b"", header_of(message))
    fields = re.findall(rb"^DKIM-Signature:(.*)$", unfolded, re.MULTILINE)
    return [
        dict(tag.strip().split("=", 1) for tag in field.decode().split(";")) for field in fields
    ]
