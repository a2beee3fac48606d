"""The command line, run in this process against a small directory."""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov_cli.app import main

from ..support.directory import fill_directory

# Nothing listens on port 9 (discard); whoever asks there learns so at once.
CONFIG = """\
[site]
hostname = "mail.tinhmau.test"
official_suffixes = ["gov.vn", "test"]

[relay]
mx = "127.0.0.1:9"
submission = "127.0.0.1:9"
submissions = "127.0.0.1:9"

[mailstore]
imap = "127.0.0.1:9"

[web]
listen = "127.0.0.1:9"

[metrics]
listen = "127.0.0.1:9"

[dns]
nameservers = ["127.0.0.1:9"]
timeout_seconds = 0.2
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command wrote and how it ended."""

    stdout: str
    stderr: str
    exit: int

    @property
    def data(self) -> Any:
        """The `data` of an object on stdout."""
        return json.loads(self.stdout)["data"]

    @property
    def error(self) -> Any:
        """The error object on stderr."""
        return json.loads(self.stderr)["error"]


class _Terminal(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the tester's settings nor the tester's language decide what is tested."""
    for name in list(os.environ):
        if name.startswith(("MAILGOV_", "LC_")) or name in ("LANG", "LANGUAGE"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration and database with the small directory, made once."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "config.toml").write_text(CONFIG)
    (folder / "data").mkdir()
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}")
    migrate(database)
    with database.write() as session:
        fill_directory(session)
    database.close()
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; `stdin` is what is piped in, or typed `at_terminal`."""

    def run_command(*args: str, stdin: str = "", at_terminal: bool = False) -> Result:
        monkeypatch.setattr("sys.stdin", (_Terminal if at_terminal else io.StringIO)(stdin))
        capsys.readouterr()
        code = main(list(args))
        captured = capsys.readouterr()
        return Result(captured.out, captured.err, code)

    return run_command


@pytest.fixture
def folder(prepared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared folder; commands run in it and find its config.toml."""
    copy = tmp_path / "site"
    shutil.copytree(prepared_folder, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """The database that the commands of this test use."""
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}", readers=2)
    yield database
    database.close()
