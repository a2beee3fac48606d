"""The secret that encrypts private keys at rest, from outside the data folder."""

import os
import secrets
import stat
from pathlib import Path

from mailgov.config import Signing
from mailgov.errors import ConfigError, Conflict

CREDENTIAL = "mailgov-signing"
"""The name under which systemd hands it over (LoadCredential=, LoadCredentialEncrypted=)."""

_LEAST_SIGNS = 32


def secret_path(settings: Signing) -> Path | None:
    """The file of the setting, else systemd's credential if it is there."""
    if settings.secret_file is not None:
        return settings.secret_file
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / CREDENTIAL if folder else None
    return path if path is not None and path.is_file() else None


def read_secret(settings: Signing, data: Path) -> bytes | None:
    """The secret; None where none is configured.

    Raises ConfigError: `signing-secret-missing`, `signing-secret-exposed` when others may read it,
    `signing-secret-beside-keys` when it lies in the data folder, `signing-secret-weak`.
    """
    path = secret_path(settings)
    if path is None:
        return None
    if path.resolve().is_relative_to(data.resolve()):
        raise ConfigError("signing-secret-beside-keys", file=path, folder=data)
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as exc:
        raise ConfigError("signing-secret-missing", file=path) from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError("signing-secret-exposed", file=path, mode=f"{stat.S_IMODE(mode):04o}")
    if len(secret) < _LEAST_SIGNS:
        raise ConfigError("signing-secret-weak", file=path, least=_LEAST_SIGNS)
    return secret


def create_secret(path: Path) -> None:
    """Write a new secret that only its owner can read. Raises Conflict `signing-key-file-exists`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise Conflict("signing-key-file-exists", file=path) from exc
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        os.fsync(file.fileno())
