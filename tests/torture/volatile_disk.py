"""A disk with a cache that a power cut empties: a program of its own, in the protocol of FUSE.

It offers one file, `disk`, for a loop device to lie on. What was written since the last flush is in
the cache of the disk: after a power cut any part of it may be there or not. Lines on stdin make it
show what a power cut at this moment would leave:

    crash <seed> <path>     writes that image, a choice of the cache included, and says `done`

FUSE: include/uapi/linux/fuse.h of Linux, version 7.31.
"""

import ctypes
import errno
import os
import random
import select
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

SIZE_BYTES = 96 << 20
SECTOR = 4096
_MAX_WRITE = 128 << 10
_ROOT, _FILE = 1, 2
_IN, _OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<6Q10I")
_READ_WRITE = struct.Struct("<QQIIQII")
_LOOKUP, _FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE = 1, 2, 3, 4, 14, 15, 16
_STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT, _INTERRUPT, _DESTROY = 17, 18, 20, 25, 26, 36, 38
_BATCH_FORGET = 42


class Disk:
    """What a reader sees, what is safe, and what lies between."""

    def __init__(self) -> None:
        self.seen = bytearray(SIZE_BYTES)
        self.safe = bytearray(SIZE_BYTES)
        self.cache: list[tuple[int, bytes]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Into the cache."""
        self.seen[offset : offset + len(data)] = data
        self.cache.append((offset, data))

    def flush(self) -> None:
        """Everything in the cache is safe now."""
        for offset, data in self.cache:
            self.safe[offset : offset + len(data)] = data
        self.cache.clear()

    def crash(self, seed: int, path: Path) -> None:
        """Write what is left after a power cut: the cache in parts, sector by sector."""
        chance = random.Random(seed)
        kept = chance.choice((0.0, 0.3, 0.7, 1.0))
        image = bytearray(self.safe)
        for offset, data in self.cache:
            for at in range(0, len(data), SECTOR):
                if chance.random() < kept:
                    sector = data[at : at + SECTOR]
                    image[offset + at : offset + at + len(sector)] = sector
        nothing = bytes(1 << 20)
        with path.open("wb") as file:
            for at in range(0, SIZE_BYTES, len(nothing)):
                part = image[at : at + len(nothing)]
                if part != nothing:
                    file.seek(at)
                    file.write(part)
            file.truncate(SIZE_BYTES)


class Server:
    """Answers the kernel."""

    def __init__(self, disk: Disk, device: int) -> None:
        self._disk, self._device = disk, device
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            _INIT: self._init,
            _LOOKUP: self._lookup,
            _GETATTR: lambda node, _: struct.pack("<QII", 3600, 0, 0) + _attributes(node),
            _SETATTR: lambda node, _: struct.pack("<QII", 3600, 0, 0) + _attributes(node),
            _OPEN: lambda *_: struct.pack("<QII", 0, 2, 0),  # FOPEN_KEEP_CACHE
            _READ: self._read,
            _WRITE: self._write,
            _FSYNC: self._sync,
            _STATFS: lambda *_: bytes(80),
            _RELEASE: lambda *_: b"",
            _FLUSH: lambda *_: b"",
            _DESTROY: lambda *_: b"",
        }

    def serve_one(self) -> bool:
        """Take one request and answer it; False when the mount is gone."""
        try:
            request = os.read(self._device, _MAX_WRITE + 8192)
        except OSError as exc:
            if exc.errno == errno.ENODEV:
                return False
            raise
        _, opcode, unique, node, *_ = _IN.unpack_from(request)
        if opcode in (_FORGET, _BATCH_FORGET, _INTERRUPT):
            return True
        answer = self._answers.get(opcode)
        code, body = -errno.ENOSYS, b""
        if answer is not None:
            try:
                code, body = 0, answer(node, request[_IN.size :])
            except FileNotFoundError:
                code = -errno.ENOENT
        os.write(self._device, _OUT.pack(_OUT.size + len(body), code, unique) + body)
        return bool(opcode != _DESTROY)

    def _init(self, _node: int, _body: bytes) -> bytes:
        flags = 1 << 5 | 1 << 22  # FUSE_BIG_WRITES, FUSE_MAX_PAGES
        head = struct.pack("<IIIIHHIIHHI", 7, 31, 1 << 20, flags, 16, 12, _MAX_WRITE, 1, 32, 0, 0)
        return head.ljust(64, b"\0")

    def _lookup(self, _node: int, body: bytes) -> bytes:
        if body.rstrip(b"\0") != b"disk":
            raise FileNotFoundError
        return struct.pack("<QQQQII", _FILE, 0, 3600, 3600, 0, 0) + _attributes(_FILE)

    def _read(self, _node: int, body: bytes) -> bytes:
        _, offset, size, *_ = _READ_WRITE.unpack_from(body)
        return bytes(self._disk.seen[offset : offset + size])

    def _write(self, _node: int, body: bytes) -> bytes:
        _, offset, size, *_ = _READ_WRITE.unpack_from(body)
        self._disk.write(offset, body[_READ_WRITE.size : _READ_WRITE.size + size])
        return struct.pack("<II", size, 0)

    def _sync(self, _node: int, _body: bytes) -> bytes:
        self._disk.flush()
        return b""


def _attributes(node: int) -> bytes:
    is_file = node == _FILE
    mode = stat.S_IFREG | 0o600 if is_file else stat.S_IFDIR | 0o700
    size = SIZE_BYTES if is_file else 0
    return _ATTRIBUTES.pack(node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _mount(device: int, folder: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,max_read={_MAX_WRITE}"
    if libc.mount(b"volatile", folder.encode(), b"fuse", 0, options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), folder)


def main() -> None:
    """Mount on the folder given and serve until it is unmounted."""
    device = os.open("/dev/fuse", os.O_RDWR)
    disk = Disk()
    server = Server(disk, device)
    _mount(device, sys.argv[1])
    print("mounted", flush=True)
    while True:
        for ready in select.select([device, sys.stdin], [], [])[0]:
            if ready == device:
                if not server.serve_one():
                    return
            elif order := sys.stdin.readline().split(maxsplit=2):
                disk.crash(int(order[1]), Path(order[2].strip()))
                print("done", flush=True)


if __name__ == "__main__":
    main()
