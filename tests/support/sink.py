"""A mail server of the world: takes everything and keeps it, or behaves as told."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Sink:
    """Messages taken: envelope sender, recipients, bytes."""

    messages: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)  # recipient: reply
    # What is said to whole messages, one by one, before all is well: a reply of 4xx or 5xx,
    # `DROP-BEFORE` (gone before the message counts) or `DROP-AFTER` (taken, and gone without a word).
    verdicts: list[str] = field(default_factory=list)
    delay_seconds: float = 0.0  # before each of these replies
    controller: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        with self._lock:
            verdict = self.verdicts.pop(0) if self.verdicts else ""
        await asyncio.sleep(self.delay_seconds)
        if verdict in ("", "DROP-AFTER"):
            taken = (envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
            self.messages.append(taken)
        if verdict.startswith("DROP"):
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return verdict or f"250 2.0.0 taken as {len(self.messages)}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.controller.port}"

    def start(self) -> "Sink":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.controller = Controller(
            self, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, decode_data=False
        )
        self.controller.start()
        return self

    def stop(self) -> None:
        self.controller.stop()
