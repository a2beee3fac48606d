"""Certificates that users show in TLS, and whose they are: what SASL EXTERNAL rests on (RFC 4422, A).

The authority's signature is checked in the handshake, and who comes with a certificate of somebody
else gets no session. Dates and purpose are looked at when the certificate is to open a mailbox: who
has an old one can still use a password, and is told what is wrong.
"""

import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailgov.addresses import Address
from mailgov.errors import ConfigError, InputError
from mailgov.logs import logger

NAME = "EXTERNAL"

_MOST_NAMES = 20  # looked up of one certificate
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL; `ssl` has no name for it
_ODD = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

log = logger("relay")


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a certificate says that an authority of ours has signed."""

    names: tuple[Address, ...]  # rfc822Name of subjectAltName (RFC 5280, 4.2.1.6)
    begins: datetime  # of the whole chain: the latest
    ends: datetime  # of the whole chain: the earliest
    for_clients: bool  # extended key usage clientAuth (RFC 5280, 4.2.1.12)

    def is_in_force(self, now: datetime) -> bool:
        """Whether it and those that it rests on are neither too young nor too old."""
        return self.begins <= now <= self.ends


def ask_for(context: ssl.SSLContext, authorities: Collection[Path]) -> None:
    """Let a server context ask clients for a certificate of these authorities. Blocks.

    Raises ConfigError `client-authorities-not-valid`.
    """
    for path in authorities:
        try:
            context.load_verify_locations(path)
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            raise ConfigError("client-authorities-not-valid", file=path, reason=exc) from exc
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    # A session that goes on where another ended shows no chain, and so would open nothing.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def shown(tls: ssl.SSLObject | None) -> ClientCertificate | None:
    """The certificate of the client, if it showed one that holds."""
    if tls is None or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    # Public from Python 3.13 on, there as a method of the object itself.
    inner: Any = getattr(tls, "_sslobj", tls)
    chain: Sequence[Any] = inner.get_verified_chain() or ()
    if not chain:
        return None
    try:
        return _read([_parsed(one) for one in chain])
    except _ODD as exc:
        log.warning("certificate.not-understood", why=str(exc))
        return None


def _parsed(one: Any) -> x509.Certificate:
    if isinstance(one, bytes):
        return x509.load_der_x509_certificate(one)
    return x509.load_pem_x509_certificate(one.public_bytes().encode())


def _read(chain: Sequence[x509.Certificate]) -> ClientCertificate:
    extensions = chain[0].extensions
    names: list[str] = []
    usages: Collection[x509.ObjectIdentifier] = ()
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = extension.value.get_values_for_type(x509.RFC822Name)
        elif isinstance(extension.value, x509.ExtendedKeyUsage):
            usages = tuple(extension.value)
    return ClientCertificate(
        names=tuple(_addresses(names[:_MOST_NAMES])),
        begins=max(one.not_valid_before_utc for one in chain),
        ends=min(one.not_valid_after_utc for one in chain),
        for_clients=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
    )


def _addresses(names: Sequence[str]) -> list[Address]:
    found: dict[str, Address] = {}
    for name in names:
        try:
            address = Address.parse(name)
        except InputError:
            continue  # an authority may name what is no mailbox
        found.setdefault(address.key, address)
    return list(found.values())
