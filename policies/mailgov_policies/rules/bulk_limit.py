"""One message goes to a bounded number of recipients.

How many a user may address in an hour is counted where mail is submitted, not here.
Basis: docs/basis.md#a09.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit when there are more."""
    most = int(settings.number("recipients"))
    count = len(facts.envelope.recipients)
    if count > most:
        yield Hit(RULE.key, "message", {"recipients": str(count), "most": str(most)})


RULE = Rule(
    key="bulk-limit",
    id="A09",
    version=1,
    check=check,
    evidence=("recipients", "most"),
    settings={"recipients": 100},
    directions=("submission",),
)
