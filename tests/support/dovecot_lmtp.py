"""A Dovecot of our own that takes mail over LMTP: two people, one of them with little room."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 60.0
KNOWN, FULL = "an@tinhmau.gov.vn", "day@tinhmau.gov.vn"

_CONFIG = """\
base_dir = {folder}/run
log_path = {folder}/log
ssl = no
protocols = lmtp
mail_location = maildir:{folder}/mail/%u
mail_plugins = quota
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
first_valid_uid = 1
default_vsz_limit = 0
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
"""


@dataclass(frozen=True)
class Store:
    """A running store."""

    folder: Path

    @property
    def socket(self) -> str:
        """Its socket file."""
        return str(self.folder / "lmtp")

    def inbox(self, address: str) -> list[bytes]:
        """What it keeps for somebody."""
        return [
            path.read_bytes() for path in sorted((self.folder / "mail" / address).glob("new/*"))
        ]


def need_dovecot() -> str:
    """Its program; skips without it, fails in CI."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or os.geteuid() != 0 or not Path("/usr/lib/dovecot/lmtp").exists():
        why = "no Dovecot with LMTP that this user may start"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(f"{why} (package dovecot-lmtpd)")
    return program


@contextmanager
def running() -> Iterator[Store]:
    """A started store."""
    program = need_dovecot()
    owner = pwd.getpwnam("mail")
    with tempfile.TemporaryDirectory(prefix="dovecot-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
        ids = f"{owner.pw_uid}:{owner.pw_gid}"
        (folder / "users").write_text(
            f"{KNOWN}:{{PLAIN}}x:{ids}::{folder}/mail/{KNOWN}::\n"
            f"{FULL}:{{PLAIN}}x:{ids}::{folder}/mail/{FULL}::userdb_quota_rule=*:bytes=100\n"
        )
        (folder / "users").chmod(0o644)
        (folder / "dovecot.conf").write_text(_CONFIG.format(folder=folder))
        process = subprocess.Popen(
            [program, "-F", "-c", str(folder / "dovecot.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, folder)
            yield Store(folder)
        finally:
            process.terminate()
            process.wait(20)


def _wait(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(5)
                probe.connect(str(folder / "lmtp"))
                if probe.recv(3) == b"220":
                    return
        except OSError:
            pass
        said = (folder / "log").read_text() if (folder / "log").exists() else ""
        assert process.poll() is None, f"Dovecot ended:\n{said}"
        assert time.monotonic() < end, f"Dovecot does not answer:\n{said}"
        time.sleep(0.05)
