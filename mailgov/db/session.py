"""Transactions: many readers, and writers that share commits.

SQLite has one writing connection in the process that owns the data, and a lock file that keeps the
command line's short writes and the owner's from overlapping, checkpoints included: SQLite before
3.51.3 can damage a WAL that one connection resets while another commits. PostgreSQL has a few
writers. `synchronous=FULL` and `synchronous_commit=on`: when a commit returns, it is on the disk.
When SQLite could not write or sync, nothing more is written by this process (mailgov/durable.py).
"""

import asyncio
import errno
import fcntl
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from mailgov import durable
from mailgov.errors import MailgovError, OutcomeUnknown, Unavailable

T = TypeVar("T")

BUSY_TIMEOUT_MS = 15_000

_NOT_WRITTEN = (
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_DIR_FSYNC",
    "SQLITE_IOERR_TRUNCATE",
    "SQLITE_IOERR_CLOSE",
    "SQLITE_IOERR_DIR_CLOSE",
    "SQLITE_IOERR_COMMIT_ATOMIC",
)
"""What SQLite says when the disk did not take what it had to take."""


class Database:
    """One database, opened by `open`, closed by `close`.

    `read` and `write` are for synchronous callers; `query` and `submit` for the event loop.
    Every method raises Unavailable `database-unavailable` when the database can't serve.
    """

    def __init__(
        self,
        url: str,
        *,
        readers: int = 8,
        writers: int = 4,
        batch: int = 64,
        batch_wait_ms: float = 2.0,
    ) -> None:
        self.url: URL = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._batch = batch
        self._batch_wait = batch_wait_ms / 1000
        self._read_engine = self._engine(readers, immediate=False)
        self._write_engine = self._engine(1 if self.is_sqlite else writers, immediate=True)
        self._read_pool = ThreadPoolExecutor(readers, "db-read")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer_count = 1 if self.is_sqlite else writers
        self._writers: list[threading.Thread] = []
        self._start_lock = threading.Lock()
        self.prepare: Callable[[Session], None] | None = None
        """Called with each session before it is used, such as to keep it to a branch."""

    def _engine(self, connections: int, *, immediate: bool) -> Engine:
        if not self.is_sqlite:
            return create_engine(
                self.url,
                pool_size=connections,
                max_overflow=0,
                pool_pre_ping=True,
                pool_timeout=15,
                connect_args={"options": "-c synchronous_commit=on -c timezone=UTC"},
            )
        engine = create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=15,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )

        def connected(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA mmap_size=0")
            if not immediate:
                cursor.execute("PRAGMA wal_autocheckpoint=0")
                cursor.execute("PRAGMA query_only=ON")
            cursor.close()

        def begin(connection: Any) -> None:
            # A plain BEGIN that later writes fails at once when another writer came between.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begin)
        return engine

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        """Hold the lock file that keeps writes of several processes apart (SQLite only)."""
        if self.file is None:
            yield
            return
        with _opened(self.file.with_suffix(".lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading: one consistent view."""
        with _translated(), Session(self._read_engine) as session:
            if self.prepare is not None:
                self.prepare(session)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction; committed and durable when the block ends, else rolled back."""
        if self.is_sqlite and (reason := durable.failure()):
            raise Unavailable("database-unavailable", reason=reason)
        with (
            _translated(self.file),
            self._write_lock(),
            Session(self._write_engine) as session,
            session.begin(),
        ):
            if self.prepare is not None:
                self.prepare(session)
            yield session

    async def query(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._read_pool, self._query, work)

    def _query(self, work: Callable[[Session], T]) -> T:
        with self.read() as session:
            return work(session)

    async def submit(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a writer thread; returns when it is durable.

        Several submitters share one commit. Work that raises is rolled back alone, behind a
        savepoint, and its exception is raised here. Cancelling the wait does not undo the work.
        Raises OutcomeUnknown when the connection breaks at the commit (PostgreSQL).
        """
        self._start_writers()
        job = _Job(work)
        self._jobs.put(job)
        result: T = await asyncio.shield(asyncio.wrap_future(job.done))
        return result

    def _start_writers(self) -> None:
        with self._start_lock:
            while len(self._writers) < self._writer_count:
                thread = threading.Thread(target=self._write_loop, name="db-write", daemon=True)
                thread.start()
                self._writers.append(thread)

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = self._gather(job)
            outcomes: list[tuple[Any, Exception | None]] = []
            try:
                with self.write() as session:
                    outcomes = [_run_behind_savepoint(session, job.work) for job in batch]
            except Exception as exc:  # noqa: BLE001 - every waiting session must hear of it
                # All work is done: only the commit, or its answer, was missing.
                told = self._at_commit(exc) if outcomes else exc
                for job in batch:
                    job.done.set_exception(told)
                continue
            for job, (value, error) in zip(batch, outcomes, strict=True):
                if error is None:
                    job.done.set_result(value)
                else:
                    job.done.set_exception(error)

    def _at_commit(self, error: Exception) -> Exception:
        # SQLite tells what became of a commit; a lost connection to PostgreSQL does not.
        if self.is_sqlite or not isinstance(error, Unavailable):
            return error
        unknown = OutcomeUnknown(error.code, **error.fields)
        unknown.__cause__ = error
        return unknown

    def _gather(self, first: "_Job") -> "list[_Job]":
        """`first` and whatever else comes within the waiting time, up to a batch."""
        batch = [first]
        deadline = time.monotonic() + self._batch_wait
        while len(batch) < self._batch:
            # Alone in the queue we do not wait: with one client there is nobody to share with.
            wait = deadline - time.monotonic() if len(batch) > 1 else 0
            try:
                job = self._jobs.get(timeout=wait) if wait > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    def create_parent(self) -> None:
        """Make an SQLite file and its folder, readable by their owner only.

        The log beside it gets its mode from SQLite. A folder that others can enter stays as it is.
        """
        if self.file is not None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file.touch(mode=0o600)

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._write_engine

    def close(self) -> None:
        """Finish queued writes and close every connection.

        When the disk can't be trusted, connections stay: closing them would checkpoint what may
        not be there.
        """
        for _ in self._writers:
            self._jobs.put(None)
        for thread in self._writers:
            thread.join()
        self._writers.clear()
        self._read_pool.shutdown()
        if self.is_sqlite and durable.failure():
            return
        self._read_engine.dispose()
        if self.file is not None and self.file.exists():
            with self._write_lock():  # closing the last connection checkpoints
                self._write_engine.dispose()
        else:
            self._write_engine.dispose()


class _Job:
    def __init__(self, work: Callable[[Session], Any]) -> None:
        self.work = work
        self.done: Future[Any] = Future()


def _run_behind_savepoint(
    session: Session, work: Callable[[Session], T]
) -> tuple[T | None, Exception | None]:
    try:
        with session.begin_nested():
            value = work(session)
    except OperationalError:
        raise  # the whole transaction is in trouble: nobody in it may hear yes
    except Exception as exc:  # noqa: BLE001 - handed to the one who asked
        return None, exc
    return value, None


@contextmanager
def _translated(written: Path | None = None) -> Iterator[None]:
    """The one border where the driver's troubles become ours. `written` is the file of SQLite."""
    try:
        yield
    except MailgovError:
        raise
    except PoolTimeout as exc:
        raise Unavailable("database-unavailable", reason="every connection is busy") from exc
    except DBAPIError as exc:
        name = getattr(exc.orig, "sqlite_errorname", "")
        # SQLite knows a full disk by ENOSPC alone: a quota looks like any other trouble to it.
        is_full = name == "SQLITE_FULL" or (name == "SQLITE_IOERR_WRITE" and _is_full(written))
        if name in _NOT_WRITTEN and not is_full:
            durable.distrust(f"database: {name}")
        if is_full:
            raise Unavailable("disk-full") from exc
        if isinstance(exc, OperationalError) or exc.connection_invalidated:
            reason = str(exc.orig).partition("\n")[
                0
            ]  # the driver's words, without statement and values
            raise Unavailable("database-unavailable", reason=reason) from exc
        raise


def _opened(lock: Path) -> TextIO:
    """The lock file. Raises Unavailable; a disk that can't even open it is not written to again."""
    try:
        return lock.open("a")
    except OSError as exc:
        if exc.errno in (errno.EIO, errno.EROFS):
            durable.distrust(f"database: {exc.strerror}")
        if exc.errno in durable.FULL:
            raise Unavailable("disk-full") from exc
        raise Unavailable("database-unavailable", reason=exc.strerror) from exc


def _is_full(file: Path | None) -> bool:
    try:
        return file is not None and not durable.has_room(file.parent)
    except OSError:
        return False
