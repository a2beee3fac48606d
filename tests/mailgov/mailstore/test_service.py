"""Dovecot as a service that asks PostgreSQL, and a proxy before it: their files, run for real."""

import asyncio
import imaplib
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from sqlmodel import select

from mailgov.clock import Clock, utc_now
from mailgov.config import Config, load_config
from mailgov.db import Database
from mailgov.db.models import Mailbox
from mailgov.directory.provisioning import add_app_password, set_password, suspend
from mailgov.directory.provisioning.placing import place
from mailgov.directory.tokens import make_key
from mailgov.errors import ConfigError, NotFound
from mailgov.mailstore import master, reach
from mailgov.mailstore.plan import features
from mailgov.mailstore.service import Owner, files
from tests.support.directory import AN, OFFICE, PASSWORD, act, fill_directory
from tests.support.imap_engines import require_dovecot
from tests.support.postgres import Cluster

PGSQL = Path("/usr/lib/dovecot/modules/auth/libdriver_pgsql.so")
START_SECONDS = 30.0


@dataclass
class Settings:
    """What both machines have in common."""

    folder: Path
    database_url: str
    authority: trustme.CA

    def config(self, imap: str, **mailstore: object) -> Config:
        return load_config(
            None,
            data={"path": str(self.folder / "data")},
            database={"url": self.database_url},
            relay={
                "certificate": str(self.folder / "cert.pem"),
                "private_key": str(self.folder / "key.pem"),
            },
            mailstore={"imap": imap, "engine": "dovecot", **mailstore},
        )


@contextmanager
def running(folder: Path, written: dict[str, str]) -> Iterator[None]:
    """A Dovecot of these files, started by root as the system would."""
    run = Path(subprocess.check_output(["mktemp", "-d", "/tmp/dc-XXXXXX"], text=True).strip())
    folder.mkdir(exist_ok=True)
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    with (folder / "dovecot.conf").open("a", encoding="utf-8") as file:
        file.write(
            f"base_dir = {run}\nlog_path = {folder}/log\n"
            "auth_failure_delay = 0\n"
            "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
        )
    process = subprocess.Popen(
        [shutil.which("dovecot") or "dovecot", "-F", "-c", str(folder / "dovecot.conf")]
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(run, ignore_errors=True)


def free() -> str:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"0.0.0.0:{probe.getsockname()[1]}"


async def signs_in(address: str, user: str, password: str, trust: ssl.SSLContext) -> bool:
    port = reach.split(address)[1]

    def attempt() -> bool:
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=trust, timeout=20) as client:
            try:
                client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
            except imaplib.IMAP4.error:
                return False
            return client.select("INBOX")[0] == "OK"

    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await asyncio.to_thread(attempt)
            except (ConnectionRefusedError, ssl.SSLEOFError):
                await asyncio.sleep(0.05)


@pytest.fixture
def settings(postgres_cluster: Cluster, postgres_database: Database) -> Iterator[Settings]:
    require_dovecot(load_config(None))
    if not PGSQL.exists() or os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("dovecot-pgsql is not installed")
        pytest.skip("no Dovecot that asks PostgreSQL on this machine")
    postgres_cluster.folder.chmod(0o755)
    # The users of the system that Dovecot runs as can't go into the folders of pytest.
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    folder.chmod(0o755)
    (folder / "data" / "mail").mkdir(parents=True)
    shutil.chown(folder / "data" / "mail", "mail", "mail")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    yield Settings(folder, postgres_cluster.url("mailgov"), authority)
    shutil.rmtree(folder)


def clock_that_is_off(minutes: int) -> Clock:
    return lambda: utc_now() + timedelta(minutes=minutes)


def owner() -> Owner:
    mail = pwd.getpwnam("mail")
    return Owner("mail", mail.pw_uid, mail.pw_gid)


@pytest.mark.dovecot
@pytest.mark.postgres
async def test_a_service_and_a_proxy_before_it(
    settings: Settings, postgres_database: Database
) -> None:
    with postgres_database.write() as session:
        fill_directory(session)
        app = add_app_password(session, act(), AN, label="điện thoại", scopes=("imap",))
        key = make_key(session).of("app-password").decode()
    trust = ssl.create_default_context()
    settings.authority.configure_trust(trust)
    backend_at, proxy_at = free(), free()
    backend = settings.config(backend_at)
    port = reach.split(backend_at)[1]
    backends = [f"localhost:{port}", f"127.0.0.1:{port}"]  # the certificate names the first
    vouching = settings.folder / "authority.pem"
    settings.authority.cert_pem.write_to_path(vouching)
    proxy = settings.config(proxy_at, backends=backends, backend_authorities=str(vouching))
    folder = settings.folder
    behind = files(backend, "2.3", features() & {"lmtp"}, owner(), key, folder=folder / "b")
    before = files(proxy, "2.3", frozenset(), owner(), key, proxy=True, folder=folder / "p")
    webmail = master.login_name(AN)
    tokens = {
        minutes: master.token(backend.data.path, clock_that_is_off(minutes))
        for minutes in (-16, -4, 0, 4, 16)
    }
    with (
        running(folder / "b", dict(behind)),
        running(folder / "p", dict(before)),
    ):
        for address in (backend_at, proxy_at):
            assert await signs_in(address, AN, PASSWORD, trust)
            assert await signs_in(address, AN.upper(), app.password, trust)
            assert not await signs_in(address, AN, "sai", trust)
            assert not await signs_in(address, "khong.ai@vidu.gov.vn", PASSWORD, trust)
            assert not await signs_in(address, OFFICE, PASSWORD, trust)  # has no password
            for minutes, token in tokens.items():
                assert await signs_in(address, webmail, token, trust) == (abs(minutes) < 5)
            assert not await signs_in(address, f"{AN}*khac", tokens[0], trust)
        with postgres_database.write() as session:
            set_password(session, act(), OFFICE, PASSWORD)
            suspend(session, act("nghỉ việc"), AN)
        for address in (backend_at, proxy_at):
            assert await signs_in(address, OFFICE, PASSWORD, trust)
            assert not await signs_in(address, AN, PASSWORD, trust)
        with postgres_database.write() as session:
            place(session, act(), OFFICE, "127.0.0.1", backends=backends)
        assert await signs_in(backend_at, OFFICE, PASSWORD, trust)
        assert not await signs_in(proxy_at, OFFICE, PASSWORD, trust)
    assert "doesn't match expected host name" in (folder / "p" / "log").read_text("utf-8")


def test_sqlite_is_asked_by_no_service(tmp_path: Path) -> None:
    config = load_config(None, data={"path": str(tmp_path)})
    with pytest.raises(ConfigError, match="dovecot-needs-postgresql"):
        files(config, "2.3", frozenset(), Owner("x", 1, 1), "")
    with pytest.raises(ConfigError, match="dovecot-needs-backends"):
        files(config, "2.3", frozenset(), Owner("x", 1, 1), "", proxy=True)


def test_a_mailbox_is_placed_on_a_backend_that_there_is(database: Database) -> None:
    with database.write() as session:
        fill_directory(session)
        place(session, act(), AN, "imap2", backends=["imap1:993", "imap2:993"])
        box = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        assert box.backend == "imap2"
        with pytest.raises(NotFound, match="backend-unknown"):
            place(session, act(), AN, "imap9", backends=["imap1:993"])
