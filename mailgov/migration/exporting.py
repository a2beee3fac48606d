"""All mail of a mailbox, written into files that other programs read: an mbox file, or a Maildir."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from mailgov.db import Database
from mailgov.directory.change import Act
from mailgov.errors import Conflict, InputError
from mailgov.ledger import record
from mailgov.ledger.events import MailboxExported
from mailgov.migration.maildir import files, unique
from mailgov.migration.running import home_of

Form = Literal["mbox", "maildir"]

LINE_BYTES = 1 << 20  # of a line read at a time
_FROM = re.compile(rb">*From ")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `missing`: messages that somebody removed meanwhile."""

    mailbox: str
    form: Form
    target: Path
    messages: int
    size_bytes: int
    missing: int = 0


def export(
    database: Database, data: Path, address: str, target: Path, act: Act,
    told: Callable[[int], None] = lambda _: None,
) -> Exported:  # fmt: skip
    """Write the mail of a mailbox; the ledger is told before the first byte. Blocks on the disk.

    A `target` that ends in `.mbox` is one file of all folders, in mboxrd form with LF; any other a
    folder, which becomes a Maildir with the same folders, flags and bytes. Raises NotFound
    `mailbox-unknown`, Conflict `export-exists`, InputError `file-unwritable`.
    """
    form: Form = "mbox" if target.suffix == ".mbox" else "maildir"
    with database.read() as session:
        home = home_of(session, data, address)
    if target.exists() and (form == "mbox" or not target.is_dir() or any(target.iterdir())):
        raise Conflict("export-exists", file=target)
    found = list(_messages(home.folder / "Maildir"))
    size = sum(_size(path) for _, path in found)
    event = MailboxExported(
        at=act.at,
        actor=act.actor,
        mailbox=home.address,
        agency_code=home.agency_code,
        form=form,
        messages=len(found),
        size_bytes=size,
        reason=act.reason,
    )
    with database.write() as session:
        record(session, event)
    try:
        write = _write_mbox if form == "mbox" else _write_maildir
        written = write(target, found, home.folder / "Maildir", told)
    except OSError as exc:
        raise InputError("file-unwritable", file=target, reason=exc.strerror) from exc
    return Exported(home.address, form, target, written, size, len(found) - written)


def _messages(maildir: Path) -> Iterator[tuple[str, Path]]:
    """Directories of folders, empty for INBOX, with their messages, oldest first."""
    below = {path.parent.name for part in ("cur", "new") for path in maildir.glob(f".*/{part}")}
    for name in ["", *sorted(below)]:
        found = []
        for path in files(maildir / name):
            try:
                found.append((path.stat().st_mtime, path.name, path))
            except FileNotFoundError:
                continue
        yield from ((name, path) for _, _, path in sorted(found))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open(folder: Path, path: Path) -> BinaryIO | None:
    """The file, under whatever name flags have given it since; None when it is no more."""
    for one in (path, *(other for other in files(folder) if unique(other) == unique(path))):
        try:
            return one.open("rb")
        except FileNotFoundError:
            continue
    return None


def _write_mbox(
    target: Path, found: list[tuple[str, Path]], maildir: Path, told: Callable[[int], None]
) -> int:
    written = 0
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as mbox:
        for folder, path in found:
            source = _open(maildir / folder, path)
            if source is not None:
                with source:
                    _append(mbox, source)
                written += 1
            told(1)
    return written


def _append(mbox: BinaryIO, source: BinaryIO) -> None:
    """One message in mboxrd form: every line that looks like a separator gets one `>` more."""
    received = datetime.fromtimestamp(os.fstat(source.fileno()).st_mtime, UTC)
    mbox.write(f"From MAILER-DAEMON {received:%a %b %e %H:%M:%S %Y}\n".encode())
    at_start = True
    while line := source.readline(LINE_BYTES):
        if at_start and _FROM.match(line):
            mbox.write(b">")
        at_start = line.endswith(b"\n")
        mbox.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
    mbox.write(b"\n" if at_start else b"\n\n")


def _write_maildir(
    target: Path, found: list[tuple[str, Path]], maildir: Path, told: Callable[[int], None]
) -> int:
    written = 0
    for folder in {"", *(folder for folder, _ in found)}:
        for part in ("cur", "new", "tmp"):
            (target / folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder, path in found:
        source = _open(maildir / folder, path)
        if source is not None:
            copy = target / folder / path.parent.name / path.name
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with source, os.fdopen(handle, "wb") as stream:
                shutil.copyfileobj(source, stream)
                received = os.fstat(source.fileno()).st_mtime
            os.utime(copy, (received, received))
            written += 1
        told(1)
    return written
