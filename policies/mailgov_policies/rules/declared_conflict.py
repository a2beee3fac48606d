"""What the sender declares is what is sent.

A cover letter with papers of other types is ordinary: one document that agrees is enough.
Basis: docs/basis.md#declared-conflict.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Content, Document, Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit when sure documents were found and none is the declared one."""
    declared = facts.content.declared
    if declared is None:
        return
    least = settings.number("confidence")
    sure = [one for one in _documents(facts.content) if one[2].confidence >= least]
    for case, says in (("", _type), ("notation", _notation)):
        others = [one for one in sure if says(one[2])]
        if says(declared) and others and all(says(one[2]) != says(declared) for one in others):
            place, file, found = others[0]
            evidence = {"type": declared.type, "found": found.type}
            if case:
                evidence = {"type": declared.notation, "found": found.notation}
            yield Hit(RULE.key, place, {**evidence, "place": place, "file": file, "case": case})


def _documents(content: Content) -> Iterator[tuple[str, str, Document]]:
    """Documents in files and in the text: what subjects and file names promise is no document."""
    for item in content.attachments:
        if item.document is not None and not item.document.place.startswith("file name"):
            yield attached.place(item), item.name, item.document
    found = content.found
    if found is not None and found.place.startswith("body"):
        yield found.place, "", found


def _type(document: Document) -> str:
    return document.type


def _notation(document: Document) -> str:
    """The same for 5/TB-UBND and 05/tb-ubnd."""
    number = document.number.lstrip("0")
    return f"{number}/{document.symbol}".upper() if document.notation else ""


RULE = Rule(
    key="declared-conflict",
    id="declared-conflict",
    version=1,
    check=check,
    evidence=("type", "found", "place", "file", "case"),
    settings={"confidence": 0.7},
    cases=("notation",),
    directions=("submission",),
)
