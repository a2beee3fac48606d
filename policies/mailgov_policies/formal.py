"""Formal documents among the files of a message: those that the law wants signed."""

from collections.abc import Iterator

from mailgov_policies.document_types import document_types
from mailgov_policies.facts import Attachment, Content, Document, Signature

_COPIES = ("SY-", "TrS-", "SL-")  # notations of copies (Decree 30/2020, Annex III)


def formal_documents(content: Content) -> Iterator[tuple[Attachment, Document]]:
    """Files that are an agency's document, of a type that is signed before it is issued."""
    for item in content.attachments:
        document = item.document
        if document is None or not document.is_agency_document:
            continue
        if item.state != "read" or item.kind == "message":  # what is in it is listed by itself
            continue
        known = document_types().get(document.type)
        if known is not None and known.formal and known.needs_signature:
            yield item, document


def sound_signatures(item: Attachment) -> tuple[Signature, ...]:
    """Signatures under which the file is what was signed, whoever the signers are."""
    return tuple(one for one in item.signatures if one.is_sound)


def is_copy(document: Document) -> bool:
    """Whether it is a copy certified by an office, which signs alone (Article 25)."""
    return document.symbol.startswith(_COPIES)
