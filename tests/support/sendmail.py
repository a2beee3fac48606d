"""A Sendmail of our own: its queue and what it delivers are in a folder of the test.

Debian's packages of Sendmail and Postfix exclude each other, so that its packages are only unpacked
(`tools/test-packages`), never installed.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 60.0
HOSTNAME = "mx.example.vn"
UNPACKED = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailgov-tests" / "sendmail"
)
_PROGRAM = "usr/libexec/sendmail/sendmail"
_MACROS = "usr/share/sendmail/cf"

# An open relay on loopback, whose only mailer writes messages into a folder.
_CONFIGURATION = """\
divert(-1)
include(`{macros}/m4/cf.m4')
divert(0)
OSTYPE(`linux')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/status')dnl
define(`ALIAS_FILE', `')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`confDELIVERY_MODE', `interactive')dnl
define(`confMAX_MESSAGE_SIZE', `36700160')dnl
define(`confMILTER_MACROS_ENVFROM', `i, {{auth_type}}, {{auth_authen}}, {{auth_author}}, {{mail_addr}}')dnl
define(`SMART_HOST', `keep:here')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Port={port}, Addr=127.0.0.1')dnl
INPUT_MAIL_FILTER(`mailgov', `S=inet:{milter_port}@127.0.0.1, F=T, T=C:30s;S:10s;R:30s;E:5m')dnl
MAILER(`smtp')dnl
MAILER_DEFINITIONS
Mkeep, P=/bin/sh, F=lsDFM8mnu, U=root:root, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, T=DNS/RFC822/X-Unix,
\t\tA=sh {folder}/keep $i $u
"""


@dataclass(frozen=True)
class Sendmail:
    """A running Sendmail."""

    folder: Path
    port: int

    def taken(self) -> list[bytes]:
        """Messages that it delivered."""
        return [path.read_bytes() for path in sorted((self.folder / "mail").iterdir())]

    def held(self) -> int:
        """Messages in its quarantine."""
        return sum(path.name.startswith("hf") for path in (self.folder / "queue").iterdir())

    def release(self) -> None:
        """Take every message out of quarantine and deliver it, as its operator would."""
        for options in (["-qQ", "-Q"], ["-q"]):
            self._run(*options)

    def _run(self, *options: str) -> None:
        subprocess.run(
            ["unshare", "--uts", "sh", self.folder / "start", *options],
            check=True, capture_output=True, timeout=START_SECONDS,
        )  # fmt: skip


def need_sendmail() -> Path:
    """The folder its packages were unpacked in; skips without it, fails in CI."""
    why = ""
    if not (UNPACKED / _PROGRAM).exists() or shutil.which("m4") is None:
        why = "no Sendmail on this machine (tools/test-packages unpacks it)"
    elif os.geteuid() != 0:
        why = "Sendmail starts as root only"
    if why and os.environ.get("CI"):
        pytest.fail(why)
    if why:
        pytest.skip(why)
    return UNPACKED


@contextmanager
def running(folder: Path, milter: str) -> Iterator[Sendmail]:
    """A Sendmail that asks the milter at `host:port`."""
    unpacked = need_sendmail()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    for name in ("queue", "mail"):
        (folder / name).mkdir(mode=0o700)
    (folder / "switch").write_text("hosts\tfiles\naliases\tfiles\npasswd\tfiles\n")
    (folder / "keep").write_text(f"exec cat > {folder}/mail/$1\n")
    # It waits a minute when the machine's name has no dot; so it gets a name of its own.
    (folder / "start").write_text(
        f'hostname {HOSTNAME}\nexec {unpacked / _PROGRAM} -C {folder}/sendmail.cf "$@"\n'
    )
    source = _CONFIGURATION.format(
        folder=folder,
        hostname=HOSTNAME,
        port=port,
        macros=unpacked / _MACROS,
        milter_port=milter.rpartition(":")[2],
    )
    made = subprocess.run(
        ["m4", f"-D_CF_DIR_={unpacked / _MACROS}/", "-"],
        input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (folder / "sendmail.cf").write_text(made.stdout)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--uts", "sh", folder / "start", "-bD"],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_until_it_listens(process, port, folder / "log")
        yield Sendmail(folder, port)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail(f"Sendmail did not start: {log.read_text('utf-8', 'replace')}")
