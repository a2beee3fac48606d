"""A Postfix of our own: its queue, its mailboxes and its log are in a folder of the test."""

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
import trustme

START_SECONDS = 60.0

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mx.example.vn
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.vn
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = inline:{{ {transports} }}
smtpd_tls_cert_file = {folder}/chain.pem
smtpd_tls_key_file = {folder}/chain.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtputf8_enable = yes
smtp_dns_support_level = disabled
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
message_size_limit = 1000000
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ busy@example.vn = 450 4.2.0 busy }}, {{ gone@example.vn = 550 5.1.1 gone }} }},
    permit_mynetworks, reject_unauth_destination
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running Postfix; it takes all mail for example.vn into one folder."""

    folder: Path
    port: int

    def taken(self) -> list[bytes]:
        """Messages that it delivered."""
        new = self.folder / "mail" / "all" / "new"
        return [path.read_bytes() for path in sorted(new.glob("*"))] if new.is_dir() else []

    def log(self) -> str:
        """What it said."""
        path = self.folder / "maillog"
        return path.read_text("utf-8", "replace") if path.exists() else ""


def need_postfix() -> str:
    """The folder of its programs; skips without them, fails in CI."""
    program = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        why = "no Postfix on this machine" if program is None else "Postfix starts as root only"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(f"{why} (package postfix)")
    asked = subprocess.run(
        ["postconf", "-dh", "daemon_directory"], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(
    certificate: trustme.LeafCert, transports: dict[str, str] | None = None, **settings: str
) -> Iterator[Postfix]:
    """A started Postfix; `transports` says where mail for a domain goes, as in transport(5).

    `settings` are those of postconf(5), over the ones above.
    """
    daemons = need_postfix()
    # Postfix runs as a user of its own, who can't enter the folders of tests.
    with tempfile.TemporaryDirectory(prefix="postfix-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with _started(folder, daemons, certificate, transports or {}, settings) as server:
            yield server


@contextmanager
def _started(
    folder: Path,
    daemons: str,
    certificate: trustme.LeafCert,
    transports: dict[str, str],
    settings: dict[str, str],
) -> Iterator[Postfix]:
    owner = pwd.getpwnam("postfix")
    for name in ("spool", "data", "mail"):
        (folder / name).mkdir()
    for name in ("data", "mail"):
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    pem = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (folder / "chain.pem").write_bytes(certificate.private_key_pem.bytes() + pem)
    pairs = ", ".join(f"{{ {domain} = {to} }}" for domain, to in transports.items())
    port = _free_port()
    (folder / "main.cf").write_text(
        _MAIN.format(
            folder=folder,
            daemons=daemons,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            transports=pairs or "{ none.example = error }",
        )
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    (folder / "master.cf").write_text(_MASTER.format(port=port))
    subprocess.run(
        ["postfix", "-c", str(folder), "check"], capture_output=True, timeout=60, check=False
    )
    with (folder / "master.log").open("w") as said:
        process = subprocess.Popen(
            [f"{daemons}/master", "-c", str(folder), "-d"],
            stdout=said,
            stderr=said,
            env={**os.environ, "MAIL_CONFIG": str(folder)},
        )
    try:
        _wait(process, port, folder)
        yield Postfix(folder, port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as probe:
                if probe.recv(3) == b"220":
                    return
        except OSError:
            pass
        logs = [folder / "master.log", folder / "maillog"]
        said = "\n".join(path.read_text() for path in logs if path.exists())
        assert process.poll() is None, f"Postfix ended:\n{said}"
        assert time.monotonic() < end, f"Postfix does not answer:\n{said}"
        time.sleep(0.1)
