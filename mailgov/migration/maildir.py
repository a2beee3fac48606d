"""Messages put into a mailbox as files, which both IMAP engines find: durable, each exactly once.

The file's name is made of where the message was: folder, UIDVALIDITY and UID there. So whoever is
killed after a file was stored, and before that was noted, finds it again. Every method blocks on the
disk.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mailgov import durable, faults

_HEADER_BYTES = 64 << 10  # read for the Date of a message without another
_DATE = re.compile(rb"^date:[ \t]*([^\r\n]{1,100})", re.IGNORECASE | re.MULTILINE)
_LETTERS = {"\\draft": "D", "\\flagged": "F", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}
_TOKEN = re.compile(r"\.M\d{6}(U\d+V\d+K[0-9a-f]{10})\.copied")
_UNFIT = re.compile(r'[^\x21-\x7e]|[(){%*"\\\]]')  # RFC 3501, 9: no atom
_SIZE = re.compile(r",S=(\d+)")


def token(source: str, wire: str, uidvalidity: int, uid: int) -> str:
    """The part of a file's name that says which message of which folder it is."""
    key = hashlib.sha256(f"{source}\0{wire}".encode("utf-8", "surrogateescape")).hexdigest()
    return f"U{uid}V{uidvalidity}K{key[:10]}"


def letters(flags: Iterable[str]) -> str:
    """System flags as they stand in a file's name (Maildir)."""
    return "".join(sorted({_LETTERS[f.lower()] for f in flags if f.lower() in _LETTERS}))


def keywords(flags: Iterable[str]) -> str:
    """Keywords among flags, divided by blanks; what is none by RFC 3501 is left out."""
    return " ".join(f for f in flags if not f.startswith("\\") and not _UNFIT.search(f))


@dataclass
class Draft:
    """A message being written, in pieces. Its file goes when it was not stored."""

    path: Path
    sha256: str = ""
    size: int = 0
    _bare_ends: int = 0  # ends of lines without CR, which count as two bytes in W=
    _last: bytes = b""
    _start: bytes = b""
    _stream: BinaryIO | None = None
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def __enter__(self) -> Self:
        self._stream = self.path.open("wb")
        self.path.chmod(0o600)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """The next piece."""
        assert self._stream is not None
        self._stream.write(data)
        self._digest.update(data)
        self.size += len(data)
        joined = self._last + data
        self._bare_ends += joined.count(b"\n") - joined.count(b"\r\n") - self._last.count(b"\n")
        self._last = data[-1:] or self._last
        if len(self._start) < _HEADER_BYTES:
            self._start += data[: _HEADER_BYTES - len(self._start)]

    def finish(self, received: datetime | None, now: datetime) -> int:
        """Make the bytes safe; the moment that the message came, in seconds since 1970."""
        assert self._stream is not None
        self._stream.flush()
        durable.sync(self._stream.fileno())
        self.sha256 = self._digest.hexdigest()
        at = _moment(received or _date_in(self._start), now)
        os.utime(self.path, (at, at))
        return at

    @property
    def sizes(self) -> str:
        """Both sizes as Dovecot wants them in the file's name."""
        return f",S={self.size},W={self.size + self._bare_ends}"


def _date_in(start: bytes) -> datetime | None:
    """The Date of the header; None when it is missing or not valid."""
    header = start.partition(b"\r\n\r\n")[0]
    if found := _DATE.search(header):
        try:
            return parsedate_to_datetime(found[1].decode("ascii", "replace"))
        except (ValueError, OverflowError):
            return None
    return None


def _moment(received: datetime | None, now: datetime) -> int:
    """Between 1970 and now; what is outside of that, or unknown, came now."""
    if received is None:
        return int(now.timestamp())
    try:
        at = int((received if received.tzinfo else received.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return int(now.timestamp())
    return at if 0 <= at <= now.timestamp() + 86_400 else int(now.timestamp())


class Mailbox:
    """The Maildir of a mailbox. What is made belongs to whoever owns the data folder."""

    def __init__(self, data: Path, maildir: Path) -> None:
        self._data, self._maildir = data, maildir
        owner = data.stat()
        foreign = os.geteuid() == 0 and owner.st_uid != 0
        self._owner = (owner.st_uid, owner.st_gid) if foreign else None

    def folder(self, name: str) -> Path:
        """The directory of a folder, made when missing."""
        path = self._maildir
        if name != "INBOX":
            path = self._maildir / ("." + name.replace("/", "."))
        missing = [one for one in (path, *path.parents) if one.is_relative_to(self._data)]
        for one in reversed(missing):
            self._make(one)
        for part in ("cur", "new", "tmp"):
            self._make(path / part)
        if name != "INBOX" and not (path / "maildirfolder").exists():
            (path / "maildirfolder").touch(mode=0o600)
            self._give(path / "maildirfolder")
        return path

    def _make(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return
        self._give(path)
        durable.sync_path(path.parent)

    def _give(self, path: Path) -> None:
        if self._owner is not None:
            os.chown(path, *self._owner)

    def own(self, path: Path) -> None:
        """Let whoever owns the data folder own a file of ours too."""
        self._give(path)

    def store(self, folder: Path, drafts: Iterable[tuple[Draft, str, str]]) -> None:
        """Give finished drafts their names and flags, durably."""
        for draft, name, flags in drafts:
            self._give(draft.path)
            draft.path.rename(folder / "cur" / f"{name}:2,{flags}")
            faults.point("M2")
        durable.sync_path(folder / "cur")

    def used_bytes(self) -> int:
        """Size of all messages, by their names where these tell it."""
        used = 0
        for folder in [self._maildir, *self._maildir.glob(".*/")]:
            for path in files(folder):
                size = _SIZE.search(path.name)
                used += int(size[1]) if size else path.stat().st_size
        return used


def files(folder: Path) -> list[Path]:
    """Messages of a folder, read ones and new ones; none when there is no such folder."""
    found: list[Path] = []
    for part in ("cur", "new"):
        try:
            with os.scandir(folder / part) as entries:
                found += [Path(entry) for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            continue
    return found


def copied_files(folder: Path) -> dict[str, Path]:
    """Files that were copied into a folder, by their tokens."""
    return {found[1]: path for path in files(folder) if (found := _TOKEN.search(path.name))}


def unique(path: Path) -> str:
    """The name of a message's file without its flags."""
    return path.name.partition(":2,")[0]


def hash_of(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file's bytes. Raises FileNotFoundError when it was renamed or removed."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return digest.hexdigest(), stream.tell()


def file_name(received: int, uid: int, which: str, sizes: str) -> str:
    """The name of a file: engines give UIDs to new files in the order of these names or of their times."""
    return f"{received}.M{uid % 1_000_000:06d}{which}.copied{sizes}"
