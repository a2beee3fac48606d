"""Staff send from an official address of their agency.

The envelope sender must lie in a domain registered here, and it and every From below an official
suffix. The null sender of notices has no domain to judge.
Basis: docs/basis.md#a01.
"""

from collections.abc import Iterator

from mailgov_policies.domains import domain_of, is_within
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each sender address outside the official domains."""
    envelope = facts.envelope
    suffixes = (*envelope.official_suffixes, *settings.names("also_official"))
    if envelope.mail_from and not (
        envelope.sender_local and is_within(domain_of(envelope.mail_from), suffixes)
    ):
        yield Hit(RULE.key, "envelope sender", {"address": envelope.mail_from})
    for person in facts.content.header.from_:
        if not is_within(person.domain, suffixes):
            yield Hit(RULE.key, "header From", {"address": person.address})


RULE = Rule(
    key="sender-official-domain",
    id="A01",
    version=1,
    check=check,
    evidence=("address",),
    settings={"also_official": ()},
    directions=("submission",),
)
