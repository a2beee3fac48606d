"""Transactions: durable together, rolled back alone, apart across processes."""

import asyncio
import errno
import sqlite3
from collections.abc import Coroutine
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from mailgov import durable
from mailgov.db import Database
from mailgov.db.migrate import migrate, require_current
from mailgov.db.models import Instance
from mailgov.errors import InputError, OutcomeUnknown, Unavailable

from ..support import postgres


async def test_writes_of_many_sessions_share_commits_and_each_gets_its_answer(
    database: Database,
) -> None:
    def put(name: str) -> "Coroutine[None, None, str]":
        def work(session: Session) -> str:
            session.add(Instance(key=name, value="x"))
            return name

        return database.submit(work)

    names = [f"n{i}" for i in range(200)]
    assert await asyncio.gather(*(put(name) for name in names)) == names
    found = await database.query(lambda session: set(session.exec(select(Instance.key))))
    assert found == set(names)


async def test_work_that_raises_is_rolled_back_alone(database: Database) -> None:
    def good(session: Session) -> None:
        session.add(Instance(key="good", value="1"))

    def bad(session: Session) -> None:
        session.add(Instance(key="bad", value="1"))
        session.flush()
        raise InputError("nothing")

    outcomes = await asyncio.gather(
        database.submit(good), database.submit(bad), return_exceptions=True
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], InputError)
    found = await database.query(lambda session: list(session.exec(select(Instance.key))))
    assert found == ["good"]


def test_what_was_committed_is_on_the_disk(any_database: Database) -> None:
    wanted = {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2, "PRAGMA mmap_size": 0}
    if not any_database.is_sqlite:
        wanted = {"SHOW synchronous_commit": "on"}
    for session_of in (any_database.read, any_database.write):
        with session_of() as session:
            said = {
                text: session.connection().exec_driver_sql(text).scalar_one() for text in wanted
            }
        assert said == wanted


def test_a_missing_schema_is_trouble_of_our_own_with_a_mend(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(Unavailable, match="schema-outdated"):
        require_current(database)
    migrate(database)
    require_current(database)
    database.close()


def test_nobody_else_reads_the_mail_in_a_database_whose_folder_is_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    migrate(database)
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("new.db*")}
    database.close()
    assert modes.keys() >= {"new.db", "new.db-wal"}
    assert set(modes.values()) == {0}


def test_a_folder_that_is_a_file_is_trouble_of_our_own(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/mailgov.db")
    with pytest.raises(Unavailable, match="database-unavailable"), database.read() as session:
        session.exec(select(Instance)).all()
    database.close()


def ended_with(name: str) -> OperationalError:
    """What the driver raises, wrapped as SQLAlchemy does."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return OperationalError("COMMIT", {}, error)


async def test_after_a_sync_that_failed_nothing_more_is_written(database: Database) -> None:
    def work(session: Session) -> None:
        session.add(Instance(key="n", value="x"))

    def fail(_session: Session) -> None:
        raise ended_with("SQLITE_IOERR_FSYNC")

    with pytest.raises(Unavailable, match="database-unavailable"):
        await database.submit(fail)
    assert durable.failure() == "database: SQLITE_IOERR_FSYNC"
    with pytest.raises(Unavailable, match="SQLITE_IOERR_FSYNC"):
        await database.submit(work)
    assert await database.query(lambda session: session.exec(select(Instance)).all()) == []
    durable.trust_again()
    await database.submit(work)


async def test_a_full_disk_is_called_so_and_passes(database: Database) -> None:
    def full(_session: Session) -> None:
        raise ended_with("SQLITE_FULL")

    with pytest.raises(Unavailable, match="disk-full"):
        await database.submit(full)
    assert durable.failure() == ""
    await database.submit(lambda session: session.add(Instance(key="n", value="x")))


@pytest.mark.parametrize(
    ("has_room", "code", "failure"),
    [
        (False, "disk-full", ""),  # SQLite tells a quota from no other trouble
        (True, "database-unavailable", "database: SQLITE_IOERR_WRITE"),
    ],
)
async def test_a_quota_is_a_full_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch, has_room: bool, code: str, failure: str
) -> None:
    def fail(_session: Session) -> None:
        raise ended_with("SQLITE_IOERR_WRITE")

    monkeypatch.setattr(durable, "has_room", lambda _folder: has_room)
    with pytest.raises(Unavailable, match=code):
        await database.submit(fail)
    assert durable.failure() == failure


@pytest.mark.parametrize(
    ("number", "code", "is_trusted"),
    [
        (errno.EIO, "database-unavailable", False),
        (errno.EROFS, "database-unavailable", False),
        (errno.EMFILE, "database-unavailable", True),
        (errno.EDQUOT, "disk-full", True),
    ],
)
async def test_a_lock_file_that_can_not_be_opened_is_trouble_of_the_disk(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
    is_trusted: bool,
) -> None:
    def opened(_path: Path, _mode: str) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(Unavailable, match=code):
        await database.submit(lambda _session: None)
    assert (durable.failure() == "") is is_trusted


@pytest.mark.postgres
@pytest.mark.parametrize("at_commit", [True, False])
async def test_only_a_connection_that_breaks_at_the_commit_leaves_the_outcome_open(
    postgres_database: Database, postgres_cluster: postgres.Cluster, at_commit: bool
) -> None:
    def cut(session: Session) -> None:
        session.add(Instance(key="n", value="x"))
        session.flush()
        pid = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar()
        sql = f"SELECT pg_terminate_backend({pid})"
        if at_commit:
            event.listen(
                session.connection().engine,
                "commit",
                lambda _: postgres_cluster.run(sql),
                once=True,
            )
        else:
            postgres_cluster.run(sql)
            session.exec(select(Instance)).all()

    with pytest.raises(Unavailable, match="database-unavailable") as caught:
        await postgres_database.submit(cut)
    assert isinstance(caught.value, OutcomeUnknown) is at_commit
    await postgres_database.submit(lambda session: session.add(Instance(key="m", value="x")))
