"""Signatures in XML files (XML Signature 1.1; XAdES: ETSI EN 319 132).

A signature is said to be valid only when it covers the whole file. Many formats, electronic
invoices among them, sign one element and add others beside it: what such a signature is worth only
the format says, so it is named `unknown` unless what it signs was changed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from asn1crypto import x509
from cryptography.x509 import load_der_x509_certificate
from lxml import etree
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.errors import (
    DisallowedAlgorithmError,
    ExpiredError,
    InvalidCertificateError,
    NotYetValidError,
    PathBuildingError,
    ValidationError,
)
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from mailgov.content.fields import decode_base64
from mailgov.content.signed_cms import (
    BROKEN_CHAIN,
    DAMAGED,
    NOT_IN_FORCE,
    UNTRUSTED,
    WEAK,
    Judged,
    context,
    finish,
    told,
)
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_MAX_SIGNATURES = 20
_MAX_REFERENCES = 10
_MAX_CERTIFICATES = 16
_TRANSFORMS = {
    SignatureConstructionMethod.enveloped.value,
    *(one.value for one in CanonicalizationMethod),
}
_METHODS = {one.value for one in SignatureMethod if "HMAC" not in one.name}
_DIGESTS = {one.value for one in DigestAlgorithm}
_WEAK_ONES = {one.value for one in (*SignatureMethod, *DigestAlgorithm) if "SHA1" in one.name}
_OTHER_FORM = Judged("unknown", "form of signature not supported")

XMLVerifier.schemas()  # type: ignore[no-untyped-call]  # not typed there; read from files, which a sandbox will not let it do later


def signatures_in_xml(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Every signature, in the order of the file. Never raises but MemoryError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return (Signature("unknown", "xml", "damaged XML"),)
    found = islice(root.iter(f"{_DS}Signature"), _MAX_SIGNATURES)
    return tuple(_of_element(root, element, trust) for element in found)


def _of_element(root: etree._Element, element: etree._Element, trust: Trust) -> Signature:
    try:
        certificates = list(_certificates(element))
        if not certificates:
            return Signature("unknown", "xml", "certificate missing")
        signed_at = _claimed(element)
        judged = _judged(root, element, certificates, trust, signed_at)
        return told(judged, "xml", certificates[0], signed_at)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return Signature("unknown", "xml", DAMAGED)


def _certificates(element: etree._Element) -> Iterator[x509.Certificate]:
    """That of the signer first, as programs write them (XML Signature, 4.5.4)."""
    texts = element.iterfind(f"{_DS}KeyInfo/{_DS}X509Data/{_DS}X509Certificate")
    for one in islice(texts, _MAX_CERTIFICATES):
        yield x509.Certificate.load(decode_base64((one.text or "").encode("ascii")))


def _claimed(element: etree._Element) -> datetime | None:
    """The signing time in the properties of the signature, whatever their namespace."""
    texts = element.xpath(".//*[local-name() = 'SigningTime']/text()")
    for text in texts[:1]:
        try:
            moment = datetime.fromisoformat(str(text).strip())
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _judged(
    root: etree._Element,
    element: etree._Element,
    certificates: list[x509.Certificate],
    trust: Trust,
    signed_at: datetime | None,
) -> Judged:
    strength = _strength(element)
    if strength is not None:
        return strength
    signer = load_der_x509_certificate(certificates[0].dump())
    config = SignatureConfiguration(
        location=_location(root, element),
        expect_references=True,  # any number; which there are is seen below
        ignore_ambiguous_key_info=True,  # the key is that of the certificate
        verification_time=signer.not_valid_before_utc,  # its dates are judged with the chain
    )
    try:
        XMLVerifier().verify(root, x509_cert=signer, expect_config=config)
    except InvalidDigest:
        return Judged("invalid", "content changed")
    except InvalidSignature:
        return Judged("invalid", "signature does not fit the certificate")
    if not _covers_all(root, element):
        return Judged("unknown", "signs a part of the file")
    moment = signed_at or trust.sent_at or signer.not_valid_before_utc
    return _chain(certificates, trust, moment)


def _strength(element: etree._Element) -> Judged | None:
    """Why a signature can't be checked here; None when it can."""
    methods = _algorithms(element, "SignatureMethod")
    digests = _algorithms(element, "DigestMethod")
    if (methods | digests) & _WEAK_ONES:
        return WEAK
    references = _references(element)
    parent = element.getparent()
    supported = (
        methods <= _METHODS
        and digests <= _DIGESTS
        and _algorithms(element, "Transform") <= _TRANSFORMS
        and 0 < len(references) <= _MAX_REFERENCES
        and all(uri == "" or uri.startswith("#") for uri in references)
        # The verifier finds the first signature in a place; others there it can't be asked for.
        and (parent is None or parent.find(f"{_DS}Signature") is element)
    )
    return None if supported else _OTHER_FORM


def _algorithms(element: etree._Element, tag: str) -> set[str]:
    return {str(one.get("Algorithm")) for one in element.iter(f"{_DS}{tag}")}


def _references(element: etree._Element) -> list[str]:
    """What is signed: empty for the document, `#id` for an element in it."""
    found = element.iterfind(f"{_DS}SignedInfo/{_DS}Reference")
    return [str(one.get("URI")) for one in islice(found, _MAX_REFERENCES + 1)]


def _location(root: etree._Element, element: etree._Element) -> str:
    """The way from the root to where the signature stands, by position."""
    steps: list[str] = []
    at = element.getparent()
    while at is not None and at is not root:
        above = at.getparent()
        number = [one for one in above if isinstance(one.tag, str)].index(at) + 1
        steps.append(f"*[{number}]/")
        at = above
    return "./" + "".join(reversed(steps))


def _covers_all(root: etree._Element, element: etree._Element) -> bool:
    """Whether one reference is to the whole document (XML Signature, 4.4.3.2)."""
    if root is element:
        return False
    names = {f"#{root.get(name)}" for name in ("Id", "ID", "id") if root.get(name)}
    return any(uri == "" or uri in names for uri in _references(element))


def _chain(certificates: list[x509.Certificate], trust: Trust, moment: datetime) -> Judged:
    signer, *others = certificates
    validator = CertificateValidator(signer, others, context(trust, moment))
    try:
        finish(validator.async_validate_path())
    except (PathBuildingError, InvalidCertificateError):  # the latter: it vouches for itself
        return UNTRUSTED
    except (ExpiredError, NotYetValidError):
        return NOT_IN_FORCE
    except DisallowedAlgorithmError:
        return WEAK
    except ValidationError:
        return BROKEN_CHAIN
    return Judged("valid")
