"""Who holds the keys, by the settings."""

from pathlib import Path

from mailgov.config import Config
from mailgov.signing.keyring import KeyHolder, KeyRing
from mailgov.signing.remote import RemoteKeys
from mailgov.signing.rotation import KeyStore
from mailgov.signing.secret import read_secret


def key_folder(config: Config) -> Path:
    """Where the private halves are."""
    return config.data.path / "keys"


def key_ring(config: Config) -> KeyRing:
    """The keys in this process. Raises ConfigError as `KeyRing` and `read_secret` do."""
    return KeyRing(key_folder(config), read_secret(config.signing, config.data.path))


def key_holder(config: Config) -> KeyHolder:
    """The process with the keys where there is one, else this one."""
    if config.signing.socket is not None:
        return RemoteKeys(config.signing.socket)
    return key_ring(config)


def key_store(config: Config) -> KeyStore | None:
    """Where this process keeps keys; None where another one does. Raises as `read_secret` does."""
    if config.signing.socket is not None:
        return None
    return KeyStore(key_folder(config), read_secret(config.signing, config.data.path))
