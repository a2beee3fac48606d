"""A clamd of our own: its signatures are two lines, its socket is in a folder of the test."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MALWARE = b"MAILGOV-TEST-MALWARE-7f3a91"
NAME = "Mailgov.Test.Malware"
STREAM_MAX = 2 << 20

START_SECONDS = 60.0
_CONFIG = """\
LocalSocket {socket}
DatabaseDirectory {folder}
TemporaryDirectory {folder}
Foreground yes
StreamMaxLength 2M
MaxThreads 2
LogFile {folder}/clamd.log
SelfCheck 0
"""


def binary() -> str | None:
    """The clamd of this machine."""
    return shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def need_clamd() -> str:
    """The clamd to test with; skips without one, fails in CI."""
    found = binary()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("clamd is not installed")
        pytest.skip("no clamd on this machine (package clamav-daemon)")
    return found


@contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """A started clamd; the path of its socket."""
    (folder / "test.ndb").write_text(f"{NAME}:0:*:{MALWARE.hex()}\n")
    where = folder / "clamd.ctl"
    config = folder / "clamd.conf"
    config.write_text(_CONFIG.format(socket=where, folder=folder))
    process = subprocess.Popen(
        [program, f"--config-file={config}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, where, folder / "clamd.log")
        yield str(where)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], where: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(where))
            return
        except OSError:
            late = time.monotonic() > deadline
            if late or process.poll() is not None:
                told = log.read_text() if log.exists() else ""
                raise AssertionError(f"clamd did not start: {told}") from None
            time.sleep(0.05)
