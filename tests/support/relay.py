"""A relay on loopback ports, with a small directory and a gate that remembers."""

import asyncio
import base64
import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
from structlog.testing import capture_logs

from mailgov.addresses import Address
from mailgov.config import Config, Limits, load_config
from mailgov.directory.guard import Guard, Try, network_of
from mailgov.directory.tokens import ITERATIONS, SignInKey
from mailgov.errors import InputError, NotAllowed
from mailgov.message import Body, Envelope
from mailgov.queue.spool import Spool
from mailgov.relay.ports import Sent, Tokens
from mailgov.relay.resources import Disk
from mailgov.relay.server import RelayServer
from mailgov_policies.verdict import Action, Finding, Verdict

from .dns import FakeResolver

HOSTNAME = "mail.vidu.gov.vn"
DOMAIN = "vidu.gov.vn"
OFFICIAL = f"an.nguyen@{DOMAIN}"
OFFICE = f"vanthu@{DOMAIN}"
PASSWORD = "Mat-Khau-Cua-An-2026"
APP_PASSWORD = "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23"
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FakeAccount:
    """Somebody who signed in."""

    address: str
    may_send_as: tuple[str, ...]
    state: str = "active"
    credentials_ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FakeMailbox:
    """A mailbox of ours."""

    state: str = "active"
    contact: str = ""


@dataclass(frozen=True, slots=True)
class FakeAppPassword:
    """A password that may be proved."""

    verifier: str


@dataclass(frozen=True, slots=True)
class FakeScram:
    """A sign-in by SCRAM under way."""

    name: str
    salt: bytes
    apps: tuple[FakeAppPassword, ...]
    iterations: int = ITERATIONS


@dataclass
class FakeDirectory:
    """One official, who may also write for the office; a few mailboxes."""

    accounts: dict[tuple[str, str], FakeAccount] = field(
        default_factory=lambda: {
            (OFFICIAL, PASSWORD): FakeAccount(OFFICIAL, (OFFICIAL, OFFICE)),
        }
    )
    mailboxes: dict[str, FakeMailbox] = field(
        default_factory=lambda: {
            OFFICIAL: FakeMailbox(),
            OFFICE: FakeMailbox(),
            f"binh.tran@{DOMAIN}": FakeMailbox(),
            f"tamngung@{DOMAIN}": FakeMailbox("suspended"),
            f"thuhoi@{DOMAIN}": FakeMailbox("recalled"),
            f"chuyendi@{DOMAIN}": FakeMailbox("recalled", OFFICE),
            **{f"canbo{number}@{DOMAIN}": FakeMailbox() for number in range(200)},
        }
    )
    sign_ins: list[tuple[str, bool]] = field(default_factory=list)
    trouble: Exception | None = None
    local_domains: tuple[str, ...] = (DOMAIN, HOSTNAME)
    apps: dict[str, list[str]] = field(default_factory=lambda: {OFFICIAL: [APP_PASSWORD]})
    guard: Guard = field(default_factory=lambda: Guard(Limits()))
    return_paths: dict[str, Address | InputError] = field(default_factory=dict)

    async def sign_in(
        self, name: str, password: str, *, channel: str, ip: str
    ) -> FakeAccount | None:
        """The account, when name and password are those of one."""
        assert channel == "smtp"
        if self.trouble is not None:
            raise self.trouble
        guess = Try(name.casefold(), network_of(ip))
        if self.guard.begin(guess, datetime.now(UTC)):
            raise NotAllowed("sign-in-later")
        found = self.accounts.get((name, password))
        if found is not None:
            self.guard.forgive(guess)
        self.sign_ins.append((name, found is not None))
        return found

    async def begin_scram(self, name: str, *, channel: str, ip: str) -> FakeScram:
        """Salt and verifiers of a name; nobody's name has a salt too."""
        assert (channel, bool(ip)) == ("smtp", True)
        key = SignInKey("00" * 32)
        known = self.apps.get(name, [])
        apps = tuple(FakeAppPassword(key.scram_verifier(name, password)) for password in known)
        return FakeScram(name, key.scram_salt(name), apps)

    async def end_scram(self, scram: FakeScram, app: FakeAppPassword | None) -> FakeAccount | None:
        """The account, when one was proved."""
        self.sign_ins.append((scram.name, app is not None))
        return await self.account(scram.name) if app is not None else None

    async def sign_in_by_certificate(
        self, name: str, *, good: bool, channel: str, ip: str
    ) -> FakeAccount | None:
        """The account, when the certificate is good."""
        assert (channel, bool(ip)) == ("smtp", True)
        self.sign_ins.append((name, good))
        return await self.account(name) if good else None

    async def account(self, address: str) -> FakeAccount | None:
        """The account as it is now."""
        return next((a for (name, _), a in self.accounts.items() if name == address), None)

    async def is_local_domain(self, domain: str) -> bool:
        """Whether it is ours."""
        return domain in self.local_domains

    async def find_mailbox(self, address: Address) -> FakeMailbox | None:
        """The mailbox."""
        if self.trouble is not None:
            raise self.trouble
        return self.mailboxes.get(address.key)

    async def return_path(self, address: Address) -> Address | None:
        """The sender behind a rewritten one."""
        found = self.return_paths.get(str(address))
        if isinstance(found, InputError):
            raise found
        return found


@dataclass
class FakeRecords:
    """Counts as told, and a greylist in memory that lets pass who comes twice."""

    counts: Sent = field(default_factory=Sent)
    waiting: int = 0
    seen: Counter[bytes] = field(default_factory=Counter)

    async def sent(self, login: str) -> Sent:
        """As told."""
        return self.counts

    async def backlog(self) -> int:
        """As told."""
        return self.waiting

    async def has_come_back(self, network: bytes, triplet: bytes) -> bool:
        """From the second time."""
        self.seen[triplet] += 1
        return self.seen[triplet] > 1


@dataclass(frozen=True, slots=True)
class FakeOutcome:
    """What the gate said."""

    queue_id: str
    verdict: Verdict


def verdict(action: Action, code: str = "", **evidence: str) -> Verdict:
    """A verdict for one reason."""
    findings = (Finding(code, action, "body", evidence, 1),) if code else ()
    return Verdict(action, code, findings, (), "test 1")


@dataclass
class FakeIntake:
    """Remembers what it was given; passes everything unless told otherwise."""

    verdict: Verdict = field(default_factory=lambda: verdict(Action.PASS))
    trouble: Exception | None = None
    gate: asyncio.Event | None = None  # when set, judging waits for it
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[tuple[Envelope, bytes]] = field(default_factory=list)

    async def receive(self, envelope: Envelope, body: Body) -> FakeOutcome:
        """Judge, as told."""
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        self.received.append((envelope, await asyncio.to_thread(body.read)))
        return FakeOutcome(f"q{len(self.received)}", self.verdict)


class Authority:
    """Certificates for tests."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.chain, self.key = folder / "cert.pem", folder / "key.pem"
        self.issue()

    def issue(self, name: str = HOSTNAME) -> None:
        """Put a new certificate on disk."""
        certificate = self._ca.issue_cert(name)
        certificate.private_key_pem.write_to_path(self.key)
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(self.chain, append=number > 0)

    def write_trust(self, file: Path) -> None:
        """The authority's own certificate, for programs."""
        self._ca.cert_pem.write_to_path(file)

    def client(self) -> ssl.SSLContext:
        """A client that believes us."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context


@dataclass
class Relay:
    """A running relay and what it works with."""

    server: RelayServer
    directory: FakeDirectory
    intake: FakeIntake
    records: FakeRecords
    resolver: FakeResolver
    spool: Spool
    listeners: dict[str, str]
    authority: Authority
    held_bytes: int = 0  # memory of the process

    async def connect(
        self, listener: str = "mx", *, greet: bool = True, source: str = ""
    ) -> "Client":
        """A client, after the banner; perhaps from another address of loopback."""
        host, _, port = self.listeners[listener].rpartition(":")
        tls: dict[str, Any] = (
            {"ssl": self.authority.client(), "server_hostname": HOSTNAME}
            if listener == "submissions"
            else {}
        )
        if source:
            tls["local_addr"] = (source, 0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port), **tls)
        client = Client(reader, writer, self.authority)
        if greet:
            assert (await client.reply()).startswith(f"220 {HOSTNAME}")
        return client

    async def signed_in(self, listener: str = "submissions") -> "Client":
        """A client of the official."""
        client = await self.connect(listener)
        await client.say("EHLO client.example")
        if listener == "submission":
            await client.say("STARTTLS")
            await client.start_tls()
            await client.say("EHLO client.example")
        assert (await client.say(f"AUTH PLAIN {plain(OFFICIAL, PASSWORD)}")).startswith("235 ")
        return client

    @property
    def leftovers(self) -> list[Path]:
        """Bodies on disk."""
        return [path for path in self.spool.folder.rglob("*") if path.is_file()]


def plain(name: str, password: str) -> str:
    """The argument of AUTH PLAIN."""
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


@dataclass
class Client:
    """The other end of a session, bytes and all."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    authority: Authority

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)

    async def line(self) -> str:
        """One line, without its end; empty when the server has hung up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                line = await self.reader.readline()
            except ConnectionError:
                return ""
        assert not line or line.endswith(b"\r\n")
        assert len(line) <= 512
        return line.decode().removesuffix("\r\n")

    async def reply(self) -> str:
        """A whole reply, lines joined by line feeds."""
        lines = [await self.line()]
        while re.match(r"\d{3}-", lines[-1]):
            lines.append(await self.line())
        return "\n".join(lines)

    async def say(self, command: str | bytes) -> str:
        """A command with its line end, and the reply to it."""
        octets = command if isinstance(command, bytes) else command.encode()
        self.send(octets + b"\r\n")
        return await self.reply()

    async def envelope(self, sender: str = "nguoigui@example.org", *recipients: str) -> None:
        """EHLO, MAIL, RCPT: all accepted."""
        await self.say("EHLO client.example")
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250 ")
        for recipient in recipients or (OFFICIAL,):
            assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250 ")

    async def data(self, content: bytes) -> str:
        """DATA with bytes as they are; the reply after the end, which `content` must hold."""
        assert (await self.say("DATA")).startswith("354 ")
        self.send(content)
        return await self.reply()

    async def start_tls(self) -> None:
        """Shake hands after 220."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.writer.start_tls(self.authority.client(), server_hostname=HOSTNAME)

    async def is_closed(self) -> bool:
        """Wait for the server to hang up; False when it speaks instead."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def reset(self) -> None:
        """Hang up without a word: the server sees a reset, not an end."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass


def relay_config(
    folder: Path, authority: Authority, limits: dict[str, Any], **relay: Any
) -> Config:
    """A configuration on free loopback ports. Limits are not checked: tests need tiny ones."""
    config = load_config(
        None,
        site={"hostname": HOSTNAME, "help_url": "https://mail.vidu.gov.vn"},
        data={"path": str(folder)},
        relay={
            "mx": "127.0.0.1:0",
            "submission": "127.0.0.1:0",
            "submissions": "127.0.0.1:0",
            "certificate": str(authority.chain),
            "private_key": str(authority.key),
            **relay,
        },
    )
    return config.model_copy(update={"limits": config.limits.model_copy(update=limits)})


@asynccontextmanager
async def running_relay(
    folder: Path,
    authority: Authority,
    *,
    free_bytes: int = 1 << 40,
    memory_bytes: int = 0,
    memory_budget: int = 1 << 31,
    trusted_networks: tuple[str, ...] = (),
    settings: dict[str, Any] | None = None,
    tokens: Tokens | None = None,
    screening: dict[str, Any] | None = None,
    **limits: Any,
) -> AsyncIterator[Relay]:
    """A relay; bodies are kept below `folder`. `settings` are those of the section `relay`."""
    limits = {
        "connections_per_address": 1000,
        "connections_per_network": 1000,
        "memory_bytes": memory_budget,
        "reserved_share": 0,
        **limits,
    }
    settings = {"trusted_networks": list(trusted_networks), **(settings or {})}
    config = relay_config(folder, authority, limits, **settings)
    config = config.model_copy(
        update={"screening": config.screening.model_copy(update=screening or {})}
    )
    spool = Spool(folder / "spool")
    (spool.folder / "tmp").mkdir(parents=True)
    directory, intake = FakeDirectory(guard=Guard(config.limits)), FakeIntake()
    records, resolver = FakeRecords(), FakeResolver()
    server = RelayServer(
        config=config,
        directory=directory,
        intake=intake,
        spool=spool,
        records=records,
        resolver=resolver,
        tokens=tokens,
        measure_disk=lambda: Disk(free_bytes, free_bytes),
        measure_memory=lambda: relay.held_bytes,
    )
    relay = Relay(server, directory, intake, records, resolver, spool, {}, authority, memory_bytes)
    with capture_logs() as logs:
        relay.listeners.update(await server.start())
        try:
            yield relay
        finally:
            await server.stop(grace_seconds=1)
    assert [entry for entry in logs if entry["event"] == "session.failed"] == []
