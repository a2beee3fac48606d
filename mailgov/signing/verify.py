"""Verification of the DKIM signatures of a message from outside (RFC 6376, 6; RFC 8301; RFC 8463).

dkimpy reads the tag lists; canonical forms, keys and arithmetic are ours and OpenSSL's, so that
Ed25519 counts, cost is linear, and no library asks DNS behind our resolver's back.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailgov.addresses import is_within, parse_domain
from mailgov.clock import Clock, utc_now
from mailgov.errors import InputError
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
from mailgov.signing.public_keys import (
    Algorithm,
    PublicKey,
    algorithm_of,
    check_value,
    fetch_key,
)
from mailgov.signing.results import MethodResult
from mailgov.signing.signature import signed_bytes
from mailgov.signing.tags import (
    DkimResult,
    NotValid,
    Tags,
    check_times,
    decoded,
    domain_of,
    names_of,
    read_tags,
    require,
    without_blanks,
)

MAX_SIGNATURES = 5
"""Signatures looked at, from the top; strangers may add any number."""

FIELD_FORMS: dict[str, Callable[[Field], bytes]] = {
    "relaxed": relaxed_field,
    "simple": simple_field,
}
_BODY_FORMS: dict[str, Callable[[], BodyForm]] = {"relaxed": RelaxedBody, "simple": SimpleBody}
_B_TAG = re.compile(rb"(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")


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


@dataclass(frozen=True, slots=True)
class _Signature:
    """A DKIM-Signature field, read and found well-formed."""

    field: Field
    domain: str
    selector: str
    algorithm: Algorithm
    agent_domain: str
    names: tuple[bytes, ...]
    field_form: str
    body_form: str
    body_digest: bytes
    value: bytes


async def verify(
    header: bytes,
    body: Body,
    resolver: Resolver,
    clock: Clock = utc_now,
    digests: "BodyDigests | None" = None,
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
    digests = digests or BodyDigests(body)
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


class BodyDigests:
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
    fields: Sequence[Field], at: int, digests: BodyDigests, resolver: Resolver, now: float
) -> SignatureResult:
    tags: Tags = {}
    try:
        tags = read_tags(fields[at][1])
        signature = _read(fields[at], tags, now)
        key = await fetch_key(
            resolver,
            signature.domain,
            signature.selector,
            signature.algorithm,
            is_subdomain=signature.agent_domain != signature.domain,
        )
        if await digests.of(signature.body_form) != signature.body_digest:
            raise NotValid("fail", "body was changed")
        others = [*fields[:at], *fields[at + 1 :]]
        await asyncio.to_thread(_check, signature, key, others)
    except NotValid as exc:
        return _result(tags, exc.result, exc.reason)
    return _result(tags, "pass")


def _result(tags: Tags, result: DkimResult, reason: str = "") -> SignatureResult:
    def text(tag: str) -> str:
        return tags.get(tag, b"").decode("utf-8", "replace")

    try:
        domain = parse_domain(text("d"))
    except InputError:
        domain = ""
    start = without_blanks(tags.get("b", b""))[:8].decode("ascii", "replace")
    return SignatureResult(result, reason, domain, text("s"), text("a"), start)


def _read(field: Field, tags: Tags, now: float) -> _Signature:
    """Check the tags of a signature (RFC 6376, 6.1.1)."""
    require(tags, "v", "a", "b", "bh", "d", "h", "s")
    if tags["v"] != b"1":
        raise NotValid("permerror", "version is unknown")
    if tags.get("q", b"dns/txt").lower() != b"dns/txt":
        raise NotValid("permerror", "query method is unknown")
    algorithm = algorithm_of(tags["a"])
    if "l" in tags:
        raise NotValid("policy", "a signature over part of the body does not count")
    names = names_of(tags["h"])
    if b"from" not in names:
        raise NotValid("permerror", "From is not signed")  # RFC 6376, 5.4
    check_times(tags, now)
    domain = domain_of(tags["d"])
    agent_domain = domain_of(tags["i"].rpartition(b"@")[2]) if "i" in tags else domain
    if not is_within(agent_domain, (domain,)):
        raise NotValid("permerror", "i= is outside of d=")
    field_form, body_form = forms_of(tags.get("c", b"simple/simple"))
    return _Signature(
        field=field,
        domain=domain,
        selector=tags["s"].decode("ascii", "replace"),
        algorithm=algorithm,
        agent_domain=agent_domain,
        names=names,
        field_form=field_form,
        body_form=body_form,
        body_digest=decoded(tags["bh"]),
        value=decoded(tags["b"]),
    )


def forms_of(value: bytes) -> tuple[str, str]:
    """The c= tag: forms of fields and body. Raises NotValid."""
    field_form, _, body_form = value.decode("ascii", "replace").lower().partition("/")
    body_form = body_form or "simple"  # RFC 6376, 3.5
    if field_form not in FIELD_FORMS or body_form not in _BODY_FORMS:
        raise NotValid("permerror", "canonical form is unknown")
    return field_form, body_form


def without_value(field: Field) -> Field:
    """A signature field as it was when it was signed: b= empty (RFC 6376, 3.7)."""
    return field[0], _B_TAG.sub(rb"\1\2", field[1])


def _check(signature: _Signature, key: PublicKey, others: Sequence[Field]) -> None:
    """Whether the signature covers the header. Raises NotValid."""
    froms = sum(name.strip().lower() == b"from" for name, _ in others)
    if froms > signature.names.count(b"from"):
        raise NotValid("fail", "a From field was added")  # RFC 6376, 8.15
    form = FIELD_FORMS[signature.field_form]
    data = signed_bytes(others, signature.names, without_value(signature.field), form)
    check_value(key, signature.value, data)
