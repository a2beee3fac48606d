"""DKIM: keys, signatures on what we send, verification of what we get, records to publish."""

from mailgov.signing.sign import Signer

__all__ = ["Signer"]
