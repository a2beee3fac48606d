"""The public key that DNS names for a signature (RFC 6376, 3.6 and 6.1.2)."""

from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailgov.errors import Unavailable
from mailgov.resolver import Resolver
from mailgov.signing.tags import NotValid, Tags, decoded, read_tags, words_of

MIN_RSA_BITS = 1024  # RFC 8301, 3.2
MAX_RSA_BITS = 8192

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

_ALGORITHMS: dict[str, Algorithm] = {
    "rsa-sha256": "rsa-sha256",
    "ed25519-sha256": "ed25519-sha256",
}


def algorithm_of(value: bytes) -> Algorithm:
    """The a= tag. Raises NotValid: `policy` for what verifies and does not count."""
    name = value.decode("ascii", "replace").lower()
    if name == "rsa-sha1":
        raise NotValid("policy", "rsa-sha1 does not count")  # RFC 8301, 3.1
    if name not in _ALGORITHMS:
        raise NotValid("neutral", "algorithm is unknown")
    return _ALGORITHMS[name]


async def fetch_key(
    resolver: Resolver,
    domain: str,
    selector: str,
    algorithm: Algorithm,
    *,
    is_subdomain: bool = False,
) -> PublicKey:
    """The key of a selector, of the kind that the signature is of. Raises NotValid.

    `is_subdomain`: the signature speaks for a name below its domain, which a key may forbid.
    """
    try:
        found = await resolver.txt(f"{selector}._domainkey.{domain}")
    except Unavailable as exc:
        raise NotValid("temperror", "DNS does not answer") from exc
    if not found.records:
        raise NotValid("permerror", "no key in DNS")
    tags = read_tags(found.records[0])
    if b"s" in words_of(tags, "t") and is_subdomain:
        raise NotValid("permerror", "key is not for subdomains")
    return _key_of(tags, algorithm.partition("-")[0])


def _key_of(tags: Tags, wanted: str) -> PublicKey:
    """The key of a record (RFC 6376, 3.6.1)."""
    if tags.get("v", b"DKIM1") != b"DKIM1" or "p" not in tags:
        raise NotValid("permerror", "key record is not well-formed")
    if not tags["p"]:
        raise NotValid("permerror", "key was revoked")
    if not words_of(tags, "s") & {b"*", b"email", b""}:
        raise NotValid("permerror", "key is not for mail")
    if not words_of(tags, "h") & {b"sha256", b""}:
        raise NotValid("permerror", "key is not for sha256")
    kind = tags.get("k", b"rsa").decode("ascii", "replace").lower()
    if kind != wanted:
        raise NotValid("permerror", "key is of another algorithm")
    return _loaded(decoded(tags["p"]), kind)


def _loaded(data: bytes, kind: str) -> PublicKey:
    try:
        if kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(data)
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise NotValid("permerror", "key can't be read") from exc
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotValid("permerror", "key is of another algorithm")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise NotValid("policy", f"a key of {key.key_size} bits does not count")
    return key


def check_value(key: PublicKey, value: bytes, data: bytes) -> None:
    """Whether the signature is of these bytes. Raises NotValid."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, padding.PKCS1v15(), SHA256())
        else:
            digest = Hash(SHA256())
            digest.update(data)
            key.verify(value, digest.finalize())  # RFC 8463, 3: over the hash
    except InvalidSignature as exc:
        raise NotValid("fail", "signature does not match") from exc
