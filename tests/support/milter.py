"""A mail server's side of the milter protocol, as Postfix and Sendmail speak it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

OFFERED_ACTIONS = 0x1FF
OFFERED_STEPS = 0x1FFFFF
FINAL = frozenset(b"acdrty")
CHUNK = 65535

Packet = tuple[bytes, bytes]


class Mta:
    """One connection to a milter."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.steps = 0
        self.told_of_progress = asyncio.Event()

    async def send(self, command: bytes, data: bytes = b"") -> None:
        self.writer.write(struct.pack("!I", 1 + len(data)) + command + data)
        await self.writer.drain()

    async def receive(self) -> Packet:
        (size,) = struct.unpack("!I", await self.reader.readexactly(4))
        packet = await self.reader.readexactly(size)
        return packet[:1], packet[1:]

    async def negotiate(
        self, actions: int = OFFERED_ACTIONS, steps: int = OFFERED_STEPS, version: int = 6
    ) -> tuple[int, int, int]:
        await self.send(b"O", struct.pack("!III", version, actions, steps))
        command, data = await self.receive()
        assert command == b"O"
        agreed: tuple[int, int, int] = struct.unpack("!III", data)
        self.steps = agreed[2]
        return agreed

    async def _step(self, command: bytes, data: bytes, unanswered: int) -> None:
        await self.send(command, data)
        if not self.steps & unanswered:
            assert await self.receive() == (b"c", b"")

    async def macros(self, about: bytes, **values: str) -> None:
        data = b"".join(
            f"{{{name}}}\0{value}\0".encode() if len(name) > 1 else f"{name}\0{value}\0".encode()
            for name, value in values.items()
        )
        await self.send(b"D", about + data)

    async def connect(self, ip: str = "203.0.113.5", helo: str = "c.example") -> None:
        data = b"[unknown]\0" + (b"6" if ":" in ip else b"4") + struct.pack("!H", 40000)
        await self._step(b"C", data + ip.encode() + b"\0", 0x1000)
        await self._step(b"H", helo.encode() + b"\0", 0x2000)

    async def envelope(self, sender: str, *recipients: str, login: str = "") -> None:
        await self.macros(b"M", i="4XyZ1", auth_authen=login)
        await self._step(b"M", f"<{sender}>\0SIZE=1000\0".encode(), 0x4000)
        for recipient in recipients:
            await self._step(b"R", f"<{recipient}>\0".encode(), 0x8000)
        if not self.steps & 0x200:
            await self._step(b"T", b"", 0x10000)

    async def content(self, message: bytes) -> None:
        """Everything up to the end, which is not sent."""
        head, _, body = message.partition(b"\r\n\r\n")
        for line in head.replace(b"\r\n ", b"\n ").split(b"\r\n"):
            name, _, value = line.partition(b":")
            if not self.steps & 0x100000:
                value = value.removeprefix(b" ")
            await self._step(b"L", name + b"\0" + value + b"\0", 0x80)
        await self._step(b"N", b"", 0x40000)
        for at in range(0, len(body), CHUNK):
            await self._step(b"B", body[at : at + CHUNK], 0x80000)

    async def end(self, last: bytes = b"") -> list[Packet]:
        """The answer to the whole message."""
        await self.send(b"E", last)
        answer: list[Packet] = []
        while True:
            packet = await self.receive()
            if packet[0] == b"p":
                self.told_of_progress.set()
                continue
            answer.append(packet)
            if packet[0][0] in FINAL:
                return answer

    async def message(
        self, message: bytes, sender: str, recipients: Sequence[str], login: str = ""
    ) -> list[Packet]:
        await self.envelope(sender, *recipients, login=login)
        await self.content(message)
        return await self.end()


@asynccontextmanager
async def asking(address: str) -> AsyncIterator[Mta]:
    """A connection to the milter at `host:port` or a path."""
    if address.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Mta(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass
