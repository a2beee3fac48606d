"""Long work: a bar after a second, quiet when asked, Ctrl+C between rows, and a way to go on."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlmodel import func, select

from mailgov.db import Database
from mailgov.db.models import Job, Person
from mailgov_cli.output import Format
from mailgov_cli.progress import progress
from mailgov_cli.runtime import Runtime

from .conftest import Run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn(run: Runtime, seconds: list[float], stream: io.StringIO | None = None) -> str:
    """What stands on the stream after a tenth of the work at each of these moments."""
    stream, clock = stream or Terminal(), Clock()
    with progress(run, 1000, stream=stream, clock=clock) as told:
        for at in seconds:
            clock.now = at
            told(100)
    return stream.getvalue()


def test_nothing_is_drawn_in_the_first_second() -> None:
    assert drawn(Runtime(), [0.1, 0.5, 0.99]) == ""


def test_then_a_bar_with_count_and_time_left() -> None:
    shown = drawn(Runtime(), [0.5, 2.0])
    assert "200/1000" in shown
    assert "-00:08" in shown  # 2 s for a fifth of it
    assert shown.endswith("\r\x1b[K")  # the line is left clean


def test_it_is_not_drawn_more_often_than_can_be_read() -> None:
    shown = drawn(Runtime(), [1.0, 1.05, 1.1, 1.15, 1.3])
    assert [count for count in ("100/", "200/", "300/", "400/", "500/") if count in shown] == [
        "100/",
        "500/",
    ]


@pytest.mark.parametrize(
    "run", [Runtime(quiet=True), Runtime(format=Format.JSON), Runtime(format=Format.JSONL)]
)
def test_quiet_and_programs_see_no_bar(run: Runtime) -> None:
    assert drawn(run, [2.0, 3.0]) == ""


def test_a_pipe_sees_no_bar() -> None:
    assert drawn(Runtime(), [2.0, 3.0], io.StringIO()) == ""


def test_a_caller_from_elsewhere_is_told_numbers() -> None:
    told: list[tuple[int, int]] = []
    run = Runtime()
    run.told = lambda done, total: told.append((done, total))
    assert drawn(run, [0.0, 0.1]) == ""
    assert told == [(100, 1000), (200, 1000)]


def test_ctrl_c_ends_between_rows_and_the_job_goes_on(
    run: Run, folder: Path, database: Database
) -> None:
    rows = "".join(f"V{number:05},Trần Thị Bích,H99.02\n" for number in range(900))
    (folder / "cb.csv").write_text(f"Số hiệu,Họ và tên,Mã cơ quan\n{rows}", encoding="utf-8")
    command = [sys.executable, "-m", "mailgov_cli", "mailbox", "import", "cb.csv", "--yes"]
    with subprocess.Popen(
        [*command, "--lang", "en"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    ) as running:
        until = time.monotonic() + 120
        while not (job := _job(database)):
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said.decode()
    assert f"mailgov job resume {job}" in said.decode()
    resumed = run("job", "resume", job, "--json")
    assert resumed.exit == 0
    written = json.loads(resumed.stdout)["data"][0]
    with database.read() as session:
        people = session.exec(select(func.count()).select_from(Person)).one()
    assert people == 901
    assert written["add"] + written["same"] <= 900


def _job(database: Database) -> str:
    with database.read() as session:
        return session.exec(select(Job.id)).first() or ""
