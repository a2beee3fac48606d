"""DKIM and ARC: keys, signatures on what we send, verification of what we get, records to publish."""

from mailgov.signing.holder import key_folder, key_holder, key_store
from mailgov.signing.sign import Signer

__all__ = ["Signer", "key_folder", "key_holder", "key_store"]
