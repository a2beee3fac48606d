"""Whether a certificate is one that TLSA records name (RFC 6698, RFC 7671, RFC 7672). Pure."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailgov.resolver import Tlsa

DANE_TA, DANE_EE = 2, 3
MAX_CHAIN = 10


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """The records that mean something for mail (RFC 7672, 3.1.3): DANE-TA and DANE-EE."""
    return tuple(
        record
        for record in records
        if record.usage in (DANE_TA, DANE_EE) and record.selector in (0, 1) and _length_fits(record)
    )


def _length_fits(record: Tlsa) -> bool:
    sizes = {1: 32, 2: 64}
    return (
        bool(record.data)
        and record.matching in (0, 1, 2)
        and (record.matching == 0 or len(record.data) == sizes[record.matching])
    )


def matches(
    records: Sequence[Tlsa], host: str, chain: Sequence[bytes], now: datetime | None = None
) -> bool:
    """Whether one of the records names the server's certificate, or one that vouches for it.

    `chain` is in DER, the server's own first, as it was shown. What can't be read does not match.
    """
    try:
        shown = [x509.load_der_x509_certificate(der) for der in chain[:MAX_CHAIN]]
    except ValueError:
        return False
    if not shown:
        return False
    if any(_names(record, shown[0]) for record in records if record.usage == DANE_EE):
        return True  # RFC 7672, 3.1.1: names and dates in the certificate do not matter
    anchors = [record for record in records if record.usage == DANE_TA]
    return bool(anchors) and _is_vouched_for(anchors, host, shown, now or datetime.now(UTC))


def _names(record: Tlsa, certificate: x509.Certificate) -> bool:
    if record.selector == 0:
        octets = certificate.public_bytes(Encoding.DER)
    else:
        octets = certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    match record.matching:
        case 1:
            octets = hashlib.sha256(octets).digest()
        case 2:
            octets = hashlib.sha512(octets).digest()
    return hmac.compare_digest(octets, record.data)


def _is_vouched_for(
    anchors: Sequence[Tlsa], host: str, shown: Sequence[x509.Certificate], now: datetime
) -> bool:
    """From the server's certificate up, each signed by the next, to one that a record names."""
    if not _is_for(shown[0], host):
        return False
    below = shown[0]
    if not _is_valid_at(below, now):
        return False
    left = list(shown[1:])
    for _ in range(len(shown)):
        if any(_names(anchor, below) for anchor in anchors):
            return True
        above = next((one for one in left if _is_issued_by(below, one)), None)
        if above is None or not _is_valid_at(above, now) or not _is_authority(above):
            return False
        left.remove(above)
        below = above
    return False


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    """RFC 6125, 6.4: by subjectAltName, a `*` for the whole first label."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    parent = host.partition(".")[2]
    return any(
        name.lower() == host.lower() or (parent and name.lower() == f"*.{parent.lower()}")
        for name in names.get_values_for_type(x509.DNSName)
    )


def _is_valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_issued_by(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
