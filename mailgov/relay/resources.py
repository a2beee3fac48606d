"""What the machine has left: disk, memory, room in the queue. Beyond the reserve, mail waits outside.

Measuring is cheap and done once a second at most; moments are seconds of a monotonic clock.
"""

import os
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mailgov.config import Limits

_BODY_SHARE = 1.5  # of the largest message, kept free for each that is under way
_OTHER_FILES = 1024  # database, bodies, look-ups, deliveries, the web
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_BACKLOG_SECONDS = 30.0  # between two counts: they read an index from end to end
_NO_SESSIONS, _NO_MAIL = 0.8, 0.9  # shares of the memory budget


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system. `inodes` is 0 where it does not count them."""

    free_bytes: int
    bytes: int
    free_inodes: int = 0
    inodes: int = 0


def disk_of(path: Path) -> Disk:
    """The file system that holds the path. Raises OSError."""
    found = os.statvfs(path)
    return Disk(
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
        found.f_favail,
        found.f_files,
    )


def resident_bytes() -> int:
    """Memory that this process holds."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES


def allow_descriptors(connections: int) -> int:
    """Let the process open as many as that takes, beside its other files; how many it may now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class FreeSpace:
    """Whether the data disk can take more: bytes and inodes beyond a reserve."""

    def __init__(self, measure: Callable[[], Disk], limits: Limits) -> None:
        self._measure = measure
        self._limits = limits
        self._disk = Disk(0, 0)
        self._measured_at = float("-inf")

    def _look(self, now: float) -> Disk:
        if now - self._measured_at >= 1.0:
            self._disk = self._measure()
            self._measured_at = now
        return self._disk

    def _kept_for(self, bodies: int) -> float:
        return _BODY_SHARE * self._limits.message_bytes * bodies

    def is_crowded(self, bodies: int, now: float) -> bool:
        """Whether messages that are just coming in claim half of what is free: they must hurry."""
        return self._kept_for(bodies) > self._look(now).free_bytes / 2

    def allows(self, size_bytes: int, bodies: int, now: float) -> bool:
        """Whether a message of this size leaves the reserve, beside those under way."""
        disk, limits = self._look(now), self._limits
        reserve = max(limits.free_bytes, disk.bytes * limits.free_share, self._kept_for(bodies))
        return (
            disk.free_bytes - size_bytes >= reserve
            and disk.free_inodes >= disk.inodes * limits.free_inodes_share
        )


class Memory:
    """How much of its budget the process holds."""

    def __init__(self, measure: Callable[[], int], limits: Limits) -> None:
        self._measure = measure
        self._budget_bytes = limits.memory_bytes
        self._share = 0.0
        self._measured_at = float("-inf")

    def _is_beyond(self, share: float, now: float) -> bool:
        if now - self._measured_at >= 1.0:
            self._share = self._measure() / self._budget_bytes
            self._measured_at = now
        return self._share > share

    def is_short(self, now: float) -> bool:
        """No further sessions: those that are there come first."""
        return self._is_beyond(_NO_SESSIONS, now)

    def is_full(self, now: float) -> bool:
        """No further mail either."""
        return self._is_beyond(_NO_MAIL, now)


class Backlog:
    """Whether the queue holds as much as it may."""

    def __init__(self, count: Callable[[], Awaitable[int]], limits: Limits) -> None:
        self._count = count
        self._most = limits.queue_recipients
        self._recipients = 0
        self._counted_at = float("-inf")

    async def is_full(self, now: float) -> bool:
        """Whether no more fits. Raises what the count raises."""
        if now - self._counted_at >= _BACKLOG_SECONDS:
            self._counted_at = now  # the others go by the old count meanwhile
            self._recipients = await self._count()
        return self._recipients >= self._most
