"""Disks that fill up, reach their quota, become read-only, or fail as a whole."""

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .books import Row
from .stage import DISTRUST_EXIT_CODE, REACH_SECONDS, Stage, stage
from .world import Server

_DISK_BYTES = 192 << 20
_QUOTA_SOURCE = Path(__file__).with_name("quota.c")
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, linux/fs/ext4/ext4.h
_NO_LOG_FLUSH = b"\x02\0\0\0"
HOW_DISKS_FAIL = ("read-only", "EIO")


@dataclass(frozen=True)
class SmallDisk:
    """An ext4 in a file, mounted at `root`."""

    image: Path
    root: Path

    def mount(self) -> None:
        """Mount it; what its journal holds is brought back."""
        _run("mount", "-o", "loop", str(self.image), str(self.root))

    def make_read_only(self) -> None:
        """As ext4 does by itself, once it has met a fault."""
        _run("mount", "-o", "remount,abort", str(self.root))

    def fail(self) -> None:
        """Every call ends with EIO from now on; what was not synced is gone."""
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(handle)

    def repair(self) -> None:
        """Unmount, check, mount again."""
        _run("umount", str(self.root))
        done = subprocess.run(["e2fsck", "-fp", str(self.image)], capture_output=True, check=False)
        assert done.returncode < 4, done.stdout  # 1, 2: errors were corrected (e2fsck(8))
        self.mount()


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[SmallDisk]:
    """A file system of its own, in a file."""
    disk = SmallDisk(folder / "disk.img", folder / "disk")
    with disk.image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", *options, str(disk.image))
    disk.root.mkdir()
    disk.mount()
    try:
        yield disk
    finally:
        _run("umount", str(disk.root))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def full_disk(times: int, folder: Path) -> Row:
    """The disk fills under load, in earnest; then there is room again. Nobody lends a hand."""
    row = Row("disk full, then room", times)
    with small_disk(folder) as disk, stage(folder, data=disk.root / "data") as on:
        filler = disk.root / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(b"x" * (64 << 10))
                    except OSError:
                        return

        _without(on, row, fill, filler.unlink)
    return row


def no_inodes(times: int, folder: Path) -> Row:
    """No file can be made; then files can be made again."""
    row = Row("no inodes, then some", times)
    with small_disk(folder, "-N", "2000") as disk, stage(folder, data=disk.root / "data") as on:
        filler = disk.root / "filler"

        def fill() -> None:
            filler.mkdir()
            try:
                for number in range(100_000):
                    (filler / f"{number}").touch()
            except OSError:
                return

        _without(on, row, fill, lambda: shutil.rmtree(filler))
    return row


def quota_reached(times: int, folder: Path) -> Row:
    """EDQUOT for whatever makes a file larger, until the quota is raised.

    What `statvfs` says does not change: a user's quota is not to be seen there.
    """
    row = Row("quota reached (EDQUOT), then raised", times)
    shim, reached = folder / "quota.so", folder / "reached"
    _run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(shim), str(_QUOTA_SOURCE), "-ldl")
    with stage(folder) as on:
        before = (
            "env", f"LD_PRELOAD={shim}", f"QUOTA_REACHED={reached}", f"QUOTA_FOLDER={on.world.data}",
        )  # fmt: skip
        # SQLite's log has blocks that it may write again: some small messages still fit.
        _without(on, row, reached.touch, reached.unlink, before=before, fits=1000)
    return row


def _without(
    on: Stage,
    row: Row,
    take_away: Callable[[], object],
    give_back: Callable[[], object],
    *,
    before: Sequence[str] = (),
    fits: int = 4,  # those who were past MAIL
) -> None:
    """Take room away and give it back, again and again, while one server goes on."""
    server = on.start(before=before)
    for _ in range(row.times):
        on.load_for(server, 1.0)
        taking = threading.Timer(0.5, take_away)
        taking.start()
        on.load_for(server, 4.0)
        taking.join()
        answered, told = len(on.load.answered), on.load.refused[452]
        on.load_for(server, 2.0)
        if len(on.load.answered) > answered + fits:
            row.troubles.append(f"took {len(on.load.answered) - answered} messages without room")
        if on.load.refused[452] == told:
            row.troubles.append(f"never said 452: {dict(on.load.refused)}")
        give_back()
        answered = len(on.load.answered)
        on.load_until(server, lambda: len(on.load.answered) > answered)  # noqa: B023 - used up here
        if len(on.load.answered) == answered:
            row.troubles.append("took nothing after there was room again")
    row.note = f"452: {on.load.refused[452]}, 451: {on.load.refused[451]}"
    if server.is_dead:
        row.troubles.append(f"the server ended with exit code {server.wait(1)}")
    on.drain(row, server if not server.is_dead else None)


def disk_fails(how: str, times: int, folder: Path) -> Row:
    """The whole disk becomes read-only, or fails, under load; it is repaired and mounted again."""
    row = Row(f"disk fails: {how}", times)
    with small_disk(folder) as disk, stage(folder, data=disk.root / "data") as on:
        _run("sync", "-f", str(disk.root))  # what was prepared is not what is tried
        for _ in range(times):
            server = on.start()
            on.load_for(server, 1.0)
            failing = threading.Timer(0.3, disk.make_read_only if how == "read-only" else disk.fail)
            failing.start()
            on.load_for(server, REACH_SECONDS)
            failing.join()
            _must_end(server, row)
            disk.repair()
            on.note_end(server)
        on.drain(row)
    return row


def _must_end(server: Server, row: Row) -> None:
    try:
        code = server.wait(REACH_SECONDS)
    except TimeoutError:
        row.troubles.append("went on with a disk that had failed")
        server.kill()
        return
    if code != DISTRUST_EXIT_CODE:
        row.troubles.append(f"ended with exit code {code}")
