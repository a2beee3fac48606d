"""Where a message from outside really comes from: DKIM, as far as it speaks for the From field."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailgov.addresses import is_within
from mailgov.clock import Clock
from mailgov.message import Body
from mailgov.resolver import Resolver
from mailgov.signing.results import results_field
from mailgov.signing.tags import DkimResult
from mailgov.signing.verify import SignatureResult, summary, verify
from mailgov_policies import facts

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


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Results for the rules, and the field that tells the reader's program (RFC 8601)."""

    results: facts.Authentication
    field: bytes


NOT_CHECKED = Authenticated(facts.Authentication(), b"")


@dataclass(frozen=True, slots=True)
class InboundAuthentication:
    """The checks on mail from outside. `enabled` False only says so in the field."""

    authserv_id: str
    resolver: Resolver
    clock: Clock
    enabled: bool = True

    async def check(self, header: bytes, body: Body, from_domain: str) -> Authenticated:
        """Verify the signatures; a pass counts only for the domain of From or one above it."""
        found = await verify(header, body, self.resolver, self.clock) if self.enabled else ()
        results = facts.Authentication(dkim=_AS_FACT[_for_author(found, from_domain)])
        field = results_field(self.authserv_id, [one.as_method() for one in found])
        return Authenticated(results, field)


def _for_author(found: Sequence[SignatureResult], from_domain: str) -> DkimResult:
    """The best result among signatures of the author's organisation; else `neutral` for others'."""
    aligned = [
        one
        for one in found
        if one.domain
        and (is_within(from_domain, [one.domain]) or is_within(one.domain, [from_domain]))
    ]
    if aligned or not found:
        return summary(aligned)
    return "neutral"
