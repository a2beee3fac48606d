"""Every limit of a session over the wire: one below it, at it, one above it, and what comes back after.

`Step` is one thing of which only so many are allowed: a session, a command, a recipient, a message.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailgov.addresses import MAX_LOCAL_OCTETS, MAX_PATH_OCTETS

from ...support.relay import (
    DOMAIN,
    OFFICE,
    OFFICIAL,
    PASSWORD,
    Authority,
    Client,
    Relay,
    plain,
    running_relay,
)
from .test_session import SMALL, ended

MOST = 3
Step = Callable[[Relay, list[Client], int], Awaitable[str]]


async def session(relay: Relay, clients: list[Client], number: int) -> str:
    """One more session of the same address."""
    clients.append(await relay.connect(greet=False))
    return await clients[-1].reply()


async def session_next_door(relay: Relay, clients: list[Client], number: int) -> str:
    """One more session, of another address of the network."""
    clients.append(await relay.connect(greet=False, source=f"127.0.0.{number + 1}"))
    return await clients[-1].reply()


async def session_from_afar(relay: Relay, clients: list[Client], number: int) -> str:
    """One more session, of another network."""
    clients.append(await relay.connect(greet=False, source=f"127.0.{number + 1}.1"))
    return await clients[-1].reply()


async def sign_in(relay: Relay, clients: list[Client], number: int) -> str:
    """One more session of the same user, who keeps the others."""
    clients.append(await relay.connect("submissions"))
    await clients[-1].say("EHLO c.example")
    return await clients[-1].say(f"AUTH PLAIN {plain(OFFICIAL, PASSWORD)}")


def command(text: str) -> Step:
    """The same command again in one session."""

    async def say(relay: Relay, clients: list[Client], number: int) -> str:
        if not clients:
            clients.append(await relay.connect())
            await clients[0].say("EHLO c.example")
            await clients[0].say("MAIL FROM:<a@example.org>")
        return await clients[0].say(text)

    return say


def recipient(*, signed_in: bool) -> Step:
    """One more recipient of a message."""

    async def say(relay: Relay, clients: list[Client], number: int) -> str:
        if not clients:
            clients.append(await (relay.signed_in() if signed_in else relay.connect()))
            await clients[0].say("EHLO c.example")
            await clients[0].say(f"MAIL FROM:<{OFFICIAL if signed_in else 'a@example.org'}>")
        return await clients[0].say(f"RCPT TO:<canbo{number}@{DOMAIN}>")

    return say


async def message(relay: Relay, clients: list[Client], number: int) -> str:
    """One more message of the same user."""
    if not clients:
        clients.append(await relay.signed_in())
        await clients[0].say("EHLO c.example")
    relay.records.counts = replace(relay.records.counts, messages_day=number)
    started = await clients[0].say(f"MAIL FROM:<{OFFICIAL}>")
    if not started.startswith("250 "):
        return started
    await clients[0].say(f"RCPT TO:<{OFFICE}>")
    return await clients[0].data(SMALL)


async def wrong_password(relay: Relay, clients: list[Client], number: int) -> str:
    """One more guess, in a session of its own."""
    clients.append(await relay.connect("submissions"))
    await clients[-1].say("EHLO c.example")
    return await clients[-1].say(f"AUTH PLAIN {plain(OFFICIAL, 'sai')}")


async def wrong_password_in_one_session(relay: Relay, clients: list[Client], number: int) -> str:
    """One more guess in the same session."""
    if not clients:
        clients.append(await relay.connect("submissions"))
        await clients[0].say("EHLO c.example")
    return await clients[0].say(f"AUTH PLAIN {plain(OFFICIAL, 'sai')}")


class Boundary(NamedTuple):
    """A limit, what counts against it, the reply within and the reply beyond."""

    limit: str
    step: Step
    within: str
    beyond: str


BOUNDARIES = [
    Boundary("connections", session_from_afar, "220 ", "421 4.7.0 [too-many-sessions] "),
    Boundary("connections_per_address", session, "220 ", "421 4.7.0 [too-many-from-address] "),
    Boundary(
        "connections_per_network", session_next_door, "220 ", "421 4.7.0 [too-many-from-network] "
    ),
    Boundary("connections_per_user", sign_in, "235 ", "421 4.7.0 [too-many-of-user] "),
    Boundary("new_connections_per_minute", session, "220 ", "421 4.7.0 [sessions-too-fast] "),
    Boundary(
        "new_connections_per_minute_network",
        session_next_door,
        "220 ",
        "421 4.7.0 [sessions-too-fast] ",
    ),
    Boundary("errors", command("XYZZY"), "500 ", "421 4.7.0 [too-many-errors] "),
    Boundary("junk_commands", command("NOOP"), "250 ", "421 4.7.0 [too-many-junk-commands] "),
    Boundary(
        "unknown_recipients",
        command(f"RCPT TO:<khongco@{DOMAIN}>"),
        "550 5.1.1 ",
        "421 4.7.0 [too-many-unknown-recipients] ",
    ),
    Boundary(
        "recipients_inbound",
        recipient(signed_in=False),
        "250 ",
        "452 4.5.3 [too-many-recipients] ",
    ),
    Boundary(
        "recipients_official",
        recipient(signed_in=True),
        "250 ",
        "452 4.5.3 [too-many-recipients] ",
    ),
    Boundary(
        "recipients_per_hour",
        recipient(signed_in=True),
        "250 ",
        "450 4.7.1 [recipients-this-hour] ",
    ),
    Boundary(
        "recipients_per_day", recipient(signed_in=True), "250 ", "450 4.7.1 [recipients-this-day] "
    ),
    Boundary("messages_per_day", message, "250 ", "450 4.7.1 [messages-this-day] "),
    Boundary("failed_logins_per_minute", wrong_password, "535 5.7.8 ", "454 4.7.0 [login-later] "),
    Boundary(
        "failed_logins",
        wrong_password_in_one_session,
        "535 5.7.8 ",
        "421 4.7.0 [too-many-failed-logins] ",
    ),
    Boundary(
        "failed_logins_per_minute_network",
        wrong_password,
        "535 5.7.8 ",
        "454 4.7.0 [login-later] ",
    ),
]


@pytest.mark.parametrize("steps", [MOST - 1, MOST, MOST + 1])
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary.limit)
async def test_of_counts(
    boundary: Boundary, steps: int, tmp_path: Path, authority: Authority
) -> None:
    async with running_relay(tmp_path, authority, **one(boundary.limit)) as relay:
        clients: list[Client] = []
        replies = [await boundary.step(relay, clients, number) for number in range(steps)]
        for reply in replies[:MOST]:
            assert reply.startswith(boundary.within)
        for reply in replies[MOST:]:
            assert reply.startswith(boundary.beyond)
        for client in clients:
            await client.close()


@pytest.mark.parametrize(
    "boundary",
    [b for b in BOUNDARIES if b.beyond.startswith("421 ")],
    ids=lambda boundary: boundary.limit,
)
async def test_who_is_over_one_is_hung_up_on(
    boundary: Boundary, tmp_path: Path, authority: Authority
) -> None:
    async with running_relay(tmp_path, authority, **one(boundary.limit)) as relay:
        clients: list[Client] = []
        for number in range(MOST + 1):
            await boundary.step(relay, clients, number)
        assert await clients[-1].is_closed()
        for client in clients:
            await client.close()
        await ended(relay)
        clients.clear()
        afterwards = await boundary.step(relay, clients, 0)
        rate = boundary.limit.startswith("new_")  # all others are of what is open
        assert afterwards.startswith(boundary.beyond if rate else boundary.within)
        await clients[0].close()


@pytest.mark.parametrize(
    ("octets", "reply"), [(511, "250 "), (512, "250 "), (513, "500 5.5.2 [command-too-long] ")]
)
async def test_of_a_command_line(octets: int, reply: str, relay: Relay) -> None:
    client = await relay.connect()
    await client.say("EHLO c.example")
    assert (await client.say("NOOP ".ljust(octets - len("\r\n"), "x"))).startswith(reply)
    await client.close()


@pytest.mark.parametrize("letters", [-1, 0, 1])
async def test_of_the_parts_of_an_address(letters: int, relay: Relay) -> None:
    client = await relay.connect()
    await client.say("EHLO c.example")
    wanted = "501 5.1.7 " if letters > 0 else "250 "
    local = "a" * (MAX_LOCAL_OCTETS + letters)
    assert (await client.say(f"MAIL FROM:<{local}@example.org>")).startswith(wanted)
    await client.say("RSET")
    domain = ".".join(["b" * 49] * 5).rjust(MAX_PATH_OCTETS + letters - len("a@"), "c")
    assert (await client.say(f"MAIL FROM:<a@{domain}>")).startswith(wanted)
    await client.close()


async def test_another_account_is_not_touched(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority, failed_logins_per_minute=1) as relay:
        clients: list[Client] = []
        for number in range(2):
            await wrong_password(relay, clients, number)
        clients.append(await relay.connect("submissions"))
        await clients[-1].say("EHLO c.example")
        reply = await clients[-1].say(f"AUTH PLAIN {plain(OFFICE, 'sai')}")
        assert reply.startswith("535 ")
        assert relay.directory.sign_ins == [(OFFICIAL, False), (OFFICE, False)]
        for client in clients:
            await client.close()


async def test_right_passwords_cost_nothing(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority, failed_logins_per_minute=1) as relay:
        for _ in range(5):
            client = await relay.signed_in()
            await client.close()
        assert relay.directory.sign_ins == [(OFFICIAL, True)] * 5


async def test_a_recipient_named_twice_counts_once(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority, **one("recipients_inbound")) as relay:
        client = await relay.connect()
        officials = [f"canbo{number}@{DOMAIN}" for number in range(MOST)]
        await client.envelope("a@example.org", *officials, officials[0])
        assert (await client.data(SMALL)).startswith("250 ")
        assert len(relay.intake.received[0][0].recipients) == MOST
        await client.close()


def one(limit: str) -> dict[str, Any]:
    """One limit, set low."""
    return {limit: MOST}
