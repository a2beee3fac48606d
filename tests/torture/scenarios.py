"""What is done to the server; each scenario gives one row of the table."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..support import postgres
from .books import Row
from .load import NOBODY
from .stage import DISTRUST_EXIT_CODE, REACH_SECONDS, Stage, stage
from .world import DiedAtStart, Server

ACCEPT_POINTS = tuple(f"A{number}" for number in range(1, 14))
DELIVER_POINTS = tuple(f"D{number}" for number in range(1, 10))
SYNCS = ("fsync-body", "fsync-folder", "fsync-mailbox", "fsync-maildir")
WRITES = ("write-body", "close-body")
FAILURES = (*SYNCS, *WRITES, "write-body/ENOSPC", "write-body/EDQUOT", "rename-body")
COMMITS = ("fdatasync/EIO", "pwrite64/EIO", "pwrite64/ENOSPC")
"""Calls of SQLite on its log, and how they fail."""

_PASSES = {"A1": 8, "A2": 60, "A4": 60, "A8": 8, "A9": 8, "A10": 8, "D8": 6, "D9": 8}
"""Points that a life passes less often than others, or several times with a message."""

_DAY_OLD = 25 * 3600


def kills_at(
    points: Sequence[str], folder: Path, chance: random.Random, *, most: int = 20, url: str = ""
) -> Row:
    """kill -9 at each of these points under load; then what is left is delivered.

    A kill strikes at one of the first `most` passes of its point, by chance.
    """
    row = Row(f"kill -9 at {' '.join(dict.fromkeys(points))}", len(points))
    with stage(folder, url=url) as on:
        for point in points:
            if not _killed_at(on, point, chance.randint(1, _PASSES.get(point, most))):
                row.troubles.append(f"{point} was not reached")
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
        _leave_mail_and_orphans(on, passes)
        roles.append("scheduler")
    try:
        server = on.start(f"{point}:{passes}", roles=roles)
    except DiedAtStart:
        return True
    on.load_for(server, REACH_SECONDS)
    died = server.is_dead
    on.kill(server)
    return died


def _leave_mail_and_orphans(on: Stage, orphans: int) -> None:
    """A spool with bodies that are needed and others that are not, all from the day before."""
    server = on.start(roles=["relay"])
    on.load_for(server, 1.0)
    on.kill(server)
    spool = on.world.data / "spool"
    for number in range(orphans):
        (spool / "tmp" / f"{number:032x}").write_bytes(b"x")
    then = time.time() - _DAY_OLD
    for file in spool.glob("*/*"):
        os.utime(file, (then, then))


def kills_on_postgres(point: str, times: int, folder: Path, chance: random.Random) -> Row:
    """The same on PostgreSQL."""
    with postgres_cluster() as cluster:
        row = kills_at([point] * times, folder, chance, most=8, url=cluster.url("mailgov"))
    row.fault += ", PostgreSQL"
    return row


def random_kills(times: int, folder: Path, chance: random.Random) -> Row:
    """kill -9 at any moment under load."""
    row = Row("kill -9 at any moment", times)
    with stage(folder) as on:
        for _ in range(times):
            server = on.start()
            timer = threading.Timer(chance.uniform(0.05, 2.0), server.kill_group)
            timer.start()
            on.load.run(server)
            on.kill(server)
        on.drain(row)
    return row


def failing_call(call: str, times: int, folder: Path, chance: random.Random) -> Row:
    """One call of the accept path or of a delivery to a mailbox fails."""
    row = Row(f"{call} fails", times)
    ends = call in SYNCS or call in WRITES
    with stage(folder) as on:
        for _ in range(times):
            try:
                server = on.start(f"{call}:{chance.randint(1, 10)}")
            except DiedAtStart:
                row.troubles.append("did not start")
                break
            _strike(on, server, row, partial(_struck, on, _strikes(on)), ends=ends)
            on.note_end(server)
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
            server = on.start(before=strace)
            _strike(on, server, row, struck, ends=ends)
            on.note_end(server)
            _, mark, after = (folder / "trace").read_text().partition("(INJECTED)")
            if not mark:
                row.troubles.append("the fault did not strike")
            elif ends and call in after:
                row.troubles.append(f"{call} once more after it had failed")
        on.drain(row)
    return row


def database_restarts(times: int, folder: Path) -> Row:
    """PostgreSQL ends at once and comes back, under load."""
    row = Row("PostgreSQL restarted", times)
    with postgres_cluster() as cluster, stage(folder, url=cluster.url("mailgov")) as on:
        server = on.start()
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
        first = on.start()
        for _ in range(times):
            second = on.start(roles=["deliver"])
            timer = threading.Timer(chance.uniform(0.5, 1.5), second.kill_group)
            timer.start()
            on.load_for(first, 2.0)
            timer.join()
            on.kill(second)
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
        server = on.start()
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
