"""The commands of a session, as they come and go over the connection.

The library finds them by their names, `smtp_<VERB>`. `arg` is empty when there is none; a
CommandError becomes the reply that it names.
"""

import base64
from typing import Any

from mailgov import faults
from mailgov.logs import logger
from mailgov.relay import auth, replies
from mailgov.relay.commands import CommandError, parse_chunk
from mailgov.relay.connection import Connection, GoneError, cipher_of
from mailgov.relay.data import BodyCheck, DotReader, Pace
from mailgov.relay.handler import DECISION_MARGIN_SECONDS
from mailgov.relay.sign_in import sign_in
from mailgov.relay.sink import BodySink

_SMALL_CHUNK = (
    1024  # octets; a header may come so, but a message in such pieces is a load of replies
)
_STRESSED_PACE = 10  # times the usual floor, while places are short

log = logger("relay")


class RelaySession(Connection):
    """A session on one of our ports."""

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
        if not arg:
            raise CommandError("no-argument")
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
        seconds = self.parts.limits.handshake_seconds
        self._set_deadline(self.loop.time() + 2 * seconds)  # a net below the library's own limit
        try:
            await self._writer.start_tls(self.tls_context, ssl_handshake_timeout=seconds)
        except OSError as exc:  # ssl.SSLError among them
            raise GoneError(str(exc)) from exc
        self._shaking_hands = False
        reader: Any = self._reader
        self.transport = reader._transport = self._writer.transport  # noqa: SLF001 - as the library
        self._handler.tls = cipher_of(self._writer)
        self._look_at_certificate()

    def _forget_clear_text(self) -> None:
        """What came after STARTTLS came in clear, from anybody (RFC 3207, 4.2)."""
        reader: Any = self._reader
        unread: bytearray = reader._buffer  # noqa: SLF001 - there is no other way to empty it
        if self._ahead or unread:
            log.warning("starttls.injection", ip=str(self._handler.ip))
        self._ahead.clear()
        unread.clear()
        self._forget_body()
        self._handler.forget_client()

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954."""
        self._say(await sign_in(self._handler, self._ask, arg or ""))

    async def _ask(self, question: bytes) -> bytes:
        self._say(replies.challenge(base64.b64encode(question).decode()))
        line = await self._next_line()
        if line is None:
            raise GoneError("left while signing in")
        return auth.answer(line)

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
            if size_bytes < _SMALL_CHUNK and not last:
                self.count_junk()
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
        if self._sink is None:
            self._pace = Pace(limits.data_bytes_per_second, self.loop.time())
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
        self._counted = False
        self._pace = Pace(self.parts.limits.data_bytes_per_second, self.loop.time())

    async def _read_block(self) -> bytes:
        """Bytes of a message. Progress moves the deadline; a trickle is no progress."""
        self._set_deadline(self.loop.time() + self.parts.limits.data_block_seconds)
        self._in_data = True
        block = await self._read()
        self._in_data = False
        if not block:
            raise GoneError("left within a message")
        factor = _STRESSED_PACE if self.parts.stressed else 1
        if self._pace.too_slow(len(block), self.loop.time(), factor):
            raise CommandError("data-too-slow")
        return block

    async def _take(self, block: bytes) -> None:
        assert self._sink is not None
        faults.point("A4")
        await self._sink.take(block)
        if self._sink.is_large and not self._counted:
            self._counted = True
            self.parts.large_bodies += 1
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
            if reply.code == 250:
                self._handler.counters.message_taken()
            faults.point("A13")
            self._say(reply)
        finally:
            sink.close()
            self._uncount()
            self._handler.reset()


def _require_none(argument: str) -> None:
    if argument:
        raise CommandError("argument-unwanted")
