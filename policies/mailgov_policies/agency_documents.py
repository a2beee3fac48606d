"""Whether a message carries a document of an agency, and where."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailgov_policies import attached
from mailgov_policies.facts import Content, Document


@dataclass(frozen=True, slots=True)
class Carried:
    """A document in the message: where, and in which file (empty: in the text of the mail)."""

    place: str
    file: str


def recognised(content: Content) -> Iterator[Carried]:
    """Documents that bear the marks of an agency: national heading, notation, agency's name."""
    for item in content.attachments:
        if item.document is not None and item.document.is_agency_document:
            yield Carried(attached.place(item), item.name)
    for document in (_in_the_mail(content), content.declared):
        if document is not None and document.is_agency_document:
            yield Carried(document.place or "message", "")


def _in_the_mail(content: Content) -> Document | None:
    """The document in the text of the mail, or that its subject names for a file of unknown content.

    Files that say what they are speak for themselves, and a subject alone carries nothing.
    """
    found = content.found
    if found is None or found.place.startswith(("part", "file name")):
        return None
    unknown = any(item.document is None for item in content.attachments)
    return found if found.place != "subject" or unknown else None


def sent_as_document(content: Content) -> Iterator[Carried]:
    """Recognised documents, attached ones of a known type, and what the sender declares as one."""
    yield from recognised(content)
    for item in content.attachments:
        if item.document is not None and item.document.type:
            yield Carried(attached.place(item), item.name)
    declared = content.declared
    if declared is not None and (declared.type or declared.notation):
        yield Carried(declared.place or "message", "")
