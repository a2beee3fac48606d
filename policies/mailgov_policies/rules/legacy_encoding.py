"""Text in a private encoding counts as not sent.

Certainty is the reader's: it judges by the letters, never by the font's name, and only from eight
words on. Where an agency asks for more words or a greater share before it refuses, what lies
between is the case `few`.
Basis: docs/basis.md#b02.
"""

from collections.abc import Iterator

from mailgov_policies import private_text
from mailgov_policies.facts import Facts, Text
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each thing with text that is certainly in a private encoding."""
    certain = [text for text in facts.content.texts if text.certain]
    for thing in private_text.by_thing(certain):
        evidence = private_text.evidence(thing)
        case = "" if any(_plenty(text, settings) for text in thing) else "few"
        yield Hit(RULE.key, evidence["place"], {**evidence, "case": case})


def _plenty(text: Text, settings: Settings) -> bool:
    return text.words >= settings.number("words") and text.share >= settings.number("share")


RULE = Rule(
    key="legacy-encoding",
    id="B02",
    version=1,
    check=check,
    evidence=(*private_text.EVIDENCE, "case"),
    settings={"words": 8, "share": 0.90},
    cases=("few",),
)
