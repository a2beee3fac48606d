"""Signatures in XML files (XML Signature 1.1; XAdES: ETSI EN 319 132).

A signature is said to be valid only when it covers the whole file. Many formats, electronic
invoices among them, sign one element and add others beside it: what such a signature is worth only
the format says, so it is named `unknown` unless what it signs was changed.
"""

from collections.abc import Callable, Iterator
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
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

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

DS = "{http://www.w3.org/2000/09/xmldsig#}"
MAX_SIGNATURES = 20
MAX_REFERENCES = 10
_MAX_CERTIFICATES = 16
_TRANSFORMS = {
    SignatureConstructionMethod.enveloped.value,
    *(one.value for one in CanonicalizationMethod),
}
METHODS = {one.value for one in SignatureMethod if "HMAC" not in one.name}
DIGESTS = {one.value for one in DigestAlgorithm}
WEAK_ONES = {one.value for one in (*SignatureMethod, *DigestAlgorithm) if "SHA1" in one.name}
OTHER_FORM = Judged("unknown", "form of signature not supported")


class _Verifier(XMLVerifier):
    """As the library has it, but for elements whose namespace is the default one of an ancestor.

    lxml canonicalises such elements wrongly or not at all while they stand in their tree; most
    programs write signatures so.
    """

    def _c14n(  # type: ignore[no-untyped-def]  # not typed there
        self, nodes, algorithm, inclusive_ns_prefixes=None
    ) -> bytes:
        nodes = nodes if isinstance(nodes, list) else [nodes]
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        alone = [etree.fromstring(etree.tostring(one, with_tail=False), parser) for one in nodes]
        data: bytes = super()._c14n(alone, algorithm, inclusive_ns_prefixes)
        return data


_Verifier.schemas()  # type: ignore[no-untyped-call]  # not typed there; read from files, which a sandbox will not let it do later


def signatures_in_xml(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Every signature, in the order of the file. Never raises but MemoryError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return (Signature("unknown", "xml", "damaged XML"),)
    found = islice(root.iter(f"{DS}Signature"), MAX_SIGNATURES)
    return tuple(_of_element(root, element, trust) for element in found)


def _of_element(root: etree._Element, element: etree._Element, trust: Trust) -> Signature:
    try:
        certificates = list(certificates_in(element))
        if not certificates:
            return Signature("unknown", "xml", "certificate missing")
        signed_at = claimed_time(element)
        judged = _judged(root, element, certificates, trust, signed_at)
        return told(judged, "xml", certificates[0], signed_at)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return Signature("unknown", "xml", DAMAGED)


def certificates_in(element: etree._Element) -> Iterator[x509.Certificate]:
    """That of the signer first, as programs write them (XML Signature, 4.5.4)."""
    texts = element.iterfind(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    for one in islice(texts, _MAX_CERTIFICATES):
        yield x509.Certificate.load(decode_base64((one.text or "").encode("ascii")))


def claimed_time(element: etree._Element) -> datetime | None:
    """The signing time in the properties of the signature, whatever their namespace."""
    texts = element.xpath(
        ".//*[local-name() = 'SigningTime']/text()"
        " | .//*[local-name() = 'SignatureTime']/*[local-name() = 'Value']/text()"
        " | .//*[local-name() = 'SignatureProperty']/*[local-name() = 'date']/text()"
    )
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
    signed = verified(root, element, certificates[0])
    if isinstance(signed, Judged):
        return signed
    if not _covers_all(root, element):
        return Judged("unknown", "signs a part of the file")
    return chain_judged(certificates, trust, signed_at)


def verified(
    root: etree._Element,
    element: etree._Element,
    certificate: x509.Certificate,
    resolver: Callable[[str], object] | None = None,
) -> list[VerifyResult] | Judged:
    """What a signature signs, or why it does not hold.

    `resolver` gives what references outside the file lead to: bytes, or an element to canonicalise.
    """
    signer = load_der_x509_certificate(certificate.dump())
    config = SignatureConfiguration(
        location=location_of(root, element),
        expect_references=True,  # any number; which there are is seen by the caller
        ignore_ambiguous_key_info=True,  # the key is that of the certificate
        verification_time=signer.not_valid_before_utc,  # its dates are judged with the chain
    )
    try:
        found = _Verifier().verify(
            root, x509_cert=signer, expect_config=config, uri_resolver=resolver
        )
    except InvalidDigest:
        return Judged("invalid", "content changed")
    except InvalidSignature:
        return Judged("invalid", "signature does not fit the certificate")
    return found if isinstance(found, list) else [found]


def _strength(element: etree._Element) -> Judged | None:
    """Why a signature can't be checked here; None when it can."""
    methods = algorithms(element, "SignatureMethod")
    digests = algorithms(element, "DigestMethod")
    if (methods | digests) & WEAK_ONES:
        return WEAK
    references = references_of(element)
    parent = element.getparent()
    supported = (
        methods <= METHODS
        and digests <= DIGESTS
        and algorithms(element, "Transform") <= _TRANSFORMS
        and 0 < len(references) <= MAX_REFERENCES
        and all(uri == "" or uri.startswith("#") for uri in references)
        # The verifier finds the first signature in a place; others there it can't be asked for.
        and (parent is None or parent.find(f"{DS}Signature") is element)
    )
    return None if supported else OTHER_FORM


def algorithms(element: etree._Element, tag: str) -> set[str]:
    """The algorithms that elements of this name ask for."""
    return {str(one.get("Algorithm")) for one in element.iter(f"{DS}{tag}")}


def references_of(element: etree._Element, most: int = MAX_REFERENCES) -> list[str]:
    """What is signed: empty for the document, `#id` for an element in it."""
    found = element.iterfind(f"{DS}SignedInfo/{DS}Reference")
    return [str(one.get("URI")) for one in islice(found, most + 1)]


def location_of(root: etree._Element, element: etree._Element) -> str:
    """The way from the root to where the signature stands, by position; it may be the root."""
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
    return any(uri == "" or uri in names for uri in references_of(element))


def chain_judged(
    certificates: list[x509.Certificate], trust: Trust, signed_at: datetime | None
) -> Judged:
    """What the certificates say of a signature that holds."""
    signer, *others = certificates
    moment = signed_at or trust.sent_at or signer.not_valid_before
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
