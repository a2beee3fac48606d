"""What is done to the server; each scenario gives one row of the table."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..support import postgres
from . import books
from .books import Row, balance, eventually
from .load import NOBODY, Load
from .load import World as Outside
from .world import DiedAtStart, Server, World

ACCEPT_POINTS = tuple(f"A{number}" for number in range(1, 14))
DELIVER_POINTS = tuple(f"D{number}" for number in range(1, 10))
SYNCS = ("fsync-body", "fsync-folder", "fsync-mailbox", "fsync-maildir")
WRITES = ("write-body", "close-body")
FAILURES = (*SYNCS, *WRITES, "write-body/ENOSPC", "rename-body")
COMMITS = ("fdatasync/EIO", "pwrite64/EIO", "pwrite64/ENOSPC")
"""Calls of SQLite on its log, and how they fail."""

_PASSES = {"A1": 8, "A8": 8, "A9": 8, "A10": 8, "D8": 6, "D9": 8}
"""Points that a life passes less often than others."""

REACH_SECONDS, DRAIN_SECONDS = 60.0, 120.0
DISTRUST_EXIT_CODE = 9
_DAY_OLD = 25 * 3600
_DISK_BYTES = 192 << 20


@dataclass
class Stage:
    """A world, the load on it, and what lies outside of it."""

    world: World
    outside: Outside
    load: Load = field(default_factory=Load)

    def load_for(self, server: Server, seconds: float) -> None:
        """Send for a while, or until the server dies."""
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        self.load.run(server, stop=stop)
        timer.cancel()

    def load_until(self, server: Server, check: Callable[[], bool]) -> None:
        """Send until something has come about, or the server dies; not for ever."""
        stop = threading.Event()
        sending = threading.Thread(target=self.load.run, args=(server,), kwargs={"stop": stop})
        sending.start()
        eventually(lambda: server.is_dead or check(), REACH_SECONDS)
        stop.set()
        sending.join()

    def note_flights(self) -> None:
        """After a kill: what was under way may be sent twice, and nothing else."""
        if self.load.in_flight is None:
            self.load.in_flight = set()
        self.load.in_flight |= books.under_way(self.world)

    def drain(self, row: Row, server: Server | None = None) -> None:
        """Let a server without faults deliver everything, stop it, and draw up the balance."""
        server = server or self.world.start()
        if not eventually(lambda: books.queued(self.world) == 0, DRAIN_SECONDS):
            row.troubles.append("not drained")
        if spared := books.poison(self.world):
            # Somebody has looked at them: the fault was ours, not the message's.
            self.world.cli("queue", "release", *spared, "--reason", "torture")
            row.note = f"{len(spared)} messages had been set aside after three deaths; released"
            if not eventually(lambda: books.queued(self.world) == 0, DRAIN_SECONDS):
                row.troubles.append("not drained after a release")
        if (code := server.stop()) != 0:
            row.troubles.append(f"stopped with exit code {code}")
        balance(self.world, self.outside, self.load, row)
        told = self.world.cli("audit", "conserve")[0]
        if not told["balanced"]:
            row.troubles.append(f"mailgov audit conserve: {told}")


@contextmanager
def stage(folder: Path, *, url: str = "", data: Path | None = None) -> Iterator[Stage]:
    """A new installation in a folder."""
    with Outside() as outside:
        world = World(folder, outside.address, url, data or folder / "data")
        yield Stage(world.settle(), outside)


def kills_at(
    points: Sequence[str], folder: Path, chance: random.Random, *, most: int = 30, url: str = ""
) -> Row:
    """kill -9 at each of these points under load; then what is left is delivered.

    A kill strikes at one of the first `most` passes of its point, by chance.
    """
    row = Row(f"kill -9 at {' '.join(dict.fromkeys(points))}", len(points))
    with stage(folder, url=url) as on:
        for point in points:
            if not _killed_at(on, point, chance.randint(1, min(most, _PASSES.get(point, most)))):
                row.troubles.append(f"{point} was not reached")
            on.note_flights()
        on.drain(row)
    return row


def early_answers(times: int, folder: Path, chance: random.Random) -> Row:
    """A control: a server that says 250 before its commit must lose mail when it is killed."""
    row = Row("kill -9, 250 before the commit: must lose", times)
    with stage(folder) as on:
        for _ in range(times):
            _killed_at(on, "early+A11", chance.randint(1, 30))
        on.drain(row)
    row.note = f"{row.lost} lost, as it must be"
    row.troubles = [] if row.lost else ["nothing was lost: the test does not see"]
    row.lost = 0
    return row


def _killed_at(on: Stage, point: str, passes: int) -> bool:
    """One life that ends at the point; whether it did."""
    roles = ["relay", "deliver"]
    if point == "D9":
        _leave_orphans(on.world.data / "spool" / "tmp", passes)
        roles.append("scheduler")
    try:
        server = on.world.start(f"{point}:{passes}", roles=roles)
    except DiedAtStart:
        return True
    on.load_for(server, REACH_SECONDS)
    died = server.is_dead
    server.kill()
    return died


def _leave_orphans(folder: Path, count: int) -> None:
    """Bodies that were never finished, from the day before."""
    folder.mkdir(parents=True, exist_ok=True)
    then = time.time() - _DAY_OLD
    for number in range(count):
        file = folder / f"{number:032x}"
        file.write_bytes(b"x")
        os.utime(file, (then, then))


def kills_on_postgres(times: int, folder: Path, chance: random.Random) -> Row:
    """The same on PostgreSQL, at the points where its commits and leases matter."""
    points = [chance.choice(("A11", "A12", "A13", "D1", "D5", "D7", "D8")) for _ in range(times)]
    with postgres_cluster() as cluster:
        row = kills_at(points, folder, chance, url=cluster.url("mailgov"))
    row.fault = "kill -9 at A11 to D8, PostgreSQL"
    return row


def random_kills(times: int, folder: Path, chance: random.Random) -> Row:
    """kill -9 at any moment under load."""
    row = Row("kill -9 at any moment", times)
    with stage(folder) as on:
        for _ in range(times):
            server = on.world.start()
            timer = threading.Timer(chance.uniform(0.05, 2.0), server.kill_group)
            timer.start()
            on.load.run(server)
            server.kill()
            on.note_flights()
        on.drain(row)
    return row


def failing_call(call: str, times: int, folder: Path, chance: random.Random) -> Row:
    """One call of the accept path or of a delivery to a mailbox fails."""
    row = Row(f"{call} fails", times)
    ends = call in SYNCS or call in WRITES
    with stage(folder) as on:
        for _ in range(times):
            try:
                server = on.world.start(f"{call}:{chance.randint(1, 4)}")
            except DiedAtStart:
                row.troubles.append("did not start")
                break
            _strike(on, server, row, partial(_struck, on, _strikes(on)), ends=ends)
        if _strikes(on) != times:
            row.troubles.append(f"struck {_strikes(on)} times only")
        if "SYNC-REPEATED" in on.world.log.read_text():
            row.troubles.append("a sync was repeated after a failure")
        on.drain(row)
    return row


def _strikes(on: Stage) -> int:
    """How often a fault has struck so far."""
    return on.world.log.read_text().count("FAULT-STRUCK")


def _struck(on: Stage, before: int) -> bool:
    return _strikes(on) > before


def _strike(on: Stage, server: Server, row: Row, struck: Callable[[], bool], *, ends: bool) -> None:
    """Load it until the fault has come; it must end by itself, or go on and stop in order."""
    if ends:
        on.load_for(server, REACH_SECONDS)
        code = server.wait(REACH_SECONDS)
        if code != DISTRUST_EXIT_CODE:
            row.troubles.append(f"ended with exit code {code}")
        return
    on.load_until(server, struck)
    if server.is_dead:
        row.troubles.append(f"ended with exit code {server.wait(1)}")
    elif (code := server.stop()) != 0:
        row.troubles.append(f"stopped with exit code {code}")


def failing_commit(fault: str, times: int, folder: Path, chance: random.Random) -> Row:
    """A sync or write of SQLite's log fails, under strace's hand."""
    call, _, error = fault.partition("/")
    row = Row(f"{call} of the database's log: {error}", times)
    ends = error == "EIO"
    with stage(folder) as on:
        log = on.world.data / "mailgov.db-wal"

        def struck() -> bool:
            return "(INJECTED)" in (folder / "trace").read_text()

        for _ in range(times):
            strace = (
                "strace", "-D", "-f", "-qq", "-o", str(folder / "trace"), "-P", str(log),
                f"--trace={call}", f"--inject={call}:error={error}:when={chance.randint(10, 60)}",
            )  # fmt: skip
            server = on.world.start(before=strace)
            _strike(on, server, row, struck, ends=ends)
            if not struck():
                row.troubles.append("the fault did not strike")
        on.drain(row)
    return row


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[Path]:
    """A file system of its own, in a file."""
    image, mounted = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", *options, str(image))
    mounted.mkdir()
    _run("mount", "-o", "loop", str(image), str(mounted))
    try:
        yield mounted
    finally:
        _run("umount", str(mounted))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def full_disk(folder: Path) -> Row:
    """The disk fills under load, in earnest; then there is room again. Nobody lends a hand."""
    row = Row("disk full, then room", 1)
    with small_disk(folder) as disk, stage(folder, data=disk / "data") as on:
        filler = disk / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(b"x" * (64 << 10))
                    except OSError:
                        return

        _without(on, row, fill, filler.unlink)
    return row


def no_inodes(folder: Path) -> Row:
    """No file can be made; then files can be made again."""
    row = Row("no inodes, then some", 1)
    with small_disk(folder, "-N", "2000") as disk, stage(folder, data=disk / "data") as on:
        filler = disk / "filler"

        def fill() -> None:
            filler.mkdir()
            try:
                for number in range(100_000):
                    (filler / f"{number}").touch()
            except OSError:
                return

        _without(on, row, fill, lambda: shutil.rmtree(filler))
    return row


def _without(on: Stage, row: Row, take_away: object, give_back: object) -> None:
    assert callable(take_away)
    assert callable(give_back)
    server = on.world.start()
    on.load_for(server, 2.0)
    taking = threading.Timer(1.0, take_away)
    taking.start()
    on.load_for(server, 5.0)
    taking.join()
    before = len(on.load.answered)
    on.load_for(server, 2.0)
    if len(on.load.answered) > before + 4:  # those who were past MAIL
        row.troubles.append(f"took {len(on.load.answered) - before} messages without room")
    if not on.load.refused[452]:
        row.troubles.append(f"never said 452: {dict(on.load.refused)}")
    give_back()
    before = len(on.load.answered)
    on.load_for(server, 8.0)
    if len(on.load.answered) == before:
        row.troubles.append("took nothing after there was room again")
    row.note = f"452: {on.load.refused[452]}, 451: {on.load.refused[451]}"
    on.drain(row, server if not server.is_dead else None)
    if server.is_dead and server.wait(1) != 0:
        row.troubles.append("the server ended")


def database_restarts(times: int, folder: Path) -> Row:
    """PostgreSQL ends at once and comes back, under load."""
    row = Row("PostgreSQL restarted", times)
    with postgres_cluster() as cluster, stage(folder, url=cluster.url("mailgov")) as on:
        server = on.world.start()
        for _ in range(times):
            timer = threading.Timer(1.0, cluster.restart)
            timer.start()
            on.load_for(server, 4.0)
            timer.join()
        on.drain(row, server)
    return row


def two_workers(times: int, folder: Path, chance: random.Random) -> Row:
    """Two deliverers share a queue on PostgreSQL; one is killed, again and again."""
    row = Row("two workers race, one is killed", times)
    with postgres_cluster() as cluster, stage(folder, url=cluster.url("mailgov")) as on:
        first = on.world.start()
        for _ in range(times):
            second = on.world.start(roles=["deliver"])
            timer = threading.Timer(chance.uniform(0.5, 1.5), second.kill_group)
            timer.start()
            on.load_for(first, 2.0)
            timer.join()
            second.kill()
        on.drain(row, first)
    return row


@contextmanager
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL of our own with an empty database `mailgov`."""
    binaries = postgres.binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    with postgres.cluster(binaries) as cluster:
        cluster.run("CREATE DATABASE mailgov")
        yield cluster


def clock_jumps(jumps_hours: Sequence[float], folder: Path) -> Row:
    """The clock goes wrong and right again, while everything outside is deferred."""
    row = Row("clock jumps", len(jumps_hours))
    with stage(folder) as on:
        clock = folder / "clock"
        clock.write_text("0")
        on.world.environment["MAILGOV_CLOCK"] = str(clock)
        on.outside.deferring = True
        server = on.world.start()
        on.load_for(server, 2.0)
        for hours in jumps_hours:
            for offset in (hours * 3600, 0):
                clock.write_text(str(offset))
                on.load_for(server, 3.0)
        if on.outside.taken:
            row.troubles.append("something was taken while all was deferred")
        on.outside.deferring = False
        on.drain(row, server)
        refused = sum(NOBODY in kind.recipients for kind in on.load.answered.values())
        if row.bounced != refused:
            row.troubles.append(f"{row.bounced} bounced, {refused} of them with reason")
    return row
