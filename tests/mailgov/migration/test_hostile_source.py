"""Servers that answer as no server should: what can be had is had, and the rest is said."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailgov.errors import InputError, Unavailable
from mailgov.migration import maildir
from mailgov.migration.folder_copy import Report
from mailgov.migration.source import MOST_ANSWER_BYTES, Server

from .moving import NOW, Move, hashes

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[bool]]
LITERAL = b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n"


class FakeServer:
    """An IMAP server by script: `messages` are its INBOX, `odd` may answer a command instead."""

    def __init__(self, messages: dict[int, bytes]) -> None:
        self.messages = messages
        self.dates: dict[int, str] = {}
        self.odd: Answer | None = None
        self.sessions = 0
        self.commands: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        writer.write(b"* OK hello\r\n")
        try:
            while line := await reader.readline():
                tag, _, command = line.decode().strip().partition(" ")
                self.commands.append(command)
                if self.odd is not None and await self.odd(command, writer):
                    if writer.is_closing():
                        break
                else:
                    self._answer(command, writer)
                writer.write(f"{tag} OK done\r\n".encode())
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, command: str, writer: asyncio.StreamWriter) -> None:
        if command.startswith("CAPABILITY"):
            writer.write(b"* CAPABILITY IMAP4rev1\r\n")
        elif command.startswith("LIST"):
            writer.write(b'* LIST () "/" INBOX\r\n')
        elif command.startswith("EXAMINE"):
            writer.write(b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n" % len(self.messages))
        elif command.startswith("UID SEARCH"):
            writer.write(b"* SEARCH " + b" ".join(b"%d" % uid for uid in self.messages) + b"\r\n")
        elif command.startswith("UID FETCH"):
            self._fetch(command, writer)

    def _fetch(self, command: str, writer: asyncio.StreamWriter) -> None:
        _, _, uids, items = command.split(" ", 3)
        for uid in _uids(uids):
            data = self.messages.get(uid)
            if data is None:
                continue
            if "FLAGS" in items:
                date = self.dates.get(uid, "03-Jul-2024 08:30:00 +0000")
                writer.write(
                    f'* {uid} FETCH (UID {uid} FLAGS () INTERNALDATE "{date}"'
                    f" RFC822.SIZE {len(data)})\r\n".encode()
                )
            elif piece := re.search(r"<(\d+)\.(\d+)>", items):
                first, count = int(piece[1]), int(piece[2])
                part = data[first : first + count]
                head = f"* {uid} FETCH (UID {uid} BODY[]<{first}> {{{len(part)}}}\r\n"
                writer.write(head.encode() + part + b")\r\n")
            else:
                writer.write(LITERAL % (uid, uid, len(data), data))


def _uids(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


@asynccontextmanager
async def listening(
    fake: FakeServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[asyncio.Server]:
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield server


async def copied(fake: FakeServer, folder: Path, **settings: Any) -> tuple[Move, Report]:
    async with listening(fake):
        server = Server("127.0.0.1", fake.port, "an", "x", tls=False, **settings)
        move = Move(server, folder, folder / "mail" / "a")
        [report] = await move.run()
    return move, report


GOOD = {1: b"Subject: 1\r\n\r\none\r\n", 2: b"Subject: 2\r\n\r\ntwo\r\n", 5: b"\r\nfive\r\n"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"Subject: nul\r\n\r\na\0b\0\0c\r\n", id="NUL bytes"),
        pytest.param(b"Subject: x\n\nbare\n", id="ends of lines without CR"),
        pytest.param(b"no end of line", id="no end of line"),
        pytest.param(b"A1 OK done\r\n* 1 FETCH (UID 9)\r\n)\r\n", id="what looks like IMAP"),
        pytest.param(b"Subject: \xff\xfe\r\n\r\n\x80\r\n", id="no charset at all"),
    ],
)
async def test_bytes_come_as_they_are(tmp_path: Path, data: bytes) -> None:
    move, report = await copied(FakeServer({1: data}), tmp_path)
    assert (report.copied, report.verified) == (1, 1)
    [file] = maildir.files(move.home / "Maildir")
    assert file.read_bytes() == data
    crlf = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert f",S={len(data)},W={len(crlf)}:2," in file.name


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("03-Jul-2024 08:30:00 +0000", 1719995400),
        ("00-xxx-0000 00:00:00 +0000", 1609459200),  # then the Date of the header counts
        ("01-Jan-1900 00:00:00 +0000", int(NOW.timestamp())),
        ("01-Jan-2099 00:00:00 +0000", int(NOW.timestamp())),
    ],
)
async def test_bad_dates(tmp_path: Path, date: str, expected: int) -> None:
    fake = FakeServer({1: b"Date: Fri, 01 Jan 2021 07:00:00 +0700\r\n\r\nx\r\n"})
    fake.dates[1] = date
    move, _ = await copied(fake, tmp_path)
    [file] = maildir.files(move.home / "Maildir")
    assert int(file.stat().st_mtime) == expected


async def test_a_huge_message_comes_in_pieces(tmp_path: Path) -> None:
    data = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 200_000
    fake = FakeServer({1: data})
    move, report = await copied(fake, tmp_path)
    assert move.hashes() == hashes([data])
    assert report.verified == 1
    assert sum("BODY.PEEK[]<" in command for command in fake.commands) == 4


async def test_one_message_that_the_server_refuses(tmp_path: Path) -> None:
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        if "BODY" not in command:
            return False
        uids = _uids(command.split(" ")[2])
        for uid in uids:
            if uid != 2:
                writer.write(LITERAL % (uid, uid, len(GOOD[uid]), GOOD[uid]))
        return len(uids) > 1 or uids == [2]  # alone, others are answered as usual

    fake.odd = odd
    move, report = await copied(fake, tmp_path)
    assert (report.copied, report.failed) == (2, 1)
    assert report.problem == "UID 2: no such part in the answer"
    fake.odd = None
    move, report = await copied(fake, tmp_path)
    assert (report.already, report.copied, report.failed) == (2, 1, 0)
    assert move.hashes() == hashes(list(GOOD.values()))


async def test_one_message_that_costs_the_connection_each_time(tmp_path: Path) -> None:
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        if "BODY" in command and 2 in _uids(command.split(" ")[2]):
            writer.write(b"* 1 FETCH (UID 2 BODY[] {500}\r\nhalf of i")
            await writer.drain()
            writer.close()
            return True
        return False

    fake.odd = odd
    _, report = await copied(fake, tmp_path)
    assert (report.copied, report.failed) == (2, 1)
    assert report.problem == "UID 2: connection-lost"


async def test_a_connection_lost_midway_is_made_anew(tmp_path: Path) -> None:
    messages = {uid: b"Subject: %d\r\n\r\n" % uid + b"x" * 50_000 for uid in range(1, 100)}
    fake = FakeServer(messages)
    lost = 0

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        nonlocal lost
        if "BODY" in command and fake.commands.count(command) == 1 and lost < 3:
            lost += 1
            writer.close()
            return True
        return False

    fake.odd = odd
    move, report = await copied(fake, tmp_path)
    assert (report.copied, report.verified, report.failed) == (99, 99, 0)
    assert move.hashes() == hashes(list(messages.values()))
    assert fake.sessions == 4


async def test_a_server_that_stays_away_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        if "BODY" in command:
            writer.close()
            return True
        return False

    fake.odd = odd
    fake.messages = dict.fromkeys(range(1, 100), b"x" * 10)
    with pytest.raises(Unavailable) as caught:
        await copied(fake, tmp_path)
    assert caught.value.code == "copy-source-unavailable"
    fake.odd = None
    _, report = await copied(fake, tmp_path)
    assert report.copied == 99


async def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        if command.startswith("LIST"):
            await asyncio.sleep(3600)
        return False

    fake.odd = odd
    async with listening(fake):
        server = Server("127.0.0.1", fake.port, "an", "x", tls=False, seconds=0.3)
        with pytest.raises(Unavailable):
            await Move(server, tmp_path, tmp_path / "a").run()


async def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgov.migration.source.MOST_ANSWER_BYTES", 200_000)
    assert MOST_ANSWER_BYTES > 200_000
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        if command.startswith("LIST"):
            for _ in range(1000):
                writer.write(b'* LIST () "/" ' + b"x" * 1000 + b"\r\n")
                await writer.drain()
        return False

    fake.odd = odd
    async with listening(fake):
        server = Server("127.0.0.1", fake.port, "an", "x", tls=False)
        with pytest.raises(Unavailable):
            await Move(server, tmp_path, tmp_path / "a").run()


async def test_a_message_vanished_meanwhile(tmp_path: Path) -> None:
    fake = FakeServer(dict(GOOD))

    async def odd(command: str, writer: asyncio.StreamWriter) -> bool:
        fake.messages.pop(2, None) if "BODY" in command else None
        return False

    fake.odd = odd
    _, report = await copied(fake, tmp_path)
    assert (report.copied, report.failed) == (2, 1)
    _, report = await copied(fake, tmp_path)
    assert (report.at_source, report.already, report.failed) == (2, 2, 0)


@pytest.mark.parametrize(
    ("trusted", "name", "good"),
    [(True, "127.0.0.1", True), (False, "127.0.0.1", False), (True, "zimbra.test", False)],
)
async def test_nobody_but_the_server_meant_is_told_the_password(
    tmp_path: Path, trusted: bool, name: str, good: bool
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    fake = FakeServer(dict(GOOD))
    async with listening(fake, context):
        file = tmp_path / "ca.pem" if trusted else None
        server = Server("127.0.0.1", fake.port, "an", "x", authority=file)
        move = Move(server, tmp_path, tmp_path / "a")
        if good:
            [report] = await move.run()
            assert report.copied == len(GOOD)
            return
        with pytest.raises(InputError) as caught:
            await move.run()
    assert caught.value.code == "copy-source-certificate"
    assert not fake.commands
