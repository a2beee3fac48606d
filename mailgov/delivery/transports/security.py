"""What a connection must have of TLS, and whether it has it.

How sure we must be of a server is decided before it is called (`mailgov.delivery.tls_policy`); here
the certificate that it shows is held against that.
"""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mailgov.delivery.dane import matches
from mailgov.delivery.transports.wire import TlsFailed, Wire
from mailgov.resolver import Tlsa

Level = Literal["clear", "opportunistic", "encrypted", "verified", "dane"]
"""clear: no TLS. opportunistic: where it comes about, whoever it is (RFC 7435). encrypted: never in
clear, whoever it is. verified: a certificate for the name of the server, by an authority that we
trust. dane: a certificate that the server's TLSA records name (RFC 7672)."""


@dataclass(frozen=True, slots=True)
class Security:
    """What is asked of one server."""

    level: Level
    tlsa: tuple[Tlsa, ...] = ()
    implicit: bool = False  # TLS from the first byte
    # A policy in its trial: trouble is written down, and the mail goes all the same.
    trial: Literal["", "verified"] = ""

    @property
    def is_demanded(self) -> bool:
        """Whether nothing may go in clear."""
        return self.level in ("encrypted", "verified", "dane")

    @property
    def is_authenticated(self) -> bool:
        """Whether we know whom we talk to."""
        return self.level in ("verified", "dane")


class Unsafe(TlsFailed):
    """TLS came about, but not with the server that we were to reach. `kind` is of RFC 8460, 4.3."""

    def __init__(self, why: str, kind: str) -> None:
        super().__init__(why)
        self.kind = kind


async def secure(wire: Wire, host: str, wanted: Security, authorities: tuple[Path, ...]) -> None:
    """Go on in TLS and hold the certificate against what is wanted. Raises TlsFailed, Unsafe."""
    if wanted.level == "verified":
        await wire.start_tls(_checking(authorities), host)
        return
    await wire.start_tls(_unchecking(), host)
    if wanted.level == "dane":
        assert wire.tls is not None
        if not matches(wanted.tlsa, host, chain_of(wire.tls)):
            raise Unsafe("no certificate that the TLSA records name", "validation-failure")


def chain_of(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer showed, its own first, in DER."""
    # Public from Python 3.13 on, there as a method of the object itself.
    inner: Any = getattr(tls, "_sslobj", tls)
    shown = inner.get_unverified_chain()
    return [
        bytes(one) if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes())
        for one in shown or ()
    ]


def kind_of(failure: TlsFailed) -> str:
    """The result type of RFC 8460, 4.3.2 for a handshake that failed."""
    if isinstance(failure, Unsafe):
        return failure.kind
    if failure.cause is None:
        return "validation-failure"
    # https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
    match failure.cause.verify_code:
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return "certificate-expired"
        case 62:  # X509_V_ERR_HOSTNAME_MISMATCH
            return "certificate-host-mismatch"
        case _:
            return "certificate-not-trusted"


@cache
def _checking(authorities: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in authorities:
        context.load_verify_locations(path)
    return context


@cache
def _unchecking() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
