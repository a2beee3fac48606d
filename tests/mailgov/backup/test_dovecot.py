"""Mailboxes that Dovecot serves, brought back onto an empty machine: mail, UIDs, flags, filters."""

import re
import time
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.backup import create, initialise, restore
from mailgov.config import BackupSettings, Config, load_config
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.mailstore import layout, reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change
from tests.support.imap_engines import PASSWORD, LoopThread, require_dovecot, users
from tests.support.imap_wire import Wire
from tests.support.restic import require_restic

pytestmark = pytest.mark.dovecot

AN = users()[0]
MESSAGES = 200


def machine(folder: Path, data: Path) -> Config:
    config = load_config(None, data={"path": str(data)}, mailstore={"imap": "127.0.0.1:0"})
    backup = BackupSettings(
        repository=str(folder / "repository"), password_file=folder / "password"
    )
    return config.model_copy(update={"backup": backup})


class Served:
    """A Dovecot on a data folder, for the length of a block."""

    def __init__(self, config: Config) -> None:
        self._loop = LoopThread()
        self._child = DovecotChild(config)

    def __enter__(self) -> Wire:
        self._loop.run(self._child.apply(Change((AN,))))
        host, port = reach.split(self._loop.run(self._child.start()))
        self._wire = Wire(host, port)
        self._wire.login(AN.address, PASSWORD)
        return self._wire

    def __exit__(self, *_: object) -> None:
        self._wire.close()
        self._loop.run(self._child.stop())
        self._loop.close()


def state(wire: Wire) -> dict[bytes, list[bytes]]:
    """Every folder as a mail program sees it."""
    found = {}
    for folder in (b"INBOX", b'"C&APQ-ng v&AQM-n"'):
        lines = wire.ok(b"EXAMINE " + folder)
        kept = [line for line in lines if b"UIDVALIDITY" in line or b"EXISTS" in line]
        answers = wire.ok(b"FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")
        found[folder] = kept + [
            re.sub(rb" ?\\Recent", b"", answer).replace(b"( ", b"(") for answer in answers
        ]
    return found


def test_onto_an_empty_machine(tmp_path: Path) -> None:
    require_restic()
    (tmp_path / "password").write_text("tre xanh\n")
    (tmp_path / "password").chmod(0o600)
    here = machine(tmp_path, tmp_path / "here")
    require_dovecot(here)
    here.data.path.mkdir()
    database = Database(f"sqlite:///{here.data.path / 'mailgov.db'}")
    migrate(database)
    database.close()
    initialise(here)
    with Served(here) as wire:
        wire.ok(b'CREATE "C&APQ-ng v&AQM-n"')
        for number in range(MESSAGES):
            message = b"Subject: %d\r\n\r\n%b\r\n" % (number, b"x" * 500)
            wire.append(b"INBOX", message, b"(\\Flagged $Forwarded) " if number % 3 else b"")
        wire.ok(b"SELECT INBOX")
        wire.ok(b'MOVE 1:50 "C&APQ-ng v&AQM-n"')
        wire.ok(b"STORE 1:20 +FLAGS.SILENT (\\Seen)")
        home = layout.home(here.data.path, Address.parse(AN.address))
        (home / "sieve").mkdir()
        (home / "sieve" / "loc.sieve").write_text("keep;")
        (home / ".dovecot.sieve").symlink_to("sieve/loc.sieve")
        before = state(wire)
        create(here)  # while it is served
    there = machine(tmp_path, tmp_path / "there")
    started = time.perf_counter()
    restore(there)
    seconds = time.perf_counter() - started
    with Served(there) as wire:
        after = state(wire)
    size = sum(f.stat().st_size for f in there.data.path.rglob("*") if f.is_file())
    print(f"restored {MESSAGES} messages, {size / 1024:.0f} KiB, in {seconds:.1f} s")
    assert after == before
    assert (
        layout.home(there.data.path, Address.parse(AN.address)) / ".dovecot.sieve"
    ).read_text() == "keep;"
