"""SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side: texts and proofs, no socket, no directory.

Without channel binding: TLS ends here, and no client of ours asks for it. The password never comes
over the wire, and what is kept does not sign in.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from mailgov.relay.commands import CommandError

NAME = "SCRAM-SHA-256"

_FIRST = re.compile(
    rb"(?P<gs2>[ny],(?:a=(?P<actor>[^,]+))?,)(?P<bare>n=(?P<name>[^,]+),r=(?P<nonce>[!-+\--~]+)(?:,.*)?)"
)
_FINAL = re.compile(
    rb"(?P<without>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,.*)?),p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_NONCE_OCTETS = 18


@dataclass(frozen=True, slots=True)
class First:
    """What the client begins with: its name, and what the proof will cover."""

    name: str
    gs2: bytes
    bare: bytes
    nonce: bytes


def read_first(message: bytes) -> First:
    """Read `client-first-message`. Raises CommandError `login-syntax`, or `login-wrong` for another's name."""
    found = _FIRST.fullmatch(message)
    if found is None:  # `p=` among them: channel binding is not offered
        raise CommandError("login-syntax")
    name = _name(found["name"])
    if found["actor"] is not None and _name(found["actor"]) != name:
        raise CommandError("login-wrong")  # nobody acts for another with his own password
    return First(name, found["gs2"], found["bare"], found["nonce"])


def _name(octets: bytes) -> str:
    """A `saslname`: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand in it."""
    if re.search(rb"=(?!2C|3D)", octets):
        raise CommandError("login-syntax")
    try:
        return octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode()
    except UnicodeDecodeError:
        raise CommandError("login-syntax") from None


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server answers: both nonces, salt and count."""

    first: First
    text: bytes
    nonce: bytes

    @classmethod
    def new(cls, first: First, salt: bytes, iterations: int) -> "Challenge":
        """With a nonce of our own behind the client's."""
        nonce = first.nonce + secrets.token_urlsafe(_NONCE_OCTETS).encode()
        salt_text = base64.b64encode(salt).decode()
        text = b"r=%b,s=%b,i=%d" % (nonce, salt_text.encode(), iterations)
        return cls(first, text, nonce)

    def read_final(self, message: bytes) -> "Proof":
        """Read `client-final-message`. Raises CommandError `login-syntax`."""
        found = _FINAL.fullmatch(message)
        if (
            found is None
            or found["nonce"] != self.nonce
            or _decoded(found["binding"]) != self.first.gs2
        ):
            raise CommandError("login-syntax")
        covered = b",".join([self.first.bare, self.text, found["without"]])
        return Proof(covered, _decoded(found["proof"]))


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that the client knows a password, and the texts that it covers."""

    covered: bytes
    proof: bytes

    def signature_for(self, verifier: str) -> bytes:
        """What the server answers when the proof fits this verifier (RFC 5803); else nothing."""
        found = _VERIFIER.fullmatch(verifier)
        if found is None:
            return b""
        stored, server = base64.b64decode(found[1]), base64.b64decode(found[2])
        client_signature = hmac.digest(stored, self.covered, "sha256")
        if len(self.proof) != len(client_signature):
            return b""
        client = bytes(a ^ b for a, b in zip(self.proof, client_signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client).digest(), stored):
            return b""
        return b"v=" + base64.b64encode(hmac.digest(server, self.covered, "sha256"))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CommandError("login-syntax") from None
