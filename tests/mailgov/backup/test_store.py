"""Backups by a real restic: what is kept, what comes back, what damage is told."""

import os
import sqlite3
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.backup import create, initialise, listing, restore, stage, verify
from mailgov.backup.store import restore_mailbox
from mailgov.config import BackupSettings, Config, Data
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.errors import ConfigError, Conflict, MailgovError, NotFound, Unavailable
from mailgov.mailstore import layout
from tests.support.restic import require_restic

AN = Address("an", "tinhmau.test")


@pytest.fixture(autouse=True)
def _restic() -> None:
    require_restic()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A data folder with a database, a mailbox and a key, and a repository for its backups."""
    data = tmp_path / "data"
    data.mkdir()
    database = Database(f"sqlite:///{data / 'mailgov.db'}")
    migrate(database)
    database.close()
    maildir = layout.maildir(data, AN)
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "cur" / "1.a,S=900000:2,S").write_bytes(os.urandom(900_000))
    (maildir / "new" / "2.b").write_bytes(b"Subject: x\r\n\r\n")
    (maildir / "dovecot.index.cache").write_bytes(b"made anew")
    index = sqlite3.connect(layout.home(data, AN) / "index.db")
    index.execute("CREATE TABLE uid (value INTEGER)")
    index.execute("INSERT INTO uid VALUES (7)")
    index.commit()
    index.close()
    (data / "keys").mkdir()
    (data / "keys" / "a.pem").write_text("key")
    (data / "spool" / "tmp").mkdir(parents=True)
    (data / "spool" / "identity").write_text("this volume\n")
    password = tmp_path / "password"
    password.write_text("tre xanh\n")
    password.chmod(0o600)
    made = settings(tmp_path, data)
    initialise(made)
    return made


def settings(folder: Path, data: Path) -> Config:
    backup = BackupSettings(
        repository=str(folder / "repository"), password_file=folder / "password"
    )
    return Config(data=Data(path=data), backup=backup)


def maildir_names(folder: Path) -> list[str]:
    return sorted(f"{file.parent.name}/{file.name}" for file in folder.glob("*/*"))


def test_what_comes_back_is_what_was_there(config: Config, tmp_path: Path) -> None:
    made = create(config)
    assert not (config.data.path / stage.FOLDER).exists()
    assert [found.id for found in listing(config)] == [made.id]
    again = settings(tmp_path, tmp_path / "again")
    restore(again)
    data = again.data.path
    maildir = layout.maildir(data, AN)
    assert maildir_names(maildir) == ["cur/1.a,S=900000:2,S", "new/2.b"]
    before = layout.maildir(config.data.path, AN) / "cur" / "1.a,S=900000:2,S"
    assert (maildir / "cur" / before.name).read_bytes() == before.read_bytes()
    assert (maildir / "tmp").is_dir()
    assert not (maildir / "dovecot.index.cache").exists()
    assert (data / "keys" / "a.pem").read_text() == "key"
    assert (data / "spool" / "identity").read_text() == "this volume\n"
    assert (data / "spool" / "tmp").is_dir()
    index = sqlite3.connect(layout.home(data, AN) / "index.db")
    assert index.execute("SELECT value FROM uid").fetchall() == [(7,)]
    index.close()


def test_a_second_backup_adds_what_is_new_and_one_mailbox_comes_back_alone(
    config: Config, tmp_path: Path
) -> None:
    assert create(config).bytes_added > 900_000
    maildir = layout.maildir(config.data.path, AN)
    (maildir / "cur" / "1.a,S=900000:2,S").rename(maildir / "cur" / "1.a,S=900000:2,ST")
    (maildir / "new" / "3.c").write_bytes(b"Subject: y\r\n\r\n")
    assert create(config).bytes_added < 500_000
    assert restore_mailbox(config, AN, tmp_path / "thu") == 3
    wanted = ["cur/1.a,S=900000:2,ST", "new/2.b", "new/3.c"]
    assert maildir_names(tmp_path / "thu") == wanted
    with pytest.raises(NotFound, match="backup-mailbox-unknown"):
        restore_mailbox(config, Address("ai", "tinhmau.test"), tmp_path / "ai")


def test_mail_that_is_read_while_the_picture_is_taken_is_in_it_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program opens the mailbox between our look at `cur` and our look at `new`."""
    maildir = layout.maildir(config.data.path, AN)
    scandir, looks = os.scandir, 0

    def reading(folder: str | os.PathLike[str]) -> object:
        nonlocal looks
        found = scandir(folder)
        if str(folder).endswith(("/new", "/cur")):
            looks += 1
            if looks == 1:
                (maildir / "new" / "2.b").rename(maildir / "cur" / "2.b:2,")
        return found

    monkeypatch.setattr(os, "scandir", reading)
    with stage.picture(config) as folder:
        kept = maildir_names(layout.maildir(folder, AN))
    assert [name for name in kept if "2.b" in name] == ["cur/2.b:2,"]
    assert len(kept) == 2


def test_damage_is_found(config: Config, tmp_path: Path) -> None:
    create(config)
    verify(config, read_percent=100)
    pack = max((tmp_path / "repository" / "data").glob("*/*"), key=lambda file: file.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    with pytest.raises(Unavailable, match="backup-failed"):
        verify(config, read_percent=100)


def with_open_password(config: Config) -> Config:
    assert config.backup.password_file is not None
    config.backup.password_file.chmod(0o644)
    return config


def test_mistakes_are_told_apart(config: Config, tmp_path: Path) -> None:
    told = []
    for act in (
        lambda: create(Config(data=config.data)),
        lambda: restore(config),
        lambda: verify(config, "ffffffff"),
        lambda: initialise(settings(tmp_path / "elsewhere", tmp_path)),
        lambda: create(with_open_password(config)),
    ):
        with pytest.raises(MailgovError) as caught:
            act()
        told.append((type(caught.value), caught.value.code))
    assert told == [
        (ConfigError, "backup-not-set"),
        (Conflict, "backup-data-there"),
        (NotFound, "backup-unknown"),
        (ConfigError, "backup-password-missing"),
        (ConfigError, "backup-password-readable"),
    ]


def test_a_picture_of_a_killed_run_is_in_nobodys_way(config: Config) -> None:
    (config.data.path / stage.FOLDER / "mail").mkdir(parents=True)
    create(config)
    assert not (config.data.path / stage.FOLDER).exists()
