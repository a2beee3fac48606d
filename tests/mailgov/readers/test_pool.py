"""A hostile message costs its reader and nothing else."""

import asyncio
import ctypes
import hashlib
import sys
from base64 import encodebytes
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mailgov.config import Limits, Readers
from mailgov.content import READER_VERSION, read_message
from mailgov.errors import Unavailable
from mailgov.message import Body
from mailgov.readers import ReaderPool, wire
from mailgov.readers import pool as pools
from mailgov_policies.facts import Content

UNRULY = (sys.executable, "-I", str(Path(__file__).parents[2] / "support" / "unruly_reader.py"))
SETTINGS = Readers(processes=1, cpu_seconds=0.3, wall_seconds=1)

shares_readers = pytest.mark.asyncio(loop_scope="module")


def _body(data: bytes) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers() -> AsyncIterator[ReaderPool]:
    """Readers for messages that do no harm."""
    settings = Readers(processes=1, cache_messages=3)
    async with ReaderPool(settings, Limits(mime_parts=7), command=UNRULY) as pool:
        yield pool


# Messages that do harm

BREACHES = {
    b"hang": "time limit",
    b"crash": "reader crashed",
    b"raise": "reader crashed",
    b"memory 1000000000": "memory limit",
    b"large 70000000": "result too large",
    b"lie": "reader gave no facts",
}


async def test_a_breach_is_unscannable_and_the_next_message_is_read() -> None:
    patient = SETTINGS.model_copy(update={"wall_seconds": 20})  # also where a start takes long
    async with ReaderPool(patient, command=UNRULY) as pool:
        for message, why in BREACHES.items():
            found = await pool.read(_body(message))
            assert found == Content(len(message), unscannable=why, reader=READER_VERSION)
            assert (await pool.read(_body(b"good behind " + message))).unscannable == ""
        assert (await pool.read(_body(b"process"))).unscannable  # and nothing is remembered of them


async def test_a_reader_that_does_nothing_is_not_waited_for() -> None:
    async with ReaderPool(SETTINGS, command=UNRULY) as pool:
        assert (await pool.read(_body(b"sleep"))).unscannable == "time limit"


async def test_other_messages_are_unharmed() -> None:
    settings = Readers(processes=2, cpu_seconds=0.3, wall_seconds=20, cache_messages=0)
    hostile = [b"hang 1", b"crash 1", b"raise 1"]
    good = [b"good %d" % number for number in range(40)]
    async with ReaderPool(settings, command=UNRULY) as pool:
        bodies = [_body(data) for data in (*good[:20], *hostile, *good[20:])]
        found = await asyncio.gather(*map(pool.read, bodies))
    assert [content.unscannable for content in found[:20]] == [""] * 20
    assert [content.unscannable for content in found[23:]] == [""] * 20
    assert all(content.unscannable for content in found[20:23])


@shares_readers
async def test_a_reader_can_not_get_out(readers: ReaderPool) -> None:
    found = (await readers.read(_body(b"escape"))).unscannable.split()
    landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
    assert "network" not in found
    if landlock >= 1:
        assert "files" not in found


# Messages that do none


@shares_readers
async def test_a_message_is_read_once(readers: ReaderPool) -> None:
    both = await asyncio.gather(*(readers.read(_body(b"process once")) for _ in range(2)))
    again = await readers.read(_body(b"process once"))
    assert both[0] is both[1] is again


@shares_readers
async def test_the_cache_forgets_the_oldest(readers: ReaderPool) -> None:
    first = await readers.read(_body(b"process first"))
    for number in range(3):
        await readers.read(_body(b"process %d" % number))
    assert await readers.read(_body(b"process first")) != first


@shares_readers
async def test_a_caller_that_goes_away_does_not_stop_the_reading(readers: ReaderPool) -> None:
    before = int((await readers.read(_body(b"process before"))).unscannable.split()[1])
    gone = asyncio.create_task(readers.read(_body(b"process gone")))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    found = await readers.read(_body(b"process gone"))
    assert int(found.unscannable.split()[1]) == before + 1


@shares_readers
async def test_limits_reach_the_reader(readers: ReaderPool) -> None:
    assert (await readers.read(_body(b"limits"))).unscannable == "7"


@shares_readers
async def test_a_large_body_comes_from_its_file(readers: ReaderPool, tmp_path: Path) -> None:
    data = b"good " + bytes(1 << 20)
    path = tmp_path / "body"
    path.write_bytes(data)
    body = Body(len(data), hashlib.sha256(data).digest(), path=path)
    assert (await readers.read(body)).size_bytes == len(data)
    with pytest.raises(Unavailable):
        await readers.read(Body(3, b"lost", path=tmp_path / "lost"))


async def test_readers_are_replaced_after_many_messages() -> None:
    settings = Readers(processes=1, cache_messages=0)
    async with ReaderPool(settings, command=UNRULY, recycle_after=2) as pool:
        found = [await pool.read(_body(b"process %d" % number)) for number in range(3)]
    processes = [content.unscannable.split()[0] for content in found]
    assert processes[0] == processes[1] != processes[2]


# Trouble of the pool itself


async def test_a_closed_pool_is_unavailable() -> None:
    pool = ReaderPool(SETTINGS, command=UNRULY)
    with pytest.raises(Unavailable):
        await pool.read(_body(b"good"))
    await pool.start()
    waiting = asyncio.create_task(pool.read(_body(b"sleep")))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await pool.read(_body(b"good"))


async def test_no_free_reader_in_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ReaderPool(SETTINGS, command=UNRULY) as pool:
        monkeypatch.setattr(pools, "WAITING", 1)
        first = asyncio.create_task(pool.read(_body(b"sleep 1")))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await pool.read(_body(b"good"))
        assert (await first).unscannable == "time limit"


async def test_processes_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_RETRY_SECONDS", (0.01, 0.01, 0.01))
    pool = ReaderPool(SETTINGS, command=(sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(Unavailable):
        await pool.start()


@pytest.mark.corpus
async def test_behind_the_sandbox_the_facts_are_the_same(corpus: Path) -> None:
    """Nothing is loaded late: every table, codec and parser is there before the doors close."""
    files = sorted((corpus / "policy-samples").glob("*.eml"))
    files += sorted((corpus / "third-party/mime/mail-parser").rglob("*.eml"))
    files += sorted((corpus / "third-party/mime/mail-gem").rglob("utf8*.eml"))
    documents = [*(corpus / "documents/decree-30-2020").glob("Phuluc2.*")]
    documents += [*(corpus / "documents/legacy-vni").iterdir()]
    documents += [*(corpus / "third-party/attachments/oletools/oleobj").rglob("*2007.*")]
    documents += [*(corpus / "third-party/attachments/pyhanko-pdf").glob("*aes*.pdf")]
    bodies = [_body(file.read_bytes()) for file in files]
    bodies += [_body(_carrying(file)) for file in documents]
    async with ReaderPool(Readers(processes=1)) as pool:
        for body in bodies:
            assert await pool.read(body) == read_message(body.read())


def _carrying(file: Path) -> bytes:
    return (
        f"From: a@b.vn\r\nContent-Type: application/octet-stream; name={file.name}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + encodebytes(file.read_bytes())


def test_facts_survive_the_wire() -> None:
    content = read_message("From: Nguyễn <a@b.vn>\r\nSubject: [MẬT]\r\n\r\nx".encode())
    assert wire.CONTENT.validate_json(wire.CONTENT.dump_json(content)) == content
