"""Random passwords of programs, and the keyed digests under which secrets and names are kept.

An app password has 140 random bits, so a fast digest does (RFC 9106 is for what people think up).
The digest is SHA-256 over the key and the password, which Dovecot can compute as well.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from mailgov.db.models import Instance
from mailgov.db.upsert import add_or_change

INSTANCE_KEY = "sign-in-key"
ITERATIONS = 4096  # RFC 7677, 4: least for SCRAM-SHA-256; ample for 140 random bits

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32: no sign looks like another one of it
_GROUPS, _SIGNS = 7, 4

Purpose = Literal[
    "app-password", "api-token", "scram", "name", "recovery-code", "browser", "second-step"
]


def new_app_password() -> str:
    """A password for one program: seven groups of four signs, 140 bits. Shown once."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_SIGNS)) for _ in range(_GROUPS)
    )


def may_be_app_password(text: str) -> bool:
    """Whether it has the form of one."""
    groups = text.split("-")
    return len(groups) == _GROUPS and all(
        len(group) == _SIGNS and all(sign in _ALPHABET for sign in group) for group in groups
    )


@dataclass(frozen=True, slots=True)
class SignInKey:
    """The installation's key, from which each purpose has its own."""

    master: str  # hexadecimal

    def of(self, purpose: Purpose) -> bytes:
        """The key of a purpose, as 64 hexadecimal digits."""
        made = hmac.new(bytes.fromhex(self.master), purpose.encode(), hashlib.sha256)
        return made.hexdigest().encode()

    def app_password(self, password: str) -> str:
        """What is kept of an app password."""
        return hashlib.sha256(self.of("app-password") + password.encode()).hexdigest()

    def digest(self, purpose: Purpose, text: str) -> str:
        """A keyed digest of something short, in hexadecimal."""
        return hmac.new(self.of(purpose), text.encode(), hashlib.sha256).hexdigest()

    def scram_salt(self, name: str) -> bytes:
        """The salt of a name: one for all its app passwords, and no other for nobody's name."""
        return bytes.fromhex(self.digest("scram", name))[:16]

    def scram_verifier(self, name: str, password: str) -> str:
        """What SCRAM-SHA-256 is checked against, in the form of RFC 5803. Takes a few milliseconds."""
        salt = self.scram_salt(name)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
        client = hmac.digest(salted, b"Client Key", "sha256")
        server = hmac.digest(salted, b"Server Key", "sha256")
        stored = hashlib.sha256(client).digest()
        one, two, three = (base64.b64encode(part).decode() for part in (salt, stored, server))
        return f"SCRAM-SHA-256${ITERATIONS}:{one}${two}:{three}"


def find_key(session: Session) -> SignInKey | None:
    """The key of this installation; None before anything was made with it."""
    row = session.get(Instance, INSTANCE_KEY)
    return SignInKey(row.value) if row is not None else None


def make_key(session: Session) -> SignInKey:
    """The key of this installation, made when missing, in the caller's transaction."""
    found = find_key(session)
    if found is None:
        new = {"key": INSTANCE_KEY, "value": secrets.token_hex(32)}
        add_or_change(session, Instance, new, unique=("key",), changes={})
        found = find_key(session)
        assert found is not None
    return found
