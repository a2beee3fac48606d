"""Certificates on disk that may vouch for signers: pinned by the operator, never fetched."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mailgov.errors import InputError

_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


def read_trust_roots(paths: Iterable[Path]) -> tuple[bytes, ...]:
    """Every certificate in these files, and in files of these folders, as DER and once.

    Raises InputError `trust-roots-unreadable` for a path that holds none.
    """
    return tuple(dict.fromkeys(root for path in paths for root in _roots(path)))


def _roots(path: Path) -> Iterator[bytes]:
    try:
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not files:
            raise ValueError("no certificates")
        for file in files:
            for certificate in _certificates(file.read_bytes()):
                yield certificate.public_bytes(Encoding.DER)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise InputError("trust-roots-unreadable", file=path, reason=reason) from exc


def _certificates(data: bytes) -> list[x509.Certificate]:
    """PEM, or one certificate in DER. Raises ValueError."""
    if data.startswith(b"\x30"):
        return [x509.load_der_x509_certificate(data)]
    return x509.load_pem_x509_certificates(data)
