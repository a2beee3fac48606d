"""The message of a transaction, put together from what the mail server tells of it."""

import asyncio
from dataclasses import dataclass, field, replace

from mailgov.addresses import Address
from mailgov.config import Limits
from mailgov.errors import InputError
from mailgov.message import Body, Client, Direction, Envelope, Recipient
from mailgov.milter.answer import FIELD
from mailgov.queue import Spool
from mailgov.queue.spool import BodyWriter
from mailgov.relay import replies
from mailgov.relay.replies import Reply


@dataclass(slots=True)
class Transaction:
    """One message on its way to the gate; what is too much is noted, and no longer kept.

    `default_domain` completes addresses of local users, who have none.
    """

    limits: Limits
    spool: Spool
    default_domain: str
    mail_from: Address | None = None
    login: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    smtputf8: bool = False
    forged: int = 0  # fields that only we may write
    refusal: Reply | None = None
    _header_bytes: int = 0
    _header_fields: int = 0
    _writer: BodyWriter | None = None

    def sender(self, arguments: list[bytes], login: str) -> None:
        """MAIL with its parameters."""
        self.login = login
        parameters = {one.upper().split(b"=")[0] for one in arguments[1:]}
        self.smtputf8 = b"SMTPUTF8" in parameters
        text = _path(arguments)
        if not text:
            return
        try:
            self.mail_from = self._address(text)
        except InputError:
            self._refuse("sender-syntax")

    def recipient(self, arguments: list[bytes]) -> None:
        """RCPT with its parameters."""
        if len(self.recipients) >= self.limits.recipients_inbound:
            self._refuse("too-many-recipients")
            return
        try:
            address = self._address(_path(arguments))
        except InputError:
            self._refuse("recipient-syntax")
            return
        self.recipients.append(Recipient(address))

    def _address(self, text: str) -> Address:
        return Address.parse(text if "@" in text else f"{text}@{self.default_domain}")

    async def header(self, line: bytes) -> None:
        """One field, as it stood."""
        self._header_bytes += len(line)
        self._header_fields += 1
        if (
            self._header_bytes > self.limits.header_bytes
            or self._header_fields > self.limits.header_fields
        ):
            self._refuse("header-too-big")
        if line[: len(FIELD) + 1].lower() == f"{FIELD}:".lower().encode():
            self.forged += 1
        await self.take(line)

    async def take(self, data: bytes) -> None:
        """Bytes of the message. Raises Unavailable when the spool can't keep them."""
        if self.refusal is not None:
            return
        if self._writer is None:
            self._writer = self.spool.writer()
        if self._writer.size_bytes + len(data) > self.limits.message_bytes:
            self._refuse("message-too-big")
            return
        if self._writer.in_memory:
            self._writer.write(data)  # at most one step onto the disk
        else:
            await asyncio.to_thread(self._writer.write, data)

    async def finish(self) -> Body:
        """The whole message; whoever takes it looks after its file."""
        writer, self._writer = self._writer, None
        return await asyncio.to_thread((writer or self.spool.writer()).finish)

    async def close(self) -> None:
        """Forget what was not finished."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            await asyncio.to_thread(writer.abandon)

    def envelope(self, client: Client, direction: Direction) -> Envelope:
        """What was said before the message."""
        return Envelope(
            direction=direction,
            mail_from=self.mail_from,
            recipients=tuple(self.recipients),
            login=self._login(),
            client=replace(client, protocol="ESMTPA" if self.login else "ESMTP"),
            smtputf8=self.smtputf8,
        )

    def _login(self) -> Address | None:
        """Who signed in; a name that is no address is nobody we know."""
        if not self.login:
            return None
        try:
            return self._address(self.login)
        except InputError:
            return None

    def _refuse(self, key: str) -> None:
        self.refusal = self.refusal or replies.refusal(key)


def _path(arguments: list[bytes]) -> str:
    path = arguments[0].decode("utf-8", "replace") if arguments else ""
    return path.strip().removeprefix("<").removesuffix(">")
