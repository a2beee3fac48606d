"""Verification of the DKIM signatures of a message from outside (RFC 6376, 6; RFC 8301; RFC 8463).

dkimpy reads the tag lists; canonical forms, keys and arithmetic are ours and OpenSSL's, so that
Ed25519 counts, cost is linear, and no library asks DNS behind our resolver's back.
"""

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from mailgov.addresses import is_within, parse_domain
from mailgov.clock import Clock, utc_now
from mailgov.errors import InputError, Unavailable
from mailgov.message import Body
from mailgov.resolver import Resolver
from mailgov.signing.canonical import (
    BodyForm,
    Field,
    RelaxedBody,
    SimpleBody,
    body_hash,
    relaxed_field,
    simple_field,
    split_fields,
)
from mailgov.signing.results import MethodResult
from mailgov.signing.sign import signed_bytes

MAX_SIGNATURES = 5
"""Signatures looked at, from the top; strangers may add any number."""

MIN_RSA_BITS = 1024  # RFC 8301, 3.2
MAX_RSA_BITS = 8192

DkimResult = Literal["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"]
"""RFC 8601, 2.7.1: `policy` is a signature that verifies in a way we do not count."""

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_ALGORITHMS = {"rsa-sha256": rsa.RSAPublicKey, "ed25519-sha256": ed25519.Ed25519PublicKey}
_FIELD_FORMS = {"relaxed": relaxed_field, "simple": simple_field}
_BODY_FORMS: dict[str, Callable[[], BodyForm]] = {"relaxed": RelaxedBody, "simple": SimpleBody}
_B_TAG = re.compile(rb"(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_CLOCK_SLACK_SECONDS = 36_000  # as other verifiers allow


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """What became of one signature. `domain` is empty when none could be read."""

    result: DkimResult
    reason: str = ""
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    start: str = ""  # first signs of b=, which tell signatures of one domain apart (RFC 6008)

    def as_method(self) -> MethodResult:
        """For the Authentication-Results field."""
        return MethodResult(
            "dkim",
            self.result,
            (
                ("header.d", self.domain),
                ("header.s", self.selector),
                ("header.a", self.algorithm),
                ("header.b", self.start),
            ),
            self.reason,
        )


class _NotValid(Exception):
    """A signature that ends with this result for this reason."""

    def __init__(self, result: DkimResult, reason: str) -> None:
        super().__init__(reason)
        self.result: DkimResult = result
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Signature:
    """A DKIM-Signature field, read and found well-formed."""

    field: Field
    domain: str
    selector: str
    algorithm: str
    agent_domain: str
    names: tuple[bytes, ...]
    field_form: str
    body_form: str
    body_digest: bytes
    value: bytes


async def verify(
    header: bytes, body: Body, resolver: Resolver, clock: Clock = utc_now
) -> tuple[SignatureResult, ...]:
    """The results of every signature, top first, at most five; empty for an unsigned message.

    Trouble with DNS is the result `temperror`, for the caller to weigh.
    """
    fields = split_fields(header)
    places = [
        at for at, (name, _) in enumerate(fields) if name.strip().lower() == b"dkim-signature"
    ]
    if not places:
        return ()
    digests = _BodyDigests(body)
    found = (
        _verify_one(fields, at, digests, resolver, clock().timestamp())
        for at in places[:MAX_SIGNATURES]
    )
    return tuple(await asyncio.gather(*found))


def summary(results: Sequence[SignatureResult]) -> DkimResult:
    """One word for all: the best that any signature reached."""
    order: tuple[DkimResult, ...] = (
        "pass",
        "temperror",
        "fail",
        "policy",
        "neutral",
        "permerror",
    )
    reached = {result.result for result in results}
    return next((result for result in order if result in reached), "none")


class _BodyDigests:
    """The hash of a body in each form, computed once, in a thread."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._lock = asyncio.Lock()
        self._known: dict[str, bytes] = {}

    async def of(self, form: str) -> bytes:
        async with self._lock:
            if form not in self._known:
                self._known[form] = await asyncio.to_thread(
                    lambda: body_hash(self._body.chunks(), _BODY_FORMS[form]())
                )
            return self._known[form]


async def _verify_one(
    fields: Sequence[Field], at: int, digests: _BodyDigests, resolver: Resolver, now: float
) -> SignatureResult:
    tags: Mapping[str, bytes] = {}
    try:
        tags = _tags(fields[at][1])
        signature = _read(fields[at], tags, now)
        key = await _public_key(signature, resolver)
        if await digests.of(signature.body_form) != signature.body_digest:
            raise _NotValid("fail", "body was changed")
        others = [*fields[:at], *fields[at + 1 :]]
        await asyncio.to_thread(_check, signature, key, others)
    except _NotValid as exc:
        return _result(tags, exc.result, exc.reason)
    return _result(tags, "pass")


def _result(tags: Mapping[str, bytes], result: DkimResult, reason: str = "") -> SignatureResult:
    def text(tag: str) -> str:
        return tags.get(tag, b"").decode("utf-8", "replace")

    try:
        domain = parse_domain(text("d"))
    except InputError:
        domain = ""
    start = _BLANKS.sub(b"", tags.get("b", b""))[:8].decode("ascii", "replace")
    return SignatureResult(result, reason, domain, text("s"), text("a"), start)


def _tags(value: bytes) -> dict[str, bytes]:
    """A tag list (RFC 6376, 3.2)."""
    try:
        tags = parse_tag_value(_BLANKS.sub(b" ", value))
    except InvalidTagValueList as exc:
        raise _NotValid("permerror", "tag list is not well-formed") from exc
    return {name.decode("ascii", "replace"): content for name, content in tags.items()}


def _read(field: Field, tags: Mapping[str, bytes], now: float) -> _Signature:
    """Check the tags of a signature (RFC 6376, 6.1.1)."""
    missing = [tag for tag in ("v", "a", "b", "bh", "d", "h", "s") if not tags.get(tag)]
    if missing:
        raise _NotValid("permerror", f"tag {missing[0]}= is missing")
    if tags["v"] != b"1":
        raise _NotValid("permerror", "version is unknown")
    if tags.get("q", b"dns/txt").lower() != b"dns/txt":
        raise _NotValid("permerror", "query method is unknown")
    algorithm = tags["a"].decode("ascii", "replace").lower()
    if algorithm == "rsa-sha1":
        raise _NotValid("policy", "rsa-sha1 does not count")  # RFC 8301, 3.1
    if algorithm not in _ALGORITHMS:
        raise _NotValid("neutral", "algorithm is unknown")
    if "l" in tags:
        raise _NotValid("policy", "a signature over part of the body does not count")
    names = tuple(name.strip().lower() for name in tags["h"].split(b":"))
    if b"from" not in names:
        raise _NotValid("permerror", "From is not signed")  # RFC 6376, 5.4
    _check_times(tags, now)
    domain = _domain(tags["d"])
    agent_domain = _domain(tags["i"].rpartition(b"@")[2]) if "i" in tags else domain
    if not is_within(agent_domain, (domain,)):
        raise _NotValid("permerror", "i= is outside of d=")
    field_form, body_form = _forms(tags.get("c", b"simple/simple"))
    return _Signature(
        field=field,
        domain=domain,
        selector=tags["s"].decode("ascii", "replace"),
        algorithm=algorithm,
        agent_domain=agent_domain,
        names=names,
        field_form=field_form,
        body_form=body_form,
        body_digest=_decoded(tags["bh"]),
        value=_decoded(tags["b"]),
    )


def _check_times(tags: Mapping[str, bytes], now: float) -> None:
    made, expires = _moment(tags, "t"), _moment(tags, "x")
    if made is not None and made > now + _CLOCK_SLACK_SECONDS:
        raise _NotValid("permerror", "signed in the future")
    if expires is not None and expires < now - _CLOCK_SLACK_SECONDS:
        raise _NotValid("fail", "signature has expired")
    if made is not None and expires is not None and expires < made:
        raise _NotValid("permerror", "expires before it was made")


def _moment(tags: Mapping[str, bytes], tag: str) -> int | None:
    if tag not in tags:
        return None
    if not re.fullmatch(rb"[0-9]{1,12}", tags[tag]):
        raise _NotValid("permerror", f"tag {tag}= is no number")
    return int(tags[tag])


def _domain(text: bytes) -> str:
    try:
        return parse_domain(text.decode("utf-8", "replace"))
    except InputError as exc:
        raise _NotValid("permerror", "domain is not valid") from exc


def _forms(text: bytes) -> tuple[str, str]:
    field_form, _, body_form = text.decode("ascii", "replace").lower().partition("/")
    body_form = body_form or "simple"  # RFC 6376, 3.5
    if field_form not in _FIELD_FORMS or body_form not in _BODY_FORMS:
        raise _NotValid("permerror", "canonical form is unknown")
    return field_form, body_form


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(_BLANKS.sub(b"", text), validate=True)
    except binascii.Error as exc:
        raise _NotValid("permerror", "base64 is not well-formed") from exc


async def _public_key(signature: _Signature, resolver: Resolver) -> PublicKey:
    """The key that DNS names for the signature (RFC 6376, 6.1.2)."""
    try:
        found = await resolver.txt(f"{signature.selector}._domainkey.{signature.domain}")
    except Unavailable as exc:
        raise _NotValid("temperror", "DNS does not answer") from exc
    if not found.records:
        raise _NotValid("permerror", "no key in DNS")
    return _key_of(_tags(found.records[0]), signature)


def _key_of(tags: Mapping[str, bytes], signature: _Signature) -> PublicKey:
    """The key of a record (RFC 6376, 3.6.1)."""
    if tags.get("v", b"DKIM1") != b"DKIM1" or "p" not in tags:
        raise _NotValid("permerror", "key record is not well-formed")
    if not tags["p"]:
        raise _NotValid("permerror", "key was revoked")
    if not _lists(tags, "s") & {b"*", b"email", b""}:
        raise _NotValid("permerror", "key is not for mail")
    if not _lists(tags, "h") & {b"sha256", b""}:
        raise _NotValid("permerror", "key is not for sha256")
    if b"s" in _lists(tags, "t") and signature.agent_domain != signature.domain:
        raise _NotValid("permerror", "key is not for subdomains")
    kind = tags.get("k", b"rsa").decode("ascii", "replace").lower()
    if kind != signature.algorithm.partition("-")[0]:
        raise _NotValid("permerror", "key is of another algorithm")
    return _loaded(_decoded(tags["p"]), kind)


def _lists(tags: Mapping[str, bytes], tag: str) -> set[bytes]:
    return {word.strip().lower() for word in tags.get(tag, b"").split(b":")}


def _loaded(data: bytes, kind: str) -> PublicKey:
    try:
        if kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(data)
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise _NotValid("permerror", "key can't be read") from exc
    if not isinstance(key, rsa.RSAPublicKey):
        raise _NotValid("permerror", "key is of another algorithm")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise _NotValid("policy", f"a key of {key.key_size} bits does not count")
    return key


def _check(signature: _Signature, key: PublicKey, others: Sequence[Field]) -> None:
    """Whether the signature covers the header. Raises _NotValid."""
    froms = sum(name.strip().lower() == b"from" for name, _ in others)
    if froms > signature.names.count(b"from"):
        raise _NotValid("fail", "a From field was added")  # RFC 6376, 8.15
    unsigned = (signature.field[0], _B_TAG.sub(rb"\1\2", signature.field[1]))
    form = _FIELD_FORMS[signature.field_form]
    data = signed_bytes(others, signature.names, unsigned, form)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.value, data, padding.PKCS1v15(), SHA256())
        else:
            key.verify(signature.value, hashlib.sha256(data).digest())
    except InvalidSignature as exc:
        raise _NotValid("fail", "signature does not match") from exc
