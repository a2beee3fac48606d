"""Verification of the chain of those who passed a message on (ARC: RFC 8617, 5.2).

The chain says who vouches for what; whether their word counts is for the caller to decide.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailgov.clock import Clock, utc_now
from mailgov.message import Body
from mailgov.resolver import Resolver
from mailgov.signing.canonical import Field, relaxed_field, split_fields
from mailgov.signing.public_keys import PublicKey, algorithm_of, check_value, fetch_key
from mailgov.signing.results import MethodResult
from mailgov.signing.signature import signed_bytes
from mailgov.signing.tags import (
    NotValid,
    Tags,
    check_times,
    decoded,
    domain_of,
    moment_of,
    names_of,
    read_tags,
    require,
)
from mailgov.signing.verify import FIELD_FORMS, BodyDigests, forms_of, without_value

MAX_SETS = 50  # RFC 8617, 4.2.1
RESULTS, MESSAGE_SIGNATURE, SEAL = (
    b"arc-authentication-results",
    b"arc-message-signature",
    b"arc-seal",
)
_KINDS = (RESULTS, MESSAGE_SIGNATURE, SEAL)
_RESULTS_INSTANCE = re.compile(rb"\s*i\s*=\s*([0-9]{1,2})\s*;")

ChainState = Literal["none", "pass", "fail", "temperror"]


@dataclass(frozen=True, slots=True)
class ArcSet:
    """The three fields of one who passed the message on."""

    instance: int
    results: Field
    signature: Field
    seal: Field


@dataclass(frozen=True, slots=True)
class ArcResult:
    """The state of the chain. `sealers` are the domains of its seals, the first one first."""

    state: ChainState
    reason: str = ""
    sealers: tuple[str, ...] = ()
    closed: bool = False  # a seal says cv=fail: nobody seals any more (5.1)
    results: tuple[bytes, ...] = ()  # what each found, as its field says

    def as_method(self) -> MethodResult:
        """For the Authentication-Results field."""
        sealer = self.sealers[-1] if self.sealers else ""
        return MethodResult("arc", self.state, (("header.d", sealer),), self.reason)


NO_CHAIN = ArcResult("none")


async def verify_chain(
    header: bytes,
    body: Body,
    resolver: Resolver,
    clock: Clock = utc_now,
    digests: BodyDigests | None = None,
) -> ArcResult:
    """The state of a message's chain. Trouble with DNS is `temperror`; nothing is raised."""
    fields = split_fields(header)
    if not any(_name(field) in _KINDS for field in fields):
        return NO_CHAIN
    sealers: tuple[str, ...] = ()
    closed = False
    try:
        sets = read_sets(fields)
        seals = [_tags_of(one.seal) for one in sets]
        sealers = tuple(domain_of(tags.get("d", b"")) for tags in seals)
        closed = seals[-1].get("cv") == b"fail"
        _check_states(seals)
        digests = digests or BodyDigests(body)
        await _check_message(sets[-1], fields, digests, resolver, clock().timestamp())
        await _check_seals(sets, seals, resolver)
    except NotValid as exc:
        state: ChainState = "temperror" if exc.result == "temperror" else "fail"
        return ArcResult(state, exc.reason, sealers, closed)
    results = tuple(one.results[1] for one in sets)
    return ArcResult("pass", sealers=sealers, results=results)


def read_sets(fields: Sequence[Field]) -> tuple[ArcSet, ...]:
    """The sets of a header in their order. Raises NotValid when they are no chain."""
    found: dict[int, dict[bytes, Field]] = defaultdict(dict)
    for field in fields:
        kind = _name(field)
        if kind in _KINDS:
            instance = _instance(kind, field)
            if kind in found[instance]:
                raise NotValid("fail", f"a second field of set {instance}")
            found[instance][kind] = field
    if sorted(found) != list(range(1, len(found) + 1)) or len(found) > MAX_SETS:
        raise NotValid("fail", "sets are not numbered in a row")
    if any(len(kinds) != len(_KINDS) for kinds in found.values()):
        raise NotValid("fail", "a set is not complete")
    return tuple(
        ArcSet(at, kinds[RESULTS], kinds[MESSAGE_SIGNATURE], kinds[SEAL])
        for at, kinds in sorted(found.items())
    )


def _name(field: Field) -> bytes:
    return field[0].strip().lower()


def _instance(kind: bytes, field: Field) -> int:
    if kind == RESULTS:
        found = _RESULTS_INSTANCE.match(field[1])  # RFC 8617, 4.1.1: it comes first
        text = found[1] if found else b""
    else:
        text = _tags_of(field).get("i", b"")
    if not re.fullmatch(rb"[1-9][0-9]?", text):
        raise NotValid("fail", "a set has no number")
    return int(text)


def _tags_of(field: Field) -> Mapping[str, bytes]:
    return read_tags(field[1])


def _check_states(seals: Sequence[Tags]) -> None:
    """RFC 8617, 5.2, 3: the first says none, all others pass."""
    for at, tags in enumerate(seals):
        if tags.get("cv") != (b"pass" if at else b"none"):
            raise NotValid("fail", f"seal {at + 1} does not vouch for the chain")


async def _check_message(
    last: ArcSet, fields: Sequence[Field], digests: BodyDigests, resolver: Resolver, now: float
) -> None:
    """The latest signature covers the message as it is (5.2, 4). Raises NotValid."""
    tags = _tags_of(last.signature)
    require(tags, "a", "b", "bh", "d", "s")
    if "h" not in tags:
        raise NotValid("fail", "tag h= is missing")
    if "l" in tags:
        raise NotValid("fail", "a signature over part of the body does not count")
    if SEAL in names_of(tags["h"]):
        raise NotValid("fail", "the signature covers a seal")  # 4.1.2
    check_times(tags, now)
    key = await _key_of(tags, resolver)
    others = [field for field in fields if field is not last.signature]
    *first, final = _forms(tags)
    for forms in first:
        try:
            await _check_forms(forms, tags, key, last, others, digests)
        except NotValid:
            continue
        return
    await _check_forms(final, tags, key, last, others, digests)


def _forms(tags: Tags) -> list[tuple[str, str]]:
    """The forms of fields and body that may have been signed.

    Without c= they are simple (RFC 6376, 3.5), but sealers of the drafts took relaxed for granted,
    and so does the published suite. Whichever form matches, the key's owner has signed it.
    """
    if "c" in tags:
        return [forms_of(tags["c"])]
    return [("simple", "simple"), ("relaxed", "relaxed")]


async def _check_forms(
    forms: tuple[str, str],
    tags: Tags,
    key: PublicKey,
    last: ArcSet,
    others: Sequence[Field],
    digests: BodyDigests,
) -> None:
    field_form, body_form = forms
    if await digests.of(body_form) != decoded(tags["bh"]):
        raise NotValid("fail", "body was changed")
    data = signed_bytes(
        others, names_of(tags["h"]), without_value(last.signature), FIELD_FORMS[field_form]
    )
    await asyncio.to_thread(check_value, key, decoded(tags["b"]), data)


async def _check_seals(sets: Sequence[ArcSet], seals: Sequence[Tags], resolver: Resolver) -> None:
    """Every seal covers the sets up to its own (5.2, 6). Raises NotValid."""
    for tags in seals:
        require(tags, "a", "b", "d", "s")
        moment_of(tags, "t")
        if "h" in tags:
            raise NotValid("fail", "a seal names fields")  # 4.1.3
    keys = await _all_keys(seals, resolver)
    await asyncio.to_thread(_check_seal_values, sets, seals, keys)


async def _all_keys(seals: Sequence[Tags], resolver: Resolver) -> list[PublicKey]:
    found = await asyncio.gather(
        *(_key_of(tags, resolver) for tags in seals), return_exceptions=True
    )
    keys = []
    for one in found:
        if isinstance(one, BaseException):
            raise one
        keys.append(one)
    return keys


def _check_seal_values(
    sets: Sequence[ArcSet], seals: Sequence[Tags], keys: Sequence[PublicKey]
) -> None:
    for position, (tags, key) in enumerate(zip(seals, keys, strict=True)):
        check_value(key, decoded(tags["b"]), sealed_bytes(sets[: position + 1]))


def sealed_bytes(sets: Sequence[ArcSet]) -> bytes:
    """What the last of these seals covers: all sets in order, itself without b= (5.1.1)."""
    *before, last = sets
    covered = [field for one in before for field in (one.results, one.signature, one.seal)]
    covered += [last.results, last.signature]
    own = relaxed_field(without_value(last.seal)).removesuffix(b"\r\n")
    return b"".join(relaxed_field(field) for field in covered) + own


async def _key_of(tags: Tags, resolver: Resolver) -> PublicKey:
    selector = tags["s"].decode("ascii", "replace")
    return await fetch_key(resolver, domain_of(tags["d"]), selector, algorithm_of(tags["a"]))
