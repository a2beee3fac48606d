"""Signatures on files and messages: which there are, and what checking them says.

    PDF (PAdES) · Office Open XML and OpenDocument · XML (XML Signature, XAdES) · CMS beside or around any file (CAdES) · S/MIME

Checked against pinned roots (`Trust`), without a network. The checkers cost more than half a second
to load, so they are loaded by the first signature.
"""

from typing import Literal

from mailgov.content.archives import Damaged
from mailgov.content.cms import open_cms
from mailgov.content.parts import Part, signed_entity
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature

SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_PACKAGES = {
    **dict.fromkeys(("docx", "docm", "xlsx", "xlsm", "pptx", "pptm"), b"_xmlsignatures/"),
    **dict.fromkeys(("odt", "ods", "odp"), b"META-INF/documentsignatures.xml"),
}
_XML_SIGNATURE = b"http://www.w3.org/2000/09/xmldsig#"


def in_file(kind: str, data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Signatures that a file bears within itself. Never raises but MemoryError."""
    if kind == "pdf" and b"/ByteRange" in data:
        from mailgov.content.signed_pdf import signatures_in_pdf

        return signatures_in_pdf(data, trust)
    if kind == "xml" and _XML_SIGNATURE in data:
        from mailgov.content.signed_xml import signatures_in_xml

        return signatures_in_xml(data, trust)
    if kind in _PACKAGES and _PACKAGES[kind] in data:  # names of members stand in the clear
        from mailgov.content.signed_office import signatures_in_package

        return signatures_in_package(data, trust)
    return ()


def around(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Signatures in a CMS message on the content within it. Never raises but MemoryError."""
    return () if is_detached(data) else _in_cms(data, None, trust, "cms")


def beside(data: bytes, signed: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Signatures in a CMS message on another file. Never raises but MemoryError."""
    return _in_cms(data, signed, trust, "cms")


def on_entity(part: Part, trust: Trust) -> tuple[Signature, ...]:
    """Signatures of a multipart/signed (RFC 8551, 3.5.3). Never raises but MemoryError."""
    last = part.children[-1]
    if len(part.children) != 2 or last.media_type not in SIGNATURE_TYPES:
        return ()  # OpenPGP has its own form (RFC 3156)
    signature, entity = last.content(), canonical(signed_entity(part))
    found = _in_cms(signature, entity, trust, "smime")
    if not _any_invalid(found):
        return found
    # Some programs sign lines as they store them, and send them as they must be sent.
    stored = _in_cms(signature, entity.replace(b"\r\n", b"\n"), trust, "smime")
    return found if _any_invalid(stored) else stored


def _any_invalid(found: tuple[Signature, ...]) -> bool:
    return any(one.state == "invalid" for one in found)


def opaque(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Signatures of an application/pkcs7-mime (RFC 8551, 3.5.2). Never raises but MemoryError."""
    return _in_cms(data, None, trust, "smime")


def canonical(entity: bytes) -> bytes:
    """Every line ends in CRLF (RFC 8551, 3.1.1), whatever program stored the message."""
    return entity if b"\r\n" in entity else entity.replace(b"\n", b"\r\n")


def is_detached(data: bytes) -> bool:
    """Whether a CMS message signs something that is not in it."""
    try:
        signed = open_cms(data)
    except Damaged:
        return False
    return signed.content is None and not signed.encrypted


def _in_cms(
    data: bytes, content: bytes | None, trust: Trust, form: Literal["cms", "smime"]
) -> tuple[Signature, ...]:
    from mailgov.content.signed_cms import signatures_in_cms

    return signatures_in_cms(data, content, trust, form)
