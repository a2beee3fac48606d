"""A message must have one reading, for every program alike.

What has two (two From fields, a bare CR) is how forgeries get past one program and into another.
Basis: docs/basis.md#malformed.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """One hit that names every fault of form."""
    if faults := facts.content.malformed:
        yield Hit(RULE.key, "message", {"faults": ", ".join(dict.fromkeys(faults))})


RULE = Rule(
    key="malformed",
    id="malformed",
    version=1,
    check=check,
    evidence=("faults",),
)
