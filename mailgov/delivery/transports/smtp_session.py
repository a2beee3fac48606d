"""One SMTP connection to one server: greeting, TLS, transactions (RFC 5321, RFC 3207).

aiosmtplib keeps the protocol; addresses and the DATA phase are written here, so that an address
goes out as it is, a body is never held whole, and the final dot waits for the fence.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.protocol import SMTPProtocol

from mailgov import faults
from mailgov.addresses import Address
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel, Taken
from mailgov.delivery.transports.smtp_content import Demands, stuffed
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.queue import QueuedMessage, QueueItem

Tls = Literal["none", "opportunistic", "required", "implicit"]

# RFC 5321, 4.5.3.2, in seconds. Connecting is not in it; half a minute reaches whom it will.
CONNECT_SECONDS = 30.0
GREETING_SECONDS = 300.0
COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
BLOCK_SECONDS = 180.0
DOT_SECONDS = 600.0
QUIT_SECONDS = 5.0

MAX_REPLY_SIGNS = 1000


class StaleSession(Exception):
    """A connection kept for reuse was closed by the peer; nothing was sent over it."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to connect to: the name of the server, one of its addresses, and how."""

    host: str
    address: str
    port: int
    tls: Tls


class SmtpSession:
    """A connection that said EHLO. Not for use by two at once."""

    def __init__(self, client: SMTP, server: Server) -> None:
        self._client = client
        self.server = server
        self.messages = 0  # transactions so far
        self.idle_since = 0.0  # seconds of the event loop

    @classmethod
    async def open(cls, server: Server, hostname: str) -> "SmtpSession":
        """Connect and greet, with TLS as told. Raises DeliveryDeferred `peer-unreachable`.

        Opportunistic TLS takes any certificate, and goes on in clear when TLS fails: without a
        policy of the domain nobody can tell the right server anyway (RFC 7435).
        """
        try:
            return await cls._open(server, hostname, with_tls=server.tls != "none")
        except _TlsFailed as exc:
            if server.tls == "required":
                raise _unreachable(server, exc) from exc
        except (SMTPException, OSError) as exc:
            raise _unreachable(server, exc) from exc
        try:
            return await cls._open(server, hostname, with_tls=False)
        except (SMTPException, OSError) as exc:
            raise _unreachable(server, exc) from exc

    @classmethod
    async def _open(cls, server: Server, hostname: str, *, with_tls: bool) -> "SmtpSession":
        client = SMTP(
            sock=await _connected(server),
            local_hostname=hostname,
            timeout=COMMAND_SECONDS,
            start_tls=False,
        )
        try:
            await client.connect(timeout=GREETING_SECONDS)
            await _greet(client)
            if with_tls:
                await _start_tls(client, server)
        except BaseException:
            client.close()
            raise
        return cls(client, server)

    async def send(self, parcel: Parcel, wanted: Demands, fence: Fence) -> Answers:
        """One transaction for all recipients.

        Raises DeliveryError for all alike, LeaseLost, and StaleSession.
        """
        self._require_extensions(parcel.message, wanted)
        answers: dict[int, Answer] = {
            item.recipient_id: DeliveryRefused("peer-lacks-smtputf8")
            for item in parcel.items
            if item.address.needs_smtputf8 and not self._has("smtputf8")
        }
        left = [item for item in parcel.items if item.recipient_id not in answers]
        if left:
            is_utf8 = wanted.utf8_header or any(item.address.needs_smtputf8 for item in left)
            with _translated():
                await self._mail(parcel.message, wanted, is_utf8=is_utf8)
                answers |= await self._recipients(left)
                accepted = [item for item in left if item.recipient_id not in answers]
                answers |= await self._content(parcel, accepted, fence)
        return answers

    def _has(self, extension: str) -> bool:
        return self._client.supports_extension(extension)

    def _require_extensions(self, message: QueuedMessage, wanted: Demands) -> None:
        """Say no ourselves where the peer's extensions say it already."""
        sender = message.mail_from
        needs_utf8 = wanted.utf8_header or (sender is not None and sender.needs_smtputf8)
        if needs_utf8 and not self._has("smtputf8"):
            raise DeliveryRefused("peer-lacks-smtputf8")
        if wanted.eight_bit_body and not self._has("8bitmime"):
            # Converting would break the signatures over the body.
            raise DeliveryRefused("peer-lacks-8bitmime")
        limit = self._client.esmtp_extensions.get("size", "")
        if limit.isdecimal() and 0 < int(limit) < message.size_bytes:  # RFC 1870
            raise DeliveryRefused("peer-takes-less", size=message.size_bytes, limit=limit)

    async def _mail(self, message: QueuedMessage, wanted: Demands, *, is_utf8: bool) -> None:
        sender = message.mail_from
        options: list[str] = []
        if self._has("size"):
            options.append(f"SIZE={message.size_bytes}")
        if wanted.eight_bit_body:
            options.append("BODY=8BITMIME")
        if is_utf8 or (sender is not None and sender.needs_smtputf8):
            options.append("SMTPUTF8")
        if self._has("dsn"):  # RFC 3461, 4.3 and 4.4
            options += [f"RET={message.ret}"] if message.ret else []
            options += [f"ENVID={message.envid}"] if message.envid else []
        self.messages += 1
        try:
            reply = await self._command(b"MAIL", b"FROM:" + _path(sender), options)
        except SMTPServerDisconnected as exc:
            if self.messages > 1:
                raise StaleSession from exc
            raise
        if reply.code == 421 and self.messages > 1:  # it has had enough of this connection
            raise StaleSession
        _require(reply, 250)

    async def _command(
        self, verb: bytes, argument: bytes, options: Iterable[str] = ()
    ) -> SMTPResponse:
        words = [option.encode() for option in options]
        return await self._client.execute_command(verb, argument, *words)

    async def _recipients(self, items: Iterable[QueueItem]) -> dict[int, Answer]:
        """Name every recipient; what those are told who are not taken."""
        refused: dict[int, Answer] = {}
        for item in items:
            reply = await self._command(b"RCPT", b"TO:" + _path(item.address), self._wishes(item))
            try:
                _require(reply, 250, 251)
            except DeliveryError as exc:
                refused[item.recipient_id] = exc
        faults.point("D3")
        return refused

    def _wishes(self, item: QueueItem) -> list[str]:
        """RFC 3461, 4.1 and 4.2."""
        if not self._has("dsn"):
            return []
        wishes = [f"NOTIFY={','.join(sorted(item.notify))}"] if item.notify else []
        return [*wishes, *([f"ORCPT={item.original}"] if item.original else [])]

    async def _content(
        self, parcel: Parcel, accepted: Iterable[QueueItem], fence: Fence
    ) -> dict[int, Answer]:
        ids = [item.recipient_id for item in accepted]
        if not ids:
            await self._reset()
            return {}
        try:
            _require(await self._client.execute_command(b"DATA", timeout=DATA_SECONDS), 354)
        except DeliveryError as exc:
            await self._reset()
            return dict.fromkeys(ids, exc)
        faults.point("D4")
        try:
            reply = await self._transmit(parcel, fence)
            _require(reply, 250)
        except DeliveryError as exc:
            return dict.fromkeys(ids, exc)
        taken = Taken(reply_text(reply), "dsn-relay" if self._has("dsn") else "relay")
        return dict.fromkeys(ids, taken)

    async def _reset(self) -> None:
        """Void the transaction; a peer that can't even do that is left."""
        try:
            await self._client.rset()
        except (SMTPException, OSError):
            self.abort()

    async def _transmit(self, parcel: Parcel, fence: Fence) -> SMTPResponse:
        """The message, the fence, the dot; the reply. A reply that comes too early ends it."""
        protocol = self._client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("connection lost")
        async with _expected_reply(protocol) as reply:
            chunks = stuffed(chain([parcel.message.prefix], parcel.body.chunks()))
            while not reply.done() and (chunk := await asyncio.to_thread(next, chunks, b"")):
                protocol.write(chunk)
                await _drained(protocol)
            if reply.done():
                self.abort()  # the rest of the message would be taken for commands
                return await reply
            await fence()
            faults.point("D5")
            protocol.write(b".\r\n")
            try:
                async with asyncio.timeout(DOT_SECONDS):
                    answer = await reply
            except (SMTPException, OSError) as exc:
                self.abort()
                raise DeliveryDeferred("outcome-unknown", host=self.server.host) from exc
            faults.point("D6")
            return answer

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may be tried."""
        return self._client.is_connected

    def abort(self) -> None:
        """Drop the connection at once; what was not ended by a dot is void."""
        self._client.close()

    async def close(self) -> None:
        """Take leave."""
        try:
            if self._client.is_connected:
                await self._client.quit(timeout=QUIT_SECONDS)
        except (SMTPException, OSError):
            pass  # gone already
        finally:
            self._client.close()


class _TlsFailed(Exception):
    """STARTTLS was offered, or demanded, and did not come about."""


async def _connected(server: Server) -> socket.socket:
    """A socket to the server; the library would wait as long for it as for the greeting."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(server.address, server.port, type=socket.SOCK_STREAM)
    trouble = OSError("no address")
    for family, kind, protocol, _, target in found:  # a smarthost's name may have several
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(made, target)
        except OSError as exc:
            made.close()
            trouble = exc
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise trouble


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError as exc:
        if not 500 <= exc.code < 510:  # RFC 5321, 3.2: it does not know the command
            raise
        await client.helo()


async def _start_tls(client: SMTP, server: Server) -> None:
    if not client.supports_extension("starttls"):
        if server.tls == "required":
            raise _TlsFailed("STARTTLS is not offered")
        return
    context = await asyncio.to_thread(_context, is_checked=server.tls == "required")
    try:
        await client.starttls(server_hostname=server.host, tls_context=context)
        await _greet(client)
    except (
        SMTPException,
        OSError,
        ValueError,
    ) as exc:  # ValueError: a host no certificate can name
        raise _TlsFailed(str(exc)) from exc


@cache
def _context(*, is_checked: bool) -> ssl.SSLContext:
    context = (
        ssl.create_default_context() if is_checked else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    if not is_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def _expected_reply(
    protocol: SMTPProtocol,
) -> AsyncIterator["asyncio.Task[SMTPResponse]"]:
    """Listen while sending: a server may refuse a message before it has all of it."""
    task = asyncio.create_task(protocol.read_response())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: whoever needs it has awaited the task


async def _drained(protocol: SMTPProtocol) -> None:
    async with asyncio.timeout(BLOCK_SECONDS):
        # The library offers no other way to wait until the socket takes more.
        await protocol._drain_helper()  # noqa: SLF001


def _path(address: Address | None) -> bytes:
    return f"<{address or ''}>".encode()


def _require(reply: SMTPResponse, *codes: int) -> None:
    """Raise what a reply means unless it is one of the codes."""
    if reply.code not in codes:
        raise _meaning(reply.code, reply.message)


def _meaning(code: int, message: str) -> DeliveryError:
    text = reply_text(SMTPResponse(code, message))
    if 500 <= code < 600:
        return DeliveryRefused("peer-refused", reply=text)
    return DeliveryDeferred("peer-deferred", reply=text)


def reply_text(reply: SMTPResponse) -> str:
    """A reply in one printable line, bounded: it goes into rows, notices and terminals."""
    message = reply.message.encode("utf-8", "replace").decode()
    words = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return f"{reply.code} {words}"[:MAX_REPLY_SIGNS].rstrip()


@contextmanager
def _translated() -> Iterator[None]:
    """The border where the library's errors become ours."""
    try:
        yield
    except SMTPResponseException as exc:
        raise _meaning(exc.code, exc.message) from exc
    except (SMTPException, OSError) as exc:  # its timeouts and ours are OSErrors too
        raise DeliveryDeferred("connection-lost", reason=type(exc).__name__) from exc


def _unreachable(server: Server, exc: Exception) -> DeliveryDeferred:
    reply = ""
    if isinstance(exc, SMTPResponseException):
        reply = reply_text(SMTPResponse(exc.code, exc.message))
    reason = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
    return DeliveryDeferred("peer-unreachable", host=server.host, reason=reason, reply=reply)
