"""A private PostgreSQL for the tests: own folder, own socket, no network, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_BINARIES = Path("/usr/lib/postgresql")
_SECONDS = 60


def binaries() -> Path | None:
    """The folder of the newest server that is installed; None when there is none."""
    folders = [path.parent for path in _BINARIES.glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


@dataclass(frozen=True)
class Cluster:
    """A running server."""

    folder: Path
    bin: Path

    def url(self, database: str) -> str:
        """The SQLAlchemy address of a database in it."""
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.folder), safe='')}"

    def restart(self) -> None:
        """End it as a crash would, and start it again."""
        control = [str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), "-w"]
        _run_as_owner([*control, "-l", str(self.folder / "log"), "-m", "immediate", "restart"])

    def run(self, sql: str) -> None:
        """Run one statement outside of any transaction."""
        _run([str(self.bin / "psql"), "-qX", "-h", str(self.folder), "-U", "postgres", "-c", sql])


@contextmanager
def cluster(bin_folder: Path) -> Iterator[Cluster]:
    """Start a server in a new folder; stop it at the end, whatever its sessions do."""
    # Socket paths are short by law of the kernel, so not below pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        options = (
            "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c shared_buffers=64MB"
        )
        made = [str(bin_folder / "initdb"), "-D", data, "-U", "postgres", "--auth=trust"]
        _run_as_owner([*made, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"])
        control = [str(bin_folder / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
        _run_as_owner([*control, "-o", f"-k {folder} {options}", "start"])
        try:
            yield Cluster(folder, bin_folder)
        finally:
            _run_as_owner([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_as_owner(command: list[str]) -> None:
    """Root may not run a server; Debian's user for it may."""
    _run(["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command)


def _run(command: list[str]) -> None:
    subprocess.run(
        command,
        check=True,
        timeout=_SECONDS,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
