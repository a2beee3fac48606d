"""`python -m tests.torture`: every fault in its long form, as a table; non-zero when mail was lost."""

import argparse
import multiprocessing
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from . import trials
from .books import Row

_COLUMNS = (
    ("fault", 40), ("times", 5), ("accepted", 8), ("delivered", 9), ("bounced", 7), ("queued", 6),
    ("held", 5), ("twice_mailbox", 13), ("twice_smtp", 10), ("lost", 4), ("unanswered_kept", 15),
    ("seconds", 7),
)  # fmt: skip


def _line(cells: Iterator[object] | tuple[object, ...]) -> str:
    return "| " + " | ".join(
        _text(cell).ljust(width) if number == 0 else _text(cell).rjust(width)
        for number, (cell, (_, width)) in enumerate(zip(cells, _COLUMNS, strict=True))
    ) + " |"  # fmt: skip


def _text(cell: object) -> str:
    return f"{cell:.0f}" if isinstance(cell, float) else str(cell)


def main() -> int:
    """Run what is asked for; 1 when anything did not hold."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="times for each fault")
    parser.add_argument("--random", type=int, default=200, help="kills at any moment")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="faults whose short name matches this")
    parser.add_argument(
        "--jobs", type=int, default=2 * (os.cpu_count() or 1), help="faults at once"
    )
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, seed {options.seed}")
    print(_line(tuple(name for name, _ in _COLUMNS)))
    print("|" + "|".join("-" * (width + 2) for _, width in _COLUMNS) + "|", flush=True)
    how = (options.times, options.random, options.seed)
    names = [name for name, _ in trials.trials(*how) if re.search(options.only, name)]
    for name in [name for name in names if trials.missing(name)]:
        names.remove(name)
        print(f"    left out: {name} needs {trials.missing(name)}", flush=True)
    began = time.monotonic()
    # Much of a fault's time is waiting; a process each, since a server is forked from what is loaded.
    with ProcessPoolExecutor(
        options.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        going = [pool.submit(trials.one, name, *how) for name in names]
        rows = [_told(one.result()) for one in going]
    held = all(row.holds for row in rows)
    print(f"{time.monotonic() - began:.0f} seconds: {'everything held' if held else 'NOT HELD'}")
    return 0 if held else 1


def _told(row: Row) -> Row:
    print(_line(tuple(getattr(row, name) for name, _ in _COLUMNS)), flush=True)
    if row.note:
        print(f"    {row.note}", flush=True)
    for trouble in row.troubles[:20]:
        print(f"    {trouble}", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
