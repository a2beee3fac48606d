"""A real Postfix on a port of loopback, with folders of its own. It needs root, as Postfix does."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# Every address is taken into one Maildir, unless `settings` say otherwise.
_SETTINGS = {
    "compatibility_level": "3.6",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "myhostname": "postfix.example",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "local_transport": "error:no local delivery",
    "virtual_mailbox_domains": "static:all",
    "virtual_mailbox_maps": "static:all/",
    "virtual_minimum_uid": "1",
    "smtpd_recipient_restrictions": "permit_mynetworks,reject",
    "smtpd_client_connection_count_limit": "0",
    "smtp_tls_security_level": "may",
    "smtpd_peername_lookup": "no",
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
    "maillog_file_permissions": "0644",
    "minimal_backoff_time": "2s",
    "queue_run_delay": "2s",
}


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running one."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[bytes]:
        """What was delivered, with the fields that Postfix put before it."""
        return [path.read_bytes() for path in sorted(self.folder.glob("mail/all/new/*"))]

    @property
    def log(self) -> str:
        """What it says."""
        file = self.folder / "log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    @property
    def queued(self) -> int:
        """Messages that wait."""
        done = _run(self.folder, "postqueue", "-c", str(self.folder / "conf"), "-j")
        return len(done.stdout.splitlines())


def _run(folder: Path, *command: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    assert code is None or done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
    return done


def require_postfix() -> None:
    """Skip the test by name where Postfix can't run; in CI it must."""
    if shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin") and os.getuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("Postfix is not installed, or this is not root")
    pytest.skip("no Postfix on this machine, or not root")


@contextmanager
def running(**settings: str) -> Iterator[Postfix]:
    """A Postfix with these settings over those above, until the block ends."""
    require_postfix()
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    # Below /tmp, not below pytest's folder: Postfix's own user must be able to come here.
    folder = Path(tempfile.mkdtemp(prefix="mailgov-postfix-"))
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = folder / "conf"
    _prepare(folder, conf, port, settings)
    try:
        _run(folder, "postfix", "-c", str(conf), "start")
        yield Postfix(folder, port)
    finally:
        _run(folder, "postfix", "-c", str(conf), "stop", code=None)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, conf: Path, port: int, settings: dict[str, str]) -> None:
    for name in ("conf", "queue", "data", "mail"):
        (folder / name).mkdir()
    for name in ("data", "mail"):
        shutil.chown(folder / name, "postfix")
    user = (folder / "mail").stat().st_uid
    group = (folder / "mail").stat().st_gid
    wanted = {
        **_SETTINGS,
        "queue_directory": str(folder / "queue"),
        "data_directory": str(folder / "data"),
        "virtual_mailbox_base": str(folder / "mail"),
        "virtual_uid_maps": f"static:{user}",
        "virtual_gid_maps": f"static:{group or 1}",
        "maillog_file": str(folder / "log"),
        "maillog_file_prefixes": str(folder),
        **settings,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in wanted.items())
    (conf / "main.cf").write_text(lines)
    (conf / "master.cf").write_text(_SERVICES.format(port=port))
