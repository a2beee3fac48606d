"""`python -m tests.torture`: every fault in its long form, as a table; non-zero when mail was lost."""

import argparse
import os
import platform
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..support import postgres
from . import crash_images, scenarios, upgrades
from .books import Row

_COLUMNS = (
    ("fault", 40), ("times", 5), ("accepted", 8), ("delivered", 9), ("bounced", 7), ("queued", 6),
    ("held", 5), ("twice_mailbox", 13), ("twice_smtp", 10), ("lost", 4), ("unanswered_kept", 15),
)  # fmt: skip


def _line(cells: Iterator[object] | tuple[object, ...]) -> str:
    return "| " + " | ".join(
        str(cell).ljust(width) if number == 0 else str(cell).rjust(width)
        for number, (cell, (_, width)) in enumerate(zip(cells, _COLUMNS, strict=True))
    ) + " |"  # fmt: skip


def _runs(
    times: int, random_times: int, chance: random.Random
) -> Iterator[tuple[str, Callable[[Path], Row]]]:
    for point in (*scenarios.ACCEPT_POINTS, *scenarios.DELIVER_POINTS):
        yield f"kill {point}", partial(scenarios.kills_at, [point] * times, chance=chance)
    yield "kill on postgres", partial(scenarios.kills_on_postgres, times, chance=chance)
    yield "control", partial(scenarios.early_answers, max(times // 4, 4), chance=chance)
    yield "random", partial(scenarios.random_kills, random_times, chance=chance)
    for call in scenarios.FAILURES:
        yield f"fail {call}", partial(scenarios.failing_call, call, times, chance=chance)
    for fault in scenarios.COMMITS:
        yield f"commit {fault}", partial(scenarios.failing_commit, fault, times, chance=chance)
    yield "disk", scenarios.full_disk
    yield "inodes", scenarios.no_inodes
    yield "restart", partial(scenarios.database_restarts, times)
    yield "race", partial(scenarios.two_workers, times, chance=chance)
    yield "upgrade sqlite", upgrades.killed_upgrades
    yield "upgrade postgres", _killed_upgrades_on_postgres
    yield "power", partial(crash_images.power_cuts, times, chance=chance)
    for control in crash_images.CONTROLS:
        cuts = max(times // 4, 1)
        yield (
            f"power {control}",
            partial(crash_images.power_cuts, cuts, chance=chance, control=control),
        )
    yield "clock", partial(scenarios.clock_jumps, (1, -1, 150, -150))


def _killed_upgrades_on_postgres(folder: Path) -> Row:
    with scenarios.postgres_cluster() as cluster:
        return upgrades.killed_upgrades(folder, url=cluster.url("mailgov"))


def _missing(name: str) -> str:
    """What this machine lacks for a fault; it is then left out by name."""
    if name.startswith(("disk", "inodes", "power")) and os.geteuid() != 0:
        return "root, to mount disks"
    if name.startswith(("commit", "power no-")) and shutil.which("strace") is None:
        return "strace"
    if name in ("restart", "race") or (name.endswith("postgres") and postgres.binaries() is None):
        return "PostgreSQL"
    return ""


def main() -> int:
    """Run what is asked for; 1 when anything did not hold."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills at each point")
    parser.add_argument("--random", type=int, default=200, help="kills at any moment")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="faults whose short name matches this")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, seed {options.seed}")
    print(_line(tuple(name for name, _ in _COLUMNS)))
    print("|" + "|".join("-" * (width + 2) for _, width in _COLUMNS) + "|", flush=True)
    held = True
    began = time.monotonic()
    chance = random.Random(options.seed)
    for name, run in _runs(options.times, options.random, chance):
        if options.only and not re.search(options.only, name):
            continue
        if missing := _missing(name):
            print(f"    left out: {name} needs {missing}", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            try:
                row = run(Path(folder))
            except Exception as exc:  # noqa: BLE001 - the other faults are still to be tried
                row = Row(name, 0, troubles=[f"{type(exc).__name__}: {exc}"])
        print(_line(tuple(getattr(row, name) for name, _ in _COLUMNS)), flush=True)
        if row.note:
            print(f"    {row.note}", flush=True)
        for trouble in row.troubles[:10]:
            print(f"    {trouble}", flush=True)
        held = held and row.holds
    print(f"{time.monotonic() - began:.0f} seconds: {'everything held' if held else 'NOT HELD'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
