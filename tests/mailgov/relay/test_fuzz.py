"""Bytes that nobody would send: whatever comes before a sign-in, the replies are legal and no bug shows."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ...support.relay import OFFICIAL, Authority, Relay, running_relay

PIECES = st.sampled_from(
    [
        *(b"EHLO c", b"HELO c", b"MAIL FROM:<a@example.org>", b"RSET", b"NOOP", b"QUIT", b"VRFY x"),
        *(f"RCPT TO:<{OFFICIAL}>".encode(), b"RCPT TO:<@>", b"DATA", b"STARTTLS", b"HELP", b"EXPN"),
        *(
            b"BDAT 3",
            b"BDAT 0 LAST",
            b"BDAT 2 LAST",
            b"BDAT x",
            b"AUTH PLAIN",
            b"AUTH PLAIN AGEAYg==",
        ),
        *(b" SIZE=1", b" BODY=8BITMIME", b" SMTPUTF8", b" REQUIRETLS", b" ENVID=+00", b" RET=FULL"),
        *(
            b"\r\n",
            b"\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\n.\r\n",
            b".",
            b"\0",
            b"\xff",
            b" ",
            b"=",
            b"<",
        ),
        *(
            b"Subject: x\r\n\r\n",
            b"x" * 600,
            "đ".encode(),
            b"+0D+0A",
            b'"',
            b"\\",
            b"\t",
            b"\x16\x03",
        ),
    ]
)
OCTETS = st.one_of(
    st.lists(PIECES, max_size=30).map(b"".join),
    st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=20).map(b"\r\n".join),
    st.binary(max_size=300),
)
LINE = re.compile(r"\d{3}[ -](\d\.\d+\.\d+ )?[^\x00-\x1f\x7f]*")


@pytest.fixture
def house(tmp_path: Path, authority: Authority) -> Iterator[tuple[asyncio.Runner, Relay]]:
    """A relay, and the loop it lives in."""
    many = 10**9
    limits = {"new_connections_per_minute": many, "new_connections_per_minute_network": many}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        relay = runner.run(stack.enter_async_context(running_relay(tmp_path, authority, **limits)))
        yield runner, relay
        runner.run(stack.aclose())


def test_bytes_in_any_order(house: tuple[asyncio.Runner, Relay]) -> None:
    runner, relay = house

    async def talk(listener: str, octets: bytes) -> list[str]:
        client = await relay.connect(listener)
        client.send(octets)
        client.writer.write_eof()
        said = await asyncio.wait_for(client.reader.read(), 5)
        await client.close()
        return said.decode().split("\r\n")[:-1]

    @given(st.sampled_from(["mx", "submission"]), OCTETS)
    @settings(
        max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    def check(listener: str, octets: bytes) -> None:
        with capture_logs() as logs:
            lines = runner.run(talk(listener, octets))
        assert all(LINE.fullmatch(line) for line in lines), lines
        assert [entry for entry in logs if entry["event"] in ("trouble", "session.failed")] == []
        assert not [line for line in lines if line.startswith("451")]

    check()
