"""Every fault that is tried, by a short name."""

import os
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..support import postgres
from . import crash_images, disks, scenarios, upgrades
from .books import Row

_Named = tuple[str, Callable[[Path], Row]]


def trials(times: int, random_times: int, seed: int) -> Iterator[tuple[str, Callable[[Path], Row]]]:
    """Every fault by its short name. What chance decides depends on the seed and the name alone."""

    def drawn(name: str, run: Callable[..., Row], *arguments: object, **options: object) -> _Named:
        return name, partial(run, *arguments, chance=random.Random(f"{seed} {name}"), **options)

    points = (*scenarios.ACCEPT_POINTS, *scenarios.DELIVER_POINTS)
    for point in points:
        yield drawn(f"kill {point}", scenarios.kills_at, [point] * times)
    yield drawn("random", scenarios.random_kills, random_times)
    yield drawn("control", scenarios.early_answers, max(times // 4, 4))
    for point in points:
        yield drawn(f"postgres {point}", scenarios.kills_on_postgres, point, times)
    yield "restart", partial(scenarios.database_restarts, times)
    yield drawn("race", scenarios.two_workers, times)
    for call in scenarios.FAILURES:
        yield drawn(f"fail {call}", scenarios.failing_call, call, times)
    for fault in scenarios.COMMITS:
        yield drawn(f"commit {fault}", scenarios.failing_commit, fault, times)
    yield "disk full", partial(disks.full_disk, times)
    yield "disk inodes", partial(disks.no_inodes, times)
    yield "quota", partial(disks.quota_reached, times)
    for how in disks.HOW_DISKS_FAIL:
        yield f"disk {how}", partial(disks.disk_fails, how, times)
    yield drawn("power", crash_images.power_cuts, times)
    for control in crash_images.CONTROLS:
        yield drawn(
            f"power {control}", crash_images.power_cuts, max(times // 2, 5), control=control
        )
    yield "upgrade sqlite", upgrades.killed_upgrades
    yield "upgrade postgres", _killed_upgrades_on_postgres
    yield "clock", partial(scenarios.clock_jumps, (1, -1, 150, -150))


def _killed_upgrades_on_postgres(folder: Path) -> Row:
    with scenarios.postgres_cluster() as cluster:
        return upgrades.killed_upgrades(folder, url=cluster.url("mailgov"))


def missing(name: str) -> str:
    """What this machine lacks for a fault; it is then left out by name."""
    if name.startswith(("disk", "power")) and os.geteuid() != 0:
        return "root, to mount disks"
    if name.startswith(("commit", "power no-")) and shutil.which("strace") is None:
        return "strace"
    if name == "quota" and shutil.which("gcc") is None:
        return "gcc"
    if (name in ("restart", "race") or "postgres" in name) and postgres.binaries() is None:
        return "PostgreSQL"
    return ""


def one(name: str, times: int, random_times: int, seed: int) -> Row:
    """Try one fault, in a process of its own."""
    run = dict(trials(times, random_times, seed))[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        try:
            row = run(Path(folder))
        except Exception as exc:  # noqa: BLE001 - the other faults are still to be tried
            said = traceback.format_exc().splitlines()[-6:]
            row = Row(name, 0, troubles=[f"{type(exc).__name__}: {exc}", *said])
        if not row.holds:
            row.troubles.append(f"log: {_kept(Path(folder) / 'log', name)}")
    row.seconds = time.monotonic() - began
    return row


def _kept(log: Path, name: str) -> str:
    """Where the log of a server stays for those who look for the fault."""
    if not log.exists():
        return "none"
    kept = Path(tempfile.gettempdir()) / f"torture-{name.replace('/', '-')}.log"
    return str(shutil.copy(log, kept))
