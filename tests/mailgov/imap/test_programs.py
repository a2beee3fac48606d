"""Mail programs of others, run as people run them, against both engines."""

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.imap_engines import PASSWORD, Engine

WIRE_NAME = "C&APQ-ng v&AQM-n"  # Công văn
MESSAGES = [
    f"From: An <an@vidu.gov.vn>\r\nSubject: Thu {number}\r\nMessage-ID: <{number}@vidu.gov.vn>\r\n"
    "Date: Sat, 21 Nov 2026 08:00:00 +0700\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    f"Kính gửi {number}\r\n".encode().decode("latin-1")
    for number in range(1, 4)
]
MAIL = [message.encode("latin-1") for message in MESSAGES]
SECONDS = 60.0


def program(name: str) -> str:
    """Its path; skips by name where it is missing, which fails in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"no {name} on this machine")
    return found


def run(*command: str, home: Path, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=SECONDS, check=False,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def secret(folder: Path) -> Path:
    file = folder / "secret"
    file.write_text(PASSWORD, "utf-8")
    return file


def test_curl(engine: Engine, tmp_path: Path) -> None:
    address = engine.mailbox()
    engine.deliver(address, MAIL)
    curl = program("curl")

    def ask(path: str, *more: str) -> bytes:
        url = f"imap://{engine.host}:{engine.port}/{path}"
        who = f"{address}:{PASSWORD}"
        return run(curl, "-sS", "-u", who, *more, url, home=tmp_path)

    assert ask("INBOX;MAILINDEX=2") == MAIL[1]
    assert ask("INBOX;UID=3;SECTION=TEXT") == "Kính gửi 3\r\n".encode()
    assert ask("INBOX?SUBJECT%20%22Thu%202%22").strip() == b"* SEARCH 2"
    (tmp_path / "new").write_bytes(MAIL[0])
    ask("Drafts", "-T", str(tmp_path / "new"))
    assert ask("Drafts;MAILINDEX=1") == MAIL[0]
    assert b"Drafts" in ask("")


def test_mbsync(engine: Engine, tmp_path: Path) -> None:
    """Down, then what was written and removed here, up."""
    address = engine.mailbox()
    engine.deliver(address, MAIL)
    with engine.wire(address) as wire:
        wire.ok(f'CREATE "{WIRE_NAME}"'.encode())
        wire.append(f'"{WIRE_NAME}"'.encode(), MAIL[0], b"(\\Seen) ")
    near = tmp_path / "near"
    near.mkdir()
    (tmp_path / "rc").write_text(
        f"""IMAPAccount a
Host {engine.host}
Port {engine.port}
User {address}
PassCmd "cat {secret(tmp_path)}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""",
        "utf-8",
    )
    sync = (program("mbsync"), "-q", "-c", str(tmp_path / "rc"), "-a")
    run(*sync, home=tmp_path)
    there = sorted(file.read_bytes().replace(b"\r", b"") for file in near.glob("INBOX/*/*,*"))
    assert [line for data in there for line in data.split(b"\n") if b"Subject" in line] == [
        b"Subject: Thu 1", b"Subject: Thu 2", b"Subject: Thu 3",
    ]  # fmt: skip
    (seen,) = near.glob(f"{WIRE_NAME}/cur/*S*")
    assert seen.name.endswith("S")
    next(near.glob("INBOX/*/*,*")).unlink()
    (near / "Drafts" / "new" / "1700000000.1.x").write_bytes(MAIL[2].replace(b"\r\n", b"\n"))
    run(*sync, home=tmp_path)
    with engine.wire(address) as wire:
        assert b"* 2 EXISTS" in wire.ok(b"SELECT INBOX")
        assert b"* 1 EXISTS" in wire.ok(b"SELECT Drafts")
        assert "Kính gửi 3\r\n".encode() in wire.ok(b"FETCH 1 BODY.PEEK[TEXT]")[0]


def test_mutt(engine: Engine, tmp_path: Path) -> None:
    """It opens the inbox, copies what matches a search into a file, and removes a message."""
    address = engine.mailbox()
    engine.deliver(address, MAIL)
    rc = tmp_path / "rc"
    rc.write_text(
        f"""set folder = "imap://{engine.host}:{engine.port}/"
set spoolfile = "+INBOX"
set imap_user = "{address}"
set imap_pass = "{PASSWORD}"
set ssl_starttls = no
set ssl_force_tls = no
set imap_authenticators = "plain:login"
set confirmcreate = no
set confirmappend = no
set delete = yes
set move = no
set wait_key = no
set mark_old = no
set charset = "utf-8"
""",
        "utf-8",
    )
    kept = tmp_path / "kept"
    keys = (
        f"<tag-pattern>~s 'Thu 2'<enter><tag-prefix><copy-message>{kept}<enter>"
        "<delete-pattern>~s 'Thu 1'<enter><quit>"
    )
    at_terminal([program("mutt"), "-n", "-F", str(rc), "-e", f'push "{keys}"'], tmp_path)
    copied = kept.read_bytes()
    assert copied.count(b"Subject: Thu") == 1
    assert "Kính gửi 2".encode() in copied
    with engine.wire(address) as wire:
        assert b"* 2 EXISTS" in wire.ok(b"SELECT INBOX")


def at_terminal(command: list[str], home: Path) -> None:
    """Run a program that wants a terminal, until it ends."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        os.environ.update(HOME=str(home), TERM="vt100", LANG="C.UTF-8", LINES="24", COLUMNS="80")
        os.execv(command[0], command)
    shown, end = b"", time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            if select.select([terminal], [], [], 1.0)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:
                    break  # it has closed the terminal
        else:
            os.kill(pid, 9)
            pytest.fail(f"it does not end: {shown[-2000:]!r}")
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown[-2000:]
