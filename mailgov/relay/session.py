"""One connection: lines, blocks and deadlines, over the library's protocol class.

The library gives connection, streams and the names of the hooks (`smtp_<VERB>`). Its command loop,
parsers and DATA are replaced, because they take bare line feeds, hold messages as lists of lines,
time DATA as a whole, and answer bugs with 500 and the exception's words.
"""

import asyncio
import base64
import re
import secrets
import ssl
from ipaddress import IPv6Address, ip_address

from aiosmtpd.smtp import SMTP

from mailgov import faults
from mailgov.errors import MailgovError
from mailgov.logs import logger
from mailgov.relay import auth, replies
from mailgov.relay.commands import CommandError, parse_chunk
from mailgov.relay.data import BodyCheck, BodySink, DotReader, Pace
from mailgov.relay.handler import DECISION_MARGIN_SECONDS, Handler, Listener, Parts
from mailgov.relay.limits import IPAddress
from mailgov.relay.replies import Reply, refusal

READ_BYTES = 256 << 10
HANDSHAKE_SECONDS = 30.0
LINGER_SECONDS = 5.0  # for a peer that does not fetch our last words

_COMMAND_OCTETS = 512  # RFC 5321, 4.5.3.1.4: with CRLF
_LONGER_OCTETS = {
    "MAIL": 512 + 26 + 17 + 10 + 107 + 500,  # RFC 1870, 6152, 6531, 3461, 4954
    "RCPT": 512 + 500,  # RFC 3461, 4
    "AUTH": auth.MAX_LINE_OCTETS + 2,
}
_ENDLESS_OCTETS = 64 << 10  # of a line without end, before we hang up
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_JUNK = frozenset({"EHLO", "HELO", "HELP", "NOOP", "RSET", "VRFY", "EXPN"})
_OTHER_PROTOCOLS = frozenset({"GET", "POST", "HEAD", "PUT", "CONNECT", "OPTIONS"})

log = logger("relay")


class _GoneError(Exception):
    """The client is not there any more."""


class RelaySession(SMTP):
    """A session on one of our ports. `sessions` holds those that live."""

    # The transport pauses when twice this waits unread; with the library's 1,001 every 2 KB.
    line_length_limit = 64 << 10

    def __init__(
        self,
        parts: Parts,
        listener: Listener,
        tls_context: ssl.SSLContext,
        sessions: "set[RelaySession]",
    ) -> None:
        super().__init__(
            None,
            hostname=parts.hostname,
            data_size_limit=parts.limits.message_bytes,
            enable_SMTPUTF8=True,
            tls_context=tls_context,
            timeout=parts.limits.idle_seconds,
            loop=asyncio.get_running_loop(),
        )
        self.parts = parts
        self.listener = listener
        self.task: asyncio.Task[None] | None = None
        self._sessions = sessions
        self._handler: Handler
        self._ahead = bytearray()  # read, not yet understood
        self._out: list[bytes] = []  # said, not yet sent
        self._sink: BodySink | None = None  # of the message under way
        self._born = self.loop.time()
        self._deadline = self._timer_at = self._born
        self._over = False  # nothing more is obeyed
        self._retired = False  # because the server stops
        self._last_word = False  # 221 or 421 was said
        self._utf8 = False  # the command under way belongs to an SMTPUTF8 transaction
        self._waiting = False  # for a command
        self._in_data = False
        self._shaking_hands = False

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there. Where TLS comes first, hands were shaken already."""
        super().connection_made(transport)
        assert self._handler_coroutine is not None
        self.task = self._handler_coroutine
        self._sessions.add(self)
        self.task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._sessions.discard(self)
        if not task.cancelled() and (error := task.exception()):
            log.error("session.failed", exc_info=error)

    def eof_received(self) -> bool:
        """The client says no more, but what it asked still gets its replies."""
        self._reader.feed_eof()
        return not _is_tls(self._writer)  # TLS can't stay half open

    def retire(self) -> None:
        """The server stops: end between commands at once, else after the one under way."""
        if self._waiting:
            self._cut("stopping")
        self._over = self._retired = True

    async def _handle_client(self) -> None:
        """The life of a session."""
        ip, port = _peer(self._writer)
        self._handler = Handler(self.parts, self.listener, ip, port)
        self._handler.tls = _cipher(self._writer)
        why = self.parts.doorkeeper.enter(ip, self.parts.now(), trusted=self._handler.trusted)
        try:
            if why:
                log.info("session.refused", ip=str(ip), listener=self.listener.name, why=why)
                self._say(refusal(why))
            else:
                faults.point("A1")
                self._say(replies.greeting(self.parts.hostname, self.parts.greeting))
                await self._talk()
            await self._flush()
        except _GoneError as exc:
            log.debug("session.broken", ip=str(ip), why=str(exc))
        finally:
            self._end(ip)

    def _end(self, ip: IPAddress) -> None:
        self._forget_body()
        self._handler.close()
        self.parts.doorkeeper.leave(ip)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        transport = self._writer.transport
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(LINGER_SECONDS, transport.abort)

    # Deadlines: one timer serves the whole session, however often the deadline moves.

    def _reset_timeout(self, duration: float | None = None) -> None:
        self._set_deadline(self.loop.time() + (duration or self.parts.limits.idle_seconds))

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timeout_handle is None or deadline < self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timer_at = self._deadline
        self._timeout_handle = self.loop.call_at(self._timer_at, self._timeout_cb)

    def _timeout_cb(self) -> None:
        if self.loop.time() < self._deadline:
            self._set_timer()
        else:
            self._cut(self._lateness())

    def _patience(self) -> float:
        """Until when to wait for a command."""
        limits = self.parts.limits
        moments = [self.loop.time() + limits.idle_seconds, self._born + limits.session_seconds]
        if self._must_sign_in:
            moments.append(self._born + limits.login_seconds)
        return min(moments)

    def _lateness(self) -> str:
        now, limits = self.loop.time(), self.parts.limits
        if self._in_data:
            return "data-too-slow"
        if now >= self._born + limits.session_seconds:
            return "session-too-long"
        if self._must_sign_in and now >= self._born + limits.login_seconds:
            return "login-late"
        return "idle"

    @property
    def _must_sign_in(self) -> bool:
        return self.listener.submission and self._handler.account is None

    def _cut(self, key: str) -> None:
        """End the session from outside its task, with a word of why."""
        self._over = True
        if not self._shaking_hands and not self._writer.is_closing():
            self._writer.write(refusal(key).encode())
        if self.task is not None:
            self.task.cancel()

    # Lines in, replies out. Replies to pipelined commands travel together (RFC 2920).

    async def _talk(self) -> None:
        while not self._over:
            try:
                line = await self._next_line()
                if line is None:
                    return
                await self._obey(line)
            except CommandError as exc:
                self._say(refusal(exc.key))
            except _GoneError:
                raise
            except Exception as exc:  # noqa: BLE001 - unknown trouble is ours, and temporary
                self._say(self._trouble(exc))
        if self._retired and not self._last_word:
            self._say(refusal("stopping"))

    async def _next_line(self) -> bytes | None:
        """The next line with its end; None when the client has said everything."""
        searched = 0
        while (end := self._ahead.find(b"\n", searched)) < 0:
            searched = len(self._ahead)
            if searched > _ENDLESS_OCTETS:
                self._over = True
                raise CommandError("command-too-long")
            await self._flush()
            self._set_deadline(self._patience())
            self._waiting = True
            block = await self._read()
            self._waiting = False
            if not block:
                return None
            self._ahead += block
        line = bytes(self._ahead[: end + 1])
        del self._ahead[: end + 1]
        return line

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except OSError as exc:
            raise _GoneError(str(exc)) from exc

    def _say(self, reply: Reply) -> None:
        """Queue a reply. After too many refusals, or a 421, it is the last."""
        if reply.refuses and reply.key != "unknown-recipient" and self._handler.counters.error():
            reply = refusal("too-many-errors")
        if reply.code in (221, 421):
            self._over = self._last_word = True
        if reply.code >= 400:
            log.info(
                "command.refused",
                ip=str(self._handler.ip),
                listener=self.listener.name,
                reply=reply.code,
                why=reply.key,
            )
        self._out.append(reply.encode(utf8=self._utf8 or self._handler.smtputf8))

    async def _flush(self) -> None:
        if not self._out:
            return
        self._writer.write(b"".join(self._out))
        self._out.clear()
        try:
            await self._writer.drain()
        except OSError as exc:
            raise _GoneError(str(exc)) from exc

    def _trouble(self, error: Exception) -> Reply:
        """The cause goes to the log, a reference to the client."""
        reference = secrets.token_hex(4)
        ip = str(self._handler.ip)
        if isinstance(error, MailgovError):
            log.warning("trouble", reference=reference, ip=ip, why=str(error))
        else:
            log.error("trouble", reference=reference, ip=ip, exc_info=error)
        return replies.trouble(error, reference)

    async def _obey(self, line: bytes) -> None:
        self._utf8 = self._handler.smtputf8
        verb, argument = _split(line)
        if verb in _OTHER_PROTOCOLS:
            raise CommandError("not-mail")
        if verb in _JUNK and self._handler.counters.junk_command():
            raise CommandError("too-many-junk-commands")
        method = self._smtp_methods.get(verb)
        if method is None:
            raise CommandError("command-unknown")
        await method(argument)

    # Commands: the library finds them by their names. `arg` is empty when there is none.

    async def smtp_HELO(self, hostname: str) -> None:
        """RFC 5321, 4.1.1.1."""
        self._greet(hostname, extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:
        """RFC 5321, 4.1.1.1."""
        self._greet(hostname, extended=True)

    def _greet(self, name: str, *, extended: bool) -> None:
        self._forget_body()
        self._say(self._handler.hello(name, extended=extended))

    async def smtp_MAIL(self, arg: str | None) -> None:
        """RFC 5321, 4.1.1.2."""
        faults.point("A2")
        self._say(await self._handler.mail(arg or ""))

    async def smtp_RCPT(self, arg: str | None) -> None:
        """RFC 5321, 4.1.1.3."""
        faults.point("A2")
        if self._sink is not None:
            raise CommandError("chunks-begun")
        self._say(await self._handler.rcpt(arg or ""))

    async def smtp_RSET(self, arg: str) -> None:
        """RFC 5321, 4.1.1.5."""
        _require_none(arg)
        self._forget_body()
        self._handler.reset()
        self._say(replies.RESET_OK)

    async def smtp_NOOP(self, arg: str) -> None:
        """RFC 5321, 4.1.1.9."""
        self._say(replies.NOOP_OK)

    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321, 7.3: whom we know is nobody's business."""
        self._say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str) -> None:
        """RFC 5321, 7.3."""
        raise CommandError("not-offered")

    async def smtp_HELP(self, arg: str) -> None:
        """RFC 5321, 4.1.1.8."""
        self._say(replies.help_reply(self.parts.help_base))

    async def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321, 4.1.1.10."""
        _require_none(arg)
        self._say(replies.BYE)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207."""
        _require_none(arg)
        if self._handler.tls:
            raise CommandError("tls-active")
        self._say(replies.START_TLS)
        # From here to the handshake nothing may wait, or the client's first bytes of TLS would be
        # read as commands.
        self._writer.write(b"".join(self._out))
        self._out.clear()
        self._forget_clear_text()
        assert self.tls_context is not None
        self._shaking_hands = True
        self._set_deadline(self.loop.time() + 2 * HANDSHAKE_SECONDS)
        try:
            await self._writer.start_tls(self.tls_context, ssl_handshake_timeout=HANDSHAKE_SECONDS)
        except OSError as exc:  # ssl.SSLError among them
            raise _GoneError(str(exc)) from exc
        self._shaking_hands = False
        self.transport = self._reader._transport = self._writer.transport  # noqa: SLF001
        self._handler.tls = _cipher(self._writer)

    def _forget_clear_text(self) -> None:
        """What came after STARTTLS came in clear, from anybody (RFC 3207, 4.2)."""
        unread = self._reader._buffer  # noqa: SLF001 - the stream has no other way to empty it
        if self._ahead or unread:
            log.warning("starttls.injection", ip=str(self._handler.ip))
        self._ahead.clear()
        unread.clear()
        self._forget_body()
        self._handler.forget_client()

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954."""
        self._handler.require_login_possible()
        credentials = await self._exchange(auth.begin(arg or ""))
        self._say(await self._handler.login(credentials))

    async def _exchange(self, exchange: auth.Exchange) -> auth.Credentials:
        try:
            question = next(exchange)
            while True:
                self._say(replies.challenge(base64.b64encode(question).decode()))
                line = await self._next_line()
                if line is None:
                    raise _GoneError("left while signing in")
                question = exchange.send(auth.answer(line))
        except StopIteration as end:
            credentials: auth.Credentials = end.value
            return credentials

    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321, 4.1.1.4."""
        _require_none(arg)
        if self._sink is not None:
            raise CommandError("chunks-begun")
        self._handler.require_recipients()
        faults.point("A3")
        self._say(replies.START_DATA)
        await self._flush()
        dots = DotReader()
        try:
            self._open_body()
            await self._take(dots.feed(self._take_ahead(len(self._ahead))))
            while not dots.ended:
                await self._take(dots.feed(await self._read_block()))
        except Exception:
            self._over = True  # where the message ends, nobody knows now
            raise
        self._ahead += dots.rest
        await self._finish_message()

    async def smtp_BDAT(self, arg: str) -> None:
        """RFC 3030."""
        try:
            size_bytes, last = parse_chunk(arg or "")
            why = self._why_no_chunk()
            if not why and self._sink is None:
                self._open_body()
            await self._take_chunk(size_bytes)
        except Exception:
            self._over = True  # where the chunk ends, nobody knows now
            raise
        if why:
            raise CommandError(why)
        assert self._sink is not None
        if last or self._sink.check.refusal:
            await self._finish_message()
        else:
            self._say(replies.chunk_taken(size_bytes))

    def _why_no_chunk(self) -> str:
        try:
            self._handler.require_recipients()
        except CommandError as exc:
            return exc.key
        return ""

    async def _take_chunk(self, size_bytes: int) -> None:
        limits = self.parts.limits
        if size_bytes > limits.message_bytes + limits.drop_after_bytes:
            raise CommandError("message-too-big")
        left = size_bytes
        while left:
            if not self._ahead:
                self._ahead += await self._read_block()
            block = self._take_ahead(left)
            left -= len(block)
            if self._sink is not None:
                await self._take(block)

    def _take_ahead(self, most: int) -> bytes:
        block = bytes(self._ahead[:most])
        del self._ahead[:most]
        return block

    # The message under way

    def _open_body(self) -> None:
        self._sink = BodySink(
            self.parts.spool, self.parts.executor, BodyCheck(self._handler.body_limits())
        )
        self._pace = Pace(self.parts.limits.data_bytes_per_second, self.loop.time())

    def _forget_body(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    async def _read_block(self) -> bytes:
        """Bytes of a message. Progress moves the deadline; a trickle is no progress."""
        self._set_deadline(self.loop.time() + self.parts.limits.data_block_seconds)
        self._in_data = True
        block = await self._read()
        self._in_data = False
        if not block:
            raise _GoneError("left within a message")
        if self._sink is not None and self._pace.too_slow(len(block), self.loop.time()):
            raise CommandError("data-too-slow")
        return block

    async def _take(self, block: bytes) -> None:
        assert self._sink is not None
        faults.point("A4")
        await self._sink.take(block)
        if self._sink.check.hopeless:
            raise CommandError("message-too-big")

    async def _finish_message(self) -> None:
        """The message is here whole: hand it to the gate, and say 250 only when it is kept."""
        sink, self._sink = self._sink, None
        assert sink is not None
        try:
            faults.point("A5")
            body = await sink.finish()
            if sink.check.refusal:
                raise CommandError(sink.check.refusal)
            if body is None:
                assert sink.trouble is not None
                raise sink.trouble
            self._set_deadline(
                self.loop.time() + self.parts.limits.decision_seconds + 2 * DECISION_MARGIN_SECONDS
            )
            reply = await self._handler.judge(body)
            faults.point("A13")
            self._say(reply)
        finally:
            sink.close()
            self._handler.reset()


def _split(line: bytes) -> tuple[str, str]:
    """Verb in capitals, and argument. Raises CommandError."""
    if not line.endswith(b"\r\n"):
        raise CommandError("line-end")  # RFC 5321, 2.3.8
    verb_octets, _, argument = line[:-2].partition(b" ")
    try:
        verb = verb_octets.decode("ascii").upper()
        if len(line) > _LONGER_OCTETS.get(verb, _COMMAND_OCTETS):
            raise CommandError("login-too-long" if verb == "AUTH" else "command-too-long")
        if _CONTROL.search(line, 0, len(line) - 2):
            raise CommandError("line-syntax")
        return verb, argument.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        raise CommandError("line-syntax") from None


def _require_none(argument: str) -> None:
    if argument:
        raise CommandError("argument-unwanted")


def _peer(writer: asyncio.StreamWriter) -> tuple[IPAddress, int]:
    name = writer.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104 - it left already
    ip = ip_address(name[0].partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip, name[1]


def _is_tls(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("sslcontext") is not None


def _cipher(writer: asyncio.StreamWriter) -> str:
    """Protocol and cipher; empty in clear."""
    cipher = writer.get_extra_info("cipher") if _is_tls(writer) else None
    return f"{cipher[1]} {cipher[0]}" if cipher else ""
