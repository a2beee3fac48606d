"""The whole platform as a process of its own, on sample data and free ports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

START_SECONDS = 180.0
STOP_SECONDS = 40.0


@dataclass
class Platform:
    """A running `mailgov demo`; `log` holds what it said on stderr."""

    folder: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def address(self, listener: str) -> tuple[str, int]:
        """Host and port of a listener."""
        host, _, port = self.ready["listeners"][listener].rpartition(":")
        return host, int(port)

    def login(self, role: str, number: int = 0) -> dict[str, str]:
        """The login of a role: address and password."""
        found: list[dict[str, str]] = [one for one in self.ready["logins"] if one["role"] == role]
        return found[number]

    def cli(self, *args: str, code: int = 0) -> str:
        """Run a command against this platform's data; returns stdout."""
        return command("--config", str(self.config), *args, code=code).stdout

    def json(self, *args: str) -> Any:
        """The `data` of a command with --json."""
        return json.loads(self.cli(*args, "--json"))["data"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would, its children too."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def command(
    *args: str, code: int | None = 0, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `mailgov` as a process and compare its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "mailgov_cli", *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**os.environ, "MAILGOV_LANG": "vi", **(env or {})},
    )
    assert code is None or done.returncode == code, f"{args}: {done.returncode}\n{done.stderr}"
    return done


def start(folder: Path, *args: str, environment: Mapping[str, str] | None = None) -> Platform:
    """Start `mailgov demo` in a folder and wait until it is ready."""
    log = folder.with_name(f"{folder.name}.log")
    # Letters leave at once: nobody waits for their time to be called back.
    environment = {"MAILGOV_WEB__UNDO_SECONDS": "0", **(environment or {})}
    with log.open("a") as errors:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mailgov_cli", "demo", "--data", str(folder),
                "--ports", "free", "--ready-json", *args,
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    line = _first_line(process.stdout, process)
    platform = Platform(folder, process, json.loads(line or "{}"), log, environment)
    if not line:
        code = process.poll()
        platform.kill()
        raise AssertionError(f"did not start (exit code {code}):\n{log.read_text()}")
    return platform


def _first_line(stream: IO[str], process: subprocess.Popen[str]) -> str:
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        return stream.readline()
    finally:
        timer.cancel()


def copy_of(folder: Path, to: Path) -> Path:
    """The data of a stopped platform, for a start of its own."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("dovecot"))  # its sockets
    return to


def eventually(check: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """What `check` returns once it is true; for what another process does in its own time."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"still {found!r} after {seconds} seconds")
        time.sleep(0.1)
