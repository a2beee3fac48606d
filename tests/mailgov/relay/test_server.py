"""The listeners: start, stop, certificates, event loops."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mailgov.config import load_config
from mailgov.errors import ConfigError, Unavailable
from mailgov.relay import RelayServer
from mailgov.relay.server import help_base

from ...support.dns import FakeResolver
from ...support.relay import (
    HOSTNAME,
    OFFICIAL,
    Authority,
    FakeDirectory,
    FakeIntake,
    FakeRecords,
    Relay,
    relay_config,
    running_relay,
)
from .test_dialogs import DIALOGS, play
from .test_session import SMALL, ended, lines


def server(folder: Path, authority: Authority, **relay: Any) -> RelayServer:
    return RelayServer(
        config=relay_config(folder, authority, {}, **relay),
        directory=FakeDirectory(),
        intake=FakeIntake(),
        spool=None,  # type: ignore[arg-type]  # no message comes
        records=FakeRecords(),
        resolver=FakeResolver(),
    )


async def test_start_says_where_it_listens(relay: Relay) -> None:
    assert list(relay.listeners) == ["mx", "submission", "submissions"]
    for address in relay.listeners.values():
        host, _, port = address.rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0


async def test_start_on_ipv6(tmp_path: Path, authority: Authority) -> None:
    relay = server(tmp_path, authority, mx="[::1]:0")
    listeners = await relay.start()
    assert listeners["mx"].startswith("[::1]:")
    await relay.stop(0)


async def test_a_busy_port_is_one_clear_error_and_nothing_listens(
    relay: Relay, tmp_path: Path, authority: Authority
) -> None:
    busy = relay.listeners["mx"]
    second = server(tmp_path, authority, submissions=busy)
    with pytest.raises(Unavailable) as error:
        await second.start()
    assert str(error.value).startswith(
        f"port-busy: listener=`submissions`, address=`{busy}`, reason="
    )
    assert second._entrances == []


async def test_an_address_that_is_not_ours(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(Unavailable, match="port-unavailable: listener=`mx`"):
        await server(tmp_path, authority, mx="192.0.2.1:25").start()


async def test_a_missing_certificate(tmp_path: Path, authority: Authority) -> None:
    authority.key.unlink()
    with pytest.raises(ConfigError, match=r"certificate-missing: file=`.*key\.pem`"):
        await server(tmp_path, authority).start()


async def test_a_key_of_another_certificate(tmp_path: Path, authority: Authority) -> None:
    chain = authority.chain.read_bytes()
    authority.issue()
    authority.chain.write_bytes(chain)
    with pytest.raises(ConfigError, match="certificate-not-valid"):
        await server(tmp_path, authority).start()


async def serial(relay: Relay, listener: str) -> int:
    client = await relay.connect(listener)
    if listener != "submissions":
        await client.say("EHLO c.example")
        await client.say("STARTTLS")
        await client.start_tls()
    certificate = client.writer.get_extra_info("peercert")
    await client.close()
    return int(certificate["serialNumber"], 16)


async def test_a_new_certificate_serves_new_sessions(relay: Relay, authority: Authority) -> None:
    listeners = ("mx", "submissions")
    before = [await serial(relay, listener) for listener in listeners]
    authority.issue()
    await relay.server.reload_certificate()
    after = [await serial(relay, listener) for listener in listeners]
    assert before[0] == before[1]
    assert after[0] == after[1]
    assert before != after


async def test_a_bad_new_certificate_leaves_the_old(relay: Relay, authority: Authority) -> None:
    before = await serial(relay, "submissions")
    authority.chain.write_text("no certificate")
    with pytest.raises(ConfigError, match="certificate-not-valid"):
        await relay.server.reload_certificate()
    assert await serial(relay, "submissions") == before


async def test_old_tls_is_not_spoken(relay: Relay, authority: Authority) -> None:
    context = authority.client()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    host, _, port = relay.listeners["submissions"].rpartition(":")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(host, int(port), ssl=context, server_hostname=HOSTNAME)


async def test_stop_lets_messages_under_way_finish(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority) as relay:
        idle = await relay.connect()
        sending = await relay.connect()
        await sending.envelope()
        await sending.say("DATA")
        judged = await relay.connect()
        await judged.envelope()
        relay.intake.gate = asyncio.Event()
        await judged.say("DATA")
        judged.send(SMALL)
        await relay.intake.begun.wait()

        stopping = asyncio.create_task(relay.server.stop(grace_seconds=5))
        assert (await idle.reply()).startswith("421 4.3.2 [stopping] ")
        assert await idle.is_closed()
        with pytest.raises(ConnectionError):
            await relay.connect()
        assert not stopping.done()
        relay.intake.gate.set()
        assert (await judged.reply()).startswith("250 2.0.0 q1 ")
        assert (await judged.reply()).startswith("421 4.3.2 ")
        sending.send(lines(300_000) + b".\r\n")
        assert (await sending.reply()).startswith("250 2.0.0 q2 ")
        assert (await sending.reply()).startswith("421 4.3.2 ")
        await stopping
        for client in (idle, sending, judged):
            await client.close()


async def test_stop_does_not_wait_for_ever(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority) as relay:
        client = await relay.connect()
        await client.envelope()
        await client.say("DATA")
        await relay.server.stop(grace_seconds=0.1)
        assert await client.is_closed()
        await client.close()


async def test_the_place_of_a_session_is_free_again(relay: Relay) -> None:
    for _ in range(3):
        client = await relay.signed_in()
        await client.envelope(OFFICIAL)
        client.reset()
    await ended(relay)
    door = relay.server._parts.doorkeeper
    assert (door._open, dict(door._by_place), dict(door._by_user)) == (0, {}, {})


@pytest.mark.parametrize(
    "name", ["pipelined", "submission", "submissions", "starttls-injection", "chunks", "long-lines"]
)
def test_dialogs_on_uvloop(name: str, tmp_path: Path, authority: Authority) -> None:
    async def go() -> None:
        async with running_relay(tmp_path, authority) as relay:
            await play(relay, DIALOGS / f"{name}.txt")

    uvloop.run(go())


def test_large_messages_and_hang_ups_on_uvloop(tmp_path: Path, authority: Authority) -> None:
    text = lines(3_000_000)

    async def go() -> None:
        async with running_relay(tmp_path, authority) as relay:
            for listener in ("submission", "submissions"):
                client = await relay.signed_in(listener)
                await client.envelope(OFFICIAL)
                wire = text.replace(b"\r\n.", b"\r\n..") + b".\r\n"
                assert (await client.data(wire)).startswith("250 ")
                assert relay.intake.received.pop()[1] == text
                await client.envelope(OFFICIAL)
                await client.say("DATA")
                client.send(text)
                client.reset()
            await ended(relay)

    uvloop.run(go())


@pytest.mark.parametrize(
    ("site", "web", "wanted"),
    [
        ({}, {"listen": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({}, {"url": "https://mail.vidu.gov.vn/"}, "https://mail.vidu.gov.vn"),
        (
            {"help_url": "https://trogiup.vidu.gov.vn"},
            {"url": "https://mail.vidu.gov.vn"},
            "https://trogiup.vidu.gov.vn",
        ),
    ],
)
def test_refusals_point_to_help(site: dict[str, str], web: dict[str, str], wanted: str) -> None:
    assert help_base(load_config(None, site=site, web=web)) == wanted
