"""What a mail server hears of its messages, and what a bad one can't do."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailgov.addresses import Address
from mailgov.clock import utc_now
from mailgov.config import Config
from mailgov.errors import Unavailable
from mailgov.gate.outcome import Outcome
from mailgov.message import Body, Envelope
from mailgov.milter import MilterServer, session
from mailgov.queue import Spool
from mailgov_policies import Action, Finding, Verdict

from ...support.milter import Mta, asking

LETTER = (
    b"Received: from x\r\n by y\r\nFrom: An <an@tinhmau.test>\r\nSubject:  hai dau cach\r\n\r\n"
    b"Kinh gui.\r\n"
)
AN, BINH = "an@tinhmau.test", "binh@example.vn"
HELP = Config().help_base


@dataclass
class Gate:
    """Says what a test wants, and remembers what it was asked."""

    action: Action = Action.PASS
    code: str = ""
    trouble: Exception | None = None
    wait: asyncio.Event | None = None
    asked: list[tuple[Envelope, bytes, str]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def advise(self, envelope: Envelope, body: Body, *, elsewhere: str = "") -> Outcome:
        self.asked.append((envelope, body.read(), elsewhere))
        self.paths += [body.path] if body.path else []
        self.was_asked.set()
        if self.wait:
            await self.wait.wait()
        if self.trouble:
            raise self.trouble
        found = (
            (Finding(self.code, self.action, "part 2", {"address": AN}, 1),) if self.code else ()
        )
        verdict = Verdict(self.action, self.code, found, (), "test")
        return Outcome(None, verdict, "0kq3zv7m8hd2v5s1x9ya")  # type: ignore[arg-type]  # nobody looks at the facts


class People:
    """tinhmau.test is ours."""

    async def is_local_domain(self, domain: str) -> bool:
        return domain == "tinhmau.test"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@asynccontextmanager
async def milter(gate: Gate, folder: Path, **sections: Any) -> AsyncIterator[str]:
    """A running one."""
    settings = {"listen": "127.0.0.1:0", **sections.pop("milter", {})}
    config = Config.model_validate(
        {"milter": settings, "site": {"hostname": "mail.tinhmau.test"}, **sections}
    )
    spool = Spool(folder)
    (folder / "tmp").mkdir(parents=True)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    server = MilterServer(config, lambda: now, gate, People(), spool)  # type: ignore[arg-type]  # as far as it is asked
    address = await server.start()
    try:
        yield address
    finally:
        await server.stop(5)


@asynccontextmanager
async def connected(gate: Gate, folder: Path, **sections: Any) -> AsyncIterator[Mta]:
    async with milter(gate, folder, **sections) as address, asking(address) as mta:
        yield mta


async def judged(mta: Mta, **how: Any) -> list[tuple[bytes, bytes]]:
    await mta.negotiate()
    await mta.connect()
    return await mta.message(LETTER, AN, [BINH], **how)


def header(packet: tuple[bytes, bytes]) -> str:
    command, data = packet
    assert (command, data[:4]) == (b"i", b"\0\0\0\0")
    return data[4:].replace(b"\0", b"|").decode()


async def test_a_message_is_read_byte_by_byte_and_marked(gate: Gate, tmp_path: Path) -> None:
    gate.action, gate.code = Action.TAG, "subject-line"
    async with connected(gate, tmp_path) as mta:
        marked, last = await judged(mta)
    assert header(marked) == (
        "X-Mailgov-Policy| action=tag; reason=subject-line; reference=0kq3zv7m8hd2v5s1x9ya|"
    )
    assert last == (b"a", b"")
    ((envelope, message, elsewhere),) = gate.asked
    assert message == LETTER
    assert elsewhere == "4XyZ1"
    assert envelope.mail_from == Address.parse(AN)
    assert [str(one.address) for one in envelope.recipients] == [BINH]
    assert (envelope.client.ip, envelope.client.helo) == ("203.0.113.5", "c.example")
    assert (envelope.direction, envelope.login) == ("inbound", None)


@pytest.mark.parametrize(
    ("action", "code", "start"),
    [
        (Action.REJECT, "secret-mark", "550 5.7.1 [secret-mark] "),
        (Action.REJECT, "legacy-encoding", "550-5.6.3 [legacy-encoding] "),
        (Action.REJECT, "message-size", "552 5.3.4 [message-size] "),
        (Action.DEFER, "rule-failed", "451 4.7.1 [not-judged] "),
    ],
)
async def test_refusals_speak_our_words(
    gate: Gate, tmp_path: Path, action: Action, code: str, start: str
) -> None:
    gate.action, gate.code = action, code
    async with connected(gate, tmp_path) as mta:
        ((command, data),) = await judged(mta)
    assert command == b"y"
    lines = data.decode("ascii").removesuffix("\0").split("\r\n")
    assert lines[0].replace("-", " ", 1).startswith(start.replace("-", " ", 1))
    assert all(line[:3] == lines[0][:3] for line in lines)
    if action is Action.REJECT:
        assert lines[-1].endswith(f"{HELP}/help/rules/{code}")


@pytest.mark.parametrize(
    ("held", "offered", "last"),
    [
        ("quarantine", 0x1FF, b"qa"),
        ("quarantine", 0x01, b"y451"),  # a server that can't hold
        ("defer", 0x1FF, b"y451"),
        ("reject", 0x1FF, b"y550"),
    ],
)
async def test_what_is_held(
    gate: Gate, tmp_path: Path, held: str, offered: int, last: bytes
) -> None:
    gate.action, gate.code = Action.HOLD, "encrypted-archive"
    async with connected(gate, tmp_path, milter={"held": held}) as mta:
        await mta.negotiate(actions=offered)
        await mta.connect()
        answer = await mta.message(LETTER, AN, [BINH])
    if last == b"qa":
        marked, kept, taken = answer
        assert "action=hold" in header(marked)
        assert kept == (b"q", b"mailgov 0kq3zv7m8hd2v5s1x9ya encrypted-archive\0")
        assert taken == (b"a", b"")
    else:
        ((command, data),) = answer
        assert command + data[:3] == last


@pytest.mark.parametrize(
    "trouble",
    [Unavailable("database-unavailable", reason="x"), RuntimeError("a bug"), TimeoutError()],
)
async def test_trouble_of_ours_is_temporary(gate: Gate, tmp_path: Path, trouble: Exception) -> None:
    gate.trouble = trouble
    async with connected(gate, tmp_path) as mta:
        ((command, data),) = await judged(mta)
        assert command == b"y"
        assert data.startswith(b"451 4.3.0 [trouble]")
        assert b"a bug" not in data
        gate.trouble = None
        assert (await mta.message(LETTER, AN, [BINH]))[-1] == (b"a", b"")


async def test_who_signed_in_is_told(gate: Gate, tmp_path: Path) -> None:
    async with connected(gate, tmp_path, milter={"login_domain": "tinhmau.test"}) as mta:
        await judged(mta, login="an")
        await mta.message(LETTER, AN, [BINH], login="van.thu@sonoivu.tinhmau.test")
    first, second = (envelope for envelope, _, _ in gate.asked)
    assert (first.direction, str(first.login)) == ("submission", AN)
    assert str(second.login) == "van.thu@sonoivu.tinhmau.test"


@pytest.mark.parametrize(
    ("ip", "sender", "direction"),
    [
        ("192.0.2.7", AN, "internal"),
        ("192.0.2.7", BINH, "inbound"),
        ("203.0.113.5", AN, "inbound"),
    ],
)
async def test_hosts_of_our_own_speak_for_us_in_our_name(
    gate: Gate, tmp_path: Path, ip: str, sender: str, direction: str
) -> None:
    async with connected(gate, tmp_path, relay={"trusted_networks": ["192.0.2.0/24"]}) as mta:
        await mta.negotiate()
        await mta.connect(ip)
        await mta.message(LETTER, sender, [BINH])
    assert gate.asked[0][0].direction == direction


async def test_the_null_sender_and_many_recipients(gate: Gate, tmp_path: Path) -> None:
    many = [f"u{n}@example.vn" for n in range(100)]
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect("2001:db8::1")
        await mta.message(LETTER, "", many)
    envelope = gate.asked[0][0]
    assert envelope.mail_from is None
    assert len(envelope.recipients) == 100
    assert envelope.client.ip == "2001:db8::1"


async def test_marks_of_ours_that_came_with_it_are_taken_out(gate: Gate, tmp_path: Path) -> None:
    forged = b"X-Mailgov-Policy: action=pass\r\nx-mailgov-policy: again\r\n" + LETTER
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect()
        answer = await mta.message(forged, AN, [BINH])
    removed = [data for command, data in answer if command == b"m"]
    assert [struct.unpack_from("!I", data)[0] for data in removed] == [2, 1]
    assert {data[4:] for data in removed} == {b"X-Mailgov-Policy\0\0"}


async def test_a_large_message_goes_through_a_file_and_leaves_none(
    gate: Gate, tmp_path: Path
) -> None:
    large = LETTER + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 20_000
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect()
        await mta.message(large, AN, [BINH])
    assert gate.asked[0][1] == large
    assert gate.paths
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(("over", "code"), [(-1, b"a"), (0, b"a"), (1, b"y")])
async def test_the_size_of_a_message_at_the_limit(
    gate: Gate, tmp_path: Path, over: int, code: bytes
) -> None:
    most = 64 << 10
    body = b"x" * (most + over - len(LETTER))
    async with connected(gate, tmp_path, limits={"message_bytes": most}) as mta:
        await mta.negotiate()
        await mta.connect()
        answer = await mta.message(LETTER + body, AN, [BINH])
    assert answer[-1][0] == code
    if code == b"y":
        assert answer[0][1].startswith(b"552 5.3.4 [message-too-big]")
        assert gate.asked == []


@pytest.mark.parametrize(
    ("limits", "start"),
    [
        ({"header_fields": 10}, b"552 5.3.4 [header-too-big]"),
        ({"recipients_inbound": 100}, b"452 4.5.3 [too-many-recipients]"),
    ],
)
async def test_limits_of_header_and_envelope(
    gate: Gate, tmp_path: Path, limits: dict[str, int], start: bytes
) -> None:
    letter = b"X: y\r\n" * 12 + LETTER
    async with connected(gate, tmp_path, limits=limits) as mta:
        await mta.negotiate()
        await mta.connect()
        ((_, data),) = await mta.message(letter, AN, [f"u{n}@example.vn" for n in range(101)])
        assert data.startswith(start)
    assert gate.asked == []


@pytest.mark.parametrize(
    ("sender", "recipient", "start"),
    [
        ("a b@tinhmau.test", BINH, b"501 5.1.7"),
        (AN, "x@[203.0.113.1]", b"501 5.1.3"),
    ],
)
async def test_addresses_that_are_none(
    gate: Gate, tmp_path: Path, sender: str, recipient: str, start: bytes
) -> None:
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect()
        ((_, data),) = await mta.message(LETTER, sender, [recipient])
    assert data.startswith(start)


async def test_an_aborted_message_is_forgotten(gate: Gate, tmp_path: Path) -> None:
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect()
        await mta.envelope(BINH, "mat@example.vn")
        await mta.content(LETTER + b"y" * 400_000)
        await mta.send(b"A")
        await mta.message(LETTER, AN, [BINH])
    ((envelope, message, _),) = gate.asked
    assert [str(one.address) for one in envelope.recipients] == [BINH]
    assert message == LETTER
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_connection_is_used_again(gate: Gate, tmp_path: Path) -> None:
    async with connected(gate, tmp_path) as mta:
        await judged(mta, login=AN)
        await mta.send(b"K")
        await mta.connect("198.51.100.9", "d.example")
        await mta.message(LETTER, BINH, [AN])
    first, second = (envelope for envelope, _, _ in gate.asked)
    assert (first.direction, second.direction) == ("submission", "inbound")
    assert (second.client.ip, second.login) == ("198.51.100.9", None)


@pytest.mark.parametrize(("version", "steps"), [(2, 0x7F), (6, 0), (6, 0x1FFFFF), (99, 0xFFFFFFFF)])
async def test_servers_of_every_age(gate: Gate, tmp_path: Path, version: int, steps: int) -> None:
    async with connected(gate, tmp_path) as mta:
        agreed = await mta.negotiate(steps=steps, version=version)
        assert agreed[0] == min(version, 6)
        assert agreed[2] & ~steps == 0
        await mta.connect()
        marked, last = await mta.message(LETTER, AN, [BINH])
        assert last == (b"a", b"")
        assert header(marked).startswith(
            "X-Mailgov-Policy| " if agreed[2] & 0x100000 else "X-Mailgov-Policy|a"
        )
        assert gate.asked[0][1] == LETTER


async def test_while_we_judge_the_server_hears_that_we_are_at_it(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PROGRESS_SECONDS", 0.05)
    gate.wait = asyncio.Event()
    async with connected(gate, tmp_path) as mta:
        await mta.negotiate()
        await mta.connect()
        await mta.envelope(AN, BINH)
        await mta.content(LETTER)
        ending = asyncio.create_task(mta.end())
        await mta.told_of_progress.wait()
        gate.wait.set()
        assert (await ending)[-1] == (b"a", b"")


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack("!I", 0),
        struct.pack("!I", 1 << 30) + b"B",
        struct.pack("!I", 5) + b"O" + b"\0\0\0\6",
        struct.pack("!I", 13) + b"O" + struct.pack("!III", 1, 0, 0),
        struct.pack("!I", 6) + b"Dxa\0b\0",
        struct.pack("!I", 3) + b"L" + b"ab",
        struct.pack("!I", 4) + b"C" + b"a\x00x",
        struct.pack("!I", 1) + b"?",
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
)
async def test_what_is_not_the_protocol_ends_the_connection(
    gate: Gate, tmp_path: Path, sent: bytes
) -> None:
    async with milter(gate, tmp_path) as address:
        async with asking(address) as mta:
            mta.writer.write(sent)
            mta.writer.write_eof()
            assert await mta.reader.read() in (b"", b"\0\0\0\1c")
        async with asking(address) as mta:
            assert (await judged(mta))[-1] == (b"a", b"")


async def test_idle_servers_are_let_go(gate: Gate, tmp_path: Path) -> None:
    hasty = Config().milter.model_copy(update={"idle_seconds": 0.05})  # less than anyone may set
    config = Config().model_copy(update={"milter": hasty})
    reader = asyncio.StreamReader()
    served = session.Session(config, utc_now, gate, People(), Spool(tmp_path))  # type: ignore[arg-type]  # as far as it is asked
    with pytest.raises(TimeoutError):
        await served.run(reader, None)  # type: ignore[arg-type]  # nothing is written


async def test_strangers_are_turned_away(gate: Gate, tmp_path: Path) -> None:
    nobody = {"servers": ["192.0.2.0/24"]}
    async with milter(gate, tmp_path, milter=nobody) as address, asking(address) as mta:
        assert await mta.reader.read() == b""


async def test_too_many_connections_are_turned_away(gate: Gate, tmp_path: Path) -> None:
    async with milter(gate, tmp_path, milter={"connections": 1}) as address, asking(address) as one:
        await one.negotiate()
        async with asking(address) as other:
            assert await other.reader.read() == b""
        assert (await first_message(one))[-1] == (b"a", b"")


async def first_message(mta: Mta) -> list[tuple[bytes, bytes]]:
    await mta.connect()
    return await mta.message(LETTER, AN, [BINH])


async def test_a_socket_file(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    path.write_text("of a run that was killed")
    async with milter(gate, tmp_path / "s", milter={"listen": str(path)}) as address:
        assert address == str(path)
        assert path.stat().st_mode & 0o777 == 0o660
        async with asking(address) as mta:
            assert (await judged(mta))[-1] == (b"a", b"")


async def test_messages_under_way_are_answered_before_the_end(gate: Gate, tmp_path: Path) -> None:
    gate.wait = asyncio.Event()
    async with milter(gate, tmp_path) as address:
        server = asyncio.create_task(_one(address))
        await gate.was_asked.wait()
        asyncio.get_running_loop().call_later(0.05, gate.wait.set)
    assert (await server)[-1] == (b"a", b"")


async def _one(address: str) -> list[tuple[bytes, bytes]]:
    async with asking(address) as mta:
        return await judged(mta)
