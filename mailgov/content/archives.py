"""Archives opened within limits: what is inside, and when it is a bomb.

Sizes that an archive declares are believed only when they are too large; what is really unpacked is
counted as well. One `Budget` serves a whole message, so that many small bombs are one large bomb.
"""

import bz2
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from mailgov.content.file_kinds import zip_directory_at

_CENTRAL_ENTRY_BYTES = 46  # APPNOTE 4.3.12, without name
_LOCAL_HEADER_BYTES = 30  # APPNOTE 4.3.7, without name and extra field
_PARTS_FOR_A_FILE = 10  # an office file may have so many times the parts that an archive has files
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What the archives of one message may cost."""

    files: int = 1000
    depth: int = 5
    total_bytes: int = 200 << 20
    ratio: int = 100
    ratio_from_bytes: int = 1 << 20  # small files of zeros are no danger
    package_ratio_from_bytes: int = 16 << 20  # sheets of like rows are honestly that small


class Bomb(Exception):
    """A limit is broken; `args[0]` says which, in English."""


class Damaged(Exception):
    """It can't be read; `args[0]` is the reason in English."""


@dataclass(slots=True)
class Budget:
    """What is left of the limits for one message."""

    limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    files: int = 0
    unpacked_bytes: int = 0

    def take_file(self) -> None:
        """Count one more file. Raises Bomb."""
        self.files += 1
        if self.files > self.limits.files:
            raise Bomb(f"more than {self.limits.files} files")

    def take_bytes(self, size: int) -> None:
        """Count unpacked bytes. Raises Bomb."""
        self.unpacked_bytes += size
        if self.unpacked_bytes > self.limits.total_bytes:
            raise Bomb(f"unpacks to more than {self.limits.total_bytes >> 20} MiB")

    def check_ratio(self, unpacked: int, packed: int, *, in_package: bool = False) -> None:
        """Raises Bomb when so few bytes hold so many. `in_package`: a part of an office file."""
        harmless = (
            self.limits.package_ratio_from_bytes if in_package else self.limits.ratio_from_bytes
        )
        if unpacked > harmless and unpacked > packed * self.limits.ratio:
            raise Bomb(f"unpacks to more than {self.limits.ratio} times its size")

    def check_depth(self, depth: int) -> None:
        """Raises Bomb when archives lie within archives too deeply."""
        if depth > self.limits.depth:
            raise Bomb(f"archives nested more than {self.limits.depth} deep")


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside another. `data` is None when it is encrypted or can't be read: see `why`."""

    path: str
    size_bytes: int
    data: bytes | None
    encrypted: bool = False
    why: str = ""


def open_zip(data: bytes, budget: Budget) -> zipfile.ZipFile:
    """The archive with its directory read. Raises Bomb, Damaged."""
    at = zip_directory_at(data)
    if at < 0:
        raise Damaged("zip without directory")
    directory_bytes = int.from_bytes(data[at + 12 : at + 16], "little")
    if directory_bytes > budget.limits.files * _PARTS_FOR_A_FILE * (_CENTRAL_ENTRY_BYTES + 100):
        raise Bomb(f"more than {budget.limits.files} files")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as exc:
        raise Damaged(f"damaged zip: {type(exc).__name__}") from exc
    first = min((entry.header_offset for entry in archive.infolist()), default=0)
    if any(data.find(magic, 0, first) >= 0 for magic in (b"PK\x03\x04", b"PK\x05\x06")):
        archive.close()
        raise Damaged("two archives in one file")  # which of them opens depends on the program
    try:
        _check_layout(archive, data)
    except (Bomb, Damaged):
        archive.close()
        raise
    return archive


def _check_layout(archive: zipfile.ZipFile, data: bytes) -> None:
    """Raises Damaged or Bomb where programs that read from the front see other files than this one.

    Each file must follow the other up to the directory, and its own header (APPNOTE 4.3.7) say what
    the directory says.
    """
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    names = [entry.filename for entry in entries if not entry.is_dir()]
    if len(set(names)) < len(names):
        raise Damaged("two files of one name")
    end_of_files: int = archive.start_dir
    ends = [*(entry.header_offset for entry in entries[1:]), end_of_files]
    for entry, end in zip(entries, ends, strict=True):
        at = entry.header_offset
        if data[at : at + 4] != b"PK\x03\x04" or at + _LOCAL_HEADER_BYTES > len(data):
            raise Damaged("file that is not where the directory says")
        flags, method = struct.unpack_from("<HH", data, at + 6)
        if flags & 1 != entry.flag_bits & 1 or method != entry.compress_type:
            raise Damaged("file with two readings")
        name_bytes, extra_bytes = struct.unpack_from("<HH", data, at + 26)
        behind = at + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes + entry.compress_size
        if behind > end:
            raise Bomb("files that overlap")
        if data.find(b"PK\x03\x04", behind, end) >= 0:
            raise Damaged("file that the directory does not name")


def check_sizes(archive: zipfile.ZipFile, budget: Budget, *, in_package: bool = False) -> None:
    """Raises Bomb for what the directory itself admits."""
    entries = archive.infolist()
    most = budget.limits.files * (_PARTS_FOR_A_FILE if in_package else 1)
    if len(entries) > most:
        raise Bomb(f"more than {most} files")
    for entry in entries:
        budget.check_ratio(entry.file_size, entry.compress_size, in_package=in_package)
    if sum(entry.file_size for entry in entries) > budget.limits.total_bytes:
        raise Bomb(f"unpacks to more than {budget.limits.total_bytes >> 20} MiB")


def read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget, *, in_package: bool = False
) -> bytes:
    """One file out of a ZIP. Raises Bomb, Damaged."""
    try:
        with archive.open(entry) as stream:
            return _drain(stream, budget, entry.compress_size, in_package=in_package)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
        EOFError,
    ) as exc:
        raise Damaged(f"damaged zip: {type(exc).__name__}") from exc


def zip_members(data: bytes, budget: Budget) -> Iterator[Member]:
    """The files of a ZIP in order. Raises Bomb, Damaged."""
    with open_zip(data, budget) as archive:
        check_sizes(archive, budget)
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            budget.take_file()
            path = entry_name(entry)
            if entry.flag_bits & 0x1:  # APPNOTE 4.4.4: encrypted
                yield Member(path, entry.file_size, None, encrypted=True, why="password")
                continue
            try:
                content = read_entry(archive, entry, budget)
            except Damaged as exc:
                yield Member(path, entry.file_size, None, why=str(exc))
            else:
                yield Member(path, len(content), content)


def entry_name(entry: zipfile.ZipInfo) -> str:
    """The path as the packer meant it: names without the UTF-8 flag are often UTF-8 all the same."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def _drain(stream: _Stream, budget: Budget, packed_bytes: int, *, in_package: bool) -> bytes:
    chunks = []
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        budget.take_bytes(len(chunk))
        budget.check_ratio(total, packed_bytes, in_package=in_package)
        chunks.append(chunk)
    return b"".join(chunks)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gz": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


def unpack_stream(kind: str, data: bytes, budget: Budget) -> bytes:
    """The content of a gz, bz2 or xz file, all its members joined. Raises Bomb, Damaged."""
    chunks: list[bytes] = []
    total = 0
    rest = data
    try:
        while rest:
            unpacker = _DECOMPRESSORS[kind]()
            pending = rest
            while True:
                chunk = unpacker.decompress(pending, _CHUNK)
                total += len(chunk)
                budget.take_bytes(len(chunk))
                budget.check_ratio(total, len(data))
                chunks.append(chunk)
                if getattr(unpacker, "eof"):  # noqa: B009 - all three have it, no common type does
                    break
                pending = getattr(unpacker, "unconsumed_tail", b"")
                if not chunk and not pending:
                    raise Damaged(f"{kind} cut short")
            rest = getattr(unpacker, "unused_data").lstrip(b"\0")  # noqa: B009
            if chunks and rest and not data.startswith(rest[:2]):
                break  # trailing junk is ignored by every program
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as exc:
        raise Damaged(f"damaged {kind}: {type(exc).__name__}") from exc
    return b"".join(chunks)


def tar_members(data: bytes, budget: Budget) -> Iterator[Member]:
    """The files of a tar archive in order. Raises Bomb, Damaged."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                if not entry.isreg():
                    continue
                budget.take_file()
                budget.take_bytes(min(entry.size, len(data)))
                stream = archive.extractfile(entry)
                content = stream.read(len(data)) if stream else b""
                yield Member(entry.name, len(content), content)
    except (tarfile.TarError, ValueError, OSError, EOFError, RecursionError) as exc:
        raise Damaged(f"damaged tar: {type(exc).__name__}") from exc


def rar_is_encrypted(data: bytes) -> bool:
    """Whether a RAR archive asks for a password, by its first headers."""
    if data.startswith(b"Rar!\x1a\x07\x01\0"):  # RAR 5: header type 4 is archive encryption
        position = 8
        for _ in range(64):
            header = _rar5_header(data, position)
            if header is None:
                return False
            kind, position, extra = header
            if kind == 4 or (kind == 2 and b"\x01" in extra[1:2]):
                return True
        return False
    flags = int.from_bytes(data[10:12], "little")  # RAR 4: main header behind the marker
    file_flags = int.from_bytes(data[23:25], "little")
    return bool(flags & 0x0080) or (data[22:23] == b"\x74" and bool(file_flags & 0x04))


def _rar5_header(data: bytes, position: int) -> tuple[int, int, bytes] | None:
    """Type, position of the next header, extra area."""
    position += 4  # checksum
    size, position = _varint(data, position)
    end = position + size
    if size <= 0 or end > len(data):
        return None
    kind, at = _varint(data, position)
    flags, at = _varint(data, at)
    extra_bytes = data_bytes = 0
    if flags & 1:
        extra_bytes, at = _varint(data, at)
    if flags & 2:
        data_bytes, at = _varint(data, at)
    return kind, end + data_bytes, data[end - extra_bytes : end] if extra_bytes else b""


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return value, position
