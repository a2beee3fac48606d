"""A document that a recipient has already is marked as such.

The same is one with the same number, notation, agency and date, or the same file. The gate knows
it from what it took before; `mailgov/correspondence.py`.
Basis: docs/basis.md#b18.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each document and recipient."""
    names = {f"part {item.part}": item.name for item in facts.content.attachments}
    for earlier in facts.envelope.received:
        yield Hit(
            RULE.key,
            earlier.place,
            {
                "place": earlier.place,
                "file": names.get(earlier.place, ""),
                "recipient": earlier.recipient,
                "date": earlier.on,
            },
        )


RULE = Rule(
    key="duplicate-document",
    id="B18",
    version=1,
    check=check,
    evidence=("place", "file", "recipient", "date"),
)
