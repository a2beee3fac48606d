"""DMARC: whether what was authenticated speaks for the author, and what the author's domain wants.

RFC 7489 with the public suffix list; of RFC 9091 and RFC 9989 the policy of a registry that says
`psd=y`, and `np` for names that do not exist. Decision 8 tells why there is no tree walk.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mailgov.authentication.dmarc_record import DmarcRecord, Policy, find_record
from mailgov.authentication.organisation import is_aligned, organisation_of, suffix_of
from mailgov.authentication.spf import SpfResult
from mailgov.resolver import Resolver
from mailgov.signing.results import MethodResult
from mailgov.signing.verify import SignatureResult

Dmarc = Literal["none", "pass", "fail", "temperror"]

_MILDER: dict[Policy, Policy] = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True, slots=True)
class DmarcOutcome:
    """What came of the check. `policy` is what to do on failure: that of the record, sampled."""

    result: Dmarc
    author: str  # domain of From
    policy: Policy | Literal[""] = ""  # empty: no record
    found_at: str = ""  # domain whose record it is
    record: DmarcRecord | None = None
    dkim_aligned: bool = False
    spf_aligned: bool = False
    sampled_out: bool = False
    reason: str = ""

    def as_method(self) -> MethodResult:
        """For the Authentication-Results field."""
        policy = self.policy if self.result == "fail" else ""
        return MethodResult(
            "dmarc", self.result, (("header.from", self.author), ("policy.dmarc", policy)),
            self.reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """What holds for an author: a record, where it was found, and which of its policies."""

    domain: str
    record: DmarcRecord
    policy: Policy


async def find_policy(author: str, resolver: Resolver) -> Published | None:
    """What is published for the domain in From; None without a record.

    Raises Unavailable `resolver-unavailable`.
    """
    found = await _discover(author, resolver)
    if found is None:
        return None
    place, record = found
    policy = record.policy
    if place != author:
        policy = record.subdomains
        if record.missing != policy and not await _exists(author, resolver):
            policy = record.missing
    return Published(place, record, policy)


async def _discover(author: str, resolver: Resolver) -> tuple[str, DmarcRecord] | None:
    """The record of the domain, of its organisation, of the registry it stands under.

    All are asked for at once: most mail needs the second too, and the third is in every cache.
    """
    places = list(dict.fromkeys((author, organisation_of(author), suffix_of(author))))
    answers = await asyncio.gather(
        *(resolver.txt(f"_dmarc.{place}") for place in places if place), return_exceptions=True
    )
    for place, answer in zip(places, answers, strict=False):
        if isinstance(answer, BaseException):
            raise answer
        record = find_record(answer.records)
        is_registry = place == suffix_of(author) and place != author
        if record is not None and (record.is_suffix or not is_registry):
            return place, record
    return None


async def _exists(domain: str, resolver: Resolver) -> bool:
    """RFC 9091, 2.7: a name with an address or an exchanger."""
    addresses, exchangers = await asyncio.gather(resolver.addresses(domain), resolver.mx(domain))
    return bool(addresses.records or exchangers.records)


def evaluate(
    author: str,
    published: Published | None,
    spf: SpfResult,
    signatures: Sequence[SignatureResult],
    chance: Callable[[], float],
) -> DmarcOutcome:
    """Whether anything that was authenticated is aligned. Pure; `chance` is from 0 to under 1."""
    if published is None:
        return DmarcOutcome("none", author)
    record, policy = published.record, published.policy
    of_author = [
        one for one in signatures if is_aligned(one.domain, author, strict=record.strict_dkim)
    ]
    dkim_aligned = any(one.result == "pass" for one in of_author)
    spf_speaks = is_aligned(spf.domain, author, strict=record.strict_spf)
    spf_aligned = spf_speaks and spf.result == "pass"
    result: Dmarc = "pass" if dkim_aligned or spf_aligned else "fail"
    in_doubt = (spf_speaks and spf.result == "temperror") or any(
        one.result == "temperror" for one in of_author
    )
    if result == "fail" and in_doubt:
        return DmarcOutcome("temperror", author, policy, published.domain, record)
    # RFC 7489, 6.6.4: those not sampled get the next milder treatment; RFC 9989: so do all in tests.
    sampled_out = record.is_testing or chance() * 100 >= record.percent
    return DmarcOutcome(
        result,
        author,
        _MILDER[policy] if sampled_out else policy,
        published.domain,
        record,
        dkim_aligned,
        spf_aligned,
        sampled_out and policy != "none",
    )
