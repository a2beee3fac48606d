"""How fast the command line answers where many mailboxes are: whole processes, with a warm cache.

    python benchmarks/lookups.py [mailboxes] [agencies]

Fills the tables of an SQLite database in a temporary folder, then prints for each command the best and
the middle of nine runs and the processor's time of the best, which tells what a quiet machine needs; and
what `mailgov mailbox list | wc -l` takes in time and memory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bulk_import
from sqlalchemy import insert

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, Mailbox, Person

RUNS = 9
LIMIT_SECONDS = 0.3
COMMANDS = (
    ("mailbox", "list"),
    ("mailbox", "list", "--json"),
    ("mailbox", "list", "--agency", "H01", "--limit", "1000"),
    ("mailbox", "list", "--inactive", "90d", "--limit", "1000"),
    ("mailbox", "show", "ma1@a2.gov.vn"),
    ("agency", "show", "H01"),
    ("agency", "show", "H01.A0", "--json"),
)
COMPLETIONS = (
    "mailgov mailbox show ma5000",
    "mailgov agency show H01.A4",
    "mailgov domain show a49",
    "mailgov mailbox list --agency H02.A",
)


def main(mailboxes: int, agencies: int) -> None:
    """Fill, run, print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "config.toml").write_text(f'[data]\npath = "{folder}/data"\n')
        bulk_import._directory(folder, agencies)  # noqa: SLF001 - the same tree
        fill(folder, mailboxes, agencies)
        sys.stdout.write(f"{mailboxes:,} mailboxes, {agencies:,} agencies; seconds\n")
        os.environ["MAILGOV_CONFIG"] = f"{folder}/config.toml"
        for command in COMMANDS:
            form = () if "--json" in command else ("--format", "table")
            measured(" ".join(command), [*command, *form])
        for line in COMPLETIONS:
            env = {"_MAILGOV_COMPLETE": "bash", "_MAILGOV_LINE": line}
            measured(f"completion of {line!r}", [], env)
        stream()


def fill(folder: Path, mailboxes: int, agencies: int) -> None:
    """People, mailboxes with a password, and the event of each."""
    database = Database(f"sqlite:///{folder}/data/mailgov.db")
    with database.write() as session:
        for table, rows in (
            (Person, _people(mailboxes, agencies)),
            (Mailbox, _mailboxes(mailboxes, agencies)),
            (Credential, _credentials(mailboxes)),
            (EventRow, _events(mailboxes)),
        ):
            session.connection().execute(insert(table), list(rows))
    database.close()


def _people(count: int, agencies: int) -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "staff_no": f"VC-{number:06}",
            "full_name": f"Nguyễn Văn {number}",
            "agency_id": number % agencies + 1,
            "title": "Chuyên viên",
            "created_at": utc_now(),
        }


def _mailboxes(count: int, agencies: int) -> Iterator[dict[str, Any]]:
    created = utc_now() - timedelta(days=400)
    for number in range(1, count + 1):
        agency = number % agencies + 1
        yield {
            "id": number,
            "address": f"ma{number}@a{agency}.gov.vn",
            "display_name": f"Nguyễn Văn {number}",
            "person_id": number,
            "agency_id": agency,
            "domain_id": agency,
            "created_at": created,
        }


def _credentials(count: int) -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        used = utc_now() - timedelta(days=number % 180)
        yield {"mailbox_id": number, "hash": "-", "created_at": used, "last_used_at": used}


def _events(count: int) -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        address = f"ma{number}@a{number % 5000 + 1}.gov.vn"
        told = {"noun": "mailbox", "verb": "add", "target": address, "changes": {}, "reason": ""}
        yield {
            "at": utc_now(),
            "kind": "directory.changed",
            "mailbox": address,
            "agency_code": "H01",
            "actor": "cli:root",
            "data": told,
        }


def measured(name: str, command: list[str], env: dict[str, str] | None = None) -> None:
    """The best and the middle of some runs."""
    times, worked = [], []
    for _ in range(RUNS):
        before = os.times()
        started = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "mailgov_cli", *command],
            env={**os.environ, **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=not env,
        )
        times.append(time.perf_counter() - started)
        after = os.times()
        worked.append(sum(after[2:4]) - sum(before[2:4]))
    best, middle, cpu = min(times), statistics.median(times), min(worked)
    over = "" if best < LIMIT_SECONDS else "  over the limit"
    sys.stdout.write(f"{name:60} {best:5.2f} {middle:5.2f}   processor {cpu:5.2f}{over}\n")


def stream() -> None:
    """Everything into a pipe."""
    peak = 0.0
    started = time.perf_counter()
    command = [sys.executable, "-m", "mailgov_cli", "mailbox", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:  # noqa: S603
        assert running.stdout is not None
        first = running.stdout.readline()
        begun = time.perf_counter() - started
        rows = 0
        for rows, _line in enumerate(running.stdout, 1):
            if rows % 1000 == 0:  # while it still runs: what the kernel says later counts us too
                peak = max(peak, _memory_mb(running.pid))
    took = time.perf_counter() - started
    assert first.startswith(b"address")
    sys.stdout.write(
        f"{rows:,} rows into a pipe: {took:.2f} s, the first line after {begun:.2f} s, {peak:.0f} MB\n"
    )


def _memory_mb(pid: int) -> float:
    """The most that a process has held so far; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ("100000", "5000")))
