"""One connection of a mail server: its commands, one message after the other."""

import asyncio
from ipaddress import ip_address

from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.errors import MailgovError
from mailgov.gate.outcome import Outcome
from mailgov.intake import Intake
from mailgov.logs import logger
from mailgov.message import Body, Client, Direction, new_queue_id
from mailgov.milter import answer, wire
from mailgov.milter.message import Transaction
from mailgov.milter.ports import Directory
from mailgov.milter.wire import Actions, Negotiated, Steps
from mailgov.queue import Spool
from mailgov.relay import replies
from mailgov.relay.server import help_base

PROGRESS_SECONDS = 5.0
"""Sendmail waits ten seconds for an answer, unless it hears that we are at it (SMFIR_PROGRESS)."""

_PACKET_ROOM = 128 << 10  # beside the longest header field: names, paths, a chunk of 64 KiB

log = logger("milter")


class Session:
    """What one connection has said so far."""

    def __init__(
        self, config: Config, clock: Clock, intake: Intake, directory: Directory, spool: Spool
    ) -> None:
        self._config, self._clock, self._intake = config, clock, intake
        self._directory, self._spool = directory, spool
        self._agreed = Negotiated(wire.VERSION, Actions(0), Steps(0))
        self._client = Client()
        self._macros: dict[bytes, dict[str, str]] = {}
        self._message: Transaction | None = None

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the server leaves. Raises ProtocolError, TimeoutError and ConnectionError."""
        limit = self._config.limits.header_bytes + _PACKET_ROOM
        try:
            while True:
                async with asyncio.timeout(self._config.milter.idle_seconds):
                    command, data = await wire.read_packet(reader, limit)
                if command in (b"", b"Q"):
                    return
                for packet in await self._obey(command, data, writer):
                    writer.write(packet)
                await writer.drain()
        finally:
            await self._forget()

    async def _obey(self, command: bytes, data: bytes, writer: asyncio.StreamWriter) -> list[bytes]:
        match command:
            case b"O":
                self._agreed = wire.negotiate(data)
                return [wire.offer(self._agreed)]
            case b"D":
                about, values = wire.macros(data)
                self._macros[about] = values
                return []
            case b"E":
                return await self._judged(data, writer)
            case b"A":
                await self._forget()
                return []
            case b"K":
                await self._forget()
                self._client = Client()
                self._macros.clear()
                return []
        await self._note(command, data)
        return [wire.CONTINUE] if self._agreed.wants_answer(command) else []

    async def _note(self, command: bytes, data: bytes) -> None:
        match command:
            case b"C":
                name, ip, port = wire.client(data)
                self._client = Client(ip=ip, port=port, name="" if name.startswith("[") else name)
            case b"H":
                helo = b" ".join(wire.strings(data)).decode("utf-8", "replace")
                self._client = Client(
                    ip=self._client.ip, port=self._client.port, name=self._client.name, helo=helo
                )
            case b"M":
                await self._forget()
                self._transaction.sender(wire.strings(data), self._macro("auth_authen"))
            case b"R":
                self._transaction.recipient(wire.strings(data))
            case b"L":
                await self._transaction.header(wire.header_line(data, self._agreed.steps))
            case b"N":
                await self._transaction.take(b"\r\n")
            case b"B":
                await self._transaction.take(data)
            case b"T" | b"U":
                pass
            case _:
                raise wire.ProtocolError(f"command {command!r}")

    @property
    def _transaction(self) -> Transaction:
        if self._message is None:
            config = self._config
            self._message = Transaction(
                config.limits, self._spool, config.milter.login_domain or config.site.hostname
            )
        return self._message

    async def _forget(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            await message.close()

    def _macro(self, name: str) -> str:
        """The value that the server gave for the latest command that has one."""
        for command in (b"E", b"N", b"T", b"R", b"M", b"H", b"C"):
            if value := self._macros.get(command, {}).get(name, ""):
                return value
        return ""

    async def _judged(self, data: bytes, writer: asyncio.StreamWriter) -> list[bytes]:
        """The end of the message: judge it, and say all the while that we are at it."""
        deciding = asyncio.create_task(self._decide(data))
        try:
            while not deciding.done():
                await asyncio.wait({deciding}, timeout=PROGRESS_SECONDS)
                if not deciding.done():
                    writer.write(wire.PROGRESS)
                    await writer.drain()
            return deciding.result()
        finally:
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)
            await self._forget()

    async def _decide(self, data: bytes) -> list[bytes]:
        """The answer; any trouble of ours is a temporary one (RFC 5321, 4.2.1)."""
        reference = new_queue_id(self._clock())
        try:
            message = self._transaction
            await message.take(data)
            if message.refusal is not None:
                return [answer.refused(message.refusal)]
            body = await message.finish()
            outcome = await self._advised(message, body)
        except MailgovError as error:
            log.warning("milter.trouble", reference=reference, cause=str(error))
            return [answer.refused(replies.trouble(error, reference))]
        except Exception as error:
            log.exception("milter.failed", reference=reference)
            return [answer.refused(replies.trouble(error, reference))]
        return answer.for_outcome(
            outcome,
            self._agreed,
            self._config.milter.held,
            help_base(self._config),
            message.forged,
        )

    async def _advised(self, message: Transaction, body: Body) -> Outcome:
        try:
            envelope = message.envelope(self._client, await self._direction(message))
            return await self._intake.advise(envelope, body, elsewhere=self._macro("i"))
        finally:
            if body.path is not None:
                await asyncio.to_thread(self._spool.discard, body)

    async def _direction(self, message: Transaction) -> Direction:
        """Who signed in submits; a host of our own network speaks for us in our name only."""
        if message.login:
            return "submission"
        if not self._is_trusted() or message.mail_from is None:
            return "inbound"
        ours = await self._directory.is_local_domain(message.mail_from.domain)
        return "internal" if ours else "inbound"

    def _is_trusted(self) -> bool:
        try:
            ip = ip_address(self._client.ip)
        except ValueError:
            return False
        return any(ip in network for network in self._config.relay.trusted_networks)
