"""The document is of a type that the regulations let e-mail carry.

Types outside the lists are permitted where the agency's regulation adds them (`permit`), and an
agency may take types or purposes off its list (`exclude`). Mail that is no document is ordinary
work correspondence, which the lists permit.
Basis: docs/basis.md#b01.
"""

from collections.abc import Iterator

from mailgov_policies.document_types import document_types
from mailgov_policies.facts import Document, Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit when the document's type is not on the list."""
    document = facts.content.document
    if document is None or _permitted(document, settings):
        return
    yield Hit(
        RULE.key,
        document.place or "message",
        {"type": document.type or document.category, "place": document.place or "message"},
    )


def _permitted(document: Document, settings: Settings) -> bool:
    names = {document.type, document.category} - {""}
    if names & set(settings.names("exclude")):
        return False
    if names & set(settings.names("permit")):
        return True
    known = document_types().get(document.type)
    return known is None or known.email_basis != "not-listed"


RULE = Rule(
    key="document-type-permitted",
    id="B01",
    version=1,
    check=check,
    evidence=("type", "place"),
    settings={"permit": (), "exclude": ()},
    directions=("submission",),
)
