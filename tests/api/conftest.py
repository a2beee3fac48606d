"""The administration interface on a loopback port, with a small directory and some tokens."""

import asyncio
import io
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mailgov.clock import local_date, utc_now
from mailgov.config import load_config
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.directory.api_tokens import add_api_token
from mailgov.directory.provisioning import Act, NewMailbox, add_mailbox, grant_role
from mailgov.services import Services, build
from mailgov_cli.app import main
from mailgov_cli.remote.role import run as run_role

from ..cli.conftest import CONFIG, Result
from ..support.directory import AN, fill_directory

OPERATOR = AN
CHIEF = "binhtv@xahoabinh.tinhmau.test"  # administers H99.47 alone
AUDITOR = "cuclt@tinhmau.test"

TOKENS: dict[str, dict[str, Any]] = {
    "operator": {"address": OPERATOR, "access": "change"},
    "reader": {"address": OPERATOR, "access": "read"},
    "narrow": {"address": OPERATOR, "access": "change", "agency": "H99.47"},
    "groups": {"address": OPERATOR, "access": "change", "commands": ["group", "alias list"]},
    "scim": {"address": OPERATOR, "access": "change", "commands": ["scim"]},
    "chief": {"address": CHIEF, "access": "change"},
    "auditor": {"address": AUDITOR, "access": "change"},
}


@dataclass(frozen=True, slots=True)
class Site:
    """A platform that can be called."""

    folder: Path
    url: str
    tokens: dict[str, str]
    services: Services

    @property
    def config_file(self) -> Path:
        """Its configuration."""
        return self.folder / "config.toml"

    def token_file(self, name: str) -> Path:
        """A file with the token of that name."""
        return self.folder / f"{name}.token"

    def client(self, token: str = "operator", **headers: str) -> httpx2.Client:
        """Somebody who shows that token."""
        shown = {"Authorization": f"Bearer {self.tokens[token]}"} if token else {}
        return httpx2.Client(
            base_url=self.url, headers={**shown, "Accept-Language": "en", **headers}, timeout=60
        )


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the tester's settings nor the tester's language decide what is tested."""
    for name in list(os.environ):
        if name.startswith(("MAILGOV_", "LC_")) or name in ("LANG", "LANGUAGE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Configuration and database, made once; tokens by name."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "config.toml").write_text(f'{CONFIG}\n[api]\nlisten = "127.0.0.1:0"\n')
    (folder / "data").mkdir()
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}")
    migrate(database)
    act = Act("cli:test", utc_now())
    tokens = {}
    with database.write() as session:
        fill_directory(session)
        for address, agency, name, number in (
            (CHIEF, "H99.47", "Trần Văn Bình", "VC-00500"),
            (AUDITOR, "H99", "Lê Thị Cúc", "VC-00501"),
        ):
            new = NewMailbox(address=address, agency=agency, name=name, staff_no=number)
            add_mailbox(session, act, new)
        for address, role, agency in (
            (OPERATOR, "operator", ""),
            (CHIEF, "it", "H99.47"),
            (AUDITOR, "auditor", "H99"),
        ):
            grant_role(session, act, mailbox=address, role=role, agency=agency)
        for name, wanted in TOKENS.items():
            until = local_date(act.at) + timedelta(days=30)
            made = add_api_token(session, act, label=name, expires_on=until, **wanted)
            tokens[name] = made.token
    database.close()
    return folder, tokens


def _copied(prepared: tuple[Path, dict[str, str]], place: Path) -> Path:
    folder, tokens = prepared
    shutil.copytree(folder, place)
    for name, token in tokens.items():
        file = place / f"{name}.token"
        file.touch(0o600)
        file.write_text(f"{token}\n")
    return place


@pytest.fixture
def local_site(prepared_site: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """The same platform once more, to be worked on where it is."""
    return _copied(prepared_site, tmp_path / "local")


@pytest.fixture(scope="module")
def site(
    prepared_site: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A platform whose interface listens, shared by the tests of a file."""
    folder = _copied(prepared_site, tmp_path_factory.mktemp("served") / "site")
    with serving(folder, "http") as (url, services):
        yield Site(folder, url, prepared_site[1], services)


class serving:  # noqa: N801 - used like a function
    """The role `api` of this folder in a thread of its own."""

    def __init__(self, folder: Path, scheme: str, **settings: Any) -> None:
        changes = {"api": settings} if settings else {}
        self._services = build(load_config(folder / "config.toml", **changes))
        self._scheme = scheme
        self._told: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._live)

    def __enter__(self) -> tuple[str, Services]:
        self._thread.start()
        told = self._told.get(timeout=120)
        if isinstance(told, BaseException):
            raise told
        self._loop, self._stop, address = told
        return f"{self._scheme}://{address}", self._services

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(120)
        self._services.database.close()

    def _live(self) -> None:
        async def live() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            await run_role(self._services, lambda _, at: self._told.put((loop, stop, at)), stop)

        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._told.put(error)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; `stdin` is what is piped in."""

    def run_command(*args: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = main(list(args))
        captured = capsys.readouterr()
        return Result(captured.out, captured.err, code)

    return run_command
