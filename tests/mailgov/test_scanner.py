"""Asking clamd: a real one about real bytes, and peers that misbehave."""

import asyncio
import hashlib
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailgov.config import Scanner
from mailgov.errors import Unavailable
from mailgov.message import Body
from mailgov.scanner import NOT_SCANNED, ClamdScanner, Scan

from ..support import clamd

LETTER = b"From: an@tinhmau.test\r\nSubject: Bao cao\r\n\r\nKinh gui.\r\n%s\r\n"
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def body(data: bytes) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


def scanner(address: str, **settings: float | str) -> ClamdScanner:
    return ClamdScanner(Scanner.model_validate({"clamd": address, **settings}))


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    """A clamd with one signature; paths of sockets must be short, so not pytest's folder."""
    program = clamd.need_clamd()
    with (
        tempfile.TemporaryDirectory(prefix="clamd") as folder,
        clamd.running(program, Path(folder)) as where,
    ):
        yield where


async def test_clean_mail_is_clean(daemon: str) -> None:
    assert await scanner(daemon).scan(body(LETTER % b"Tran trong")) == Scan("clean")


async def test_what_it_finds_is_named(daemon: str) -> None:
    found = await scanner(daemon).scan(body(LETTER % clamd.MALWARE))
    assert found.result == "infected"
    assert found.names[0].startswith(clamd.NAME)


async def test_a_large_message_from_a_file_in_many_chunks(daemon: str, tmp_path: Path) -> None:
    data = LETTER % (b"x" * 76 + b"\r\n") + b"y" * 1_300_000 + clamd.MALWARE + b"z" * 70_001
    path = tmp_path / "body"
    path.write_bytes(data)
    large = Body(len(data), hashlib.sha256(data).digest(), path=path)
    assert (await scanner(daemon).scan(large)).result == "infected"


async def test_over_the_limit_of_clamd_is_not_scanned(daemon: str) -> None:
    data = LETTER % (b"x" * (clamd.STREAM_MAX * 3))
    assert await scanner(daemon).scan(body(data)) == NOT_SCANNED


async def test_many_at_once(daemon: str) -> None:
    asked = scanner(daemon, concurrency=4)
    texts = [clamd.MALWARE if n % 2 else str(n).encode() for n in range(12)]
    found = await asyncio.gather(*(asked.scan(body(LETTER % text)) for text in texts))
    assert [one.result for one in found] == ["clean", "infected"] * 6


async def test_over_our_own_limit_nobody_is_asked() -> None:
    asked = scanner("/nowhere/clamd.ctl", max_bytes=64 << 10)
    assert await asked.scan(body(b"x" * (65 << 10))) == NOT_SCANNED


@asynccontextmanager
async def peer(talk: Peer) -> AsyncIterator[str]:
    """Something that listens where clamd should."""
    talks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(
        lambda r, w: talks.append(asyncio.create_task(serve(r, w))), "127.0.0.1", 0
    )
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*talks)


async def _swallow(reader: asyncio.StreamReader) -> bytes:
    """Read one INSTREAM whole; the bytes of the stream."""
    assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
    data = b""
    while size := struct.unpack("!I", await reader.readexactly(4))[0]:
        assert size <= 64 << 10
        data += await reader.readexactly(size)
    return data


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (b"stream: OK\0", Scan("clean")),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", Scan("infected", ("Win.Test.EICAR_HDB-1",))),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", NOT_SCANNED),
        (b"INSTREAM size limit exceeded. ERROR\0", NOT_SCANNED),
        (b"stream: OK", Scan("clean")),
    ],
)
async def test_what_replies_mean(reply: bytes, wanted: Scan) -> None:
    sent = LETTER % (b"x" * 200_000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await _swallow(reader) == sent
        writer.write(reply)

    async with peer(talk) as address:
        assert await scanner(address).scan(body(sent)) == wanted


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _says_nothing_known(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _swallow(reader)
    writer.write(b"COMMAND READ TIMED OUT\0")


async def _says_ok_of_something_else(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _swallow(reader)
    writer.write(b"stream: OK or not\0")


@pytest.mark.parametrize(
    "talk", [_silent, _hangs_up, _says_nothing_known, _says_ok_of_something_else]
)
async def test_in_doubt_the_message_waits(talk: Peer) -> None:
    async with peer(talk) as address:
        with pytest.raises(Unavailable, match="scanner-unavailable"):
            await scanner(address, seconds=0.5).scan(body(LETTER % b"x"))


async def test_signatures_of_ones_own_have_no_date(daemon: str) -> None:
    assert await scanner(daemon).signatures_of() is None


@pytest.mark.parametrize(
    ("reply", "made"),
    [
        (
            b"ClamAV 1.4.6/27834/Sat Nov 21 08:23:10 2026\0",
            datetime(2026, 11, 21, 8, 23, 10, tzinfo=UTC),
        ),
        (b"ClamAV 1.4.6\0", None),
    ],
)
async def test_the_age_of_signatures(reply: bytes, made: datetime | None) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\0") == b"zVERSION\0"
        writer.write(reply)

    async with peer(talk) as address:
        assert await scanner(address).signatures_of() == made


async def test_a_scanner_that_is_down_defers(tmp_path: Path) -> None:
    for address in (str(tmp_path / "no.ctl"), "127.0.0.1:9"):
        with pytest.raises(Unavailable, match="scanner-unavailable"):
            await scanner(address).scan(body(LETTER % b"x"))
        with pytest.raises(Unavailable, match="scanner-unavailable"):
            await scanner(address).signatures_of()


async def test_a_scanner_that_is_down_holds_where_the_operator_says_so(tmp_path: Path) -> None:
    asked = scanner(str(tmp_path / "no.ctl"), when_down="hold")
    assert await asked.scan(body(LETTER % b"x")) == NOT_SCANNED
