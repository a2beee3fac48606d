"""Signatures on what we send: DKIM with every active key of a domain, ARC on what we pass on.

Relaxed/relaxed, RSA-2048, and Ed25519 where a domain has it. The fields that readers see are signed
once more often than they occur, so that nobody can add a second From or Subject. There is no l= tag:
all of the body counts.
"""

import asyncio
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlmodel import Session, col, select

from mailgov.clock import Clock, utc_now
from mailgov.db import Database
from mailgov.db.models import DkimKey, Domain
from mailgov.message import Body
from mailgov.signing import keys
from mailgov.signing.arc import ArcResult
from mailgov.signing.canonical import Field, RelaxedBody, body_hash, split_fields
from mailgov.signing.keyring import KeyHolder, SigningKey, sign_bytes
from mailgov.signing.seal import seal_fields
from mailgov.signing.signature import (
    OVERSIGNED,
    SIGNED_WHERE_PRESENT,
    Unsigned,
    message_signature,
    signed_names,
)

__all__ = ["OVERSIGNED", "SIGNED_WHERE_PRESENT", "Signer", "signature_field"]


class Signer:
    """Signs in the name of our domains; the keys are the holder's."""

    def __init__(self, database: Database, holder: KeyHolder, clock: Clock = utc_now) -> None:
        self._database = database
        self._holder = holder
        self._clock = clock

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """DKIM-Signature fields to prepend, CRLF included; None when the domain has no active key.

        `header` is the header as it will leave; the body follows the first empty line of `body`.
        Raises Unavailable `signing-key-missing` or `database-unavailable`.
        """
        active = await self._active(domain)
        if not active:
            return None
        fields, digest = await asyncio.to_thread(_prepared, header, body)
        moment = int(self._clock().timestamp())
        signed = (self._signature(key, fields, digest, moment) for key in active)
        return b"".join(await asyncio.gather(*signed))

    async def seal(
        self, header: bytes, body: Body, domain: str, results: bytes, chain: ArcResult
    ) -> bytes | None:
        """The ARC set to prepend to a message that is passed on (RFC 8617, 5.1), CRLF included.

        `header` and `body` are the message as it leaves, `results` the Authentication-Results
        field that we gave it when it came, `chain` the state of its chain then. `domain` is the one
        in whose name it is passed on. None when nobody may seal any more: after a seal that says
        cv=fail, or fifty sets; or when the domain has no active key. Raises Unavailable
        `signing-key-missing`, `database-unavailable`, and `resolver-unavailable` for a chain that
        could not be checked.
        """
        active = await self._active(domain)
        # Few verifiers know Ed25519 in ARC, and a set has one seal only.
        key = next((one for one in active if one.algorithm == "rsa2048"), next(iter(active), None))
        if key is None:
            return None
        fields, digest = await asyncio.to_thread(_prepared, header, body)
        moment = int(self._clock().timestamp())
        return await seal_fields(self._holder, key, fields, digest, results, chain, moment)

    async def _active(self, domain: str) -> list[SigningKey]:
        return await self._database.query(lambda session: _active_keys(session, domain))

    async def _signature(
        self, key: SigningKey, fields: Sequence[Field], digest: bytes, moment: int
    ) -> bytes:
        unsigned = _dkim(key.tag, key.selector, key.domain, fields, digest, moment)
        return unsigned.with_signature(await self._holder.sign(key, unsigned.covered))


def _prepared(header: bytes, body: Body) -> tuple[list[Field], bytes]:
    return split_fields(header), body_hash(body.chunks(), RelaxedBody())


def _active_keys(session: Session, domain: str) -> list[SigningKey]:
    rows = session.connection().execute(
        select(DkimKey.selector, DkimKey.algorithm, DkimKey.file_name)
        .join(Domain, col(Domain.id) == DkimKey.domain_id)
        .where(Domain.name == domain, DkimKey.state == "active")
        .order_by(col(DkimKey.id))
    )
    return [SigningKey(domain, *row) for row in rows]


def signature_field(
    key: keys.PrivateKey,
    selector: str,
    domain: str,
    fields: Sequence[Field],
    digest: bytes,
    moment: int,
) -> bytes:
    """One DKIM-Signature field by a key at hand (RFC 6376, 3.5). Pure.

    `digest` is the body's, `moment` in seconds of Unix time.
    """
    tag = "ed25519-sha256" if isinstance(key, ed25519.Ed25519PrivateKey) else "rsa-sha256"
    unsigned = _dkim(tag, selector, domain, fields, digest, moment)
    return unsigned.with_signature(sign_bytes(key, unsigned.covered))


def _dkim(
    tag: str, selector: str, domain: str, fields: Sequence[Field], digest: bytes, moment: int
) -> Unsigned:
    tags = {"v": "1", "a": tag, "d": domain, "s": selector, "t": str(moment)}
    return message_signature("DKIM-Signature", tags, signed_names(fields), fields, digest)
