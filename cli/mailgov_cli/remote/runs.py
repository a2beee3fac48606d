"""Commands under way and those that have ended: each with a folder, a journal and a row.

A run does not need whoever asked for it: they may go, come back and read on, for as long as results are
kept. Repeating a call with the same idempotency key finds the run that it began
(draft-ietf-httpapi-idempotency-key-header).
"""

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import ApiRun
from mailgov.directory.api_tokens import Bearer
from mailgov.errors import InputError, NotFound, Unavailable
from mailgov.ledger.events import CommandCalled
from mailgov.logs import logger
from mailgov_cli.exits import Exit
from mailgov_cli.remote.names import safe
from mailgov_cli.remote.worker import FILES, JOURNAL, STDIN, Call, work

STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.1
_ALIVE_SECONDS = 5.0
_STEP_SECONDS = 0.2
_PRUNED_EVERY = timedelta(minutes=10)

log = logger("api")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for which command, and how they will know it again."""

    bearer: Bearer
    ip: str
    command: str  # such as `mailbox add`
    digest: str  # SHA-256 of what was asked, in hexadecimal
    key: str | None = None  # that makes a repeated call the same call
    reason: str = ""


@dataclass(slots=True)
class _Running:
    asked: Asked
    folder: Path
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: threading.Event = field(default_factory=threading.Event)


class Runs:
    """The runs of this process."""

    def __init__(self, database: Database, clock: Clock, config: Config) -> None:
        self._database, self._clock, self._settings = database, clock, config.api
        self._folder = config.data.path / "api"
        self._running: dict[str, _Running] = {}
        self._threads = ThreadPoolExecutor(self._settings.commands, "command")
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["mailgov_cli.remote.preload"])
        self._tasks: set[asyncio.Task[None]] = set()
        self._pruned_at: datetime | None = None

    def new_folder(self) -> tuple[str, Path]:
        """An id, and a folder for the files of a call that is not yet under way. Blocks."""
        run_id = secrets.token_hex(12)
        folder = self._folder / run_id
        self._folder.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        (folder / FILES).mkdir(mode=0o700)
        (folder / STDIN).touch(mode=0o600)
        return run_id, folder

    async def begin(self, run_id: str, call: Call, asked: Asked) -> str:
        """Start the command; returns the id of the run, which is an older one for a known key.

        Raises InputError `api-key-reused`, Unavailable `commands-too-many`.
        """
        if len(self._running) >= self._settings.commands + self._settings.commands_waiting:
            await asyncio.to_thread(self.forget, call.folder)
            raise Unavailable("commands-too-many")
        now = self._clock()
        await self._prune(now)
        before = await self._database.submit(lambda session: _enter(session, run_id, asked, now))
        if before != run_id:
            await asyncio.to_thread(self.forget, call.folder)
            return before
        running = _Running(asked, call.folder)
        self._running[run_id] = running
        task = asyncio.create_task(self._run(run_id, running, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run_id

    async def _run(self, run_id: str, running: _Running, call: Call) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._work, running, call)
            code = await asyncio.to_thread(_end_of, call.folder)
            await self._database.submit(
                lambda session: _leave(session, run_id, running.asked, code, self._clock())
            )
        except Exception:
            log.exception("command.failed", run=run_id, command=running.asked.command)
        finally:
            running.ended.set()
            del self._running[run_id]

    def _work(self, running: _Running, call: Call) -> None:
        """Have the command run, and wait for it; runs in a thread."""
        process = self._context.Process(target=work, args=(call,), name="mailgov command")
        if not running.interrupted.is_set():
            process.start()
            self._wait(process, running)
        _close_journal(call.folder, interrupted=running.interrupted.is_set())

    def _wait(self, process: ForkServerProcess, running: _Running) -> None:
        until = time.monotonic() + self._settings.command_minutes * 60
        told = False
        while process.exitcode is None:
            process.join(_STEP_SECONDS)
            late = time.monotonic() > until
            if (running.interrupted.is_set() or late) and not told and process.pid:
                told, until = True, time.monotonic() + STOP_SECONDS
                os.kill(process.pid, signal.SIGINT)
            elif told and late:
                process.kill()
        process.close()

    def forget(self, folder: Path) -> None:
        """Remove the folder of a call that did not begin. Blocks."""
        shutil.rmtree(folder)

    def interrupt(self, run_id: str) -> None:
        """Ask the command to end after what it is at, as Ctrl+C does."""
        if running := self._running.get(run_id):
            running.interrupted.set()

    async def find(self, bearer: Bearer, run_id: str) -> ApiRun:
        """The run, if this token asked for it. Raises NotFound `api-run-unknown`."""

        def read(session: Session) -> ApiRun | None:
            row = session.get(ApiRun, run_id)
            if row is not None:
                session.expunge(row)
            return row

        row = await self._database.query(read)
        if row is None or row.token_id != bearer.token_id:
            raise NotFound("api-run-unknown", run=run_id[:40])
        return row

    async def entries(
        self, run_id: str, after: int = 0
    ) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """The journal from line `after` on, as it grows; the last entry has `exit`.

        While nothing comes, an entry without a number says every few seconds that it goes on.
        Raises NotFound `api-run-unknown` when it is kept no longer.
        """
        number, position = 0, 0
        heard = time.monotonic()
        while True:
            running = self._running.get(run_id)
            over = running is None or running.ended.is_set()
            lines, position = await asyncio.to_thread(self._read, run_id, position)
            for line in lines:
                number += 1
                if number > after:
                    yield number, json.loads(line)
            if over or running is None:
                return
            if lines:
                heard = time.monotonic()
            elif time.monotonic() - heard > _ALIVE_SECONDS:
                heard = time.monotonic()
                yield 0, {"waiting": True}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await running.ended.wait()

    def _read(self, run_id: str, position: int) -> tuple[list[bytes], int]:
        """Whole lines from a position on, and where the next ones begin."""
        file = self._folder / run_id / JOURNAL
        if not file.exists():
            if run_id in self._running:
                return [], position
            raise NotFound("api-run-unknown", run=run_id)
        with file.open("rb") as stream:
            stream.seek(position)
            content = stream.read()
        whole, _, _ = content.rpartition(b"\n")
        return (whole.split(b"\n") if whole else []), position + len(whole) + bool(whole)

    def files(self, run_id: str) -> list[dict[str, Any]]:
        """What the command wrote or changed. Blocks."""
        folder = self._folder / run_id / FILES
        given = _given(self._folder / run_id)
        found = []
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and not file.is_symlink():
                digest = _digest(file)
                if given.get(name) != digest:
                    state = file.stat()
                    found.append(
                        {
                            "name": name,
                            "size": state.st_size,
                            "sha256": digest,
                            "private": not state.st_mode & 0o077,
                            "href": f"/api/v1/runs/{run_id}/files/{quote(name)}",
                        }
                    )
        return found

    def file(self, run_id: str, name: str) -> Path:
        """One of them. Raises NotFound `api-run-unknown`, InputError `api-file-name`."""
        file = self._folder / run_id / FILES / safe(name)
        if not file.is_file() or file.is_symlink():
            raise NotFound("api-run-unknown", run=f"{run_id}/{name}")
        return file

    def note_given(self, folder: Path) -> None:
        """Remember what the caller sent, so that it is not sent back. Blocks."""
        files = folder / FILES
        given = {
            one.relative_to(files).as_posix(): _digest(one)
            for one in files.rglob("*")
            if one.is_file()
        }
        (folder / "given.json").write_text(json.dumps(given))

    async def _prune(self, now: datetime) -> None:
        if self._pruned_at is not None and now - self._pruned_at < _PRUNED_EVERY:
            return
        self._pruned_at = now
        kept = timedelta(hours=self._settings.keep_hours)
        old = await self._database.submit(lambda session: _forget(session, now - kept))
        for run_id in old:
            if run_id not in self._running:
                await asyncio.to_thread(shutil.rmtree, self._folder / run_id, ignore_errors=True)

    async def open(self) -> None:
        """What was under way when the process before this one ended is lost: say so."""
        now = self._clock()
        here = await asyncio.to_thread(self._left)
        await self._database.submit(lambda session: _lose(session, here, now))

    def _left(self) -> list[str]:
        found = [one.name for one in self._folder.glob("*") if one.is_dir()]
        for name in found:
            _close_journal(self._folder / name, interrupted=False)
        return found

    async def close(self) -> None:
        """Interrupt what is under way, and wait until it has ended."""
        for running in self._running.values():
            running.interrupted.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._threads.shutdown)


# Rows ------------------------------------------------------------------------------------------


def _enter(session: Session, run_id: str, asked: Asked, now: datetime) -> str:
    """A row for the run, or the id of the one that the key began. Raises InputError."""
    if asked.key is not None:
        before = session.exec(
            select(ApiRun).where(
                ApiRun.token_id == asked.bearer.token_id, ApiRun.idempotency_key == asked.key
            )
        ).first()
        if before is not None:
            if before.request_digest != asked.digest:
                raise InputError("api-key-reused", key=asked.key)
            return before.id
    session.add(
        ApiRun(
            id=run_id,
            token_id=asked.bearer.token_id,
            idempotency_key=asked.key,
            request_digest=asked.digest,
            command=asked.command,
            state="running",
            started_at=now,
        )
    )
    session.flush()
    return run_id


def _leave(session: Session, run_id: str, asked: Asked, code: int, now: datetime) -> None:
    row = session.get_one(ApiRun, run_id)
    row.state, row.exit, row.ended_at = "ended", code, now
    session.add(row)
    event = CommandCalled(
        at=now,
        actor=actor_of(asked.bearer),
        mailbox=asked.bearer.address,
        command=asked.command,
        outcome=str(code),
        run=run_id,
        ip=asked.ip,
        reason=asked.reason,
    )
    ledger.record(session, event)


def _lose(session: Session, here: list[str], now: datetime) -> None:
    rows = session.exec(
        select(ApiRun).where(ApiRun.state == "running", col(ApiRun.id).in_(here))
    ).all()
    for row in rows:
        row.state, row.exit, row.ended_at = "lost", int(Exit.TEMPORARY), now
        session.add(row)


def _forget(session: Session, before: datetime) -> list[str]:
    rows = session.exec(
        select(ApiRun).where(ApiRun.started_at < before, ApiRun.state != "running")
    ).all()
    for row in rows:
        session.delete(row)
    return [row.id for row in rows]


def actor_of(bearer: Bearer) -> str:
    """The caller as the ledger keeps them: whose token, and which."""
    return f"{bearer.address} (token {bearer.token_id})"


# Files -----------------------------------------------------------------------------------------


def _end_of(folder: Path) -> int:
    last = _last_line(folder / JOURNAL)
    return int(last["exit"])


def _last_line(file: Path) -> Mapping[str, Any]:
    lines = file.read_bytes().splitlines() if file.exists() else []
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _close_journal(folder: Path, *, interrupted: bool) -> None:
    """A journal whose command could not end it gets its last line."""
    file = folder / JOURNAL
    if "exit" in _last_line(file):
        return
    end = {"exit": int(Exit.INTERRUPTED)} if interrupted else {"exit": 9, "lost": True}
    with file.open("a+b") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)  # a line that was being written
        stream.write(json.dumps(end).encode() + b"\n")


def _given(folder: Path) -> dict[str, str]:
    file = folder / "given.json"
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
