"""Number and notation of a document are written as the decree wants.

A number below 10 has a zero before it; the notation is capitals (with the small letters of
abbreviations such as TTr and TTg), joined by hyphens, without blanks.
Basis: docs/basis.md#b15.
"""

import re
from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Content, Document, Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_GROUP = "[A-ZĐÂÊÔƠƯĂ][A-Za-zĐđÂÊÔƠƯĂ0-9]*"
_SYMBOL = re.compile(rf"(?:\d{{4}}/)?{_GROUP}(?:-{_GROUP})*")


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each notation that is written otherwise, once."""
    told: set[str] = set()
    for place, file, document in _documents(facts.content):
        notation = document.notation
        case = _fault(document)
        if case and notation not in told:
            told.add(notation)
            evidence = {"notation": notation, "place": place, "file": file, "case": case}
            yield Hit(RULE.key, place, evidence)


def _documents(content: Content) -> Iterator[tuple[str, str, Document]]:
    for item in content.attachments:
        if item.document is not None and item.document.notation:
            yield attached.place(item), item.name, item.document
    for document in (content.declared, content.found):
        if document is not None and document.notation:
            yield document.place or "message", "", document


def _fault(document: Document) -> str:
    if document.number.isdecimal() and len(document.number) == 1:
        return "zero"
    return "" if _SYMBOL.fullmatch(document.symbol) else "symbol"


RULE = Rule(
    key="notation-form",
    id="B15",
    version=1,
    check=check,
    evidence=("notation", "place", "file", "case"),
    cases=("zero", "symbol"),
    directions=("submission",),
)
