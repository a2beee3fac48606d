"""Text in a private encoding counts as not sent.

Judged by the letters, never by the font's name: converted files keep old font names. Short texts
are left to `legacy-encoding-possible`.
Basis: docs/basis.md#b02.
"""

from collections.abc import Iterator

from mailgov_policies import private_text
from mailgov_policies.facts import Facts, Text
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each thing with text that is certainly in a private encoding."""

    def certain(text: Text) -> bool:
        # What the reader is sure of stays; lower numbers may only add to it.
        return text.certain or (
            text.words >= settings.number("words") and text.share >= settings.number("share")
        )

    for thing in private_text.by_thing(filter(certain, facts.content.texts)):
        evidence = private_text.evidence(thing)
        yield Hit(RULE.key, evidence["place"], evidence)


RULE = Rule(
    key="legacy-encoding",
    id="B02",
    version=1,
    check=check,
    evidence=private_text.EVIDENCE,
    settings={"words": 8, "share": 0.90},
)
