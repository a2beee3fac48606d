"""One connection to one server: greeting, TLS, transactions (RFC 5321, 3207, 2920; LMTP: 2033).

Commands go out together where the peer takes that (PIPELINING), the body in pieces, and the final
dot only once the fence has let it pass.
"""

import asyncio
import base64
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal
from typing import Protocol as TypingProtocol

from mailgov import faults
from mailgov.addresses import Address
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel, Taken, wire
from mailgov.delivery.transports.security import Security, secure
from mailgov.delivery.transports.smtp_content import Demands, stuffed
from mailgov.delivery.transports.wire import (
    Lost,
    Nonsense,
    Reply,
    TlsFailed,
    TooSlow,
    Wire,
    WireError,
)
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.queue import QueuedMessage, QueueItem

Protocol = Literal["smtp", "lmtp"]


class StaleSession(Exception):
    """A connection kept for reuse was closed by the peer; nothing was sent over it."""


@dataclass(frozen=True, slots=True)
class Login:
    """With what to sign in (RFC 4954)."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to connect to: the name of the server, one of its addresses, and how."""

    host: str
    address: str  # a path for a socket file
    port: int
    security: Security
    protocol: Protocol = "smtp"
    login: Login | None = None


class SmtpSession:
    """A connection that was greeted. Not for use by two at once."""

    def __init__(self, line: Wire, server: Server) -> None:
        self._wire = line
        self._extensions: dict[str, str] = {}  # by name in upper case: parameters
        self._is_leaving = False  # the peer said that it wants no more
        self.server = server
        self.messages = 0  # transactions so far
        self.idle_since = 0.0  # seconds of the event loop

    @classmethod
    async def open(
        cls, server: Server, hostname: str, authorities: Sequence[Path] = ()
    ) -> "SmtpSession":
        """Connect, greet, secure as the server's policy says, sign in.

        Raises TlsFailed when TLS was wanted and did not come about, and DeliveryDeferred:
        `peer-unreachable`, `smarthost-sign-in`.
        """
        try:
            line = await Wire.connect(server.address, server.port)
        except WireError as exc:
            raise _unreachable(server, exc) from exc
        session = cls(line, server)
        try:
            await session._begin(hostname, tuple(authorities))
        except TlsFailed as exc:
            line.abort()
            exc.local_address = line.local_address
            raise
        except WireError as exc:
            line.abort()
            raise _unreachable(server, exc) from exc
        except BaseException:
            line.abort()
            raise
        return session

    async def _begin(self, hostname: str, authorities: tuple[Path, ...]) -> None:
        security = self.server.security
        if security.implicit:
            await secure(self._wire, self.server.host, security, authorities)
        greeting = await self._wire.reply(wire.GREETING_SECONDS)
        if greeting.code != 220:
            raise _turned_away(self.server, greeting)
        await self._hello(hostname)
        if security.level != "clear" and not security.implicit:
            try:
                await self._start_tls(hostname, authorities)
            except (Lost, TooSlow, Nonsense) as exc:
                raise TlsFailed(exc.args[0]) from exc
        if self.server.login is not None:
            await self._sign_in(self.server.login)

    async def _hello(self, hostname: str) -> None:
        self._extensions.clear()
        verb = "LHLO" if self.server.protocol == "lmtp" else "EHLO"
        reply = await self._command(f"{verb} {hostname}")
        if reply.code == 250:
            for line in reply.lines[1:]:
                name, _, parameters = line.partition(" ")
                self._extensions[name.upper()] = parameters
            return
        if self.server.protocol == "smtp" and 500 <= reply.code < 510:
            # RFC 5321, 3.2: it does not know the command
            reply = await self._command(f"HELO {hostname}")
        if reply.code != 250:
            raise _turned_away(self.server, reply)

    async def _start_tls(self, hostname: str, authorities: tuple[Path, ...]) -> None:
        security = self.server.security
        if not self.offers("STARTTLS"):
            if security.is_demanded:
                raise NotOffered("STARTTLS is not offered")
            return
        reply = await self._command("STARTTLS")
        if reply.code != 220:
            raise NotOffered(f"STARTTLS is refused: {reply}")
        await secure(self._wire, self.server.host, security, authorities)
        await self._hello(hostname)  # RFC 3207, 4.2: what was said before counts no more

    async def _sign_in(self, login: Login) -> None:
        """RFC 4954, by PLAIN, else by LOGIN. A no is our trouble, and never the sender's."""
        methods = self._extensions.get("AUTH", "").upper().split()
        if not (self.is_secured or self.server.address in ("127.0.0.1", "::1")):
            raise DeliveryDeferred("smarthost-sign-in", reason="no TLS")
        if "PLAIN" in methods:
            token = _base64(f"\0{login.user}\0{login.password}")
            reply = await self._command(f"AUTH PLAIN {token}")
        elif "LOGIN" in methods:
            reply = await self._command("AUTH LOGIN")
            for answer in (login.user, login.password):
                if reply.code == 334:
                    reply = await self._command(_base64(answer))
        else:
            raise DeliveryDeferred("smarthost-sign-in", reason="neither PLAIN nor LOGIN is offered")
        if reply.code != 235:
            raise DeliveryDeferred("smarthost-sign-in", reason="refused", reply=str(reply))

    def offers(self, extension: str) -> bool:
        """Whether the peer has an extension."""
        return extension in self._extensions

    @property
    def is_secured(self) -> bool:
        """Whether the session runs in TLS."""
        return self._wire.tls is not None

    @property
    def local_address(self) -> str:
        """Our end of the connection; empty for a socket file."""
        return self._wire.local_address

    async def send(self, parcel: Parcel, wanted: Demands, fence: Fence) -> Answers:
        """One transaction for all recipients.

        Raises DeliveryError for all alike, LeaseLost, and StaleSession.
        """
        self._require_extensions(parcel.message, wanted)
        answers: dict[int, Answer] = {
            item.recipient_id: DeliveryRefused("peer-lacks-smtputf8")
            for item in parcel.items
            if item.address.needs_smtputf8 and not self.offers("SMTPUTF8")
        }
        left = [item for item in parcel.items if item.recipient_id not in answers]
        if left:
            with self._translated():
                answers |= await self._transact(parcel, left, wanted, fence)
        return answers

    def _require_extensions(self, message: QueuedMessage, wanted: Demands) -> None:
        """Say no ourselves where the peer's extensions say it already."""
        sender = message.mail_from
        needs_utf8 = wanted.utf8_header or (sender is not None and sender.needs_smtputf8)
        if needs_utf8 and not self.offers("SMTPUTF8"):
            raise DeliveryRefused("peer-lacks-smtputf8")
        if wanted.eight_bit_body and not self.offers("8BITMIME"):
            # Converting would break the signatures over the body.
            raise DeliveryRefused("peer-lacks-8bitmime")
        if message.require_tls and not self._keeps_tls():
            raise DeliveryRefused("peer-lacks-requiretls", host=self.server.host)
        limit = self._extensions.get("SIZE", "")
        if limit.isdecimal() and 0 < int(limit) < message.size_bytes:  # RFC 1870
            raise DeliveryRefused("peer-takes-less", size=message.size_bytes, limit=limit)

    def _keeps_tls(self) -> bool:
        """Whether the message stays in TLS behind this server too (RFC 8689, 4.2.1)."""
        if self.server.protocol == "lmtp":
            return True
        return self.server.security.is_authenticated and self.offers("REQUIRETLS")

    async def _transact(
        self, parcel: Parcel, items: Sequence[QueueItem], wanted: Demands, fence: Fence
    ) -> dict[int, Answer]:
        is_utf8 = wanted.utf8_header or any(item.address.needs_smtputf8 for item in items)
        mail = self._mail(parcel.message, wanted, is_utf8=is_utf8)
        recipients = [self._recipient(item) for item in items]
        is_piped = self.offers("PIPELINING")
        if is_piped:
            self._wire.write(b"".join(_line(text) for text in (mail, *recipients, "DATA")))
        ask: _Ask = self._answer if is_piped else self._command
        await self._begin_transaction(mail, ask, len(recipients) if is_piped else 0)
        told: dict[int, Answer] = {}
        accepted: list[QueueItem] = []
        for item, line in zip(items, recipients, strict=True):
            reply = await ask(line)
            if _is_yes(reply):
                accepted.append(item)
            else:
                told[item.recipient_id] = _meaning(reply)
        faults.point("D3")
        if not accepted and not is_piped:
            await self._reset()
            return told
        data = await ask("DATA", wire.DATA_SECONDS)
        if data.code != 354:
            await self._reset()
            return told | {item.recipient_id: _meaning(data) for item in accepted}
        if not accepted:
            await self._command(".", wire.DOT_SECONDS)  # RFC 2920, 3.1: it waits for a message
            return told
        faults.point("D4")
        return told | await self._content(parcel, accepted, fence)

    async def _begin_transaction(self, line: str, ask: "_Ask", sent_with_it: int) -> None:
        """MAIL. Raises StaleSession where nobody was there any more, DeliveryError for a no."""
        self.messages += 1
        try:
            reply = await ask(line)
        except Lost as exc:
            if self.messages > 1:
                raise StaleSession from exc
            raise
        if reply.code == 421 and self.messages > 1:  # it has had enough of this connection
            raise StaleSession
        if _is_yes(reply):
            return
        try:
            if sent_with_it:
                await self._ignore(sent_with_it)
            await self._reset()
        except WireError:
            self.abort()
        raise _meaning(reply)

    async def _ignore(self, recipients: int) -> None:
        """Read the replies to what went out together with a MAIL that was refused."""
        for _ in range(recipients):
            await self._answer("RCPT")
        if (await self._answer("DATA", wire.DATA_SECONDS)).code == 354:
            self.abort()  # of whom it wants a message, and for whom, is not to be known

    def _mail(self, message: QueuedMessage, wanted: Demands, *, is_utf8: bool) -> str:
        sender = message.mail_from
        options: list[str] = []
        if self.offers("SIZE"):
            options.append(f"SIZE={message.size_bytes}")
        if wanted.eight_bit_body:
            options.append("BODY=8BITMIME")
        if is_utf8 or (sender is not None and sender.needs_smtputf8):
            options.append("SMTPUTF8")
        if self.server.protocol == "smtp":
            options += self._wishes_for_message(message)
        return " ".join((f"MAIL FROM:{_path(sender)}", *options))

    def _wishes_for_message(self, message: QueuedMessage) -> Iterator[str]:
        """What the next server is to know of the message, where it can."""
        if self.offers("DSN"):  # RFC 3461, 4.3 and 4.4
            if message.ret:
                yield f"RET={message.ret}"
            if message.envid:
                yield f"ENVID={message.envid}"
        if self.offers("MT-PRIORITY") and message.priority:  # RFC 6710
            yield f"MT-PRIORITY={message.priority}"
        if message.require_tls:  # RFC 8689
            yield "REQUIRETLS"

    def _recipient(self, item: QueueItem) -> str:
        line = f"RCPT TO:{_path(item.address)}"
        if self.server.protocol == "smtp" and self.offers("DSN"):  # RFC 3461, 4.1 and 4.2
            line += f" NOTIFY={','.join(sorted(item.notify))}" if item.notify else ""
            line += f" ORCPT={item.original}" if item.original else ""
        return line

    async def _command(self, line: str, seconds: float | None = None) -> Reply:
        """Say something; the reply."""
        self._wire.write(_line(line))
        return await self._answer(line, seconds)

    async def _answer(self, _line: str, seconds: float | None = None) -> Reply:
        """The reply to something that was said."""
        reply = await self._wire.reply(wire.COMMAND_SECONDS if seconds is None else seconds)
        self._is_leaving = self._is_leaving or reply.code == 421  # RFC 5321, 3.8
        return reply

    async def _reset(self) -> None:
        """Void the transaction; a peer that can't even do that is left."""
        if self._is_leaving:
            return
        try:
            await self._command("RSET")
        except WireError:
            self.abort()

    async def _content(
        self, parcel: Parcel, accepted: Sequence[QueueItem], fence: Fence
    ) -> dict[int, Answer]:
        """The message, the fence, the dot; what is said of each recipient."""
        early = await self._transmit(parcel)
        if early is not None:
            self.abort()  # the rest of the message would be taken for commands
            if early.code < 400:
                raise Nonsense("a yes before the end of the message")
            return {item.recipient_id: _meaning(early) for item in accepted}
        await fence()
        if self._wire.is_lost:
            raise Lost("gone before the dot")  # so it can't have taken the message
        faults.point("D5")
        self._wire.write(b".\r\n")
        told = await self._verdicts(accepted)
        faults.point("D6")
        return told

    async def _transmit(self, parcel: Parcel) -> Reply | None:
        """Send all but the dot; a reply that comes too early ends it."""
        chunks = stuffed(chain([parcel.message.prefix], parcel.body.chunks(_CHUNK_OCTETS)))
        in_memory = parcel.body.data is not None
        while chunk := next(chunks, b"") if in_memory else await asyncio.to_thread(_next, chunks):
            if self._wire.has_more:
                return await self._answer("DATA", wire.DATA_SECONDS)
            self._wire.write(chunk)
            await self._wire.drained()
        return await self._answer("DATA", wire.DATA_SECONDS) if self._wire.has_more else None

    async def _verdicts(self, accepted: Sequence[QueueItem]) -> dict[int, Answer]:
        """What came of the message: one reply for all, in LMTP one for each (RFC 2033, 4.2)."""
        told: dict[int, Answer] = {}
        of_each = self.server.protocol == "lmtp"
        try:
            for item in accepted if of_each else accepted[:1]:
                told[item.recipient_id] = self._verdict(await self._answer(".", wire.DOT_SECONDS))
        except WireError:
            self.abort()
            unknown = DeliveryDeferred("outcome-unknown", host=self.server.host)
            return dict.fromkeys((item.recipient_id for item in accepted), unknown) | told
        if of_each:
            return told
        return dict.fromkeys((item.recipient_id for item in accepted), *told.values())

    def _verdict(self, reply: Reply) -> Answer:
        if not _is_yes(reply):
            return _meaning(reply)
        if self.server.protocol == "lmtp":
            return Taken(str(reply), "mailbox")
        return Taken(str(reply), "dsn-relay" if self.offers("DSN") else "relay")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The border where trouble on the wire becomes a reason to try later."""
        try:
            yield
        except WireError as exc:
            self.abort()  # nobody knows how far it has come: not even QUIT would be understood
            host = self.server.host
            raise DeliveryDeferred("connection-lost", host=host, reason=exc.args[0]) from exc

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may be tried."""
        return not (self._wire.is_lost or self._wire.has_more or self._is_leaving)

    def abort(self) -> None:
        """Drop the connection at once; what was not ended by a dot is void."""
        self._wire.abort()

    async def close(self) -> None:
        """Take leave."""
        try:
            if not self._wire.is_lost:
                await self._command("QUIT", wire.QUIT_SECONDS)
        except WireError:
            pass  # gone already
        finally:
            self._wire.abort()


_CHUNK_OCTETS = 64 << 10


class _Ask(TypingProtocol):
    def __call__(self, line: str, seconds: float | None = None, /) -> Awaitable[Reply]:
        """The reply to a line."""


class NotOffered(TlsFailed):
    """The peer has no TLS to offer (RFC 8460, 4.3.1: starttls-not-supported)."""


def _line(text: str) -> bytes:
    """A command as bytes. Raises ValueError: nothing that we were given may make two of one."""
    if any(sign in text for sign in "\r\n\0"):
        raise ValueError("a command of more than one line")
    return f"{text}\r\n".encode()


def _next(chunks: Iterator[bytes]) -> bytes:
    return next(chunks, b"")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _path(address: Address | None) -> str:
    return f"<{address or ''}>"


def _is_yes(reply: Reply) -> bool:
    """250 and its kin (RFC 5321, 4.2.3). A greeting or a goodbye says nothing of the message."""
    return 250 <= reply.code < 260


def _meaning(reply: Reply) -> DeliveryError:
    """What a reply other than yes means for the message."""
    if 500 <= reply.code < 600:
        return DeliveryRefused("peer-refused", reply=str(reply))
    return DeliveryDeferred("peer-deferred", reply=str(reply))


def _unreachable(server: Server, exc: WireError) -> DeliveryDeferred:
    return DeliveryDeferred("peer-unreachable", host=server.host, reason=exc.args[0])


def _turned_away(server: Server, reply: Reply) -> DeliveryDeferred:
    """It does not want to talk to us now. Even a 5xx may be another server's yes tomorrow."""
    return DeliveryDeferred(
        "peer-unreachable", host=server.host, reason="turned away", reply=str(reply)
    )
