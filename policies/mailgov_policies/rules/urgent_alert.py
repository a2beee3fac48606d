"""An urgent document is marked for its reader: KHẨN, THƯỢNG KHẨN, HOẢ TỐC.

Basis: docs/basis.md#c06.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_ORDER = ("KHẨN", "THƯỢNG KHẨN", "HỎA TỐC", "HOẢ TỐC")


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """One hit, for the most urgent mark that is sure."""
    seen = [
        (mark.value, mark.place)
        for mark in facts.content.marks
        if mark.kind == "urgency" and mark.certain
    ]
    seen += [
        (document.urgency, document.place or "message")
        for document in (facts.content.declared, facts.content.found)
        if document is not None and document.urgency
    ]
    if seen:
        urgency, place = max(seen, key=lambda one: _rank(one[0]))
        yield Hit(RULE.key, place, {"urgency": urgency, "place": place})


def _rank(urgency: str) -> int:
    """Forms with an hour, such as HOẢ TỐC HẸN GIỜ, count as what they begin with."""
    ranks = [rank for rank, word in enumerate(_ORDER) if urgency.startswith(word)]
    return max(ranks, default=-1)


RULE = Rule(
    key="urgent-alert",
    id="C06",
    version=1,
    check=check,
    evidence=("urgency", "place"),
)
