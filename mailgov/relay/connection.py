"""One connection: lines, replies and deadlines, over the library's protocol class.

The library gives connection, streams and the names of the hooks (`smtp_<VERB>`). Its command loop
is replaced: it takes bare line feeds, answers one command at a time, times DATA as a whole, and
tells bugs to the client, with 500 and the exception's words.
"""

import asyncio
import re
import secrets
import ssl
from itertools import count
from typing import Any

from aiosmtpd.smtp import SMTP

from mailgov import faults
from mailgov.errors import MailgovError
from mailgov.logs import logger
from mailgov.relay import auth, certificates, replies
from mailgov.relay.commands import CommandError
from mailgov.relay.deadline import Deadline
from mailgov.relay.handler import Handler
from mailgov.relay.limits import Guest
from mailgov.relay.parts import Listener, Parts
from mailgov.relay.replies import Reply, refusal
from mailgov.relay.sink import BodySink

READ_BYTES = 256 << 10
LINGER_SECONDS = 5.0  # for a peer that does not fetch our last words

_COMMAND_OCTETS = 512  # RFC 5321, 4.5.3.1.4: with CRLF
_LONGER_OCTETS = {
    "MAIL": 512
    + 26
    + 17
    + 10
    + 107
    + 500
    + 15
    + 12,  # RFC 1870, 6152, 6531, 3461, 4954, 6710, 8689
    "RCPT": 512 + 500,  # RFC 3461, 4
    "AUTH": auth.MAX_LINE_OCTETS + 2,
}
_ENDLESS_OCTETS = 64 << 10  # of a line without end, before we hang up
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_GREETINGS = frozenset({"EHLO", "HELO"})
_JUNK = _GREETINGS | {"HELP", "NOOP", "RSET", "VRFY", "EXPN"}
_LINES_IN_A_ROW = 32  # obeyed before other sessions get their turn
_REPLIES_AT_ONCE = 512  # to a client that says much without waiting
_OTHER_PROTOCOLS = frozenset({"GET", "POST", "HEAD", "PUT", "CONNECT", "OPTIONS"})

log = logger("relay")


class GoneError(Exception):
    """The client is not there any more."""


class Connection(SMTP):
    """A session without its commands. `sessions` holds those that live."""

    # The transport pauses when twice this waits unread; with the library's 1,001 every 2 KB.
    line_length_limit = 64 << 10

    def __init__(
        self,
        parts: Parts,
        listener: Listener,
        tls_context: ssl.SSLContext,
        sessions: "set[Connection]",
        guest: Guest,
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
        self._guest = guest
        self._handler = Handler(parts, listener, guest.ip, guest.port)
        self._ahead = bytearray()  # read, not yet understood
        self._out: list[bytes] = []  # said, not yet sent
        self._sink: BodySink | None = None  # of the message under way
        self._counted = False  # among those that need disk
        self._born = self.loop.time()
        self._deadline = Deadline(self.loop, self._late)
        self._waiting_since = self._born
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
        self._handler.open(cipher_of(self._writer))
        self._look_at_certificate()
        try:
            faults.point("A1")
            if await self._is_patient():
                self._say(replies.greeting(self.parts.hostname, self.parts.greeting))
                await self._talk()
            else:
                self._say(refusal("early-talker"))
            await self._flush()
        except GoneError as exc:
            log.debug("session.broken", ip=str(self._guest.ip), why=str(exc))
        finally:
            self._end()

    def _look_at_certificate(self) -> None:
        """Keep what the client has shown of itself in the handshake."""
        tls: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        self._handler.certificate = certificates.shown(tls)

    async def _is_patient(self) -> bool:
        """Whether a stranger waits for the banner, as servers do and programs for spam often don't."""
        seconds = self.parts.screening.settings.greet_pause_seconds
        if not seconds or not self._handler.screened:
            return True
        try:
            async with asyncio.timeout(seconds):
                said = await self._read()
        except TimeoutError:
            return True
        if not said:
            raise GoneError("left before the banner")
        return False

    def _end(self) -> None:
        self._forget_body()
        self._handler.close()
        self._guest.leave()
        self._deadline.cancel()
        transport = self._writer.transport
        if transport.is_closing():
            return
        unsent = transport.get_write_buffer_size()
        transport.close()
        if unsent:
            self.loop.call_later(LINGER_SECONDS, transport.abort)

    def _forget_body(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            self._uncount()

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self.parts.large_bodies -= 1

    # Deadlines

    def _reset_timeout(self, duration: float | None = None) -> None:
        handle: Any = self._deadline  # which the library cancels when the connection is lost
        self._timeout_handle = handle
        self._set_deadline(self.loop.time() + (duration or self.parts.limits.idle_seconds))

    def _set_deadline(self, moment: float) -> None:
        self._deadline.set(moment)

    def _late(self) -> None:
        self._cut(self._lateness())

    def _patience(self) -> float:
        """Until when to wait for a command: for all of it, not for each of its octets."""
        limits = self.parts.limits
        idle = limits.stressed_idle_seconds if self.parts.stressed else limits.idle_seconds
        moments = [self._waiting_since + idle, self._born + limits.session_seconds]
        if self._must_sign_in:
            moments.append(self._born + limits.login_seconds)
        return min(moments)

    def hurry(self) -> None:
        """Places have become short: shorten the wait that is under way."""
        if self._waiting:
            self._set_deadline(self._patience())

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
        for number in count(1):
            if self._over:
                break
            if number % _LINES_IN_A_ROW == 0:
                await self._give_way()
            try:
                line = await self._next_line()
                if line is None:
                    return
                # What takes long now is ours: a directory or a queue of passwords, say.
                self._set_deadline(self.loop.time() + self.parts.limits.decision_seconds)
                await self._obey(line)
            except CommandError as exc:
                self._say(refusal(exc.key, **exc.fields))
            except GoneError:
                raise
            except Exception as exc:  # noqa: BLE001 - unknown trouble is ours, and temporary
                self._say(self._trouble(exc))
        if self._retired and not self._last_word:
            self._say(refusal("stopping"))

    async def _give_way(self) -> None:
        """Other sessions get their turn; and who does not read our replies gets no more of them."""
        await asyncio.sleep(0)
        if len(self._out) >= _REPLIES_AT_ONCE:
            self._set_deadline(self.loop.time() + self.parts.limits.idle_seconds)
            await self._flush()

    async def _next_line(self) -> bytes | None:
        """The next line with its end; None when the client has said everything."""
        searched = 0
        self._waiting_since = self.loop.time()
        while (end := self._ahead.find(b"\n", searched)) < 0:
            searched = len(self._ahead)
            if searched > _ENDLESS_OCTETS:
                self._over = True
                raise CommandError("command-too-long")
            self._set_deadline(self._patience())
            await self._flush()
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
            raise GoneError(str(exc)) from exc

    def _say(self, reply: Reply) -> None:
        """Queue a reply. After too many refusals, or a 421, it is the last."""
        if self._is_once_too_often(reply):
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

    def _is_once_too_often(self, reply: Reply) -> bool:
        counters = self._handler.counters
        if reply.refuses:
            return reply.key != "unknown-recipient" and counters.error()
        return reply.code >= 400 and counters.deferral()

    async def _flush(self) -> None:
        if not self._out:
            return
        self._writer.write(b"".join(self._out))
        self._out.clear()
        try:
            await self._writer.drain()
        except OSError as exc:
            raise GoneError(str(exc)) from exc

    def _trouble(self, error: Exception) -> Reply:
        """The cause goes to the log, a reference to the client."""
        reference = secrets.token_hex(4)
        ip = str(self._handler.ip)
        if isinstance(error, MailgovError):
            log.warning("trouble", reference=reference, ip=ip, why=str(error))
        else:
            log.error("trouble", reference=reference, ip=ip, exc_info=error)
        return replies.trouble(error, reference)

    def count_junk(self) -> None:
        """Something that moves no mail. Raises CommandError when it was once too often."""
        if self._handler.counters.junk_command():
            raise CommandError("too-many-junk-commands")

    async def _obey(self, line: bytes) -> None:
        self._utf8 = self._handler.smtputf8
        verb, argument = _split(line)
        if verb in _OTHER_PROTOCOLS:
            raise CommandError("not-mail")
        # A first greeting is due, also the first in TLS; another is junk.
        due = verb in _GREETINGS and not self._handler.helo
        if verb in _JUNK and not due:
            self.count_junk()
        method = self._smtp_methods.get(verb)
        if method is None:
            raise CommandError("command-unknown")
        await method(argument)


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


def _is_tls(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("sslcontext") is not None


def cipher_of(writer: asyncio.StreamWriter) -> str:
    """Protocol and cipher; empty in clear."""
    cipher = writer.get_extra_info("cipher") if _is_tls(writer) else None
    return f"{cipher[1]} {cipher[0]}" if cipher else ""
