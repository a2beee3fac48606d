"""State secrets do not travel by e-mail.

A mark alone on its line, or in brackets in subject or file name, is a mark. The word inside a
longer line is the case `possible`: laws and headings contain it too.
The evidence names mark and place, nothing of the text: it is kept where the message must not be.
Basis: docs/basis.md#b05.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each mark of secrecy."""
    for mark in facts.content.marks:
        if mark.kind == "secrecy":
            case = "" if mark.certain else "possible"
            yield Hit(RULE.key, mark.place, {"mark": mark.value, "place": mark.place, "case": case})


RULE = Rule(
    key="secret-mark",
    id="B05",
    version=1,
    check=check,
    evidence=("mark", "place", "case"),
    cases=("possible",),
)
