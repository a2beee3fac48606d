"""An archive or document with a password can't be checked, so an officer releases it.

Basis: docs/basis.md#b09.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each encrypted attachment; what lies in an encrypted one is not told again."""
    closed = [item for item in facts.content.attachments if item.state == "encrypted"]
    for item in closed:
        if not any(item.part.startswith(f"{other.part}/") for other in closed):
            yield Hit(RULE.key, attached.place(item), attached.evidence(item))


RULE = Rule(
    key="encrypted-archive",
    id="B09",
    version=1,
    check=check,
    evidence=("place", "file"),
)
