"""A message on its road: envelope and bytes, before anyone has judged them."""

import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from mailgov.addresses import Address

Direction = Literal["submission", "inbound", "internal"]
Notify = Literal["", "never", "success", "failure", "delay"]

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_queue_id(moment: datetime) -> str:
    """A name for a message that sorts by time: 9 signs of milliseconds, 11 of chance (55 bits)."""
    value = (int(moment.timestamp() * 1000) << 55) | secrets.randbits(55)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(95, -1, -5))


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of the session."""

    ip: str = ""
    port: int = 0
    helo: str = ""
    name: str = ""  # from reverse DNS, confirmed forward; empty when unknown
    tls: str = ""  # protocol and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty in clear
    protocol: str = "ESMTP"  # for the Received field: RFC 3848 and RFC 6531 names


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT command: the address and its delivery status wishes (RFC 3461)."""

    address: Address
    notify: frozenset[str] = frozenset()  # of NEVER, SUCCESS, FAILURE, DELAY; empty: default
    original: str = ""  # ORCPT, as given


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was said before DATA. `mail_from` None is the null sender `<>`."""

    direction: Direction
    mail_from: Address | None
    recipients: tuple[Recipient, ...]
    login: Address | None = None  # the mailbox that signed in; None for inbound mail
    client: Client = field(default_factory=Client)
    smtputf8: bool = False
    body_8bit: bool = False
    envid: str = ""
    ret: str = ""  # RFC 3461: FULL, HDRS or empty
    require_tls: bool = False  # RFC 8689: only onward in verified TLS, or back
    priority: int | None = None  # RFC 6710, of a sender we believe; None: not said
    forwarded_by: Address | None = None  # a mailbox of ours whose own rule passes it on


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a message as received, in memory or in a spool file; never re-serialised.

    Exactly one of `data` and `path` is set. Line ends are CRLF. `sha256` is over the bytes.
    """

    size_bytes: int
    sha256: bytes
    data: bytes | None = None
    path: Path | None = None

    def open(self) -> BinaryIO:
        """A reader at the first byte."""
        if self.data is not None:
            return io.BytesIO(self.data)
        assert self.path is not None
        return self.path.open("rb")

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        """The bytes in order, in pieces."""
        with self.open() as stream:
            while chunk := stream.read(size_bytes):
                yield chunk

    def read(self) -> bytes:
        """All bytes at once; for readers in their own process and for small messages."""
        if self.data is not None:
            return self.data
        with self.open() as stream:
            return stream.read()
