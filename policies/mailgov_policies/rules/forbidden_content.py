"""Official mailboxes are for work: chain letters, trade and gambling are none.

What the words of a mail suggest is written down for the report of the agency and stops nothing.
Malware and secrets, which the regulations name beside them, have rules of their own.
Basis: docs/basis.md#b20.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each kind of use that the ruleset does not allow."""
    for kind in facts.content.improper:
        if kind not in settings.names("allow"):
            yield Hit(RULE.key, "body", {"place": "body", "use": kind})


RULE = Rule(
    key="forbidden-content",
    id="B20",
    version=1,
    check=check,
    evidence=("place", "use"),
    settings={"allow": ()},
    directions=("submission",),
)
