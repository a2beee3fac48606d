"""Prepare the folder once, serve everything, send the sample messages, say what happened."""

import asyncio
import ipaddress
import json
import secrets
import shutil
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlmodel import Session

from mailgov import logs
from mailgov.clock import utc_now
from mailgov.config import Config, load_config
from mailgov.db.migrate import migrate
from mailgov.db.models import Instance
from mailgov.demo.people import CAST, settle
from mailgov.demo.samples import Cast, Person, Sample, samples
from mailgov.errors import InputError
from mailgov.serve import ROLES, serve
from mailgov.services import Services, build, open_database, running
from mailgov.texts import Language, words

Login = dict[str, str]
Tell = Callable[[str], None]
Ready = Callable[[dict[str, str], list[Login]], None]

HOSTNAME = "mail.tinhmau.gov.vn"
SAMPLES_SENT = "demo-samples"
SMTP_SECONDS = 60.0

CONFIG = f"""\
# The demonstration: everything on loopback, on ports that need no rights.
[site]
hostname = "{HOSTNAME}"
organisation = "Tỉnh Mẫu"

[data]
path = "."

[relay]
mx = "127.0.0.1:2525"
submission = "127.0.0.1:2587"
submissions = "127.0.0.1:2465"

[mailstore]
imap = "127.0.0.1:2143"

[web]
listen = "127.0.0.1:8080"

[sign_in]
# To look around without a phone; elsewhere whoever administers has a second factor.
second_factor_roles = []

[metrics]
listen = "127.0.0.1:9464"

[limits]
# A trial runs on a disk that is nearly full, too; free_bytes still holds.
free_share = 0
free_inodes_share = 0

[delivery]
allow_loopback = true

[authentication]
# The strangers of the samples write from this machine, in the names of domains elsewhere.
exempt_networks = ["127.0.0.0/8", "::1/128"]
send_reports = false

[log]
level = "warning"
"""

FREE_PORTS = {
    "relay": {"mx": "127.0.0.1:0", "submission": "127.0.0.1:0", "submissions": "127.0.0.1:0"},
    "mailstore": {"imap": "127.0.0.1:0"},
    "metrics": {"listen": "127.0.0.1:0"},
}


@dataclass(frozen=True)
class Demo:
    """A demonstration in a folder. `tell` gets lines for people, `ready` listeners and logins."""

    folder: Path
    free_ports: bool
    language: Language
    tell: Tell
    ready: Ready

    def prepare(self) -> None:
        """Make the folder whole, or leave none behind; one that is there is kept as it is.

        Raises InputError `demo-folder-foreign` for a folder that holds something else.
        """
        if self._config_file.is_file():
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise InputError("demo-folder-foreign", folder=self.folder)
        self.tell(self._say("preparing", folder=self.folder))
        new = self.folder.with_name(f".{self.folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700, parents=True)
        _fill(new)
        if self.folder.exists():
            self.folder.rmdir()
        new.rename(self.folder)

    async def run(self, *, send_samples: bool) -> None:
        """Serve until stopped; send the sample messages once."""
        config = self._config()
        logs.set_up(config.log)
        logins: list[Login] = json.loads(self._logins_file.read_text("utf-8"))
        async with running(build(config)) as services:

            async def when_ready(listeners: dict[str, str]) -> None:
                self.ready(listeners, logins)
                if send_samples and not await services.database.query(_samples_sent):
                    await self._send(services, listeners, logins)
                self._welcome(listeners, logins)

            await serve(
                services,
                ROLES,
                when_ready=when_ready,
                reread=lambda: self._config(config.web.listen),
            )
        self.tell(self._say("stopped", folder=self.folder))

    @property
    def _config_file(self) -> Path:
        return self.folder / "config.toml"

    @property
    def _logins_file(self) -> Path:
        return self.folder / "logins.json"

    def _config(self, web_listen: str = "") -> Config:
        """The configuration; `web_listen` is where a running demonstration serves its pages."""
        if not self.free_ports:
            return load_config(self._config_file)
        if not web_listen:
            # Refusals name the web address, so that port must be known before anything starts.
            with socket.create_server(("127.0.0.1", 0)) as free:
                web_listen = f"127.0.0.1:{free.getsockname()[1]}"
        return load_config(self._config_file, **FREE_PORTS, web={"listen": web_listen})

    def _say(self, key: str, /, **fields: object) -> str:
        return words(self.language, f"demo.{key}", **fields)

    async def _send(
        self, services: Services, listeners: dict[str, str], logins: list[Login]
    ) -> None:
        official, colleague = (Person(login["name"], login["address"]) for login in logins[:2])
        office = Person("Văn thư", f"vanthu@{official.address.partition('@')[2]}")
        passwords = {login["address"]: login["password"] for login in logins}
        tls = ssl.create_default_context(cafile=str(services.config.certificate))
        self.tell(self._say("sending"))
        for sample in samples(Cast(official, colleague, office), services.clock()):
            reply = await asyncio.to_thread(_hand_over, sample, listeners, passwords, tls)
            mark = "✓" if reply.startswith("2") else "✗"
            self.tell(f"  {mark} {sample.title}\n      {reply}")
        await services.database.submit(
            lambda session: session.add(Instance(key=SAMPLES_SENT, value="1"))
        )

    def _welcome(self, listeners: dict[str, str], logins: list[Login]) -> None:
        self.tell(self._say("welcome", url=f"http://{listeners['web']}/"))
        width = max(len(login["address"]) for login in logins)
        for login in logins:
            role = self._say(f"role_{login['role']}")
            self.tell(f"  {role:<18} {login['address']:<{width}}  {login['password']}")
        self.tell(
            self._say("next", config=self._config_file, official=logins[0]["address"], **listeners)
        )


def _samples_sent(session: Session) -> bool:
    return session.get(Instance, SAMPLES_SENT) is not None


def _fill(folder: Path) -> None:
    """Configuration, certificate, database with people, and the file of logins."""
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    config = load_config(folder / "config.toml")
    _make_certificate(config)
    passwords = {one.name: _password() for one in CAST}
    database = open_database(config)
    try:
        migrate(database)
        with database.write() as session:
            logins = settle(
                session, folder / "keys", utc_now(), passwords, config.site.official_suffixes
            )
    finally:
        database.close()
    logins = [{**login, "password": passwords[login["name"]]} for login in logins]
    path = folder / "logins.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(logins, ensure_ascii=False, indent=1), encoding="utf-8")


def _hand_over(
    sample: Sample, listeners: dict[str, str], passwords: dict[str, str], tls: ssl.SSLContext
) -> str:
    """Send one message as a mail program or another server would; the last reply as text."""
    listener = "mx" if sample.login is None else "submission"
    host, _, port = listeners[listener].rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), "demo.example", timeout=SMTP_SECONDS) as client:
            if sample.login is not None:
                client.starttls(context=tls)
                client.login(sample.login, passwords[sample.login])
            content = sample.message.as_bytes(policy=policy.SMTP)
            code, reply = _dialog(client, sample, content)
    except smtplib.SMTPResponseException as exc:
        code, reply = exc.smtp_code, exc.smtp_error
    text = reply if isinstance(reply, str) else reply.decode("utf-8", "replace")
    # Each line of a long reply repeats the enhanced code (RFC 2034, 4): once is enough to read.
    first, *more = text.splitlines() or [""]
    return " ".join([str(code), first, *(line.partition(" ")[2] for line in more)])


def _dialog(client: smtplib.SMTP, sample: Sample, content: bytes) -> tuple[int, bytes | str]:
    """MAIL, RCPT, DATA: the first reply that refuses, or the last one."""
    client.ehlo_or_helo_if_needed()
    code, reply = client.mail(sample.mail_from)
    for recipient in sample.recipients:
        if code >= 400:
            break
        code, reply = client.rcpt(recipient)
    return client.data(content) if code < 400 else (code, reply)


def _make_certificate(config: Config) -> None:
    """A certificate of our own for the names that the demonstration is called by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTNAME)])
    now = datetime.now(UTC)
    names = [
        x509.DNSName(HOSTNAME),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    config.certificate.parent.mkdir(mode=0o700)
    config.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    config.private_key.touch(mode=0o600)
    config.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _password() -> str:
    """A random password with all four classes (rule password-length), easy to type."""
    letters = "abcdefghijkmnpqrstuvwxyz"
    groups = ["".join(secrets.choice(letters) for _ in range(4)) for _ in range(3)]
    return f"{'-'.join(groups)}-{secrets.choice(letters).upper()}{secrets.randbelow(90) + 10}"
