"""All checks on a message from outside, side by side, and what they mean together."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from mailgov.addresses import parse_domain
from mailgov.authentication.contribution import Contribution, contribution
from mailgov.authentication.dmarc import DmarcOutcome, Published, evaluate, find_policy
from mailgov.authentication.organisation import is_aligned
from mailgov.authentication.received_spf import received_spf_field
from mailgov.authentication.spf import MAX_SECONDS, SpfResult, check_spf
from mailgov.authentication.vouching import is_vouched_for
from mailgov.clock import Clock
from mailgov.errors import InputError, Unavailable
from mailgov.message import Body, Envelope
from mailgov.resolver import Resolver
from mailgov.signing.arc import NO_CHAIN, ArcResult, verify_chain
from mailgov.signing.results import MethodResult, results_field
from mailgov.signing.tags import DkimResult
from mailgov.signing.verify import BodyDigests, SignatureResult, summary, verify
from mailgov_policies import facts

MAX_AUTHORS = 5
"""Domains in From that are looked up; a message with more counts as refuted."""

# What rules know; `policy` is a signature that verifies in a way that does not count.
_AS_FACT: dict[DkimResult, facts.AuthResult] = {
    "none": "none",
    "pass": "pass",
    "fail": "fail",
    "policy": "neutral",
    "neutral": "neutral",
    "temperror": "temperror",
    "permerror": "permerror",
}
_GRAVITY = {"": 0, "none": 1, "quarantine": 2, "reject": 3}


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Results for the rules, the fields that tell the reader's program, and what reports need."""

    results: facts.Authentication
    field: bytes  # Authentication-Results (RFC 8601) and Received-SPF (RFC 7208)
    contribution: Contribution | None = None  # to the report that the author's domain asks for
    chain: ArcResult = NO_CHAIN  # for sealing, should the message be passed on


NOT_CHECKED = Authenticated(facts.Authentication(), b"")


@dataclass(frozen=True, slots=True)
class InboundAuthentication:
    """The checks on mail from outside. `enabled` False only says so in the field."""

    authserv_id: str
    resolver: Resolver
    clock: Clock
    enabled: bool = True
    spf_seconds: float = MAX_SECONDS
    overridden: tuple[str, ...] = ()  # domains in From whose policy is not applied
    trusted_sealers: tuple[str, ...] = ()
    exempt: tuple[IPv4Network | IPv6Network, ...] = ()  # gateways, whose mail is not checked
    chance: Callable[[], float] = field(default=lambda: secrets.randbelow(10_000) / 10_000)

    async def check(
        self, envelope: Envelope, header: bytes, body: Body, authors: Sequence[str]
    ) -> Authenticated:
        """Check everything; `authors` are the domains in From, as written.

        Raises Unavailable `resolver-unavailable` when DNS is in trouble and the outcome depends
        on it: nobody may pass, and nobody be refused, for want of an answer.
        """
        if not self.enabled or self._is_exempt(envelope.client.ip):
            return Authenticated(facts.Authentication(), results_field(self.authserv_id, ()))
        domains = _domains(authors)
        digests = BodyDigests(body)
        spf, signatures, chain, published = await asyncio.gather(
            self._spf(envelope),
            verify(header, body, self.resolver, self.clock, digests),
            verify_chain(header, body, self.resolver, self.clock, digests),
            asyncio.gather(*(self._published(domain) for domain in domains[:MAX_AUTHORS])),
        )
        outcomes = [
            self._evaluated(domain, one, spf, signatures)
            for domain, one in zip(domains, published, strict=False)
        ]
        worst = max(outcomes, key=_gravity) if outcomes else DmarcOutcome("none", "")
        results = self._facts(worst, spf, signatures, chain, too_many=len(domains) > MAX_AUTHORS)
        if not results.dmarc_override:
            _require_answers(results, worst)
        methods: list[MethodResult] = [
            spf.as_method(),
            *(one.as_method() for one in signatures or (SignatureResult("none"),)),
            *(one.as_method() for one in outcomes),
            *([chain.as_method()] if chain.state != "none" else []),
        ]
        client = envelope.client
        fields = results_field(self.authserv_id, methods) + received_spf_field(
            spf, self.authserv_id, client.ip or "unknown", client.helo
        )
        part = contribution(envelope, worst, spf, signatures, results.dmarc_override)
        return Authenticated(results, fields, part, chain)

    def _is_exempt(self, ip: str) -> bool:
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.exempt)

    async def _spf(self, envelope: Envelope) -> SpfResult:
        sender = envelope.mail_from
        return await check_spf(
            envelope.client.ip,
            envelope.client.helo,
            (sender.local, sender.domain) if sender else None,
            self.resolver,
            receiver=self.authserv_id,
            moment=int(self.clock().timestamp()),
            seconds=self.spf_seconds,
        )

    async def _published(self, domain: str) -> Published | Unavailable | None:
        try:
            return await find_policy(domain, self.resolver)
        except Unavailable as exc:
            return exc

    def _evaluated(
        self,
        domain: str,
        published: Published | Unavailable | None,
        spf: SpfResult,
        signatures: Sequence[SignatureResult],
    ) -> DmarcOutcome:
        if isinstance(published, Unavailable):
            return DmarcOutcome("temperror", domain, reason="DNS does not answer")
        return evaluate(domain, published, spf, signatures, self.chance)

    def _facts(
        self,
        worst: DmarcOutcome,
        spf: SpfResult,
        signatures: Sequence[SignatureResult],
        chain: ArcResult,
        *,
        too_many: bool,
    ) -> facts.Authentication:
        override: facts.DmarcOverride = ""
        if worst.author in {name.lower() for name in self.overridden} and not too_many:
            override = "local-policy"
        elif worst.result == "fail" and is_vouched_for(chain, worst.author, self.trusted_sealers):
            override = "trusted-forwarder"
        return facts.Authentication(
            spf=spf.result,
            dkim=_AS_FACT[_for_author(signatures, worst.author)],
            dmarc="fail" if too_many else worst.result,
            dmarc_policy=worst.policy,
            dmarc_override=override,
            arc=chain.state,
        )


def _domains(authors: Sequence[str]) -> list[str]:
    """The domains in their one form; what is no domain has nobody to ask."""
    found = []
    for text in dict.fromkeys(authors):
        try:
            found.append(parse_domain(text))
        except InputError:
            continue
    return list(dict.fromkeys(found))


def _gravity(outcome: DmarcOutcome) -> tuple[int, int]:
    order = {"pass": 0, "none": 1, "temperror": 2, "fail": 3}
    return order[outcome.result], _GRAVITY[outcome.policy]


def _for_author(found: Sequence[SignatureResult], author: str) -> DkimResult:
    """The best result among signatures of the author's organisation; else `neutral` for others'."""
    aligned = [one for one in found if is_aligned(one.domain, author, strict=False)]
    if aligned or not found:
        return summary(aligned)
    return "neutral"


def _require_answers(results: facts.Authentication, worst: DmarcOutcome) -> None:
    """Raise Unavailable where an answer that DNS owes us could change the outcome."""
    in_doubt = results.dmarc == "temperror" or (
        results.dmarc == "none"
        and results.dkim != "pass"
        and "temperror" in (results.spf, results.dkim)
    )
    if in_doubt:
        raise Unavailable(
            "resolver-unavailable", name=worst.author, type="TXT", reason="authentication"
        )
