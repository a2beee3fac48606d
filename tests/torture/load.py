"""Mail in, from several senders at once; and the server of the world that takes what goes out."""

import itertools
import re
import smtplib
import socket
import threading
import zipfile
from base64 import encodebytes
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from .world import AN, BINH, Server

OUT, NOBODY = "nguoinhan@ngoai.example", "khongco@ngoai.example"
LARGE_BYTES = 300 << 10  # beyond what the database keeps
_NAME = re.compile(rb"^message-id:[ \t]*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


def name_of(data: bytes) -> str:
    """The Message-ID of a message; empty when it has none."""
    found = _NAME.search(data[: 64 << 10])
    return found[1].decode() if found else ""


Key = tuple[str, str]
"""Message-ID and recipient."""


@dataclass
class World:
    """Remembers what it was given, and by whom. Refuses one recipient for good."""

    taken: dict[Key, list[str]] = field(default_factory=dict)  # each copy by the name of its sender
    deferring: bool = False  # everything is answered 451
    controller: Any = None

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.deferring:
            return "451 4.3.0 come back later"
        if address == NOBODY:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        name = name_of(envelope.content)
        for address in envelope.rcpt_tos:
            self.taken.setdefault((name, address), []).append(str(session.host_name))
        return "250 2.0.0 taken"

    def copies(self) -> dict[Key, list[str]]:
        """What it was given so far."""
        return {key: list(by) for key, by in list(self.taken.items())}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.controller.port}"

    def __enter__(self) -> "World":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.controller = Controller(
            self, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, decode_data=False
        )
        self.controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.stop()


@dataclass(frozen=True)
class Kind:
    """A kind of message: what happens to it when nothing goes wrong."""

    name: str
    recipients: tuple[str, ...]
    size_bytes: int = 200
    locked: bool = False  # carries an archive with a password, so it is held


KINDS = (
    Kind("mailbox", (BINH,)),
    Kind("large", (BINH,), LARGE_BYTES),
    Kind("world", (OUT,)),
    Kind("both", (BINH, OUT), LARGE_BYTES),
    Kind("refused", (NOBODY,)),
    Kind("held", (BINH,), locked=True),
)


def _locked_archive() -> bytes:
    """An archive whose one file bears the mark of encryption (APPNOTE 4.4.4)."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", b"x" * 40)
    data = bytearray(file.getvalue())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


_LOCKED = (
    b'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="a.zip"\r\n\r\n'
    + encodebytes(_locked_archive()).replace(b"\n", b"\r\n")
)
_LINE = b"Kinh gui quy co quan, day la mot dong chu binh thuong cua thu nay.\r\n"


def message(name: str, kind: Kind) -> bytes:
    """A letter of that kind under this Message-ID."""
    head = (
        f"From: {AN}\r\nTo: {', '.join(kind.recipients)}\r\nSubject: Thu {kind.name}\r\n"
        f"Date: Sun, 22 Nov 2026 08:00:00 +0700\r\nMessage-ID: {name}\r\nMIME-Version: 1.0\r\n"
    ).encode()
    text = _LINE * (kind.size_bytes // len(_LINE) + 1)
    if kind.locked:
        return (
            head
            + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n'
            + text
            + b"--b\r\n"
            + _LOCKED
            + b"--b--\r\n"
        )
    return head + b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text


@dataclass
class Load:
    """What was sent: every message that was answered 250, and those whose answer never came."""

    answered: dict[str, Kind] = field(default_factory=dict)
    unanswered: dict[str, Kind] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)  # replies that were no yes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: "itertools.count[int]" = field(default_factory=itertools.count)

    def run(self, server: Server, *, senders: int = 4, stop: threading.Event | None = None) -> None:
        """Send until the server dies, or `stop` is set."""
        stop = stop or threading.Event()
        threads = [
            threading.Thread(target=self._send_all, args=(server, stop)) for _ in range(senders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def so_far(self) -> "Load":
        """What was answered up to now."""
        with self._lock:
            return Load(answered=dict(self.answered))

    def _send_all(self, server: Server, stop: threading.Event) -> None:
        while not (stop.is_set() or server.is_dead):
            try:
                with smtplib.SMTP(*server.mx, "peer.example", timeout=30) as client:
                    client.ehlo()
                    for _ in range(10):
                        if stop.is_set():
                            return
                        self._send(client)
            except OSError:  # smtplib's own errors are of this family
                if not server.is_dead:
                    stop.wait(0.05)

    def _send(self, client: smtplib.SMTP) -> None:
        number = next(self._count)
        kind = KINDS[number % len(KINDS)]
        name = f"<{number}.{kind.name}@torture.test>"
        code, _ = client.mail(AN)
        for address in kind.recipients:
            if code < 400:
                code, _ = client.rcpt(address)
        if code >= 400:
            self.refused[code] += 1
            client.rset()
            return
        with self._lock:
            self.unanswered[name] = kind
        code, _ = client.data(message(name, kind))
        with self._lock:
            del self.unanswered[name]
            if code == 250:
                self.answered[name] = kind
            else:
                self.refused[code] += 1
