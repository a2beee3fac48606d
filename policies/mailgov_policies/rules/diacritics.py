"""Vietnamese is written with its diacritics.

Basis: docs/basis.md#b17.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit when the text of the message has that many Vietnamese words without any."""
    words = facts.content.unmarked_words
    if words >= int(settings.number("words")):
        yield Hit(RULE.key, "body", {"place": "body", "words": str(words)})


RULE = Rule(
    key="diacritics",
    id="B17",
    version=1,
    check=check,
    evidence=("place", "words"),
    settings={"words": 40},
    directions=("submission",),
)
