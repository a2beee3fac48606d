"""A staff list of a nation's size: preview, writing, interruption, and the run that finds nothing to do.

    python benchmarks/bulk_import.py [people] [agencies]

Prints seconds and peak memory of each run of the command line, its whole tree of processes together, on
SQLite in a temporary folder. The import is killed (SIGKILL) and interrupted (Ctrl+C) at a random row, and
goes on with `job resume`; then no row may be there twice and none missing.
"""

import os
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xlsxwriter
from sqlalchemy import insert

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.db.models import Agency, Domain

FAMILY = [
    "Nguyễn",
    "Trần",
    "Lê",
    "Phạm",
    "Hoàng",
    "Huỳnh",
    "Phan",
    "Vũ",
    "Võ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
    "Dương",
    "Lý",
]
MIDDLE = [
    "Văn",
    "Thị",
    "Minh",
    "Đức",
    "Hữu",
    "Ngọc",
    "Thanh",
    "Quang",
    "Xuân",
    "Thu",
    "Hải",
    "Đình",
    "Bảo",
    "Gia",
]
GIVEN = [
    "An",
    "Anh",
    "Bình",
    "Châu",
    "Chi",
    "Dũng",
    "Đạt",
    "Giang",
    "Hà",
    "Hạnh",
    "Hưởng",
    "Khoa",
    "Lan",
    "Linh",
    "Mai",
    "Nam",
    "Ý",
    "Yến",
]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the command line."""

    seconds: float
    cpu_seconds: float  # less than the seconds where the machine has other work
    peak_mb: float  # of all its processes at one moment
    exit: int
    stderr: str


def main(people: int, agencies: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "mailgov.toml").write_text(f'[data]\npath = "{folder}/data"\n')
        _directory(folder, agencies)
        sheet = folder / "can-bo.xlsx"
        _sheet(sheet, people, agencies)
        _say(f"{people:,} people, {agencies:,} agencies, {sheet.stat().st_size / 1e6:.1f} MB")
        _say(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for name_of, options in (
            ("preview", ["--dry-run"]),
            ("import with preview", ["--yes"]),
            ("second run", ["--yes"]),
        ):
            _tell(name_of, _run(folder, "mailbox", "import", str(sheet), *options))
        _tell("undo", _run(folder, "job", "undo", "latest", "--yes"))
        _require(folder, 0)
        for how in (signal.SIGKILL, signal.SIGINT):
            _interrupted(folder, sheet, people, how)


def _interrupted(folder: Path, sheet: Path, people: int, how: signal.Signals) -> None:
    """The import, ended at a random row, resumed, compared and taken back."""
    least = random.Random().randrange(people // 10, people * 8 // 10)  # noqa: S311 - no secret

    def is_time() -> bool:
        return _count(folder, "mailbox") >= least

    broken = _run(folder, "mailbox", "import", str(sheet), "--yes", until=is_time, how=how)
    written = _count(folder, "mailbox")
    _tell(f"{how.name} after {written:,} rows", broken)
    job = _latest(folder)
    _tell("resume", _run(folder, "job", "resume", job))
    _require(folder, people)
    _tell("undo", _run(folder, "job", "undo", job, "--yes"))
    _require(folder, 0)


def _require(folder: Path, people: int) -> None:
    """Each person once, with one mailbox and one row in the journal of the last job."""
    with sqlite3.connect(folder / "data" / "mailgov.db") as connection:
        for question, expected in (
            ("SELECT count(*) FROM person", people),
            ("SELECT count(DISTINCT person_id) FROM mailbox", people),
            ("SELECT count(*) FROM mailbox", people),
        ):
            found = connection.execute(question).fetchone()[0]
            if found != expected:
                raise SystemExit(f"{question}: {found}, expected {expected}")
    _say(f"  {people:,} people with one mailbox each: none twice, none lost")


def _count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "data" / "mailgov.db", timeout=60) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return count


def _latest(folder: Path) -> str:
    with sqlite3.connect(folder / "data" / "mailgov.db", timeout=60) as connection:
        name: str = connection.execute(
            "SELECT id FROM job ORDER BY created_at DESC, id DESC LIMIT 1"
        ).fetchone()[0]
    return name


def _directory(folder: Path, agencies: int) -> None:
    database = Database(f"sqlite:///{folder}/data/mailgov.db")
    migrate(database)
    now = utc_now()
    tops = [
        {"id": n + 1, "code": f"H{n + 1:02}", "name_vi": f"Tỉnh {n + 1}", "level": "province"}
        for n in range(34)
    ]
    units = [
        {
            "id": n + 35,
            "code": f"H{n % 34 + 1:02}.A{n}",
            "name_vi": f"Đơn vị {n}",
            "level": "department",
            "parent_id": n % 34 + 1,
        }
        for n in range(agencies - 34)
    ]
    empty = {"parent_id": None, "name_en": "", "short_name": "", "headcount": 0}
    more = {"regulation": "", "office_mailbox": "", "created_at": now}
    with database.write() as session:
        session.connection().execute(
            insert(Agency), [{**empty, **more, **row} for row in (*tops, *units)]
        )
        session.connection().execute(
            insert(Domain),
            [
                {"name": f"a{row['id']}.gov.vn", "agency_id": row["id"], "created_at": now}
                for row in (*tops, *units)
            ],
        )
    database.close()


def _sheet(file: Path, people: int, agencies: int) -> None:
    chance = random.Random(1)  # noqa: S311 - the same list each time
    with xlsxwriter.Workbook(str(file), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Danh sách")
        for column, heading in enumerate(("Số hiệu", "Họ và tên", "Mã cơ quan", "Chức vụ")):
            sheet.write_string(0, column, heading)
        for number in range(people):
            unit = number % (agencies - 34)
            name = " ".join(map(chance.choice, (FAMILY, MIDDLE, MIDDLE, GIVEN)))
            row = (f"VC-{number:06}", name, f"H{unit % 34 + 1:02}.A{unit}", "Chuyên viên")
            for column, cell in enumerate(row):
                sheet.write_string(number + 1, column, cell)


def _run(
    folder: Path,
    *command: str,
    until: Callable[[], bool] | None = None,
    how: signal.Signals = signal.SIGKILL,
) -> Measured:
    """Run a command, measuring its tree of processes; `until` says when it is to be ended."""
    arguments = [_latest(folder) if word == "latest" else word for word in command]
    started, peak = time.perf_counter(), 0.0
    cpu = _cpu()
    with (folder / "stderr").open("w+") as stderr:
        running = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "mailgov_cli", *arguments),
                *("--config", f"{folder}/mailgov.toml", "-q"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        while running.poll() is None:
            peak = max(peak, _tree_mb(running.pid))
            if until is not None and until():
                running.send_signal(how)
                until = None
            time.sleep(0.05)
        stderr.seek(0)
        text = stderr.read()
    if running.returncode not in (0, 130, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(arguments)}: exit {running.returncode}: {text}")
    seconds = time.perf_counter() - started
    return Measured(seconds, _cpu() - cpu, peak, running.returncode, text)


def _cpu() -> float:
    """Seconds of processor time that ended commands have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree_mb(pid: int) -> float:
    """Memory of a process and all below it, shared pages once (PSS)."""
    total = 0.0
    for one in (pid, *_below(pid)):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue  # it has just ended
        if found := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
            total += int(found[1]) / 1024
    return total


def _below(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(one) for one in text.split()]
    return [*children, *(deeper for child in children for deeper in _below(child))]


def _tell(what: str, measured: Measured) -> None:
    times = f"{measured.seconds:7.1f} s  {measured.cpu_seconds:7.1f} s of CPU"
    _say(f"{what:32} {times}  {measured.peak_mb:6.0f} MB  exit {measured.exit}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ("100000", "5000")))
