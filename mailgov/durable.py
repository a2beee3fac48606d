"""Making files safe on the disk, and what follows when that fails.

After a failed sync nobody knows what is on the disk: the kernel may have dropped the pages, and a
second sync would say yes without having written them. So the first failure is the last sync of this
process: whatever it still promises would be a guess. It accepts nothing more, ends, and recovers at
its next start. Syncs of one file go one after the other, so that none can come between the failure of
another and its report.
"""

import errno
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

_lock = threading.Lock()
_lanes = tuple(threading.Lock() for _ in range(256))  # a file has one of them
_failure = ""
_watchers: list[Callable[[], None]] = []

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that say that there is no room; writing them is no fault of the disk."""


def sync(handle: int) -> None:
    """Make an open file or folder safe. Raises OSError, and at once after any earlier failure."""
    file = os.fstat(handle)
    with _lanes[hash((file.st_dev, file.st_ino)) % len(_lanes)]:
        if _failure:
            raise OSError(errno.EIO, f"not tried after an earlier failure: {_failure}")
        try:
            os.fsync(handle)
        except OSError as exc:
            distrust(f"fsync: {exc.strerror or exc}")
            raise


def sync_path(path: Path) -> None:
    """Make a file, or the names in a folder, safe. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def has_room(folder: Path) -> bool:
    """Whether a page of data fits into a folder: a quota shows only when something is written.

    Raises OSError when it can't be written for another reason.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as exc:
        if exc.errno in FULL:
            return False
        raise
    return True


def distrust(reason: str) -> None:
    """Say that something was not written, or not synced, and that this process must end."""
    global _failure  # noqa: PLW0603 - the whole process is in doubt, whoever found out
    with _lock:
        if _failure:
            return
        _failure = reason or "unknown"
        told = list(_watchers)
    for watcher in told:
        watcher()


def failure() -> str:
    """What went wrong; empty as long as the disk can be trusted."""
    return _failure


def watch(watcher: Callable[[], None]) -> Callable[[], None]:
    """Call `watcher`, from any thread, at the first failure. Returns what ends the watch."""
    with _lock:
        _watchers.append(watcher)
        failed = bool(_failure)
    if failed:
        watcher()

    def forget() -> None:
        with _lock:
            _watchers.remove(watcher)

    return forget


def trust_again() -> None:
    """Forget a failure: for tests, which outlive it. A server never does."""
    global _failure  # noqa: PLW0603
    _failure = ""
