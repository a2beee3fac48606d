"""What a stranger, or a friend's broken program, can cost the embedded server."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailgov.config import Config
from mailgov.errors import ConfigError, Unavailable
from mailgov.imap import ImapServer
from mailgov.mailstore import reach
from mailgov.mailstore.users import Change
from tests.support.imap_engines import PASSWORD, Engine, TestDirectory, config_for

ADDRESS = "an@vidu.gov.vn"


def directory() -> TestDirectory:
    return TestDirectory((ADDRESS,))


class TestBeforeSigningIn:
    def test_an_endless_line(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            wire.send(b"x" * 66_000)
            assert wire.response() == b"* BYE the line is too long"
            assert wire.response() == b""

    def test_a_literal_that_waits_is_refused(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            assert wire.run(b"LOGIN an {65537}") == [b"t1 NO [TOOBIG] the literal is too large"]
            assert wire.run(b"NOOP") == [b"t2 OK done"]

    def test_a_literal_that_does_not_wait_ends_the_session(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            wire.start(b"LOGIN an {65537+}")
            assert wire.response() == b"* BYE the literal is too large"

    def test_many_small_literals(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            wire.send(b"a LOGIN" + b" {30000+}\r\n" + b"x" * 30_000)
            wire.send(b" {30000+}\r\n" + b"x" * 30_000 + b" {30000+}\r\n")
            assert wire.response() == b"* BYE the literal is too large"

    def test_three_wrong_passwords(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            for _ in range(2):
                assert b"[AUTHENTICATIONFAILED]" in wire.run(b"LOGIN an@vidu.gov.vn sai")[-1]
            wire.start(b"LOGIN an@vidu.gov.vn sai")
            assert wire.response() == b"* BYE too many wrong passwords"

    def test_many_errors(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire() as wire:
            for _ in range(20):
                assert b" BAD " in wire.run(b"XYZZY")[-1]
            wire.start(b"XYZZY")
            assert wire.response().endswith(b"in this state")
            assert wire.response() == b"* BYE there were too many errors"

    @pytest.mark.parametrize("command", [b"STARTTLS", b"SELECT INBOX", b'LIST "" *', b"IDLE"])
    def test_nothing_else_is_understood(self, embedded_engine: Engine, command: bytes) -> None:
        with embedded_engine.wire() as wire:
            assert b" BAD " in wire.run(command)[-1]

    @given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([
        b"a ", b"LOGIN ", b"AUTHENTICATE PLAIN", b"{3}", b"{3+}", b"\r\n", b"\n", b"abc", b'"', b"(",
        b"{99999999999}", b"{0+}", b"* ", b"NOOP", b"\0", b"ID ", b"CAPABILITY",
    ])), max_size=20).map(b"".join))  # fmt: skip
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def test_whatever_comes_the_server_goes_on(self, embedded_engine: Engine, data: bytes) -> None:
        with embedded_engine.wire() as wire:
            wire.send(data + b"\r\nz NOOP\r\n")
            wire._socket.shutdown(socket.SHUT_WR)
            while wire.response():
                pass
        with embedded_engine.wire() as wire:
            wire.ok(b"NOOP")


class TestSignedIn:
    def test_a_message_beyond_35_mib(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire(embedded_engine.mailbox()) as wire:
            size = 35 * 1024 * 1024 + 1
            assert b"[TOOBIG]" in wire.run(b"APPEND INBOX {%d}" % size)[-1]
            wire.ok(b"NOOP")

    def test_only_append_takes_great_literals(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire(embedded_engine.mailbox()) as wire:
            wire.ok(b"SELECT INBOX")
            assert b"[TOOBIG]" in wire.run(b"SEARCH TEXT {70000}")[-1]

    def test_a_full_mailbox(self, engine: Engine) -> None:
        with engine.wire(engine.mailbox()) as wire:
            message = b"Subject: lon\r\n\r\n" + b"x" * 76 * 1024 + b"\r\n"
            refused = [
                m
                for m in (wire.append(b"INBOX", message)[-1] for _ in range(80))
                if b" OK " not in m
            ]
            assert refused
            assert all(b"NO [OVERQUOTA]" in reply for reply in refused)
            wire.ok(b"SELECT INBOX")
            # Full is no prison: messages can be moved and removed.
            wire.ok(b"MOVE 1 Trash")
            wire.ok(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
            wire.ok(b"EXPUNGE")
            assert b" OK " in wire.append(b"INBOX", message)[-1]

    def test_flags_without_end(self, embedded_engine: Engine) -> None:
        with embedded_engine.wire(embedded_engine.mailbox()) as wire:
            wire.append(b"INBOX", b"A: b\r\n\r\n")
            wire.ok(b"SELECT INBOX")
            flags = b" ".join(b"k%d" % number for number in range(51))
            assert b"NO [LIMIT]" in wire.run(b"STORE 1 +FLAGS (%b)" % flags)[-1]

    def test_sessions_of_one_mailbox(self, tmp_path: Path) -> None:
        config = config_for(tmp_path)
        config = config.model_copy(
            update={"limits": config.limits.model_copy(update={"connections_per_user": 2})}
        )

        async def scene() -> list[bytes]:
            async with running(config) as (host, port):
                clients = [await client(host, port) for _ in range(3)]
                said = [await ask(*c, b"a LOGIN %b {%d+}\r\n%b" % login()) for c in clients]
                for _, writer in clients:
                    writer.close()
                return said

        said = asyncio.run(scene())
        assert [line.split(b" ")[1] for line in said] == [b"OK", b"OK", b"NO"]
        assert b"[LIMIT]" in said[2]


def login() -> tuple[bytes, int, bytes]:
    return ADDRESS.encode(), len(PASSWORD.encode()), PASSWORD.encode()


class running:  # noqa: N801 - reads as a verb
    """A server of its own for the length of a block."""

    def __init__(self, config: Config) -> None:
        self.server = ImapServer(config, directory())

    async def __aenter__(self) -> tuple[str, int]:
        return reach.split(await self.server.start())

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()


async def client(
    host: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    assert (await reader.readline()).startswith(b"* OK")
    return reader, writer


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line + b"\r\n")
    return await reader.readline()


async def test_the_suspended_are_sent_away(tmp_path: Path) -> None:
    block = running(config_for(tmp_path))
    async with block as (host, port):
        reader, writer = await client(host, port)
        assert b" OK " in await ask(reader, writer, b"a LOGIN %b {%d+}\r\n%b" % login())
        await block.server.apply(Change((), frozenset({ADDRESS})))
        assert await reader.readline() == b"* BYE sign in again\r\n"
        assert await reader.read() == b""
        writer.close()


async def test_a_busy_port_is_told_plainly(tmp_path: Path) -> None:
    async with running(config_for(tmp_path / "a")) as (host, port):
        with pytest.raises(Unavailable, match="port-busy"):
            await ImapServer(config_for(tmp_path / "b", f"{host}:{port}"), directory()).start()


async def test_the_network_needs_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificate-missing"):
        await ImapServer(config_for(tmp_path, "0.0.0.0:0"), directory()).start()


async def test_the_network_gets_tls_from_the_first_byte(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    tls = tmp_path / "tls"
    tls.mkdir()
    issued.private_key_pem.write_to_path(tls / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(tls / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with running(config_for(tmp_path, "0.0.0.0:0")) as (_, port):
        reader, writer = await client("127.0.0.1", port, context)
        assert b" OK " in await ask(reader, writer, b"a LOGIN %b {%d+}\r\n%b" % login())
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"a NOOP\r\n")
        assert await reader.read() == b""  # no word in clear
        writer.close()
