"""SASL EXTERNAL: a certificate shown in TLS opens the mailbox that it names, and nothing else."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlmodel import col, select

from mailgov.config import Limits
from mailgov.db import Database
from mailgov.db.models import EventRow, Mailbox
from mailgov.directory import Directory
from mailgov.errors import ConfigError
from mailgov.relay.server import load_certificate

from ...support.directory import AN, NOW, OFFICE, PASSWORD, fill_directory
from ...support.relay import HOSTNAME, Authority, Client, Relay, plain, running_relay

STRANGER = "la@vidu.org"
EXTERNAL = "AUTH EXTERNAL ="
CLIENTS = (ExtendedKeyUsageOID.CLIENT_AUTH,)
YEAR = timedelta(days=365)


class Issuer:
    """An authority for certificates of people."""

    def __init__(self, above: "Issuer | None" = None, *, ended: bool = False) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA {id(self)}")])
        self.above = above
        signer = above or self
        self.certificate = (
            _dated(ended=ended)
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    def issue(
        self,
        folder: Path,
        names: Sequence[str] = (AN,),
        *,
        ended: bool = False,
        usages: Sequence[x509.ObjectIdentifier] = CLIENTS,
    ) -> Path:
        """A PEM file with key, certificate and the authorities between."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _dated(ended=ended)
            .subject_name(x509.Name([]))
            .issuer_name(self.name)
            .public_key(key.public_key())
        )
        if names:
            general = [x509.RFC822Name(name) for name in names]
            made = made.add_extension(x509.SubjectAlternativeName(general), critical=True)
        if usages:
            made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        chain = [made.sign(self.key, hashes.SHA256())]
        if self.above is not None:
            chain.append(self.certificate)
        file = folder / f"client-{chain[0].serial_number}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
        )
        return file

    def write(self, file: Path) -> Path:
        """The authority's own certificate."""
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return file


def _dated(*, ended: bool) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + (-YEAR if ended else YEAR)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 3 * YEAR)
        .not_valid_after(end)
    )


class Shows(Authority):
    """What a client believes, and the certificate that it shows."""

    def __init__(self, authority: Authority, certificate: Path | None) -> None:
        self._ca = authority._ca
        self._certificate = certificate

    def client(self) -> ssl.SSLContext:
        context = super().client()
        if self._certificate is not None:
            context.load_cert_chain(self._certificate)
        return context


@dataclass
class Site:
    """A relay that takes certificates of one authority, with the directory itself."""

    relay: Relay
    issuer: Issuer
    folder: Path
    database: Database

    async def greeted(
        self, certificate: Path | None, listener: str = "submissions"
    ) -> tuple[Client, str]:
        """A client in TLS, and what EHLO offers it there."""
        before = self.relay.authority
        self.relay.authority = Shows(before, certificate)
        try:
            client = await self.relay.connect(listener)
            offered = await client.say("EHLO client.example")
            if listener != "submissions":
                assert "AUTH" not in offered
                await client.say("STARTTLS")
                await client.start_tls()
                offered = await client.say("EHLO client.example")
        finally:
            self.relay.authority = before
        return client, offered

    async def told(self, certificate: Path, command: str = EXTERNAL) -> str:
        """The reply to AUTH EXTERNAL."""
        client, offered = await self.greeted(certificate)
        assert "AUTH PLAIN LOGIN EXTERNAL" in offered
        reply = await client.say(command)
        await client.close()
        return reply

    def sign_ins(self) -> list[tuple[str, str, bool]]:
        """Mailbox, channel and success of what stands in the ledger."""
        with self.database.read() as session:
            rows = session.exec(
                select(EventRow).where(EventRow.kind == "sign-in").order_by(col(EventRow.id))
            ).all()
        return [(row.mailbox, row.data["channel"], row.data["success"]) for row in rows]


@pytest.fixture
async def site(tmp_path: Path, authority: Authority, database: Database) -> AsyncIterator[Site]:
    with database.write() as session:
        fill_directory(session)
    issuer = Issuer()
    directory = Directory(database, lambda: NOW, Limits(failed_logins_per_minute=3))
    trusted = str(issuer.write(tmp_path / "people.pem"))
    settings = {"client_authorities": [trusted]}
    async with running_relay(tmp_path, authority, settings=settings) as relay:
        relay.server._parts.directory = directory
        yield Site(relay, issuer, tmp_path, database)
    directory.close()


@pytest.mark.parametrize("listener", ["submission", "submissions"])
async def test_the_right_one_signs_in_and_sends(site: Site, listener: str) -> None:
    client, _ = await site.greeted(site.issuer.issue(site.folder), listener)
    assert await client.say(EXTERNAL) == "235 2.7.0 signed in"
    assert (await client.say(f"MAIL FROM:<{OFFICE}>")).startswith("553 ")
    assert (await client.say(f"MAIL FROM:<{AN}>")).startswith("250 ")
    assert (await client.say("RCPT TO:<ai@example.org>")).startswith("250 ")
    assert (await client.data(b"From: <%s>\r\n\r\nx\r\n.\r\n" % AN.encode())).startswith("250 ")
    ((envelope, _),) = site.relay.intake.received
    assert str(envelope.login) == AN
    assert envelope.client.protocol == "ESMTPSA"
    assert site.sign_ins() == [(AN, "smtp", True)]
    await client.close()


@pytest.mark.parametrize(
    "asked", ["AUTH EXTERNAL", f"AUTH EXTERNAL {base64.b64encode(AN.upper().encode()).decode()}"]
)
async def test_who_is_asked_for_is_whom_it_names(site: Site, asked: str) -> None:
    client, _ = await site.greeted(site.issuer.issue(site.folder))
    reply = await client.say(asked)
    if reply == "334 ":
        reply = await client.say("")
    assert reply == "235 2.7.0 signed in"
    await client.close()


async def test_without_one_the_password_is_left(site: Site) -> None:
    client, offered = await site.greeted(None)
    assert "AUTH PLAIN LOGIN\n" in f"{offered}\n"
    assert (await client.say(EXTERNAL)).startswith("504 5.5.4 [login-mechanism] ")
    assert await client.say(f"AUTH PLAIN {plain(AN, PASSWORD)}") == "235 2.7.0 signed in"
    await client.close()


async def test_with_one_the_password_is_left_too(site: Site) -> None:
    client, _ = await site.greeted(site.issuer.issue(site.folder, ended=True))
    assert (await client.say(EXTERNAL)).startswith("535 5.7.8 [login-certificate-expired] ")
    assert await client.say(f"AUTH PLAIN {plain(AN, PASSWORD)}") == "235 2.7.0 signed in"
    assert site.sign_ins() == [(AN, "smtp", False), (AN, "smtp", True)]
    await client.close()


@pytest.mark.parametrize(
    "usages", [(ExtendedKeyUsageOID.SERVER_AUTH,), CLIENTS], ids=["for servers", "of another"]
)
async def test_of_strangers_there_is_no_session(
    site: Site, usages: Sequence[x509.ObjectIdentifier]
) -> None:
    issuer = Issuer() if usages == CLIENTS else site.issuer
    context = Shows(site.relay.authority, issuer.issue(site.folder, usages=usages)).client()
    host, _, port = site.relay.listeners["submissions"].rpartition(":")

    def banner() -> bytes:
        with socket.create_connection((host, int(port)), 10) as clear:
            try:
                with context.wrap_socket(clear, server_hostname=HOSTNAME) as tls:
                    return tls.recv(3)  # in TLS 1.3 the client learns it only now
            except OSError:  # ssl.SSLError among them
                return b""

    assert await asyncio.to_thread(banner) == b""
    assert site.sign_ins() == []
    assert site.relay.server._sessions == set()


async def test_a_port_for_servers_asks_for_none(site: Site) -> None:
    client, offered = await site.greeted(Issuer().issue(site.folder), "mx")
    assert "EXTERNAL" not in offered
    assert (await client.say(EXTERNAL)).startswith("502 ")
    await client.close()


@pytest.mark.parametrize(
    ("names", "asked", "key"),
    [
        ((), "", "login-certificate-mailbox"),
        ((STRANGER,), "", "login-certificate-mailbox"),
        ((AN,), OFFICE, "login-certificate-mailbox"),
        ((AN,), STRANGER, "login-certificate-mailbox"),
        ((AN,), "không phải địa chỉ", "login-certificate-mailbox"),
        ((AN, OFFICE), "", "login-certificate-several"),
        ((AN, OFFICE), STRANGER, "login-certificate-mailbox"),
        ((AN,), "\0", "login-syntax"),
    ],
)
async def test_names_that_open_nothing(
    site: Site, names: Sequence[str], asked: str, key: str
) -> None:
    said = base64.b64encode(asked.encode()).decode() or "="
    reply = await site.told(site.issuer.issue(site.folder, names), f"AUTH EXTERNAL {said}")
    code = "501 5.5.2" if key == "login-syntax" else "535 5.7.8"
    assert reply.startswith(f"{code} [{key}] ")
    assert [success for _, _, success in site.sign_ins()] == [False][: key != "login-syntax"]


@pytest.mark.parametrize(
    ("names", "asked"), [((STRANGER, AN), ""), ((OFFICE, AN), AN), ((AN, AN.upper()), "")]
)
async def test_a_second_name_may_be_ours(site: Site, names: Sequence[str], asked: str) -> None:
    said = base64.b64encode(asked.encode()).decode() or "="
    certificate = site.issuer.issue(site.folder, names)
    assert await site.told(certificate, f"AUTH EXTERNAL {said}") == "235 2.7.0 signed in"
    assert site.sign_ins() == [(AN, "smtp", True)]


async def test_one_that_says_not_what_for(site: Site) -> None:
    certificate = site.issuer.issue(site.folder, usages=())
    reply = await site.told(certificate)
    assert reply.startswith("535 5.7.8 [login-certificate-purpose] ")


async def test_one_that_rests_on_an_old_one(site: Site) -> None:
    good, old = Issuer(site.issuer), Issuer(site.issuer, ended=True)
    assert await site.told(good.issue(site.folder)) == "235 2.7.0 signed in"
    reply = await site.told(old.issue(site.folder))
    assert reply.startswith("535 5.7.8 [login-certificate-expired] ")


@pytest.mark.parametrize("state", ["suspended", "recalled"])
async def test_a_closed_mailbox(site: Site, state: str) -> None:
    with site.database.write() as session:
        session.exec(select(Mailbox).where(Mailbox.address == AN)).one().state = state
    reply = await site.told(site.issuer.issue(site.folder))
    assert reply.startswith("535 5.7.8 [login-certificate-suspended] ")
    assert site.sign_ins() == [(AN, "smtp", False)]


async def test_who_is_held_off_is_held_off_with_it_too(site: Site) -> None:
    old = site.issuer.issue(site.folder, ended=True)
    for _ in range(3):
        assert (await site.told(old)).startswith("535 ")
    reply = await site.told(site.issuer.issue(site.folder))
    assert reply.startswith("454 4.7.0 [login-later] ")


async def test_a_mailbox_without_a_password(site: Site) -> None:
    certificate = site.issuer.issue(site.folder, [OFFICE])
    assert await site.told(certificate) == "235 2.7.0 signed in"


async def test_a_session_that_goes_on_has_shown_nothing(site: Site) -> None:
    """TLS 1.2 takes up a session without its chain, so nobody can tell whether that still holds."""
    context = Shows(site.relay.authority, site.issuer.issue(site.folder)).client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host, _, port = site.relay.listeners["submissions"].rpartition(":")

    def offered(session: ssl.SSLSession | None) -> tuple[bytes, bool, ssl.SSLSession | None]:
        with (
            socket.create_connection((host, int(port)), 10) as clear,
            context.wrap_socket(clear, server_hostname=HOSTNAME, session=session) as tls,
            tls.makefile("rb") as lines,
        ):
            lines.readline()
            tls.sendall(b"EHLO client.example\r\nQUIT\r\n")
            return lines.read(), bool(tls.session_reused), tls.session

    first, reused, session = await asyncio.to_thread(offered, None)
    assert (b"EXTERNAL" in first, reused) == (True, False)
    again, reused, _ = await asyncio.to_thread(offered, session)
    assert (b"EXTERNAL" in again, reused) == (False, True)


async def test_authorities_that_are_none(tmp_path: Path, authority: Authority) -> None:
    broken = tmp_path / "broken.pem"
    for content in (None, b"", b"-----BEGIN CERTIFICATE-----\n"):
        if content is not None:
            broken.write_bytes(content)
        with pytest.raises(ConfigError, match="client-authorities-not-valid"):
            load_certificate(authority.chain, authority.key, [broken])
