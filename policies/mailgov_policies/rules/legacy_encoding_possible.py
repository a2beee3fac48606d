"""Text that may be in a private encoding, but is too short or too mixed to be sure.

Basis: docs/basis.md#b03.
"""

from collections.abc import Iterator

from mailgov_policies import private_text
from mailgov_policies.facts import Facts, Text
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each thing with such text, unless another text of it is certain."""
    sure = {text.part for text in facts.content.texts if text.certain and text.part}

    def possible(text: Text) -> bool:
        return (
            not text.certain
            and text.part not in sure
            and text.words >= settings.number("words")
            and text.share >= settings.number("share")
        )

    for thing in private_text.by_thing(filter(possible, facts.content.texts)):
        evidence = private_text.evidence(thing)
        yield Hit(RULE.key, evidence["place"], evidence)


RULE = Rule(
    key="legacy-encoding-possible",
    id="B03",
    version=1,
    check=check,
    evidence=private_text.EVIDENCE,
    settings={"words": 3, "share": 0.75},
)
