"""An archive that unpacks to far more than it shows.

Basis: docs/basis.md#b08.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each archive beyond the limits of the reader."""
    for item in facts.content.attachments:
        if item.state == "bomb":
            yield Hit(RULE.key, attached.place(item), attached.evidence(item, why=item.why))


RULE = Rule(
    key="archive-bomb",
    id="B08",
    version=1,
    check=check,
    evidence=("place", "file", "why"),
)
