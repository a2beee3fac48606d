"""What a message costs on its way to the next server: our client, and aiosmtplib where installed.

    python benchmarks/queue_wire.py [--messages 500] [--delay 0.02]

The server is a process of its own that takes everything at once, or answers each piece it gets after
a delay, as one that is far away would. Time and processor time are those of the client alone.
"""

import argparse
import asyncio
import importlib.util
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256

from mailgov.addresses import Address
from mailgov.config import Delivery, Dns
from mailgov.delivery.transports import Parcel
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.message import Body, new_queue_id
from mailgov.queue import QueuedMessage, QueueItem
from mailgov.resolver import DnsResolver

SMALL = b"Subject: x\r\n\r\n" + b"noi dung cua thu\r\n" * 230
LARGE = b"Subject: x\r\n\r\n" + b"noi dung cua thu, dai hon mot chut\r\n" * 270_000
FROM, TO = Address("a", "tinhmau.gov.vn"), Address("b", "example.vn")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Yes to everything, after the delay."""
    writer.write(b"220 x\r\n")
    waiting, in_message = b"", False
    while piece := await reader.read(1 << 18):
        waiting += piece
        replies = b""
        while True:
            end = waiting.find(b"\r\n.\r\n" if in_message else b"\r\n")
            if end < 0:
                waiting = waiting[-4:] if in_message else waiting
                break
            line, waiting = waiting[:end], waiting[end + (5 if in_message else 2) :]
            if in_message:
                in_message = False
                replies += b"250 ok\r\n"
            elif line[:4].upper() == b"EHLO":
                replies += b"250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
            elif line.upper() == b"DATA":
                in_message, waiting = True, b"\r\n" + waiting
                replies += b"354 go\r\n"
            else:
                replies += b"250 ok\r\n"
        if replies:
            await asyncio.sleep(delay)
            writer.write(replies)


async def run_server(delay: float) -> None:
    """Print the port, then serve until killed."""
    server = await asyncio.start_server(lambda r, w: serve(r, w, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


def parcel(data: bytes) -> Parcel:
    """A message to one recipient."""
    now = datetime.now(UTC)
    message = QueuedMessage(new_queue_id(now), FROM, "", "", "", "", b"", len(data), now)
    item = QueueItem(1, 1, message, TO, TO.domain, None, "", frozenset(), now, False)
    return Parcel(message, TO.domain, (item,), Body(len(data), sha256(data).digest(), data=data))


async def pass_fence() -> None:
    """The lease always holds here."""


async def measured(name: str, count: int, send: Callable[[], Awaitable[object]]) -> None:
    """Send once to connect, then so often; print the mean."""
    await send()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        await send()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {name:<12}{1000 * wall / count:>9.2f} ms{1000 * cpu / count:>9.2f} ms CPU")  # noqa: T201


async def compare(port: int, count: int, data: bytes) -> None:
    """Both clients over one kept connection each."""
    settings = Delivery(smarthost=f"127.0.0.1:{port}", smarthost_tls="none")
    transport = SmtpTransport(settings, "mail.tinhmau.gov.vn", DnsResolver(Dns()))
    sent = parcel(data)
    await measured("ours", count, lambda: transport.deliver(sent, pass_fence))
    await transport.close()
    if importlib.util.find_spec("aiosmtplib") is None:
        return
    import aiosmtplib

    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
    await client.connect()
    await measured("aiosmtplib", count, lambda: client.sendmail(str(FROM), [str(TO)], data))
    client.close()


def main() -> None:
    """Small messages near and far, a large one near."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds until a reply")
    parser.add_argument("--serve", type=float, default=-1.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve >= 0:
        asyncio.run(run_server(options.serve))
        return
    for words, delay, count, data in (
        ("4 KB, near", 0.0, options.messages, SMALL),
        (f"4 KB, {1000 * options.delay:.0f} ms away", options.delay, 50, SMALL),
        ("10 MB, near", 0.0, 10, LARGE),
    ):
        print(words)  # noqa: T201
        server = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, __file__, "--serve", str(delay)], stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        try:
            asyncio.run(compare(int(server.stdout.readline()), count, data))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
