"""Before a session: who is counted when, what load balancers say, what happens under stress."""

import asyncio
import errno
import socket
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailgov.relay import entrance
from mailgov.relay.proxy_protocol import (
    SIGNATURE,
    START_OCTETS,
    ProxyError,
    read_source,
    read_start,
)

from ...support.relay import OFFICIAL, Authority, Client, Relay, plain, running_relay
from .test_session import SMALL, ended

BALANCERS = {"load_balancers": ["127.0.0.0/8"]}


def header(
    ip: str = "192.0.2.7", port: int = 4711, *, command: int = 0x21, extra: bytes = b""
) -> bytes:
    """A PROXY header of version 2."""
    source = ip_address(ip)
    family = 0x11 if source.version == 4 else 0x21
    addresses = source.packed * 2 + struct.pack("!HH", port, 25)
    rest = addresses + extra
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


async def raw(relay: Relay, listener: str = "mx") -> Client:
    host, _, port = relay.listeners[listener].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    return Client(reader, writer, relay.authority)


class TestWhatABalancerSays:
    @pytest.mark.parametrize(
        ("ip", "wanted"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ],
    )
    def test_is_read(self, ip: str, wanted: str) -> None:
        octets = header(ip, extra=b"\x04\x00\x01x")
        start = read_start(octets[:START_OCTETS])
        assert not start.is_local
        assert start.rest_octets == len(octets) - START_OCTETS
        assert read_source(start, octets[START_OCTETS:]) == (ip_address(wanted), 4711)

    @pytest.mark.parametrize(
        "octets",
        [
            b"PROXY TCP4 192.0",
            b"EHLO client.exam",
            SIGNATURE + b"\x11\x11\x00\x0c",  # version 1
            SIGNATURE + b"\x22\x11\x00\x0c",  # unknown command
            SIGNATURE + b"\x21\x11\xff\xff",  # far too long
        ],
    )
    def test_is_refused_at_its_start(self, octets: bytes) -> None:
        with pytest.raises(ProxyError):
            read_start(octets)

    @pytest.mark.parametrize(
        ("family", "rest"),
        [
            (0x11, b"\0" * 11),
            (0x21, b"\0" * 35),
            (0x00, b""),
            (0x31, b"\0" * 216),
            (0x12, b"\0" * 12),
        ],
    )
    def test_is_refused_for_its_addresses(self, family: int, rest: bytes) -> None:
        start = read_start(SIGNATURE + struct.pack("!BBH", 0x21, family, len(rest)))
        with pytest.raises(ProxyError):
            read_source(start, rest)

    @given(st.binary(min_size=START_OCTETS, max_size=START_OCTETS), st.binary(max_size=300))
    @settings(max_examples=200, deadline=None)
    def test_never_surprises(self, octets: bytes, rest: bytes) -> None:
        for text in (octets, SIGNATURE + octets[12:]):
            try:
                read_source(read_start(text), rest)
            except ProxyError:
                pass


class TestBehindABalancer:
    async def test_the_client_is_the_one_it_names(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings=BALANCERS) as relay:
            client = await raw(relay)
            client.send(header("2001:db8::7", extra=b"\x03\x00\x04crc!") + b"EHLO c.example\r\n")
            assert (await client.reply()).startswith("220 ")
            assert (await client.reply()).startswith("250-")
            await client.envelope()
            assert (await client.data(SMALL)).startswith("250 ")
            seen = relay.intake.received[0][0].client
            assert (seen.ip, seen.port) == ("2001:db8::7", 4711)
            await client.close()

    async def test_tls_begins_right_behind_the_header(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings=BALANCERS) as relay:
            host, _, port = relay.listeners["submissions"].rpartition(":")
            connection = socket.create_connection((host, int(port)))
            connection.sendall(header())

            def shake() -> bytes:
                context = authority.client()
                with context.wrap_socket(connection, server_hostname="mail.vidu.gov.vn") as tls:
                    return tls.recv(4)

            assert await asyncio.to_thread(shake) == b"220 "

    async def test_its_own_checks_are_not_counted(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(
            tmp_path, authority, settings=BALANCERS, new_connections_per_minute=1
        ) as relay:
            for _ in range(3):
                client = await raw(relay)
                client.send(SIGNATURE + b"\x20\x00\x00\x00")
                assert (await client.reply()).startswith("220 ")
                await client.close()

    async def test_clients_are_counted_by_their_own_address(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(
            tmp_path, authority, settings=BALANCERS, connections_per_address=1
        ) as relay:
            clients = []
            for ip, wanted in (("192.0.2.1", "220 "), ("192.0.2.2", "220 "), ("192.0.2.1", "421 ")):
                client = await raw(relay)
                client.send(header(ip))
                assert (await client.reply()).startswith(wanted)
                clients.append(client)
            for client in clients:
                await client.close()

    @pytest.mark.parametrize("octets", [b"EHLO client.example\r\n", header()[:20], b""])
    async def test_who_says_something_else_is_not_served(
        self, octets: bytes, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(entrance, "PROXY_SECONDS", 0.2)
        async with running_relay(tmp_path, authority, settings=BALANCERS) as relay:
            client = await raw(relay)
            client.send(octets)
            assert await client.is_closed()
            await until(lambda: relay.server._parts.doorkeeper._open == 0)
            await client.close()

    async def test_others_can_not_claim_to_be_one(self, relay: Relay) -> None:
        client = await relay.connect()
        client.send(header("10.0.0.1"))
        assert (await client.reply()).startswith("500 5.5.1 [command-unknown] ")
        await client.close()


class TestTls:
    async def test_is_counted_before_the_handshake(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, connections_per_address=2) as relay:
            silent = [await raw(relay, "submissions") for _ in range(2)]
            third = await raw(relay, "submissions")
            assert await third.is_closed()
            for client in [*silent, third]:
                await client.close()
            client = await relay.connect("submissions")
            await client.close()

    async def test_that_is_not_begun_ends(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, handshake_seconds=0.2) as relay:
            silent = await raw(relay, "submissions")
            assert await silent.is_closed()
            await silent.close()
            starting = await relay.connect("mx")
            await starting.say("EHLO c.example")
            await starting.say("STARTTLS")
            assert await starting.is_closed()
            await starting.close()
            await ended(relay)
            assert relay.server._parts.doorkeeper._open == 0

    async def test_that_is_none_costs_no_place(self, relay: Relay) -> None:
        client = await raw(relay, "submissions")
        client.send(b"EHLO client.example\r\n" * 10)
        async with asyncio.timeout(5):
            await client.reader.read()  # perhaps an alert
        await until(lambda: relay.server._parts.doorkeeper._open == 0)
        await client.close()

    async def test_under_way_does_not_hold_up_the_end(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority) as relay:
            client = await raw(relay, "submissions")
            await until(lambda: relay.server._parts.doorkeeper._open == 1)
            await relay.server.stop(0)
            assert await client.is_closed()
            assert relay.server._parts.doorkeeper._open == 0
            await client.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


class TestTrouble:
    async def test_without_descriptors_is_waited_out(
        self, relay: Relay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(entrance, "_PAUSE_SECONDS", 0.05)
        mx = next(e for e in relay.server._entrances if e._listener.name == "mx")
        full = OSError(errno.EMFILE, "too many open files")
        calls: list[int] = []
        real = mx._socket
        assert real is not None

        class Full:
            def accept(self) -> Any:
                calls.append(1)
                if len(calls) == 1:
                    raise full
                return real.accept()

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        monkeypatch.setattr(mx, "_socket", Full())
        with capture_logs() as logs:
            client = await relay.connect()
        assert [entry["event"] for entry in logs] == ["accept.paused"]
        await client.close()


class TestStress:
    """From 80 % of the sessions: short waits, and one mistake is one too many."""

    LIMITS: ClassVar[dict[str, Any]] = {
        "connections": 10,
        "stressed_idle_seconds": 0.3,
        "idle_seconds": 60,
    }

    async def test_begins_beyond_the_share(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, **self.LIMITS) as relay:
            clients = [await relay.connect() for _ in range(8)]
            assert not relay.server._parts.stressed
            clients.append(await relay.connect())
            assert relay.server._parts.stressed
            for client in clients:
                client.reset()
            await ended(relay)
            assert not relay.server._parts.stressed

    async def test_sends_away_who_says_nothing(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, **self.LIMITS) as relay:
            clients = [await relay.connect() for _ in range(9)]
            for client in clients:
                assert (await client.reply()).startswith("421 4.4.2 [idle] ")
                await client.close()

    @pytest.mark.parametrize(
        ("command", "wanted"),
        [
            ("XYZZY", "421 4.7.0 [too-many-errors] "),
            ("NOOP", "421 4.7.0 [too-many-junk-commands] "),
            ("RCPT TO:<khongco@vidu.gov.vn>", "421 4.7.0 [too-many-unknown-recipients] "),
        ],
    )
    async def test_takes_one_of_each(
        self, command: str, wanted: str, tmp_path: Path, authority: Authority
    ) -> None:
        limits = {**self.LIMITS, "stressed_idle_seconds": 60}
        async with running_relay(tmp_path, authority, **limits) as relay:
            client = await relay.connect()
            if command != "NOOP":
                await client.envelope()
            others = [await relay.connect() for _ in range(8)]
            assert not (await client.say(command)).startswith("421 ")
            assert (await client.say(command)).startswith(wanted)
            for one in [client, *others]:
                await one.close()

    async def test_by_memory_lets_no_new_session_in(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        for held, banner, mail in ((800, "220", "250"), (801, "421", ""), (901, "421", "")):
            folder = tmp_path / str(held)
            folder.mkdir()
            async with running_relay(
                folder, authority, memory_bytes=held, memory_budget=1000
            ) as relay:
                client = await relay.connect(greet=False)
                assert (await client.reply()).startswith(banner)
                if mail:
                    await client.say("EHLO c.example")
                    assert (await client.say("MAIL FROM:<>")).startswith(mail)
                await client.close()

    async def test_by_memory_takes_no_mail_at_last(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, memory_budget=1000) as relay:
            client = await relay.connect()
            await client.say("EHLO c.example")
            relay.held_bytes = 901
            relay.server._parts.memory._measured_at = float("-inf")  # a second has passed
            assert (await client.say("MAIL FROM:<>")).startswith("452 4.3.1 [memory-full] ")
            await client.close()

    async def test_by_the_queue_takes_no_mail(self, tmp_path: Path, authority: Authority) -> None:
        for waiting, wanted in ((99, "250 "), (100, "452 4.3.1 [queue-full] ")):
            folder = tmp_path / str(waiting)
            folder.mkdir()
            async with running_relay(folder, authority, queue_recipients=100) as relay:
                relay.records.waiting = waiting
                client = await relay.connect()
                await client.say("EHLO c.example")
                assert (await client.say(f"MAIL FROM:<{OFFICIAL}>")).startswith(wanted)
                await client.close()


async def test_a_line_that_comes_by_drops_has_one_deadline(
    tmp_path: Path, authority: Authority
) -> None:
    """Each octet would else be worth another five minutes."""
    async with running_relay(tmp_path, authority, idle_seconds=0.5) as relay:
        client = await relay.connect()
        loop = asyncio.get_running_loop()
        began = loop.time()
        reading = asyncio.create_task(client.reply())
        while not reading.done() and loop.time() - began < 5:
            client.send(b"E")
            await asyncio.sleep(0.1)  # the pace of the client
        assert (await reading).startswith("421 4.4.2 [idle] ")
        await client.close()


class TestManyGuesses:
    async def test_leave_known_hosts_their_place(
        self, relay: Relay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two passwords of strangers are checked at once; who signed in before does not wait."""
        known = await relay.signed_in()
        await known.close()
        checking: list[str] = []
        gate = asyncio.Event()
        real = relay.directory.sign_in

        async def slow(name: str, password: str, *, channel: str, ip: str) -> Any:
            checking.append(ip)
            if ip != "127.0.0.1":
                await gate.wait()
            return await real(name, password, channel=channel, ip=ip)

        monkeypatch.setattr(relay.directory, "sign_in", slow)
        strangers = [await relay.connect("submissions", source=f"127.0.0.{n}") for n in (2, 3, 4)]
        for stranger in strangers:
            await stranger.say("EHLO c.example")
            stranger.send(f"AUTH PLAIN {plain(OFFICIAL, 'sai')}\r\n".encode())
        await until(lambda: len(checking) == 2)
        again = await relay.signed_in()
        assert len(checking) == 3
        gate.set()
        for stranger in strangers:
            assert (await stranger.reply()).startswith("535 ")
        for client in [*strangers, again]:
            await client.close()
