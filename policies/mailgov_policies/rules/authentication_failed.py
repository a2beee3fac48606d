"""Mail that claims a domain without being sent by it.

Cases, gravest first: `own-domain`, mail in our own name that DMARC or SPF refutes; `dmarc-reject`,
the owner of the domain asks for refusal (RFC 7489, 6.3); `dmarc-quarantine`, the owner asks for
quarantine; no case, a state domain or one whose owner says nothing; `monitoring`, a foreign domain
that only watches. Nothing is found where the operator overrides the policy, or a forwarder whose
word is taken saw DMARC pass. Errors of DNS are no failure: the relay defers before judging.
Basis: docs/basis.md#e09.
"""

from collections.abc import Iterator

from mailgov_policies.domains import is_within
from mailgov_policies.facts import Authentication, Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for the domain in From when authentication speaks against it."""
    results = facts.envelope.authentication
    for domain in dict.fromkeys(person.domain for person in facts.content.header.from_):
        case = _case(domain, facts, results)
        if case is not None:
            evidence = {
                "domain": domain,
                "spf": results.spf,
                "dkim": results.dkim,
                "dmarc": results.dmarc,
                "case": case,
            }
            yield Hit(RULE.key, "header From", evidence)


def _case(domain: str, facts: Facts, results: Authentication) -> str | None:
    """The case for a domain in From; None when nothing speaks against it."""
    if results.dmarc == "pass" or results.dmarc_override:
        return None
    # Without DMARC a signature, whoever made it, still tells a forwarder or list from a forger.
    refuted = results.dmarc == "fail" or (results.spf == "fail" and results.dkim != "pass")
    if domain in facts.envelope.local_domains:
        return _own(refuted=refuted, signed=results.dkim == "pass")
    if not refuted:
        return None
    if results.dmarc == "fail" and results.dmarc_policy == "reject":
        return "dmarc-reject"
    if results.dmarc == "fail" and results.dmarc_policy == "quarantine":
        return "dmarc-quarantine"
    if is_within(domain, facts.envelope.official_suffixes):
        return ""
    watching = results.dmarc != "fail" or results.dmarc_policy == "none"
    return "monitoring" if watching else ""


def _own(*, refuted: bool, signed: bool) -> str | None:
    """Our own mail is submitted, so mail in our name from outside must prove itself."""
    if refuted:
        return "own-domain"
    return None if signed else ""


RULE = Rule(
    key="authentication-failed",
    id="E09",
    version=2,
    check=check,
    evidence=("domain", "spf", "dkim", "dmarc", "case"),
    cases=("own-domain", "dmarc-reject", "dmarc-quarantine", "monitoring"),
    directions=("inbound",),
)
