"""A picture of the data folder that stays still while the service goes on.

Files of mail never change once they are written: the picture is made of hard links, and costs no
space. Databases are copied by their own means. The order keeps what was answered 250: bodies of the
spool, then the database, then bodies again, then mailboxes. Whatever leaves the spool while we look
has arrived in a mailbox, where it is found; whatever a restored queue delivers again is recognised
there by its name.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from mailgov.config import Config
from mailgov.errors import Unavailable

FOLDER = "backup"  # in the data folder: hard links need the same file system
DUMP = "postgresql.dump"
_COPIED = ("keys", "tls")
_TEMPORARY = ("dovecot.index", "dovecot.list.index", "maildirsize")
_MADE_ANEW = "xapian-indexes"
_SQLITE_ENDINGS = (".db-wal", ".db-shm")


@contextmanager
def picture(config: Config) -> Iterator[Path]:
    """The folder with the picture; it goes when the block ends.

    Raises Unavailable `backup-failed`.
    """
    data = config.data.path
    folder = data / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(mode=0o700)
    try:
        _link_tree(data / "spool", folder / "spool")
        _copy_database(config, folder)
        _link_tree(data / "spool", folder / "spool")
        for name in _COPIED:
            if (data / name).is_dir():
                shutil.copytree(data / name, folder / name)
        _link_mail(data / "mail", folder / "mail")
        yield folder
    except OSError as exc:
        raise Unavailable("backup-failed", reason=exc.strerror or str(exc)) from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_database(config: Config, folder: Path) -> None:
    url = make_url(config.database_url)
    if url.get_backend_name() == "sqlite":
        _copy_sqlite(Path(url.database or ""), folder / "mailgov.db")
        return
    dump_postgresql(config, folder / DUMP)


def _copy_sqlite(source: Path, target: Path) -> None:
    """One consistent state, taken without stopping writers."""
    origin = sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)
    copy = sqlite3.connect(target)
    try:
        origin.backup(copy, pages=2000, sleep=0.005)
        copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        raise Unavailable("backup-failed", reason=str(exc)) from exc
    finally:
        copy.close()
        origin.close()


def dump_postgresql(config: Config, file: Path) -> None:
    """The database in PostgreSQL's own form. Raises Unavailable `backup-failed`."""
    postgresql("pg_dump", config, "--format=custom", "--no-owner", f"--file={file}")


def postgresql(program: str, config: Config, *arguments: str) -> None:
    """Run a program of PostgreSQL on our database; the password travels in its environment."""
    url = make_url(config.database_url)
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    settings = {
        "PGHOST": query.get("host") or url.host or "",
        "PGPORT": query.get("port") or str(url.port or ""),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
    }
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, arguments of ours
            [
                program,
                *arguments,
                *(["--dbname"] if program == "pg_restore" else []),
                url.database or "",
            ],
            env={**os.environ, **{name: value for name, value in settings.items() if value}},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as exc:
        raise Unavailable("backup-engine-missing", program=program) from exc
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable("backup-failed", reason=(lines or [program])[-1][:300])


def _link_tree(source: Path, target: Path) -> None:
    """Links to every file; what vanishes while we look was delivered."""
    if not source.is_dir():
        return
    target.mkdir(mode=0o700, exist_ok=True)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "tmp":  # being received: nobody was answered yet
                _link_tree(Path(entry), target / entry.name)
        elif entry.is_file(follow_symlinks=False):
            _link(Path(entry), target / entry.name)


def _link_mail(source: Path, target: Path) -> None:
    """Mailboxes: new mail before read mail, twice, so that none slips by while it is moved."""
    if not source.is_dir():
        return
    target.mkdir(mode=0o700, exist_ok=True)
    entries = list(os.scandir(source))
    folders = sorted(
        e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name != _MADE_ANEW
    )
    for entry in entries:
        if entry.is_symlink():  # names the filter in force
            (target / entry.name).symlink_to(os.readlink(entry.path))  # noqa: PTH115 - kept as it is
        if entry.is_file(follow_symlinks=False):
            _keep_file(Path(entry), target / entry.name)
    is_maildir = {"cur", "new"} <= set(folders)
    if is_maildir:
        _link_messages(source, target)
    for name in folders:
        if not (is_maildir and name in ("cur", "new", "tmp")):
            _link_mail(source / name, target / name)


def _keep_file(source: Path, target: Path) -> None:
    if source.name.startswith(_TEMPORARY) or source.name.endswith(_SQLITE_ENDINGS):
        return  # made anew from what is kept
    if source.suffix == ".db":
        _copy_sqlite(source, target)
    else:
        try:
            shutil.copy2(
                source, target
            )  # lists of UIDs and subscriptions are written anew in place
        except FileNotFoundError:
            return


def _link_messages(source: Path, target: Path) -> None:
    kept: set[str] = set()
    for name in ("cur", "new"):
        (target / name).mkdir(mode=0o700)
    for name in ("new", "cur", "new", "cur"):
        for entry in os.scandir(source / name):
            # The name before the flags is the message's own; flags change by renaming.
            unique = entry.name.partition(":")[0]
            if unique not in kept and _link(Path(entry), target / name / entry.name):
                kept.add(unique)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    return True
