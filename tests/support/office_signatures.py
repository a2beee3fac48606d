"""Signatures within office documents, made as Office and LibreOffice make them."""

import base64
import hashlib
import io
import re
import zipfile
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from .signers import SIGNED_AT, Holder

_DS = "http://www.w3.org/2000/09/xmldsig#"
_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_MDSSI = "http://schemas.openxmlformats.org/package/2006/digital-signature"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
_TIME = SIGNED_AT.strftime("%Y-%m-%dT%H:%M:%SZ")


def sign_office(data: bytes, signer: Holder, *, without: tuple[str, ...] = ()) -> bytes:
    """A docx, xlsx or pptx with a signature on all its parts but those named."""
    parts = _parts(data)
    types = dict(
        re.findall(
            r'PartName="([^"]+)" ContentType="([^"]+)"', parts["[Content_Types].xml"].decode()
        )
    )
    references = "".join(
        _office_reference(name, content, types.get(f"/{name}", ""))
        for name, content in parts.items()
        if name != "[Content_Types].xml"
        and not name.startswith("docProps/")
        and name not in without
    )
    manifest = (
        f'<Object Id="idPackageObject"><Manifest>{references}</Manifest><SignatureProperties>'
        f'<SignatureProperty Id="idSignatureTime" Target="#idPackageSignature"><mdssi:SignatureTime '
        f'xmlns:mdssi="{_MDSSI}"><mdssi:Format>YYYY-MM-DDThh:mm:ssTZD</mdssi:Format><mdssi:Value>{_TIME}'
        f"</mdssi:Value></mdssi:SignatureTime></SignatureProperty></SignatureProperties></Object>"
    )
    signature = _signed(
        f'<Signature xmlns="{_DS}" Id="idPackageSignature"/>',
        ["#idPackageObject"],
        manifest,
        signer,
    )
    return _packed(parts | {"_xmlsignatures/sig1.xml": signature})


def sign_opendocument(data: bytes, *signers: Holder, without: tuple[str, ...] = ()) -> bytes:
    """An odt, ods or odp with signatures on all its parts but those named."""
    parts = {name: content for name, content in _parts(data).items() if name not in without}
    signatures = b"".join(
        _signed(
            f'<Signature xmlns="{_DS}" Id="ID_{number}"/>',
            [*map(quote, parts), f"#ID_time{number}"],
            f'<Object><SignatureProperties><SignatureProperty Id="ID_time{number}" Target="#ID_{number}">'
            f'<dc:date xmlns:dc="http://purl.org/dc/elements/1.1/">{_TIME}</dc:date></SignatureProperty>'
            "</SignatureProperties></Object>",
            signer,
            parts,
        )
        for number, signer in enumerate(signers)
    )
    root = (
        b'<document-signatures xmlns="urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0">'
    )
    return _packed(
        _parts(data)
        | {"META-INF/documentsignatures.xml": root + signatures + b"</document-signatures>"}
    )


def _parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(parts: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _office_reference(name: str, content: bytes, content_type: str) -> str:
    if not name.endswith(".rels"):
        query = f"?ContentType={content_type}" if content_type else ""
        return _reference(f"/{quote(name)}{query}", content)
    root = etree.fromstring(content)
    links = sorted(root, key=lambda link: str(link.get("Id")))
    ids = "".join(f'<mdssi:RelationshipReference SourceId="{one.get("Id")}"/>' for one in links)
    plain = "".join(
        f'<Relationship Id="{one.get("Id")}" Target="{one.get("Target")}" TargetMode="'
        f'{one.get("TargetMode") or "Internal"}" Type="{one.get("Type")}"></Relationship>'
        for one in links
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    transforms = (
        '<Transform Algorithm="http://schemas.openxmlformats.org/package/2006/RelationshipTransform">'
        f'{ids.replace("<mdssi:RelationshipReference", f"""<mdssi:RelationshipReference xmlns:mdssi="{_MDSSI}" """)}'
        f'</Transform><Transform Algorithm="{_C14N}"/>'
    )
    signed = f'<Relationships xmlns="{space}">{plain}</Relationships>'.encode()
    return _reference(f"/{quote(name)}", signed, transforms)


def _reference(uri: str, content: bytes, transforms: str = "") -> str:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    inner = f"<Transforms>{transforms}</Transforms>" if transforms else ""
    return (
        f'<Reference URI="{uri}">{inner}<DigestMethod Algorithm="{_SHA256}"/><DigestValue>{digest}'
        "</DigestValue></Reference>"
    )


def _signed(
    empty: str, uris: list[str], objects: str, signer: Holder, parts: dict[str, bytes] | None = None
) -> bytes:
    """A signature element over these references; objects are enveloped in it."""
    root = etree.fromstring(empty.replace("/>", f">{objects}</Signature>"))
    references = "".join(_reference_of(root, uri, parts or {}) for uri in uris)
    info = etree.fromstring(
        f'<SignedInfo xmlns="{_DS}"><CanonicalizationMethod Algorithm="{_C14N}"/><SignatureMethod '
        f'Algorithm="{_ECDSA}"/>{references}</SignedInfo>'
    )
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(
        signer.key.sign(etree.tostring(info, method="c14n"), ec.ECDSA(hashes.SHA256()))
    )
    value = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
    certificate = base64.b64encode(signer.der).decode()
    rest = etree.fromstring(
        f'<x xmlns="{_DS}"><SignatureValue>{value}</SignatureValue><KeyInfo><X509Data><X509Certificate>'
        f"{certificate}</X509Certificate></X509Data></KeyInfo></x>"
    )
    for index, child in enumerate([info, *rest]):
        root.insert(index, child)
    data: bytes = etree.tostring(root)
    return data


def _reference_of(root: etree._Element, uri: str, parts: dict[str, bytes]) -> str:
    canonical = f'<Transform Algorithm="{_C14N}"/>'
    if uri.startswith("#"):
        (element,) = root.xpath("//*[@Id=$id]", id=uri[1:])
        alone = etree.fromstring(etree.tostring(element))
        return _reference(uri, etree.tostring(alone, method="c14n"))
    content = next(content for name, content in parts.items() if quote(name) == uri)
    if not uri.endswith(".xml"):
        return _reference(uri, content)
    return _reference(uri, etree.tostring(etree.fromstring(content), method="c14n"), canonical)
