"""A small province to torture: data, settings, and the server as a process of its own."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from mailgov.clock import utc_now
from mailgov.config import Config, load_config
from mailgov.db.migrate import migrate
from mailgov.directory.provisioning import Act, NewMailbox, add_agency, add_domain, add_mailbox
from mailgov.queue import Spool
from mailgov.services import open_database
from mailgov.signing.keys import create_key

AN, BINH = "an.nv@tinhmau.gov.vn", "binh.tt@tinhmau.gov.vn"
START_SECONDS, STOP_SECONDS = 120.0, 60.0
_FAULTY = Path(__file__).with_name("faulty.py")

_CONFIG = """\
[site]
hostname = "{hostname}"
[data]
path = "{data}"
[database]
url = "{url}"
[relay]
mx = "127.0.0.1:0"
submission = "127.0.0.1:0"
submissions = "127.0.0.1:0"
trusted_networks = ["127.0.0.0/8"]
[limits]
free_bytes = {free_bytes}
message_bytes = 2097152
content_bytes = 2097152
[readers]
processes = 1
[policy]
verify_inbound = false
[delivery]
smarthost = "{smarthost}"
allow_loopback = true
retry_minutes = [0.02]
lease_seconds = 30
[log]
format = "json"
level = "info"
"""


@dataclass
class World:
    """One installation. `smarthost` takes what goes out; `url` is empty for SQLite."""

    folder: Path
    smarthost: str
    url: str = ""
    data: Path = Path()
    free_bytes: int = 0
    hostname: str = "mail.tinhmau.gov.vn"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.data == Path():
            self.data = self.folder / "data"
        self.write_config()

    @property
    def config_file(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def config(self) -> Config:
        return load_config(self.config_file)

    def write_config(self) -> None:
        """Write the settings anew, after a field was changed."""
        text = _CONFIG.format(
            data=self.data,
            url=self.url,
            smarthost=self.smarthost,
            free_bytes=self.free_bytes,
            hostname=self.hostname,
        )
        self.config_file.write_text(text, encoding="utf-8")

    def settle(self) -> "World":
        """Make the database, a domain with its key and certificate, and two mailboxes."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        database = open_database(self.config)
        try:
            migrate(database)
            act = Act(actor="cli:torture", at=utc_now())
            with database.write() as session:
                add_agency(session, act, code="H99", name="Tỉnh Mẫu", level="province")
                add_domain(
                    session, act, name="tinhmau.gov.vn", agency="H99", official_suffixes=["gov.vn"]
                )
                for number, address in enumerate((AN, BINH)):
                    add_mailbox(
                        session,
                        act,
                        NewMailbox(
                            address=address, agency="H99", name="Nguyễn Văn A", staff_no=f"{number}"
                        ),
                    )
                create_key(
                    session, self.data / "keys", "tinhmau.gov.vn", "a", "ed25519",
                    actor="torture", reason="",
                )  # fmt: skip
            Spool(self.data / "spool").prepare(database)
        finally:
            database.close()
        issued = trustme.CA().issue_cert("127.0.0.1")
        (self.data / "tls").mkdir()
        issued.cert_chain_pems[0].write_to_path(self.data / "tls/cert.pem")
        issued.private_key_pem.write_to_path(self.data / "tls/key.pem")
        return self

    def start(
        self,
        fault: str = "",
        *,
        roles: Sequence[str] = ("relay", "deliver"),
        before: Sequence[str] = (),
    ) -> "Server":
        """The server, ready. `fault` as in `faulty.py`; `before` is a program that runs it.

        Raises DiedAtStart when the fault struck before it was ready.
        """
        environment = {**self.environment, "MAILGOV_FAULT": fault}
        return Server(self, roles, environment, before)

    def cli(self, *args: str) -> Any:
        """The `data` of a command with --json, whatever its exit code."""
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "mailgov_cli",
                "--config",
                str(self.config_file),
                *args,
                "--json",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["data"]


class DiedAtStart(Exception):
    """The server ended before it was ready."""


class Nursery:
    """The program that forks servers, started at the first use and ended with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, **order: object) -> int:
        """Give an order; the number it answers with."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, str(_FAULTY), "--nursery"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                atexit.register(self.close)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            process, self._process = self._process, None
            process.communicate()


NURSERY = Nursery()


class Server:
    """A running server; `kill` ends it as a power cut would, with all its children.

    `before` is a program that runs it, such as strace: then it is not forked but started.
    """

    def __init__(
        self,
        world: World,
        roles: Sequence[str],
        environment: Mapping[str, str],
        before: Sequence[str],
    ) -> None:
        self.name = world.hostname  # as others hear it
        said = world.folder / f"said.{time.monotonic_ns()}"
        args = ["--config", str(world.config_file), "serve", "--ready-json", *roles]
        self._process: subprocess.Popen[bytes] | None = None
        if before:
            with said.open("wb") as out, world.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*before, sys.executable, str(_FAULTY), *args],
                    stdout=out,
                    stderr=log,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            self.pid = self._process.pid
        else:
            self.pid = NURSERY.ask(
                args=args, environment=dict(environment), stdout=str(said), stderr=str(world.log)
            )
        self._handle = os.pidfd_open(self.pid)
        self._code: int | None = None
        deadline = time.monotonic() + START_SECONDS
        while not (said.exists() and said.read_bytes().endswith(b"\n")):
            if self.is_dead or time.monotonic() > deadline:
                self.kill()
                raise DiedAtStart(world.log.read_text()[-2000:])
            time.sleep(0.01)
        self.listeners: dict[str, str] = json.loads(said.read_text())["listeners"]
        said.unlink()

    @property
    def mx(self) -> tuple[str, int]:
        """Where other servers come in."""
        host, _, port = self.listeners["mx"].rpartition(":")
        return host, int(port)

    @property
    def is_dead(self) -> bool:
        return self._code is not None or bool(select.select([self._handle], [], [], 0)[0])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server itself."""
        if not self.is_dead:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.kill_group()
        self.wait(STOP_SECONDS)

    def kill_group(self) -> None:
        """End the server and its children; somebody else waits for the end."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> int:
        """Wait for its end; the exit code. Raises TimeoutError."""
        if self._code is None:
            if not select.select([self._handle], [], [], seconds)[0]:
                self.kill_group()
                raise TimeoutError(f"still running after {seconds} seconds")
            self.kill_group()  # children that it left
            if self._process is not None:
                self._code = self._process.wait()
            else:
                self._code = NURSERY.ask(wait=self.pid)
            os.close(self._handle)
        return self._code
