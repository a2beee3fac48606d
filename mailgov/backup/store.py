"""Making, listing, checking and bringing back backups."""

import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mailgov.addresses import Address
from mailgov.backup.engine import Restic
from mailgov.backup.stage import DUMP, FOLDER, picture, postgresql
from mailgov.config import Config
from mailgov.errors import Conflict, NotFound, Unavailable
from mailgov.mailstore import layout


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. Sizes in bytes, times in seconds."""

    id: str
    at: datetime
    files: int = 0
    bytes_total: int = 0
    bytes_added: int = 0  # what the repository grew by, before compression
    seconds: float = 0.0


def initialise(config: Config) -> None:
    """Make the repository. Raises ConfigError `backup-not-set`, Unavailable `backup-failed`."""
    Restic(config.backup).initialise()


def create(config: Config) -> Backup:
    """Take a backup beside the running service, then drop those past their time.

    Everything answered 250 before the call is in it. Raises ConfigError `backup-not-set`,
    `backup-password-missing`, `backup-password-readable`; Unavailable `backup-engine-missing`,
    `backup-failed`.
    """
    engine, settings = Restic(config.backup), config.backup
    started = time.monotonic()
    with picture(config) as folder:
        summary = engine.backup(folder)
    engine.forget(
        daily=settings.keep_daily, weekly=settings.keep_weekly, monthly=settings.keep_monthly
    )
    found = engine.snapshot(str(summary["snapshot_id"]))
    return Backup(
        str(found["id"])[:8],
        _moment(found),
        int(summary["total_files_processed"]),
        int(summary["total_bytes_processed"]),
        int(summary["data_added"]),
        time.monotonic() - started,
    )


def listing(config: Config) -> list[Backup]:
    """Backups, oldest first."""
    return [
        Backup(str(found["id"])[:8], _moment(found)) for found in Restic(config.backup).snapshots()
    ]


def verify(config: Config, name: str = "latest", *, read_percent: int = 10) -> Backup:
    """Check the repository, and that the database of one backup can be opened and is whole.

    Raises NotFound `backup-unknown`, Unavailable `backup-failed`.
    """
    engine = Restic(config.backup)
    engine.check(read_percent)
    found = engine.snapshot(name)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=config.data.path) as scratch:
        root = _brought_back(engine, found, Path(scratch), ("mailgov.db", DUMP))
        _require_whole(root)
    return Backup(str(found["id"])[:8], _moment(found), seconds=time.monotonic() - started)


def restore(config: Config, name: str = "latest") -> Backup:
    """Bring a backup back into an empty data folder, and into an empty PostgreSQL database.

    Raises Conflict `backup-data-there`, NotFound `backup-unknown`, Unavailable `backup-failed`.
    """
    engine, data = Restic(config.backup), config.data.path
    if data.exists() and any(data.iterdir()):
        raise Conflict("backup-data-there", folder=data)
    found = engine.snapshot(name)
    started = time.monotonic()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = data / f"{FOLDER}-restore"
    try:
        root = _brought_back(engine, found, scratch)
        _require_whole(root)
        if (root / DUMP).exists():
            postgresql("pg_restore", config, "--no-owner", "--exit-on-error", str(root / DUMP))
            (root / DUMP).unlink()
        files = sum(1 for file in root.rglob("*") if file.is_file())
        for entry in root.iterdir():
            entry.rename(data / entry.name)
        _make_folders(data)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Backup(str(found["id"])[:8], _moment(found), files, seconds=time.monotonic() - started)


def restore_mailbox(config: Config, address: Address, target: Path, name: str = "latest") -> int:
    """Bring one mailbox back into a folder of its own, as a Maildir; returns its messages.

    Nothing of the running service is touched. Raises Conflict `backup-data-there`, NotFound
    `backup-unknown`, `backup-mailbox-unknown`; Unavailable `backup-failed`.
    """
    engine = Restic(config.backup)
    if target.exists() and any(target.iterdir()):
        raise Conflict("backup-data-there", folder=target)
    found = engine.snapshot(name)
    wanted = layout.maildir(Path(), address)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        root = _brought_back(engine, found, Path(scratch), (str(wanted),))
        if not (root / wanted).is_dir():
            raise NotFound("backup-mailbox-unknown", address=address.key)
        for entry in (root / wanted).iterdir():
            entry.rename(target / entry.name)
    return sum(
        1 for file in target.rglob("*") if file.is_file() and file.parent.name in ("cur", "new")
    )


def _brought_back(
    engine: Restic, found: dict[str, Any], scratch: Path, only: tuple[str, ...] = ()
) -> Path:
    """The picture of a snapshot, or what it has of these paths, below `scratch`."""
    scratch.mkdir(mode=0o700, exist_ok=True)
    for path in only or ("",):
        engine.restore(str(found["id"]), scratch, include=f"/{path}" if path else "")
    return scratch


def _require_whole(root: Path) -> None:
    """Raise Unavailable `backup-failed` unless the database of the picture is there and sound."""
    file = root / "mailgov.db"
    if not file.exists():
        if not (root / DUMP).exists():
            raise Unavailable("backup-failed", reason="no database")
        return
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        [result] = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as exc:
        raise Unavailable("backup-failed", reason=str(exc)) from exc
    finally:
        connection.close()
    if result != "ok":
        raise Unavailable("backup-failed", reason=str(result)[:200])


def _make_folders(data: Path) -> None:
    """What the picture leaves out because it is always empty at rest."""
    for folder in data.rglob("cur"):
        if (folder.parent / "new").is_dir():
            (folder.parent / "tmp").mkdir(mode=0o700, exist_ok=True)
    if (data / "spool").is_dir():
        (data / "spool" / "tmp").mkdir(mode=0o700, exist_ok=True)


def _moment(found: dict[str, Any]) -> datetime:
    # restic writes nanoseconds; Python reads microseconds.
    text = str(found["time"])
    head, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text)
    digits = rest[: next(i for i, c in enumerate(rest) if not c.isdigit())]
    return datetime.fromisoformat(f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}")
