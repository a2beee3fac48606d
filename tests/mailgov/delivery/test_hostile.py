"""Servers that mean harm, or are out of their mind: no message is lost, no slot is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from mailgov.config import Delivery
from mailgov.delivery.mx import MAX_ADDRESSES, MAX_EXCHANGERS, Router, is_never_a_server
from mailgov.delivery.transports import Answer, Taken, wire
from mailgov.delivery.transports.smtp import MAX_TARGETS, SmtpTransport
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused

from ...support.dns import FakeResolver
from ...support.smtp_peer import Peer, serving
from .parcels import ours, parcel

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def to(port: int) -> AsyncIterator[SmtpTransport]:
    resolver = FakeResolver(addresses_of={"example.vn": ["127.0.0.1"]})
    transport = SmtpTransport(
        Delivery(allow_loopback=True), "mail.tinhmau.gov.vn", resolver, port=port
    )
    yield transport
    await transport.close()


async def answer_of(serve: Serve, data: bytes = b"Subject: x\r\n\r\nx\r\n") -> Answer:
    """What becomes of a message; fails if that is not decided soon."""
    served: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def run() -> None:
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        served.add(asyncio.create_task(run()))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server, to(server.sockets[0].getsockname()[1]) as transport:
        try:
            async with asyncio.timeout(30):
                answer = (await transport.deliver(parcel(data=data), ours))[1]
        except DeliveryError as exc:
            answer = exc
        finally:
            for task in served:
                task.cancel()
            await asyncio.gather(*served, return_exceptions=True)
    return answer


def replying(*replies: bytes) -> Serve:
    """Says these one by one, whenever a line has come; the first as a greeting."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                await reader.readline()
            writer.write(reply)
            await writer.drain()
        await reader.read()

    return serve


HELLO = b"220 x\r\n", b"250 x\r\n"


def forever(piece: bytes) -> Serve:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone lets nobody else run

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        forever(b"220-welcome\r\n"),
        forever(b"x" * 1000),
        forever(b"\r\n" * 100),
        forever(bytes(1000)),
        replying(b"220-x\r\n" * 101 + b"220 x\r\n"),
        replying(b"220 " + b"x" * 70_000 + b"\r\n"),
        replying(b"220-x\r\n250 x\r\n"),
        replying(b"HTTP/1.1 400 Bad Request\r\n"),
        replying(b"\xff\xfe\x00\r\n"),
        replying(b"2200 x\r\n"),
        replying(b"199 x\r\n"),
        replying(b"220 x\r\n", b"250-X\r\n" * 1000),
        replying(*HELLO, b"250 ok\r\n", b"250-"),
    ],
    ids=[
        "endless greeting", "endless line", "empty lines", "zeros", "101 lines", "a long line",
        "two codes", "http", "bytes", "four digits", "a code of no class", "a thousand extensions",
        "half a reply and no more",
    ],
)  # fmt: skip
async def test_what_is_no_reply_ends_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "COMMAND_SECONDS", 0.5)
    answer = await answer_of(serve)
    assert isinstance(answer, DeliveryDeferred)
    assert answer.code in ("peer-unreachable", "connection-lost")


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte after another: each in time, all together never."""
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_a_reply_has_its_time_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "GREETING_SECONDS", 0.3)
    answer = await answer_of(drip)
    assert isinstance(answer, DeliveryDeferred)
    assert answer.fields["reason"] in ("no answer in time", "no reply code")


async def test_who_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FLOOR_SECONDS", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (*HELLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            if reply != HELLO[0]:
                await reader.readline()
            writer.write(reply)
        await asyncio.Event().wait()

    answer = await answer_of(serve, b"Subject: x\r\n\r\n" + b"x" * 70 * 200_000 + b"\r\n")
    assert isinstance(answer, DeliveryDeferred)
    assert answer.fields["reason"] == "takes the message too slowly"


@pytest.mark.parametrize("early", [b"354 go\r\n250 2.0.0 taken\r\n", b"354 go\r\n220 hello\r\n"])
async def test_a_yes_before_the_message_is_no_yes(early: bytes) -> None:
    serve = replying(*HELLO, b"250 ok\r\n", b"250 ok\r\n", early)
    answer = await answer_of(serve, b"Subject: x\r\n\r\n" + b"line\r\n" * 500_000)
    assert isinstance(answer, DeliveryDeferred)


@pytest.mark.parametrize("code", ["220", "221", "235", "354"])
async def test_what_says_nothing_of_the_message_is_no_yes(code: str) -> None:
    async with serving(Peer(replies={"DOT": f"{code} 2.0.0 odd"})) as peer, to(peer.port) as way:
        answer = (await way.deliver(parcel(), ours))[1]
    assert isinstance(answer, DeliveryDeferred)


async def test_what_is_said_unasked_ends_the_use_of_a_connection() -> None:
    peer = Peer(replies={"DOT": "250 2.0.0 taken\r\n250 2.0.0 and the next one too"})
    async with serving(peer), to(peer.port) as transport:
        assert isinstance((await transport.deliver(parcel(), ours))[1], Taken)
        await asyncio.sleep(0)
        await transport.deliver(parcel(), ours)
    assert peer.connections == 2
    assert len(peer.received) == 2


async def test_a_redirection_is_not_followed() -> None:
    peer = Peer(replies={"RCPT": "551 5.1.6 try <root@localhost>"})
    async with serving(peer), to(peer.port) as transport:
        assert isinstance((await transport.deliver(parcel(), ours))[1], DeliveryRefused)
    assert peer.connections == 1


NEVER = (
    "127.0.0.1 127.255.255.254 ::1 0.0.0.0 0.1.2.3 :: ::127.0.0.1 ::ffff:127.0.0.1 "
    "::ffff:0.0.0.0 64:ff9b::7f00:1 2002:7f00:1:: 255.255.255.255 240.0.0.1 224.0.0.1 ff02::1 "
    "169.254.1.1 fe80::1"
)
WELL = "192.0.2.1 10.1.2.3 198.51.100.7 64:ff9b::c000:201 2002:c000:201:: 2001:4860::1 fd00::1"


@pytest.mark.parametrize(
    ("address", "never"), [*((a, True) for a in NEVER.split()), *((a, False) for a in WELL.split())]
)
def test_addresses_that_are_never_a_server(address: str, never: bool) -> None:
    assert is_never_a_server(ip_address(address)) is never


def own(*addresses: str) -> SmtpTransport:
    settings = Delivery.model_validate({"own_addresses": ["203.0.113.25"]})
    resolver = FakeResolver(
        mx_of={"example.vn": [(10, "mx.example.vn")]}, addresses_of={"mx.example.vn": addresses}
    )
    return SmtpTransport(settings, "mail.tinhmau.gov.vn", resolver)


@pytest.mark.parametrize(
    ("addresses", "code"),
    [
        (["127.0.0.1"], "domain-without-servers"),
        (["0.0.0.0", "::"], "domain-without-servers"),
        (["203.0.113.25"], "domain-routes-to-us"),
    ],
)
async def test_mx_that_point_at_us(addresses: Iterable[str], code: str) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        await own(*addresses).deliver(parcel(), ours)
    assert caught.value.code == code


async def test_giant_sets_of_servers_cost_a_bounded_effort() -> None:
    hosts = [f"mx{number}.example.vn" for number in range(3000)]
    resolver = FakeResolver(
        mx_of={"example.vn": [(10, host) for host in hosts]},
        addresses_of={host: [f"127.1.0.{n}" for n in range(1, 250)] for host in hosts},
    )
    settings = Delivery(allow_loopback=True)
    transport = SmtpTransport(settings, "mail.tinhmau.gov.vn", resolver, port=9)
    tried: list[str] = []

    async def refuse(address: str, _port: int) -> wire.Wire:
        tried.append(address)
        raise wire.Lost("refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire.Wire, "connect", refuse)
        with pytest.raises(DeliveryDeferred, match="peer-unreachable"):
            await transport.deliver(parcel(), ours)
    assert len(tried) == MAX_TARGETS
    assert sum(resolver.asked[host, "A"] for host in hosts) == MAX_EXCHANGERS
    assert MAX_TARGETS <= MAX_ADDRESSES


async def test_both_families_are_tried_early() -> None:
    sixes, fours = ["2001:db8::1", "2001:db8::2", "2001:db8::3"], ["192.0.2.1", "192.0.2.2"]
    resolver = FakeResolver(addresses_of={"example.vn": [*sixes, *fours]})
    router = Router(resolver, "mail.tinhmau.gov.vn", False, lambda _: False, list.reverse)
    (hop,) = await router.route("example.vn")
    assert hop.addresses == (sixes[0], fours[0], sixes[1], fours[1], sixes[2])
