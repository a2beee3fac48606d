"""The whole message, after encoding, stays below the limit.

The platform's limit holds for all; `bytes` may only be smaller.
Basis: docs/basis.md#b10.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit when the message is larger."""
    limit = min(facts.envelope.max_content_bytes, int(settings.number("bytes")))
    size = facts.content.size_bytes
    if size > limit:
        yield Hit(RULE.key, "message", {"size": str(size), "limit": str(limit)})


RULE = Rule(
    key="message-size",
    id="B10",
    version=1,
    check=check,
    evidence=("size", "limit"),
    settings={"bytes": 25 << 20},
)
