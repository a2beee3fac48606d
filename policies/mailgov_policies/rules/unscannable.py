"""What could not be read is never taken for clean.

A reader that hung, broke or met its limits says so; then an officer releases the message. No
ruleset can let it pass unmarked.
Basis: docs/basis.md#b09.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Action, Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for the message, or for each attachment, that could not be read."""
    if why := facts.content.unscannable:
        yield Hit(RULE.key, "message", {"place": "message", "file": "", "why": why})
    for item in facts.content.attachments:
        if item.state == "unscannable":
            yield Hit(RULE.key, attached.place(item), attached.evidence(item, why=item.why))


RULE = Rule(
    key="unscannable",
    id="B09",
    version=1,
    check=check,
    evidence=("place", "file", "why"),
    least=Action.TAG,
)
