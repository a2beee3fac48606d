"""`mailgov` with a fault in it: a program of its own, started by `Server`.

    MAILGOV_FAULT=D5:3          killed, as by kill -9, when point D5 is passed for the third time
    MAILGOV_FAULT=fsync-body:2  that call fails with EIO, once, the second time: fsync-body,
                                fsync-folder, fsync-mailbox, fsync-maildir, write-body, close-body,
                                rename-body; write-body/ENOSPC:2 with another error
    MAILGOV_FAULT=early+A11:7   as A11:7, and 250 is said before the commit: mail must be lost
    MAILGOV_FAULT=statement:7   killed right before the seventh statement to the database
    MAILGOV_FAULT=nosync-body   those syncs are left out: nosync-body, nosync-mailbox
    MAILGOV_CLOCK=<file>        the clock is wrong by so many seconds as the file says

With `--nursery` it loads everything once and then forks a server for each line of JSON on stdin:
hundreds of starts cost one.
"""

import asyncio
import errno
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from mailgov import clock, faults

_LOADED = (
    "uvloop", "mailgov.roles.deliver", "mailgov.roles.relay", "mailgov.roles.scheduler",
    "mailgov_cli.commands.serve",
)  # fmt: skip
"""What a server loads."""


def kill_at(fault: str) -> None:
    """Arm the fault `<point>:<count>`."""
    name, _, count = fault.partition(":")
    left = int(count or 1)
    lock = threading.Lock()

    def passed(point: str) -> None:
        nonlocal left
        if point != name:
            return
        with lock:
            left -= 1
            if left == 0:
                os.killpg(os.getpgrp(), signal.SIGKILL)

    faults.set_handler(passed)


def answer_early() -> None:
    """Let the gate say yes before its commit, as a server without promise would."""
    from mailgov.db import Database

    submit = Database.submit
    going: set[asyncio.Task[Any]] = set()

    async def submitted(database: Any, work: Any) -> Any:
        if not work.__qualname__.startswith("Intake._store"):
            return await submit(database, work)
        task = asyncio.create_task(submit(database, work))
        going.add(task)
        task.add_done_callback(going.discard)
        return None

    Database.submit = submitted  # type: ignore[method-assign,assignment]


def kill_at_statement(count: int) -> None:
    """Arm the fault `statement:<count>`."""
    from sqlalchemy import Engine, event

    left = count

    def before(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.killpg(os.getpgrp(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", before)


class Failure:
    """Makes one call fail, at the count-th time it is made."""

    def __init__(self, fault: str) -> None:
        call, _, count = fault.partition(":")
        self.call, _, name = call.partition("/")
        self.code = getattr(errno, name or "EIO")
        self.left = int(count or 1)
        self._lock = threading.Lock()

    def pass_by(self, call: str) -> None:
        """Raise OSError when it is this call's turn."""
        if call != self.call:
            return
        with self._lock:
            self.left -= 1
            if self.left == 0:
                print("FAULT-STRUCK", file=sys.stderr, flush=True)
                raise OSError(self.code, os.strerror(self.code))


class Syncs:
    """Says when a sync is made that may not be: after the failure of another was known, or a
    second one of the file whose sync has failed.

    Other threads may be past their look for a failure, with files of their own, when it happens.
    """

    def __init__(self, failure: Failure) -> None:
        self._failure = failure
        self._failed: tuple[int, int] | None = None
        self._here = threading.local()  # in which threads a sync was begun before all failures
        self._make = os.fsync

    def begin(self, handle: int) -> None:
        """`durable.sync`, watched."""
        from mailgov import durable

        self._here.is_innocent = not durable.failure()
        try:
            self._begin(handle)
        finally:
            self._here.is_innocent = False

    def make(self, handle: int) -> None:
        """`os.fsync`, which may fail."""
        status = os.fstat(handle)
        file = (status.st_dev, status.st_ino)
        if self._failed is not None and (
            self._failed == file or not getattr(self._here, "is_innocent", False)
        ):
            print("SYNC-REPEATED", file=sys.stderr, flush=True)
        try:
            self._failure.pass_by(_kind_of(Path(f"/proc/self/fd/{handle}").readlink()))
        except OSError:
            self._failed = file
            raise
        self._make(handle)

    def watch(self) -> None:
        """Take the place of both."""
        from mailgov import durable

        self._begin = durable.sync
        durable.sync, os.fsync = self.begin, self.make  # type: ignore[assignment]  # as far as used


def fail_at(fault: str) -> None:
    """Arm the fault `<call>[/<error>]:<count>`."""
    from mailgov.queue import spool

    failure = Failure(fault)
    rename, spill = Path.rename, spool.BodyWriter._spill

    def move(self: Path, target: Path) -> Path:
        if "spool" in self.parts:
            failure.pass_by("rename-body")
        return rename(self, target)

    def spilled(writer: Any) -> Any:
        return _Failing(spill(writer), failure.pass_by)

    Syncs(failure).watch()
    Path.rename = move  # type: ignore[method-assign,assignment]
    spool.BodyWriter._spill = spilled  # type: ignore[method-assign,assignment]


def leave_out(fault: str) -> None:
    """Say yes to the syncs of this kind without making them."""
    sync = os.fsync

    def fsync(handle: int) -> None:
        kind = _kind_of(Path(f"/proc/self/fd/{handle}").readlink())
        if kind != fault.replace("nosync", "fsync"):
            sync(handle)

    os.fsync = fsync  # type: ignore[assignment]  # the same signature, as far as it is used


def _kind_of(path: Path) -> str:
    if "mail" in path.parts:
        return "fsync-maildir" if path.is_dir() else "fsync-mailbox"
    return "fsync-folder" if path.is_dir() else "fsync-body"


class _Failing:
    """A file whose writes and closing may fail."""

    def __init__(self, file: Any, pass_by: Callable[[str], None]) -> None:
        self._file, self._pass_by = file, pass_by

    def write(self, data: bytes) -> int:
        self._pass_by("write-body")
        written: int = self._file.write(data)
        return written

    def close(self) -> None:
        self._file.close()
        self._pass_by("close-body")


def shift_clock(file: Path) -> None:
    """Let the file say how wrong the clock is, at each look."""

    def wrong_now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text() or 0))

    clock.utc_now = wrong_now  # before anybody imports it by name


def run(args: Sequence[str]) -> int:
    """Be `mailgov`, with the faults that the environment asks for."""
    if where := os.environ.get("MAILGOV_CLOCK"):
        shift_clock(Path(where))
    if wanted := os.environ.get("MAILGOV_FAULT"):
        if wanted.startswith("early+"):
            answer_early()
            wanted = wanted.removeprefix("early+")
        if wanted.startswith("statement:"):
            kill_at_statement(int(wanted.partition(":")[2]))
        elif wanted.startswith("nosync-"):
            leave_out(wanted)
        else:
            (fail_at if "-" in wanted else kill_at)(wanted)
    from mailgov_cli.app import main

    return main(args)


def nursery() -> None:
    """Fork servers: `{"args", "environment", "stdout", "stderr"}` gives a pid, `{"wait"}` its end."""
    for module in _LOADED:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _be_born(order)
        print(answer, flush=True)


def _be_born(order: dict[str, object]) -> None:
    os.setsid()
    for number, path in ((1, order["stdout"]), (2, order["stderr"])):
        handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    environment, args = order["environment"], order["args"]
    assert isinstance(environment, dict)
    assert isinstance(args, list)
    os.environ.update(environment)
    random.seed()  # brothers would draw the same numbers
    code = 1
    try:
        code = run(args)
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1:] == ["--nursery"]:
        nursery()
    else:
        sys.exit(run(sys.argv[1:]))
