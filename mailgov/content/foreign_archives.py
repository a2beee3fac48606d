"""7z, RAR, CAB, LHA and files packed by Zstandard, lzip or compress, opened by libarchive.

libarchive is a library of the system (Debian: libarchive13). Where it is missing, such files are
unscannable and say so. It reads hostile bytes here, which is what the sandbox of the readers is for.
"""

import ctypes
import logging
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

from mailgov.content.archives import Budget, Damaged, Member

_BLOCK = 1 << 16
_NAME_CHARSETS = (b"UTF-16LE", b"UTF-16BE", b"UTF-8", b"CP437", b"CP1252", b"CP932")


class _Form(NamedTuple):
    """How libarchive is to read it, and nothing else: other forms within are no business of its."""

    format: str
    filter: str = "none"


_FORMS = (
    (0, b"7z\xbc\xaf\x27\x1c", _Form("7zip")),
    (0, b"Rar!\x1a\x07\x01\0", _Form("rar5")),
    (0, b"Rar!\x1a\x07\0", _Form("rar")),
    (0, b"MSCF", _Form("cab")),
    (2, b"-lh", _Form("lha")),
    (0, b"\x28\xb5\x2f\xfd", _Form("raw", "zstd")),
    (0, b"LZIP", _Form("raw", "lzip")),
    (0, b"\x1f\x9d", _Form("raw", "compress")),
)


class Encrypted(Exception):
    """Even the names of its files ask for a password."""


def foreign_members(data: bytes, inner_name: str, budget: Budget) -> Iterator[Member]:
    """The files of an archive in order. Raises Bomb, Damaged.

    `inner_name` is that of the one file where the form has no names. The first file is looked at
    when this is called: raises Encrypted where nothing can be seen without a password, and Damaged
    where nothing here can read it.
    """
    library, form = _library(), _form(data)
    if form is None:
        raise Damaged("no reader for this kind of archive")
    if library is None:
        raise Damaged("no reader for this kind of archive: libarchive is not installed")
    _look(library, form, data)
    return _members(library, form, data, inner_name, budget)


@cache
def _library() -> ModuleType | None:
    try:
        import libarchive  # at first use: it looks for a library of the system, which takes time
    except (ImportError, OSError, AttributeError, TypeError):
        return None
    logging.getLogger("libarchive").setLevel(logging.CRITICAL)  # speaks of what is in the files
    module: ModuleType = libarchive
    return module


def preload() -> None:
    """Load the library, and the tables of the C library by which it reads names of files."""
    if _library() is None:
        return
    libc = ctypes.CDLL(None)
    for charset in _NAME_CHARSETS:
        libc.iconv_open(b"UTF-8", charset)  # never closed: what is open stays loaded


def _form(data: bytes) -> _Form | None:
    return next((form for at, magic, form in _FORMS if data.startswith(magic, at)), None)


def _look(library: ModuleType, form: _Form, data: bytes) -> None:
    try:
        with library.memory_reader(data, form.format, form.filter) as archive:
            empty = next(iter(archive), None) is None
    except (library.ArchiveError, ValueError) as exc:
        if "ncrypt" in str(exc) or "assphrase" in str(exc):
            raise Encrypted from exc
        raise Damaged("damaged archive") from exc
    if empty:
        raise Damaged("archive without files")


def _members(
    library: ModuleType, form: _Form, data: bytes, inner_name: str, budget: Budget
) -> Iterator[Member]:
    is_encrypted = library.ffi.libarchive.archive_entry_is_encrypted
    try:
        with library.memory_reader(data, form.format, form.filter) as archive:
            for entry in archive:
                if not entry.isfile:
                    continue
                budget.take_file()
                path = inner_name if form.format == "raw" else entry.pathname or inner_name
                size = entry.size or 0
                if is_encrypted(ctypes.c_void_p(entry._entry_p)):  # noqa: SLF001 - no name for it
                    yield Member(path, size, None, encrypted=True, why="password")
                    continue
                content = _drain(entry.get_blocks(_BLOCK), len(data), budget)
                yield Member(path, len(content), content)
    except (library.ArchiveError, ValueError) as exc:
        raise Damaged("damaged archive") from exc


def _drain(blocks: Iterator[bytes], packed_bytes: int, budget: Budget) -> bytes:
    """All of a file. Raises Bomb: what an archive declares is not believed."""
    chunks: list[bytes] = []
    total = 0
    for block in blocks:
        total += len(block)
        budget.take_bytes(len(block))
        budget.check_ratio(total, packed_bytes)
        chunks.append(bytes(block))
    return b"".join(chunks)
