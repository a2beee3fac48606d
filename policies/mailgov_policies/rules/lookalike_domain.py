"""The sender's domain imitates a state domain.

Authentication does not clear it: the owner of a look-alike can sign as well as anyone.
Basis: docs/basis.md#a08.
"""

from collections.abc import Iterator

from mailgov_policies.domains import domain_of, is_within
from mailgov_policies.facts import Facts
from mailgov_policies.lookalike import imitated
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each domain of the sender that imitates one of the State."""
    envelope = facts.envelope
    seen: set[str] = set()
    for where, domain in _senders(facts):
        if not domain or domain in seen or is_within(domain, settings.names("known")):
            continue
        seen.add(domain)
        like = imitated(domain, envelope.official_suffixes, envelope.local_domains)
        if like:
            yield Hit(RULE.key, where, {"domain": domain, "like": like})


def _senders(facts: Facts) -> Iterator[tuple[str, str]]:
    header = facts.content.header
    for person in header.from_:
        yield "header From", person.domain
    if header.sender is not None:
        yield "header Sender", header.sender.domain
    for person in header.reply_to:
        yield "header Reply-To", person.domain
    yield "envelope sender", domain_of(facts.envelope.mail_from)


RULE = Rule(
    key="lookalike-domain",
    id="A08",
    version=1,
    check=check,
    evidence=("domain", "like"),
    settings={"known": ()},
    directions=("inbound",),
)
