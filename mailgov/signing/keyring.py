"""The private keys, in the one process that may hold them."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from cryptography.hazmat.primitives.hashes import SHA256

from mailgov.signing import keys


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An active key of a domain, as its row names it."""

    domain: str
    selector: str
    algorithm: str  # rsa2048, ed25519
    file_name: str

    @property
    def tag(self) -> str:
        """The a= tag."""
        return "ed25519-sha256" if self.algorithm == "ed25519" else "rsa-sha256"


class KeyHolder(Protocol):
    """Whoever can sign with our keys: this process, or the one that alone may read them."""

    async def sign(self, key: SigningKey, data: bytes) -> bytes:
        """The signature over the bytes. Raises Unavailable `signing-key-missing` and the like."""


class KeyRing:
    """Keys in a folder, loaded once.

    Raises ConfigError `signing-key-exposed` when made, if others may read a key.
    """

    def __init__(self, folder: Path, secret: bytes | None = None) -> None:
        keys.require_private(folder)
        self._folder = folder
        self._secret = secret
        self._loaded: dict[tuple[str, int], keys.PrivateKey] = {}

    async def sign(self, key: SigningKey, data: bytes) -> bytes:
        """The signature; arithmetic runs in a thread, without the interpreter's lock."""
        return await asyncio.to_thread(self.sign_now, key, data)

    def sign_now(self, key: SigningKey, data: bytes) -> bytes:
        """The same, for callers in a thread of their own."""
        return sign_bytes(self._load(key.file_name), data)

    def _load(self, file_name: str) -> keys.PrivateKey:
        """The key of a file, kept while the file does not change."""
        path = self._folder / file_name
        version = (file_name, path.stat().st_mtime_ns if path.exists() else 0)
        if version not in self._loaded:
            self._loaded[version] = keys.load(path, self._secret)
        return self._loaded[version]


def sign_bytes(key: keys.PrivateKey, data: bytes) -> bytes:
    """A signature as DKIM and ARC want it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(hashlib.sha256(data).digest())  # RFC 8463, 3: over the hash
    return key.sign(data, padding.PKCS1v15(), SHA256())
