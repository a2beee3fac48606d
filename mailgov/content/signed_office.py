"""Signatures within office documents: Office Open XML (ECMA-376 part 2, 13) and OpenDocument (1.2 part 3, 4).

Both are XML signatures in a part of their own that refer to the other parts: the one by a manifest
that is signed, the other by references of the signature itself. A signature that leaves out a part
that is shown covers not the whole file.
"""

import hashlib
import io
import posixpath
import zipfile
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from asn1crypto import x509 as asn1_x509
from lxml import etree

from mailgov.content.fields import decode_base64
from mailgov.content.signed_cms import DAMAGED, WEAK, Judged, told
from mailgov.content.signed_xml import (
    DIGESTS,
    DS,
    MAX_SIGNATURES,
    METHODS,
    OTHER_FORM,
    WEAK_ONES,
    algorithms,
    certificates_in,
    chain_judged,
    claimed_time,
    references_of,
    verified,
)
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature

_MAX_BYTES = 64 << 20  # unpacked, over all parts that are signed
_MAX_PARTS = 5000  # named in a manifest
_RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_MDSSI = "{http://schemas.openxmlformats.org/package/2006/digital-signature}"
_RELATIONSHIP_TRANSFORM = "http://schemas.openxmlformats.org/package/2006/RelationshipTransform"
_C14N = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
}
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_HASHES = {
    uri: uri.rpartition("#")[2]
    for uri in (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
}
_SHOWN = ("word/", "xl/", "ppt/")  # parts that make up what is shown
# Relationships that signing programs leave out: they lead to nothing that is shown.
_UNSIGNED_LINKS = (
    "core-properties",
    "extended-properties",
    "custom-properties",
    "thumbnail",
    "origin",
)
_ODF_SIGNATURES = "META-INF/documentsignatures.xml"
_Check = Callable[..., Judged | None]  # of root, signature, certificate of the signer
_CHANGED = Judged("invalid", "content changed")
_PARTLY = Judged("covers-not-whole-file", "parts of the document are not signed")


def signatures_in_package(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Every signature of an office document, in order. Never raises but MemoryError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            package = _Package(archive)
            return tuple(package.signatures(trust))[:MAX_SIGNATURES]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return (Signature("unknown", "office", DAMAGED),)


class _Package:
    """The parts of a document by name, unpacked within bounds."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {
            f"/{entry.filename}".lower(): entry
            for entry in archive.infolist()
            if not entry.is_dir()
        }
        self._left_bytes = _MAX_BYTES

    def signatures(self, trust: Trust) -> Iterator[Signature]:
        """Each signature, checked."""
        names = [name for name in self._entries if posixpath.dirname(name) == "/_xmlsignatures"]
        for name in sorted(name for name in names if name.endswith(".xml")):
            yield self._checked(_parsed(self.part(name)), trust, self._office)
        if f"/{_ODF_SIGNATURES}".lower() in self._entries:
            root = _parsed(self.part(f"/{_ODF_SIGNATURES}"))
            for number in range(len(root.findall(f"{DS}Signature"))):
                yield self._checked(_alone(root, number), trust, self._opendocument)

    def _checked(self, root: etree._Element, trust: Trust, check: _Check) -> Signature:
        try:
            element = root if root.tag == f"{DS}Signature" else root.find(f"{DS}Signature")
            certificates = list(certificates_in(element)) if element is not None else []
            if element is None or not certificates:
                return Signature("unknown", "office", "certificate missing")
            signed_at = claimed_time(element)
            judged = _strength(element) or check(root, element, certificates[0])
            judged = judged or chain_judged(certificates, trust, signed_at)
            return told(judged, "office", certificates[0], signed_at)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - see above
            return Signature("unknown", "office", DAMAGED)

    def part(self, name: str) -> bytes:
        """The bytes of a part. Raises KeyError when it is missing, ValueError beyond bounds."""
        entry = self._entries[name.lower()]
        self._left_bytes -= entry.file_size
        if self._left_bytes < 0:
            raise ValueError("larger than allowed")
        return self._archive.read(entry)

    # Office Open XML

    def _office(
        self, root: etree._Element, element: etree._Element, certificate: asn1_x509.Certificate
    ) -> Judged | None:
        """Why the signature is not as good as its certificate; None when it is."""
        signed = verified(root, element, certificate)
        if isinstance(signed, Judged):
            return signed
        covered: set[str] = set()
        partly = False
        for result in signed:
            manifest = () if result.signed_xml is None else result.signed_xml.iter(f"{DS}Manifest")
            for reference in (one for it in manifest for one in it.iterfind(f"{DS}Reference")):
                if len(covered) >= _MAX_PARTS:
                    return OTHER_FORM
                name, _, content_type = str(reference.get("URI")).partition("?ContentType=")
                judged = self._reference(reference, unquote(name), content_type)
                if judged is not None and judged is not _PARTLY:
                    return judged
                partly = partly or judged is _PARTLY
                covered.add(unquote(name).lower())
        if not covered:
            return Judged("unknown", "signs a part of the file")
        shown = {name for name in self._entries if name[1:].startswith(_SHOWN)}
        return _PARTLY if partly or shown - covered else None

    def _reference(self, reference: etree._Element, name: str, content_type: str) -> Judged | None:
        """Whether a part is what the manifest says (13.2.4.20)."""
        hashed = _HASHES.get(next(iter(algorithms(reference, "DigestMethod")), ""))
        if hashed is None:
            return OTHER_FORM
        if name.lower() not in self._entries:
            return _CHANGED
        data, partly = self.part(name), False
        transforms = [one.get("Algorithm") for one in reference.iter(f"{DS}Transform")]
        if _RELATIONSHIP_TRANSFORM in transforms:
            data, partly = _relationships(data, reference)
            transforms.remove(_RELATIONSHIP_TRANSFORM)
        elif transforms:
            data = _canonical(_parsed(data))
        if not set(transforms) <= _C14N:
            return OTHER_FORM
        digest = decode_base64((reference.findtext(f"{DS}DigestValue") or "").encode("ascii"))
        if hashlib.new(hashed, data).digest() != digest:
            return _CHANGED
        if content_type and content_type.lower() != self._content_type(name).lower():
            return _CHANGED
        return _PARTLY if partly else None

    def _content_type(self, name: str) -> str:
        types = _parsed(self.part("/[Content_Types].xml"))
        for one in types.iterfind(f"{_TYPES}Override"):
            if str(one.get("PartName")).lower() == name.lower():
                return str(one.get("ContentType"))
        for one in types.iterfind(f"{_TYPES}Default"):
            if name.lower().endswith(f".{str(one.get('Extension')).lower()}"):
                return str(one.get("ContentType"))
        return ""

    # OpenDocument

    def _opendocument(
        self, root: etree._Element, element: etree._Element, certificate: asn1_x509.Certificate
    ) -> Judged | None:
        """Why the signature is not as good as its certificate; None when it is."""
        uris = [uri for uri in references_of(element, _MAX_PARTS) if not uri.startswith("#")]
        covered = {f"/{unquote(uri)}".lower() for uri in uris}
        if not covered <= self._entries.keys():
            return _CHANGED
        canonical = {
            str(one.get("URI"))
            for one in element.iterfind(f"{DS}SignedInfo/{DS}Reference")
            if algorithms(one, "Transform")
        }

        def resolver(uri: str) -> object:
            data = self.part(f"/{unquote(uri)}")
            return _parsed(data) if uri in canonical else data

        signed = verified(root, element, certificate, resolver)
        if isinstance(signed, Judged):
            return signed
        rest = self._entries.keys() - covered
        return _PARTLY if any(not name.endswith("signatures.xml") for name in rest) else None


def _parsed(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    return etree.fromstring(data, parser)


def _alone(root: etree._Element, number: int) -> etree._Element:
    """The same root with one of its signatures."""
    copied = _parsed(etree.tostring(root))
    for index, one in enumerate(copied.findall(f"{DS}Signature")):
        if index != number:
            copied.remove(one)
    return copied


def _strength(element: etree._Element) -> Judged | None:
    methods, digests = algorithms(element, "SignatureMethod"), algorithms(element, "DigestMethod")
    if (methods | digests) & WEAK_ONES:
        return WEAK
    info = element.find(f"{DS}SignedInfo")
    known = info is not None and algorithms(info, "Transform") <= _C14N
    return None if known and methods <= METHODS and digests <= DIGESTS else OTHER_FORM


def _relationships(data: bytes, reference: etree._Element) -> tuple[bytes, bool]:
    """The relationships that are signed, in their one form, and whether others are not (13.2.4.24)."""
    ids = {one.get("SourceId") for one in reference.iter(f"{_MDSSI}RelationshipReference")}
    types = {
        one.get("SourceType") for one in reference.iter(f"{_MDSSI}RelationshipsGroupReference")
    }
    kept = etree.Element(f"{_RELATIONSHIPS}Relationships", nsmap={None: _RELATIONSHIPS[1:-1]})
    partly = False
    links = _parsed(data).iterfind(f"{_RELATIONSHIPS}Relationship")
    for link in sorted(links, key=lambda one: str(one.get("Id"))):
        kind = str(link.get("Type"))
        if link.get("Id") in ids or kind in types:
            plain = etree.SubElement(kept, f"{_RELATIONSHIPS}Relationship")
            for name in ("Id", "Target", "Type"):
                plain.set(name, str(link.get(name)))
            plain.set("TargetMode", link.get("TargetMode") or "Internal")
        else:
            partly = partly or not kind.endswith(_UNSIGNED_LINKS)
    return _canonical(kept), partly


def _canonical(element: etree._Element) -> bytes:
    data: bytes = etree.tostring(element, method="c14n", exclusive=False, with_comments=False)
    return data
