"""`mailgov serve milter` on the data of a platform, for mail servers that ask it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..support.platform import command, copy_of


@dataclass
class Engine:
    """The running service, and two officials it knows."""

    folder: Path
    address: str
    process: subprocess.Popen[str]
    official: str
    colleague: str

    def trace(self, sender: str) -> list[dict[str, object]]:
        """What the ledger says of messages from there."""
        done = command(
            "--config", str(self.folder / "config.toml"), "trace", "--from", sender,
            "--since", "1h", "--json", code=None,
        )  # fmt: skip
        return list(json.loads(done.stdout)["data"]) if done.returncode == 0 else []

    def stop(self) -> int:
        """End it; its exit code."""
        self.process.terminate()
        return self.process.wait(40)


@contextmanager
def running_engine(prepared: Path, folder: Path) -> Iterator[Engine]:
    """The service on a copy of prepared data."""
    folder = copy_of(prepared, folder)
    logins = json.loads((folder / "logins.json").read_text())
    officials = [one["address"] for one in logins if one["role"] == "official"]
    log = folder.with_name("milter.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "mailgov_cli", "--config", str(folder / "config.toml"),
         "serve", "milter", "--ready-json"],
        stdout=subprocess.PIPE, stderr=log, text=True,
        env={**os.environ, "MAILGOV_MILTER__LISTEN": "127.0.0.1:0"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline() or "{}")
        assert ready, folder.with_name("milter.log").read_text()
        yield Engine(folder, ready["listeners"]["milter"], process, *officials[:2])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(40)
        process.stdout.close()
        log.close()
