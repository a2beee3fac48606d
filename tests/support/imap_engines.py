"""Both IMAP engines, started once for all tests, with mailboxes to give away."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mailgov.addresses import Address
from mailgov.config import Config, load_config
from mailgov.directory.credentials import hash_password
from mailgov.imap import ImapServer
from mailgov.mailstore import layout, reach
from mailgov.mailstore.dovecot import DovecotChild, usable
from mailgov.mailstore.users import Change, User

from .imap_wire import Wire

T = TypeVar("T")

PASSWORD = "Mật khẩu *1 của tôi"
MAILBOXES = 150
QUOTA_MB = 5
_deliveries = count()


@dataclass(frozen=True)
class Holder:
    """A mailbox of the test directory."""

    address: str
    state: str = "active"
    quota_mb: int = QUOTA_MB
    home: str = ""


class TestDirectory:
    """Everybody with the one password; nobody else."""

    __test__ = False

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.holders = {address: Holder(address) for address in addresses}

    async def sign_in(self, name: str, password: str, *, channel: str, ip: str) -> Holder | None:
        assert (channel, ip) == ("imap", "127.0.0.1")
        return self.holders.get(name.lower()) if password == PASSWORD else None

    async def account(self, address: str) -> Holder | None:
        return self.holders.get(address.lower())

    async def find_mailbox(self, address: Address) -> Holder | None:
        return self.holders.get(address.key)


class LoopThread:
    """An event loop of its own, so that an engine outlives the tests that use it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Engine:
    """A running engine."""

    name: str
    config: Config
    loop: LoopThread
    server: DovecotChild | ImapServer
    addresses: list[str]
    host: str = ""
    port: int = 0
    given: list[str] = field(default_factory=list)

    def mailbox(self) -> str:
        """The address of an empty mailbox that no other test has."""
        self.given.append(self.addresses[len(self.given)])
        return self.given[-1]

    def maildir(self, address: str) -> Path:
        return layout.maildir(self.config.data.path, Address.parse(address))

    def deliver(self, address: str, messages: Iterable[bytes]) -> None:
        """Put messages into the inbox, in order, as the delivery of the platform does."""
        maildir = self.maildir(address)
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        for data in messages:
            number = next(_deliveries)
            name = f"{1700000000 + number}.{number}.test,S={len(data)},W={len(data)}"
            (maildir / "tmp" / name).write_bytes(data)
            os.utime(maildir / "tmp" / name, (1700000000 + number,) * 2)
            (maildir / "tmp" / name).rename(maildir / "new" / name)

    def wire(self, address: str = "") -> Wire:
        """A connection, signed in when an address is given."""
        wire = Wire(self.host, self.port)
        if address:
            wire.login(address, PASSWORD)
        return wire


@cache
def users() -> tuple[User, ...]:
    phc = hash_password(PASSWORD)
    return tuple(User(f"nguoi{n}@vidu.gov.vn", phc, QUOTA_MB) for n in range(MAILBOXES))


def config_for(data: Path, listen: str = "127.0.0.1:0") -> Config:
    """Settings of an installation in a folder, its IMAP port free to choose."""
    return load_config(None, data={"path": str(data)}, mailstore={"imap": listen})


def _run(name: str, data: Path) -> Iterator[Engine]:
    config = config_for(data)
    loop = LoopThread()
    addresses = [user.address for user in users()]
    server: DovecotChild | ImapServer
    if name == "dovecot":
        server = DovecotChild(config)
    else:
        server = ImapServer(config, TestDirectory(tuple(addresses)), poll_seconds=0.05)
    try:
        loop.run(server.apply(Change(users())))
        address = loop.run(server.start())
        reach.publish(data, address)
        host, port = reach.split(address)
        yield Engine(name, config, loop, server, addresses, host, port)
    finally:
        loop.run(server.stop())
        loop.close()


def require_dovecot(config: Config) -> None:
    """Skip by name where Dovecot is not installed; in CI that is a failure."""
    if not usable(config):
        if os.environ.get("CI"):
            pytest.fail("Dovecot 2.3 is not installed")
        pytest.skip("no Dovecot 2.3 on this machine")


@pytest.fixture(scope="session")
def dovecot_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real Dovecot."""
    data = tmp_path_factory.mktemp("dovecot")
    require_dovecot(config_for(data))
    yield from _run("dovecot", data)


@pytest.fixture(scope="session")
def embedded_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded server."""
    yield from _run("embedded", tmp_path_factory.mktemp("embedded"))


@pytest.fixture(params=["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found
