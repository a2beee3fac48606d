"""Bodies of messages on disk: small ones stay in memory and go into the database, large ones here.

    spool/identity          names the volume; must match the database
    spool/tmp/<chance>      being received
    spool/<xx>/<queue id>   accepted, named by a message row; xx are the last two signs of the id

A body is safe when its file is synced, renamed into place and the folder synced, in this order.
After a failed sync nothing may be trusted until a restart (mailgov/durable.py).
"""

import errno
import hashlib
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import insert
from sqlmodel import Session, select

from mailgov import durable, faults
from mailgov.db import Database
from mailgov.db.models import Instance, MessageRow
from mailgov.errors import Conflict, Unavailable
from mailgov.message import Body

MEMORY_BYTES = 256 << 10
"""Bodies up to this size are kept in the database, in the commit of their row."""

_IDENTITY_KEY = "spool-id"


class BodyWriter:
    """Takes the bytes of one body, hashing as they come; ends with `finish` or `abandon`.

    Small bodies never touch the disk. Once `in_memory` is false, `write` blocks: call it in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self.size_bytes = 0

    @property
    def in_memory(self) -> bool:
        """Whether nothing was written to disk so far."""
        return self._file is None

    def write(self, data: bytes) -> None:
        """Add bytes. Raises Unavailable `disk-full` or `spool-unavailable`; then `abandon`."""
        self._digest.update(data)
        self.size_bytes += len(data)
        if self._file is None and self.size_bytes <= MEMORY_BYTES:
            self._pieces.append(bytes(data))
            return
        try:
            if self._file is None:
                self._file = self._spill()
            self._file.write(data)
        except OSError as exc:
            raise _not_written(exc) from exc

    def _spill(self) -> BinaryIO:
        self._path = self._folder / secrets.token_hex(16)
        file = self._path.open("xb")
        for piece in self._pieces:
            file.write(piece)
        self._pieces.clear()
        return file

    def finish(self) -> Body:
        """The body as written. Not durable yet: `Spool.keep` makes it so."""
        digest = self._digest.digest()
        if self._file is None:
            return Body(self.size_bytes, digest, data=b"".join(self._pieces))
        try:
            self._file.close()
        except OSError as exc:
            raise _not_written(exc) from exc
        return Body(self.size_bytes, digest, path=self._path)

    def abandon(self) -> None:
        """Forget the bytes. Harmless after `finish` was not reached, and when repeated."""
        self._pieces.clear()
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # its buffer could not be written; the bytes are unwanted anyway
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class Spool:
    """The folder of large bodies. Methods block: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, database: Database) -> None:
        """Make the folders and check that spool and database belong together.

        Raises Conflict `spool-not-ours`, Unavailable `spool-unavailable` or `disk-full`.
        """
        try:
            self._tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
            with database.write() as session:
                self._identify(session)
        except OSError as exc:
            raise _trouble(exc) from exc

    def _identify(self, session: Session) -> None:
        path = self.folder / "identity"
        known = session.exec(select(Instance.value).where(Instance.key == _IDENTITY_KEY)).first()
        found = path.read_text("ascii").strip() if path.exists() else None
        if known is not None and found != known:
            raise Conflict("spool-not-ours", folder=self.folder, found=found or "-", wanted=known)
        if known is not None:
            return
        if found is None:
            found = secrets.token_hex(16)
            _write_durably(path, found.encode() + b"\n")
        elif any(self.names()):
            # Bodies of another database: sweeping them as orphans would lose mail.
            raise Conflict("spool-not-ours", folder=self.folder, found=found, wanted="-")
        session.connection().execute(insert(Instance), {"key": _IDENTITY_KEY, "value": found})

    @property
    def _tmp(self) -> Path:
        return self.folder / "tmp"

    def writer(self) -> BodyWriter:
        """A place for the bytes of a new body. Raises Unavailable `spool-unavailable`."""
        self._require_sound()
        return BodyWriter(self._tmp)

    def _require_sound(self) -> None:
        if reason := durable.failure():
            raise Unavailable("spool-unavailable", reason=reason)

    def keep(self, body: Body, queue_id: str) -> str:
        """Make a body safe under its queue id; the name that its row must carry.

        Empty for bodies in memory: they go into the row itself. Raises Unavailable `disk-full` or
        `spool-unavailable`; after a failed sync this spool takes nothing more.
        """
        self._require_sound()
        if body.path is None:
            return ""
        name = f"{queue_id[-2:]}/{queue_id}"
        target = self.folder / name
        try:
            durable.sync_path(body.path)
            faults.point("A8")
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                durable.sync_path(self.folder)
            body.path.rename(target)
            faults.point("A9")
            durable.sync_path(target.parent)
            faults.point("A10")
        except OSError as exc:
            raise _trouble(exc) from exc
        return name

    def open(self, row: MessageRow) -> Body:
        """The content of a stored message, wherever it is; nothing is checked yet."""
        size_bytes = row.size_bytes - len(row.prefix)
        if row.spool_name:
            return Body(size_bytes, row.content_sha256, path=self.folder / row.spool_name)
        return Body(size_bytes, row.content_sha256, data=row.content or b"")

    def discard(self, body: Body) -> None:
        """Remove a body that was not kept, such as that of a refused message."""
        if body.path is not None and body.path.parent == self._tmp:
            body.path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a kept body whose message has reached its end."""
        (self.folder / name).unlink(missing_ok=True)

    def names(self, older_than: datetime | None = None) -> Iterator[str]:
        """Files below the spool, `tmp/…` included, last written before a moment."""
        for folder in self.folder.iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    if older_than is None or _written_before(path, older_than):
                        yield f"{folder.name}/{path.name}"


def is_intact(body: Body) -> bool:
    """Whether a stored body still has the length and hash it was accepted with. Blocks."""
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        for chunk in body.chunks():
            digest.update(chunk)
            size_bytes += len(chunk)
    except FileNotFoundError:
        return False
    return size_bytes == body.size_bytes and digest.digest() == body.sha256


def _written_before(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:  # renamed or removed meanwhile
        return False


def _write_durably(path: Path, data: bytes) -> None:
    """There whole or not at all, its folder included."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        durable.sync(file.fileno())
    new.rename(path)
    durable.sync_path(path.parent)
    durable.sync_path(path.parent.parent)


def _trouble(exc: OSError) -> Unavailable:
    if exc.errno in durable.FULL:
        return Unavailable("disk-full")
    return Unavailable("spool-unavailable", reason=exc.strerror or type(exc).__name__)


def _not_written(exc: OSError) -> Unavailable:
    """A disk that refuses bytes for another reason than room is one to stop on."""
    if exc.errno == errno.EIO:
        durable.distrust(f"write: {exc.strerror}")
    return _trouble(exc)
