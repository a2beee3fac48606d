"""A private key that leaves the platform: encrypted with a password, and never otherwise."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from mailgov.errors import InputError
from mailgov.signing.keys import load

MIN_PASSWORD = 14


def export_key(path: Path, secret: bytes | None, password: str) -> bytes:
    """The key as PKCS #8 in PEM (RFC 5958, 7468), encrypted with the password.

    `secret` opens the file on our side. Raises InputError `export-password-short`, and what `load`
    raises.
    """
    if len(password) < MIN_PASSWORD:
        raise InputError("export-password-short", least=MIN_PASSWORD)
    return load(path, secret).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )


def write_private(file: Path, content: bytes) -> None:
    """A new file that its owner alone can read. Raises InputError `file-unwritable`."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
