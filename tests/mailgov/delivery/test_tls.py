"""How sure we are of a server before it gets mail: the table in `vectors/tls.toml`."""

import ssl
import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlmodel import select

from mailgov.config import Delivery
from mailgov.db import Database
from mailgov.db.models import TlsResult
from mailgov.delivery.mta_sts import StsPolicies
from mailgov.delivery.tls_policy import TlsPolicies
from mailgov.delivery.tls_results import AppliedPolicy, Observed, TlsResults
from mailgov.delivery.transports import Taken
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.resolver import Tlsa

from ...support.dns import FakeResolver
from ...support.smtp_peer import Peer, serving
from ..queue.samples import NOON, TEXT
from .parcels import ours, parcel

MX = "mx.example.vn"
NOT_REQUIRED = b"TLS-Required: No\r\n"
CASES = tomllib.loads(
    Path(__file__).with_name("vectors").joinpath("tls.toml").read_text(encoding="utf-8")
)["case"]


@dataclass(frozen=True)
class Certificates:
    """An authority that is trusted, one that is not, and what they issue."""

    trusted: trustme.CA
    unknown: trustme.CA

    def issue(self, kind: str) -> trustme.LeafCert:
        """A certificate with a fault of that kind."""
        authority = self.unknown if kind == "unknown-authority" else self.trusted
        name = "somebody.else.vn" if kind == "other-name" else MX
        end = datetime(2021 if kind == "expired" else 2099, 1, 1, tzinfo=UTC)
        return authority.issue_cert(
            name, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=end
        )


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates(trustme.CA(), trustme.CA())


@pytest.fixture
def authorities(certificates: Certificates, tmp_path: Path) -> list[str]:
    path = tmp_path / "ca.pem"
    certificates.trusted.cert_pem.write_to_path(path)
    return [str(path)]


def served(certificate: trustme.LeafCert, authority: trustme.CA) -> ssl.SSLContext:
    """A server's context that shows the authority's certificate too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    chain = b"".join(p.bytes() for p in certificate.cert_chain_pems) + authority.cert_pem.bytes()
    with trustme.Blob(chain + certificate.private_key_pem.bytes()).tempfile() as path:
        context.load_cert_chain(path)
    return context


def key_hash(pem: bytes) -> bytes:
    certificate = x509.load_pem_x509_certificate(pem)
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(spki).digest()


def peer_of(case: dict[str, Any], certificate: trustme.LeafCert, authority: trustme.CA) -> Peer:
    behaviour = case.get("peer", "good")
    good = Peer(
        tls=served(certificate, authority),
        after_tls=() if behaviour == "no-requiretls" else ("REQUIRETLS",),
    )
    match behaviour:
        case "no-starttls":
            return Peer()
        case "refuses-starttls":
            good.replies = {"STARTTLS": "454 4.7.0 not now"}
        case "handshake-fails":
            good.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate
        case "injects":
            # Said in clear behind the reply, as somebody between us would.
            good.replies = {"STARTTLS": "220 go ahead\r\n250 2.0.0 said in clear"}
    return good


def tlsa_of(case: dict[str, Any], leaf: trustme.LeafCert, authority: trustme.CA) -> list[Tlsa]:
    other = trustme.CA()
    match case["policy"]:
        case "dane-ee":
            key = other if case.get("tlsa_of") == "another" else leaf
            pem = key.cert_pem if isinstance(key, trustme.CA) else key.cert_chain_pems[0]
            return [Tlsa(3, 1, 1, key_hash(pem.bytes()))]
        case "dane-ta":
            return [Tlsa(2, 1, 1, key_hash(authority.cert_pem.bytes()))]
        case "dane-unusable":
            return [Tlsa(1, 1, 1, bytes(32))]
        case _:
            return []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_the_table(
    case: dict[str, Any],
    certificates: Certificates,
    authorities: list[str],
    database: Database,
) -> None:
    policy, _, demanded = case["policy"].partition("+")
    leaf = certificates.issue(case.get("certificate", "good"))
    peer = peer_of(case, leaf, certificates.trusted)

    async def fetch(_domain: str) -> str:
        mode = policy.removeprefix("sts-")
        named = case.get("mx_in_policy", "*.example.vn")
        return f"version: STSv1\nmode: {mode}\nmx: {named}\nmax_age: 86400\n"

    settings = Delivery.model_validate(
        {
            "allow_loopback": True,
            "tls_authorities": authorities,
            "enforced_tls": ["example.vn"] if policy == "listed" else [],
        }
    )
    async with serving(peer):
        name = f"_{peer.port}._tcp.{MX}"
        resolver = FakeResolver(
            mx_of={"example.vn": [(10, MX)]},
            addresses_of={MX: ["127.0.0.1"]},
            txt_of={"_mta-sts.example.vn": [b"v=STSv1; id=1;"]} if "sts" in policy else {},
            tlsa_of={name: tlsa_of(case, leaf, certificates.trusted)},
            secure=frozenset({"example.vn", MX, name}) if "dane" in policy else frozenset(),
            broken=frozenset({name}) if policy == "dane-broken" else frozenset(),
        )
        results = TlsResults(database, lambda: NOON)
        sts = StsPolicies(resolver, database, lambda: NOON, fetch)
        policies = TlsPolicies(settings, resolver, sts, results)
        transport = SmtpTransport(
            settings,
            "mail.tinhmau.gov.vn",
            resolver,
            port=peer.port,
            policies=policies,
            results=results,
        )
        sent = parcel(data=NOT_REQUIRED + TEXT) if "not-required" in demanded else parcel()
        required = demanded.startswith("requiretls")
        sent = replace(sent, message=replace(sent.message, require_tls=required))
        try:
            outcome: object = (await transport.deliver(sent, ours))[1]
        except DeliveryError as exc:
            outcome = exc
        await transport.close()
    kinds = {"tls": Taken, "clear": Taken, "defer": DeliveryDeferred, "bounce": DeliveryRefused}
    assert type(outcome) is kinds[case["outcome"]], outcome
    assert [one.in_tls for one in peer.received] == {"tls": [True], "clear": [False]}.get(
        case["outcome"], []
    )
    with database.read() as session:
        rows = session.exec(select(TlsResult)).all()
    if demanded == "not-required":  # no policy was asked for, and none is reported on
        assert rows == []
        return
    assert [(row.policy_domain, row.result, row.sessions) for row in rows] == [
        ("example.vn", case.get("result", ""), 1)
    ]
    called = bool(peer.connections)
    assert [row.sending_ip for row in rows] == ["127.0.0.1" if called else ""]
    kind = {"sts": "sts", "dan": "tlsa"}.get(policy[:3], "no-policy-found")
    assert {row.policy_type for row in rows} == {kind}


def test_the_table_is_whole() -> None:
    assert len(CASES) >= 28
    assert len({case["name"] for case in CASES}) == len(CASES)


async def test_counts_are_written_together_and_trouble_costs_no_mail(database: Database) -> None:
    results = TlsResults(database, lambda: NOON + timedelta(hours=1))
    for _ in range(3):
        results.note(Observed(AppliedPolicy("a.vn"), host="mx.a.vn", address="192.0.2.1"))
    results.note(Observed(AppliedPolicy("a.vn"), "certificate-expired", "mx.a.vn"))
    await results.tend()
    results.note(Observed(AppliedPolicy("a.vn"), "certificate-expired", "mx.a.vn"))
    await results.tend()  # too early for another
    with database.read() as session:
        rows = session.exec(select(TlsResult)).all()
    assert [(row.result, row.sessions) for row in rows] == [("", 3), ("certificate-expired", 1)]
