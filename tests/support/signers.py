"""Authorities, certificates and signatures made for a test, with keys that are thrown away."""

import asyncio
import io
from base64 import encodebytes
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from lxml import etree
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore
from signxml.signer import XMLSigner

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

SIGNED_AT = datetime(2026, 3, 12, 1, 0, tzinfo=UTC)
_NAMES = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "C": NameOID.COUNTRY_NAME,
    "T": NameOID.TITLE,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "UID": NameOID.USER_ID,
    "orgId": NameOID.ORGANIZATION_IDENTIFIER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}


@dataclass(frozen=True)
class Holder:
    """A certificate, its key, and those above it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def asn1(self) -> asn1_x509.Certificate:
        """The certificate as the signing library has it."""
        return asn1_x509.Certificate.load(self.der)

    @property
    def asn1_key(self) -> keys.PrivateKeyInfo:
        """The key as the signing library has it."""
        der = self.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return keys.PrivateKeyInfo.load(der)


def day(year: int, month: int = 1, day: int = 1) -> datetime:
    """The beginning of a day, UTC."""
    return datetime(year, month, day, tzinfo=UTC)


@cache
def authority(name: str = "CA thử") -> Holder:
    """A root that vouches for itself from 2020 to 2040."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name({"CN": name})
    builder = _certificate(subject, subject, key, day(2020), day(2040))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Holder(builder.sign(key, hashes.SHA256()), key)


def holder(
    root: Holder | None = None,
    *,
    since: datetime = datetime(2025, 1, 1, tzinfo=UTC),
    until: datetime = datetime(2028, 1, 1, tzinfo=UTC),
    mail: str = "",
    usage: ObjectIdentifier | None = None,
    key: Key | None = None,
    **subject: str,
) -> Holder:
    """A certificate for signing, by default of a person of an agency."""
    root = root or authority()
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = subject or {"CN": "Lê Văn Ký", "O": "UBND tỉnh Mẫu", "C": "VN"}
    builder = _certificate(_name(names), root.certificate.subject, key, since, until)
    builder = builder.add_extension(_key_usage(), critical=True)
    if mail:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.RFC822Name(mail)]), critical=False
        )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    certificate = builder.sign(root.key, hashes.SHA256())
    return Holder(certificate, key, (root.certificate, *root.chain))


def stamper(root: Holder, at: datetime) -> DummyTimeStamper:
    """A time-stamping authority whose clock stands still."""
    usage = ExtendedKeyUsageOID.TIME_STAMPING
    tsa = holder(root, usage=usage, key=_rsa_key(), CN="Dấu thời gian")
    return DummyTimeStamper(tsa.asn1, tsa.asn1_key, _store(tsa), fixed_dt=at)


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)  # the stamper knows no other kind


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _name(names: dict[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(_NAMES[key], value) for key, value in names.items()])


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _store(signer: Holder) -> SimpleCertificateStore:
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # not typed there
    for certificate in signer.chain:
        der = certificate.public_bytes(serialization.Encoding.DER)
        store.register(asn1_x509.Certificate.load(der))
    return store


class _ClockedSigner(SimpleSigner):
    """Signs at the time it is told."""

    def __init__(self, signer: Holder, at: datetime | None) -> None:
        super().__init__(signer.asn1, signer.asn1_key, _store(signer))
        self._at = at

    async def signed_attrs(  # type: ignore[override]  # what else there is, is passed on
        self, data_digest: bytes, digest_algorithm: str, attr_settings: Any = None, **more: Any
    ) -> Any:
        settings = replace(attr_settings or PdfCMSSignedAttributes(), signing_time=self._at)
        return await super().signed_attrs(data_digest, digest_algorithm, settings, **more)


def sign(
    pdf: bytes,
    signer: Holder,
    *,
    field: str = "ChuKy1",
    at: datetime | None = SIGNED_AT,
    stamped_by: DummyTimeStamper | None = None,
    **more: Any,
) -> bytes:
    """The PDF with a signature added."""
    out = sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdf)),
        PdfSignatureMetadata(field_name=field, md_algorithm="sha256", **more),
        signer=_ClockedSigner(signer, at),
        timestamper=stamped_by,
    )
    data: bytes = out.getvalue()
    return data


def sign_data(
    data: bytes, signer: Holder, *, detached: bool = True, at: datetime | None = SIGNED_AT
) -> bytes:
    """A CMS message with a signature on the data."""
    signing = _ClockedSigner(signer, at).async_sign_general_data(data, "sha256", detached=detached)
    der: bytes = asyncio.run(signing).dump()
    return der


def sign_xml(
    text: str, signer: Holder, reference: str | None = None, *, prefix: str | None = "ds"
) -> bytes:
    """An XML file with a signature in its root, on all of it or on the element referred to."""
    signing = XMLSigner(signature_algorithm="ecdsa-sha256")
    signing.namespaces = {prefix: "http://www.w3.org/2000/09/xmldsig#"}
    root = signing.sign(
        etree.fromstring(text), key=signer.key, cert=[signer.certificate], reference_uri=reference
    )
    data: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return data


def clear_signed(entity: bytes, signer: Holder, sender: str = "an.nv@tinhmau.gov.vn") -> bytes:
    """A message with multipart/signed; the entity is a MIME part with CRLF."""
    return (
        (
            f"From: {sender}\r\nTo: vanphong@bomau.gov.vn\r\nSubject: Trao doi\r\n"
            "Date: Thu, 12 Mar 2026 08:01:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
            'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="=s"; micalg=sha-256;\r\n'
            ' protocol="application/pkcs7-signature"\r\n\r\nThis is signed.\r\n--=s\r\n'
        ).encode()
        + entity
        + b"\r\n--=s\r\n"
        + _base64_part("application/pkcs7-signature; name=smime.p7s", sign_data(entity, signer))
        + b"--=s--\r\n"
    )


def opaque_signed(entity: bytes, signer: Holder, sender: str = "an.nv@tinhmau.gov.vn") -> bytes:
    """A message that is one application/pkcs7-mime."""
    signed = sign_data(entity, signer, detached=False)
    media_type = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
    return (
        f"From: {sender}\r\nTo: vanphong@bomau.gov.vn\r\nSubject: Trao doi\r\n"
        "Date: Thu, 12 Mar 2026 08:01:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
        "MIME-Version: 1.0\r\n"
    ).encode() + _base64_part(media_type, signed)


def _base64_part(media_type: str, content: bytes) -> bytes:
    head = f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    return head + encodebytes(content).replace(b"\n", b"\r\n")
