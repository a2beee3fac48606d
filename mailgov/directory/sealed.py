"""Secrets that must be readable again, encrypted at rest with a key outside the database."""

import base64
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailgov.errors import Unavailable

KEY_BYTES, NONCE_BYTES = 32, 12


class SecretBox:
    """AES-256-GCM under the key in a file that only its owner may read. Methods block on the disk.

    Where several machines serve one database, each needs the same file.
    """

    def __init__(self, key_file: Path) -> None:
        self._file = key_file

    def seal(self, secret: bytes, context: str) -> str:
        """The secret encrypted, to be opened in the same context only. Makes the key when missing."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._key(make=True)).encrypt(nonce, secret, context.encode())
        return base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, sealed: str, context: str) -> bytes:
        """The secret. Raises Unavailable `second-factor-key` when the key is not the one it had."""
        raw = base64.b64decode(sealed)
        try:
            return AESGCM(self._key(make=False)).decrypt(
                raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()
            )
        except (InvalidTag, ValueError) as exc:
            raise Unavailable("second-factor-key", file=self._file.name) from exc

    def _key(self, *, make: bool) -> bytes:
        try:
            return self._file.read_bytes()
        except FileNotFoundError as exc:
            if not make:
                raise Unavailable("second-factor-key", file=self._file.name) from exc
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, self._file)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            draft.unlink()
        return self._file.read_bytes()
