"""A file whose name or declared type says something else than its bytes.

Basis: docs/basis.md#b08.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each disguised file."""
    for item in facts.content.attachments:
        if item.disguised:
            yield Hit(RULE.key, attached.place(item), attached.evidence(item, kind=item.kind))


RULE = Rule(
    key="disguised-file",
    id="B08",
    version=1,
    check=check,
    evidence=("place", "file", "kind"),
)
