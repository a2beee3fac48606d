"""Bodies: hashed as they come, safe before anyone says so, never mistaken for another's."""

import errno
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from mailgov import durable, faults
from mailgov.db import Database
from mailgov.errors import Conflict, Unavailable
from mailgov.message import Body
from mailgov.queue import Spool
from mailgov.queue.spool import MEMORY_BYTES, is_intact

from .samples import accept, bench, message

ID = "01kd6zw7k0abcdefghxy"


@pytest.fixture
def spool(tmp_path: Path, database: Database) -> Spool:
    spool = Spool(tmp_path / "spool")
    spool.prepare(database)
    return spool


def written(spool: Spool, data: bytes, step: int = 64 << 10) -> Body:
    writer = spool.writer()
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
    return writer.finish()


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES])
def test_small_bodies_never_touch_the_disk(spool: Spool, size: int) -> None:
    data = os.urandom(size)
    body = written(spool, data)
    assert (body.data, body.path) == (data, None)
    assert (body.size_bytes, body.sha256) == (size, sha256(data).digest())
    assert spool.keep(body, ID) == ""
    assert list(spool.names()) == []


def test_large_bodies_are_kept_under_their_queue_id(spool: Spool) -> None:
    data = os.urandom(MEMORY_BYTES + 1)
    body = written(spool, data)
    assert body.path is not None
    assert body.path.parent == spool.folder / "tmp"
    assert spool.keep(body, ID) == f"xy/{ID}"
    assert (spool.folder / "xy" / ID).read_bytes() == data
    assert list(spool.names()) == [f"xy/{ID}"]


def test_a_body_is_synced_before_it_gets_its_name_and_the_folder_after(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        steps.append(f"sync {kind}")
        sync(handle)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    faults.set_handler(steps.append)
    try:
        spool.keep(written(spool, bytes(MEMORY_BYTES + 1)), ID)
    finally:
        faults.set_handler(None)
    assert steps == [
        "sync file",
        "A8",
        "sync folder",  # of the spool: the folder of two letters is new
        "rename",
        "A9",
        "sync folder",
        "A10",
    ]


@pytest.mark.parametrize("finished", [False, True])
def test_an_unwanted_body_leaves_nothing(spool: Spool, finished: bool) -> None:
    writer = spool.writer()
    writer.write(bytes(MEMORY_BYTES + 1))
    if finished:
        spool.discard(writer.finish())
    else:
        writer.abandon()
    assert list(spool.names()) == []


def test_discarding_spares_what_is_kept(spool: Spool) -> None:
    body = written(spool, bytes(MEMORY_BYTES + 1))
    name = spool.keep(body, ID)
    spool.discard(body)
    spool.discard(Body(body.size_bytes, body.sha256, path=spool.folder / name))
    assert list(spool.names()) == [name]


def test_after_a_failed_sync_nothing_is_taken_until_a_restart(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = written(spool, bytes(MEMORY_BYTES + 1))

    def fail(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="spool-unavailable"):
        spool.keep(body, ID)
    monkeypatch.undo()
    with pytest.raises(Unavailable, match="spool-unavailable"):
        spool.keep(body, ID)
    with pytest.raises(Unavailable, match="spool-unavailable"):
        spool.writer()


def test_a_full_disk_is_called_so(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _mode: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(Unavailable, match="disk-full"):
        spool.writer().write(bytes(MEMORY_BYTES + 1))


def test_a_changed_body_is_not_intact(spool: Spool) -> None:
    data = os.urandom(MEMORY_BYTES + 1)
    kept = spool.folder / spool.keep(written(spool, data), ID)
    body = Body(len(data), sha256(data).digest(), path=kept)
    assert is_intact(body)
    kept.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert not is_intact(body)
    kept.write_bytes(data[:-1])
    assert not is_intact(body)
    kept.unlink()
    assert not is_intact(body)


def test_the_spool_of_another_database_is_refused(
    spool: Spool, tmp_path: Path, database: Database
) -> None:
    spool.prepare(database)  # a restart
    other = Spool(tmp_path / "other")
    with pytest.raises(Conflict, match="spool-not-ours"):
        other.prepare(database)
    (tmp_path / "other").mkdir(exist_ok=True)
    (tmp_path / "other" / "identity").write_text("0123\n")
    with pytest.raises(Conflict, match="0123"):
        other.prepare(database)


def test_a_new_database_takes_an_empty_spool_but_not_a_full_one(
    spool: Spool, tmp_path: Path
) -> None:
    def new_database(name: str) -> Database:
        database = Database(f"sqlite:///{tmp_path / name}", readers=1)
        with database.write() as session:
            SQLModel.metadata.create_all(session.connection())
        return database

    first = new_database("first.db")
    spool.prepare(first)
    first.close()
    spool.keep(written(spool, bytes(MEMORY_BYTES + 1)), ID)
    second = new_database("second.db")
    with pytest.raises(Conflict, match="spool-not-ours"):
        spool.prepare(second)
    second.close()


async def test_the_sweep_takes_old_files_that_no_open_message_names(
    tmp_path: Path, database: Database
) -> None:
    made = bench(database, tmp_path)
    made.now = datetime.now(UTC)  # files bear the time of the machine
    spool = made.spool
    wanted = message(body=written(spool, bytes(MEMORY_BYTES + 1)))
    kept = spool.keep(wanted.body, wanted.queue_id)
    accept(database, replace(wanted, spool_name=kept))
    orphan = spool.keep(written(spool, bytes(MEMORY_BYTES + 1)), ID)
    unfinished = written(spool, bytes(MEMORY_BYTES + 1)).path
    assert unfinished is not None
    assert await made.queue.sweep_orphans() == 0
    made.later(hours=25)
    assert await made.queue.sweep_orphans() == 2
    assert list(spool.names()) == [kept]
    assert not (spool.folder / orphan).exists()


def test_a_start_that_died_while_it_named_the_volume_is_made_good(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "cut")

    def cut(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as during:
        during.setattr(os, "fsync", cut)
        with pytest.raises(Unavailable, match="spool-unavailable"):
            spool.prepare(database)
    assert not (spool.folder / "identity").exists()
    durable.trust_again()
    spool.prepare(database)
    assert len((spool.folder / "identity").read_text().strip()) == 32
