"""DKIM signatures on what we send: relaxed/relaxed, RSA-2048, and Ed25519 where a domain has it.

The fields that readers see are signed once more often than they occur, so that nobody can add a
second From or Subject. There is no l= tag: all of the body counts.
"""

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from cryptography.hazmat.primitives.hashes import SHA256
from sqlmodel import Session, col, select

from mailgov.clock import Clock, utc_now
from mailgov.db import Database
from mailgov.db.models import DkimKey, Domain
from mailgov.message import Body
from mailgov.signing import keys
from mailgov.signing.canonical import Field, RelaxedBody, body_hash, relaxed_field, split_fields

OVERSIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"content-type",
    b"mime-version",
)
"""Fields that nobody may add or change afterwards, absent ones included."""

SIGNED_WHERE_PRESENT = (
    b"sender",
    b"in-reply-to",
    b"references",
    b"content-transfer-encoding",
    b"mailgov-document",
)

_LINE_SIGNS = 76


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An active key of a domain, as a row names it."""

    selector: str
    algorithm: str
    file_name: str


class Signer:
    """Signs in the name of our domains. Raises ConfigError `signing-key-exposed` when made."""

    def __init__(self, database: Database, folder: Path, clock: Clock = utc_now) -> None:
        keys.require_private(folder)
        self._database = database
        self._folder = folder
        self._clock = clock
        self._loaded: dict[tuple[str, int], keys.PrivateKey] = {}

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """DKIM-Signature fields to prepend, CRLF included; None when the domain has no active key.

        `header` is the header as it will leave; the body follows the first empty line of `body`.
        Raises Unavailable `signing-key-missing` or `database-unavailable`.
        """
        active = await self._database.query(lambda session: _active_keys(session, domain))
        if not active:
            return None
        return await asyncio.to_thread(self._sign_with, active, header, body, domain)

    def _sign_with(
        self, active: Sequence[SigningKey], header: bytes, body: Body, domain: str
    ) -> bytes:
        fields = split_fields(header)
        digest = body_hash(body.chunks(), RelaxedBody())
        moment = int(self._clock().timestamp())
        return b"".join(
            signature_field(self._load(key.file_name), key.selector, domain, fields, digest, moment)
            for key in active
        )

    def _load(self, file_name: str) -> keys.PrivateKey:
        """The key of a file, kept while the file does not change."""
        path = self._folder / file_name
        version = (file_name, path.stat().st_mtime_ns if path.exists() else 0)
        if version not in self._loaded:
            self._loaded[version] = keys.load(path)
        return self._loaded[version]


def _active_keys(session: Session, domain: str) -> list[SigningKey]:
    rows = session.connection().execute(
        select(DkimKey.selector, DkimKey.algorithm, DkimKey.file_name)
        .join(Domain, col(Domain.id) == DkimKey.domain_id)
        .where(Domain.name == domain, DkimKey.state == "active")
        .order_by(col(DkimKey.id))
    )
    return [SigningKey(*row) for row in rows]


def signature_field(
    key: keys.PrivateKey,
    selector: str,
    domain: str,
    fields: Sequence[Field],
    digest: bytes,
    moment: int,
) -> bytes:
    """One DKIM-Signature field (RFC 6376, 3.5). Pure.

    `digest` is the body's, `moment` in seconds of Unix time.
    """
    names = signed_names(fields)
    algorithm = "ed25519-sha256" if isinstance(key, ed25519.Ed25519PrivateKey) else "rsa-sha256"
    value = (
        f" v=1; a={algorithm}; c=relaxed/relaxed;\r\n"
        f"\td={domain};\r\n"
        f"\ts={selector}; t={moment};\r\n"
        f"{_folded_names(names)};\r\n"
        f"\tbh={base64.b64encode(digest).decode()};\r\n"
        "\tb="
    ).encode()
    signature = _sign(key, signed_bytes(fields, names, (b"DKIM-Signature", value)))
    return b"DKIM-Signature:" + value + _folded(base64.b64encode(signature)) + b"\r\n"


def signed_names(fields: Iterable[Field]) -> list[bytes]:
    """The h= tag: each field as often as it occurs, and the oversigned ones once more."""
    count = Counter(name.strip().lower() for name, _ in fields)
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (count[name] + 1)
    for name in SIGNED_WHERE_PRESENT:
        names += [name] * count[name]
    return names


def signed_bytes(
    fields: Sequence[Field],
    names: Iterable[bytes],
    signature: Field,
    form: Callable[[Field], bytes] = relaxed_field,
) -> bytes:
    """What a signature covers: the named fields from the bottom up, then itself, in their form.

    A name that occurs more often than its field stands for nothing (RFC 6376, 5.4.2).
    """
    left: dict[bytes, list[Field]] = {}
    for field in fields:
        left.setdefault(field[0].strip().lower(), []).append(field)
    chosen = [left[name].pop() for name in names if left.get(name)]
    own = form(signature).removesuffix(b"\r\n")
    return b"".join(form(field) for field in chosen) + own


def _sign(key: keys.PrivateKey, data: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(hashlib.sha256(data).digest())  # RFC 8463, 3: over the hash
    return key.sign(data, padding.PKCS1v15(), SHA256())


def _folded_names(names: Sequence[bytes]) -> str:
    """The h= tag in lines that no server needs to break again."""
    lines = ["\th="]
    for position, name in enumerate(names):
        text = name.decode() + (":" if position < len(names) - 1 else "")
        if len(lines[-1]) + len(text) > _LINE_SIGNS:
            lines.append("\t ")
        lines[-1] += text
    return "\r\n".join(lines)


def _folded(text: bytes) -> bytes:
    pieces = [text[at : at + _LINE_SIGNS - 4] for at in range(0, len(text), _LINE_SIGNS - 4)]
    return b"\r\n\t ".join(pieces)
