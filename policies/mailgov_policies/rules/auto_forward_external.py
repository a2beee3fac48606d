"""No rule of a mailbox passes mail on to addresses outside the official system.

Basis: docs/basis.md#a05.
"""

from collections.abc import Iterator

from mailgov_policies.domains import is_within
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each target outside, when a mailbox of ours passes the message on by itself."""
    by = facts.envelope.forwarded_by
    if not by:
        return
    for recipient in facts.envelope.recipients:
        inside = recipient.local or recipient.official
        if not inside and not is_within(recipient.domain, settings.names("allow")):
            evidence = {"recipient": recipient.address, "mailbox": by}
            yield Hit(RULE.key, f"recipient {recipient.address}", evidence)


RULE = Rule(
    key="auto-forward-external",
    id="A05",
    version=1,
    check=check,
    evidence=("recipient", "mailbox"),
    settings={"allow": ()},
)
