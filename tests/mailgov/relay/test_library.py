"""What we lean on in the library and in asyncio beyond what they promise.

When one of these fails, read what changed before you mend the test.
"""

import asyncio
from pathlib import Path

import aiosmtpd
from aiosmtpd.smtp import SMTP

from ...support.relay import Authority, running_relay


def test_the_version_that_was_read() -> None:
    assert aiosmtpd.__version__ == "1.4.6"


def test_the_hooks_that_are_replaced() -> None:
    for name in (
        "_handle_client",
        "_reset_timeout",
        "_timeout_cb",
        "connection_made",
        "connection_lost",
        "eof_received",
        *(f"smtp_{verb}" for verb in ("HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP")),
        *(f"smtp_{verb}" for verb in ("QUIT", "VRFY", "EXPN", "HELP", "AUTH", "STARTTLS")),
    ):
        assert callable(getattr(SMTP, name)), name


async def test_the_attributes_that_are_used(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority) as relay:
        client = await relay.connect()
        (session,) = relay.server._sessions
        assert isinstance(session._reader, asyncio.StreamReader)
        assert isinstance(session._reader._buffer, bytearray)  # type: ignore[attr-defined]  # pinned
        assert session._reader._limit == session.line_length_limit  # type: ignore[attr-defined]  # pinned
        assert session._reader._transport is session.transport  # type: ignore[attr-defined]  # pinned
        assert isinstance(session._writer, asyncio.StreamWriter)
        assert session._handler_coroutine is session.task
        assert session._timeout_handle is not None
        assert {"MAIL", "RCPT", "DATA", "BDAT", "STARTTLS"} <= set(session._smtp_methods)
        await client.close()


async def test_after_starttls_the_stream_paces_the_encrypted_transport(
    tmp_path: Path, authority: Authority
) -> None:
    async with running_relay(tmp_path, authority) as relay:
        client = await relay.connect()
        await client.say("EHLO c.example")
        await client.say("STARTTLS")
        await client.start_tls()
        await client.say("EHLO c.example")
        (session,) = relay.server._sessions
        assert session._writer.get_extra_info("sslcontext") is not None
        assert session._reader._transport is session._writer.transport  # type: ignore[attr-defined]  # pinned
        await client.close()
