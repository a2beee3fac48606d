"""A programmable SMTP server on loopback, for tests of what we send."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    """One transaction as the peer saw it."""

    mail: str
    recipients: list[str]
    data: bytes
    in_tls: bool


class _Dropped(Exception):
    """The script says to hang up."""


@dataclass
class Peer:
    """Says yes to everything but what `replies` says otherwise.

    Keys of `replies` are the start of a command (`MAIL`, `RCPT TO:<binh`), `GREETING`, `DOT` for the
    reply to a whole message, and `EARLY` for one that comes when the first block of it has.
    A reply of `DROP` hangs up, one of `SILENCE` never comes, one of `BABBLE` never ends. A list is
    said one by one, its last again and again. Over LMTP `DOT` is said for each recipient.
    """

    extensions: Sequence[str] = ("PIPELINING", "SIZE 36700160", "8BITMIME", "SMTPUTF8")
    replies: Mapping[str, str | list[str]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    after_tls: Sequence[str] = ()  # extensions that are offered in TLS only
    delay_seconds: float = 0.0  # before every reply
    received: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0  # commands that came in one piece
    port: int = 0
    _said: dict[str, int] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def reply(self, command: str, default: str) -> str:
        """What to say to a command."""
        for start, reply in self.replies.items():
            if command.upper().startswith(start.upper()):
                if isinstance(reply, str):
                    return reply
                turn = self._said.get(start, 0)
                self._said[start] = turn + 1
                return reply[min(turn, len(reply) - 1)]
        return default

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve one connection."""
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Session(self, reader, writer).run()
        except (_Dropped, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def hang_up(self) -> None:
        """End every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Session:
    def __init__(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer, self.reader, self.writer = peer, reader, writer
        self.mail = ""
        self.recipients: list[str] = []
        self.in_tls = False
        self.is_lmtp = False

    async def say(self, command: str, default: str) -> str:
        reply = self.peer.reply(command, default)
        await asyncio.sleep(self.peer.delay_seconds)
        if reply == "DROP":
            raise _Dropped
        if reply == "SILENCE":
            await asyncio.Event().wait()
        while reply == "BABBLE":
            self.writer.write(b"250-and another thing\r\n" * 100)
            await self.writer.drain()
        self.writer.write(f"{reply}\r\n".encode())
        await self.writer.drain()
        return reply

    async def run(self) -> None:
        await self.say("GREETING", "220 peer.example ESMTP")
        together = 0
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            self.peer.commands.append(line)
            together += 1
            self.peer.most_at_once = max(self.peer.most_at_once, together)
            if not getattr(self.reader, "_buffer"):  # noqa: B009 - there is no other way to ask
                together = 0
            await self.obey(line)

    async def obey(self, line: str) -> None:
        match line.split(" ")[0].upper():
            case "EHLO" | "LHLO":
                self.is_lmtp = line.upper().startswith("LHLO")
                offered = [*self.peer.extensions]
                if self.in_tls:
                    offered += self.peer.after_tls
                if self.peer.tls is not None and not self.in_tls:
                    offered.append("STARTTLS")
                lines = ["peer.example", *offered]
                last = len(lines) - 1
                hello = "\r\n".join(
                    f"250{'-' if i < last else ' '}{x}" for i, x in enumerate(lines)
                )
                await self.say(line, hello)
            case "STARTTLS":
                if (await self.say(line, "220 go ahead")).startswith("220"):
                    assert self.peer.tls is not None
                    await self.writer.start_tls(self.peer.tls)
                    self.in_tls = True
            case "MAIL":
                self.mail, self.recipients = "", []
                if (await self.say(line, "250 2.1.0 ok")).startswith("250"):
                    self.mail = line
            case "RCPT" if not self.mail:
                await self.say("BAD", "503 5.5.1 of whom")
            case "RCPT":
                if (await self.say(line, "250 2.1.5 ok")).startswith("25"):
                    self.recipients.append(line)
            case "DATA":
                usual = "354 go ahead" if self.recipients else "503 5.5.1 nobody to take it"
                if (await self.say(line, usual)).startswith("354"):
                    await self.take()
            case "AUTH" if line.upper() == "AUTH LOGIN":
                for prompt in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"):
                    await self.say("PROMPT", prompt)
                    self.peer.commands.append((await self.reader.readline()).decode().rstrip())
                await self.say("AUTH", "235 2.7.0 welcome")
            case "AUTH":
                await self.say(line, "235 2.7.0 welcome")
            case "QUIT":
                await self.say(line, "221 2.0.0 bye")
                raise _Dropped
            case _:
                await self.say(line, "250 2.0.0 ok")

    async def take(self) -> None:
        if "EARLY" in self.peer.replies:
            await self.reader.read(1)
            await self.say("EARLY", "")
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        said = [
            await self.say("DOT", "250 2.0.0 queued as 1")
            for _ in (self.recipients if self.is_lmtp else ("all",))
        ]
        if any(reply.startswith("2") for reply in said):
            self.peer.received.append(
                Received(self.mail, self.recipients, b"".join(lines), self.in_tls)
            )
        self.mail, self.recipients = "", []


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    """The peer on a free port of loopback, until the block ends."""
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, limit=1 << 22)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await peer.hang_up()
