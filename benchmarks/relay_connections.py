"""What connections cost the relay, and what good clients notice of bad ones.

    python benchmarks/relay_connections.py [--quick]

First the server's memory for each idle session, in clear and in TLS. Then ten busy clients, each in
a new session for every message of 4 KB: beside a thousand idle sessions, before floods and during
them.
Clients come from addresses of 127.0.0.0/8, bad ones from many networks, so that the usual limits
hold as they would outside. The gate says yes at once; passwords cost what they cost (argon2id).
Server, bad and good clients are processes of their own: on few cores they take the processor from
each other, and the figures are the worse for it.
"""

import argparse
import asyncio
import base64
import multiprocessing
import os
import random
import ssl
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog
import trustme
import uvloop
from relay import HOSTNAME, Neighbours, Yes, cpu_seconds, reply, resident_kib

from mailgov.config import Limits, load_config
from mailgov.directory.credentials import PasswordChecks, hash_password
from mailgov.directory.guard import Guard, Try, network_of
from mailgov.errors import NotAllowed
from mailgov.queue.spool import Spool
from mailgov.relay import RelayServer
from mailgov.resolver import DnsResolver

PASSWORD = "Tre xanh 4 mua la!"  # noqa: S105 - of nobody
IDLE = 1000
BUSY = 10
BODY = b"Subject: bench\r\n\r\n" + (b"x" * 74 + b"\r\n") * 52 + b".\r\n"
PLAIN = base64.b64encode(f"\0a@x.gov.vn\0{PASSWORD}".encode())
WRONG = base64.b64encode(b"\0a@x.gov.vn\0sai roi")


class Passwords(Neighbours):
    """One account whose password is checked as in production; guesses are counted."""

    def __init__(self) -> None:
        limits = Limits()
        self._checks = PasswordChecks(limits.password_checks, limits.password_checks_waiting)
        self._guard = Guard(limits)
        self._stored = hash_password(PASSWORD)

    async def sign_in(self, name: str, password: str, *, channel: str, ip: str) -> Yes | None:  # type: ignore[override]  # None: wrong  # noqa: ARG002
        """The account, or None."""

        guess = Try(name, network_of(ip))
        if self._guard.begin(guess, datetime.now(UTC)):
            raise NotAllowed("sign-in-later")
        if await self._checks.check(self._stored, password):
            self._guard.forgive(guess)
            return Yes()
        return None


async def serve(folder: Path, ready: Connection) -> None:
    """The relay with its usual limits, until killed."""
    config = load_config(
        None,
        site={"hostname": HOSTNAME},
        data={"path": str(folder)},
        relay={
            **dict.fromkeys(("mx", "submission", "submissions"), "127.0.0.1:0"),
            "certificate": str(folder / "cert.pem"),
            "private_key": str(folder / "key.pem"),
        },
        limits={
            "messages_per_day": 10**6,
            "recipients_per_hour": 10**6,
            "recipients_per_day": 10**6,
        },
        log={"level": "error"},
    )
    spool = Spool(folder / "spool")
    (spool.folder / "tmp").mkdir(parents=True, exist_ok=True)
    gate = Neighbours()
    server = RelayServer(
        config=config,
        directory=Passwords(),
        intake=gate,
        spool=spool,
        records=gate,
        resolver=DnsResolver(config.dns),
    )
    listeners = await server.start()
    ready.send({name: int(at.rpartition(":")[2]) for name, at in listeners.items()})
    await asyncio.Event().wait()


def run_server(folder: Path, ready: Connection) -> None:
    """The server process."""

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    uvloop.run(serve(folder, ready))


def address(network: int, host: int) -> str:
    """An address of the loopback network: `network` counts /24s, from 127.1.0.0 on."""
    return f"127.{1 + network // 250}.{network % 250}.{host % 250 + 1}"


async def connect(
    port: int, source: str, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from that address."""
    return await asyncio.open_connection(
        "127.0.0.1",
        port,
        local_addr=(source, 0),
        ssl=tls,
        server_hostname=HOSTNAME if tls else None,
        limit=1 << 16,
    )


async def idle_session(
    port: int, source: str, tls: ssl.SSLContext | None, *, starttls: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A session after EHLO."""
    reader, writer = await connect(port, source, None if starttls else tls)
    await reply(reader)
    writer.write(b"EHLO c.example\r\n")
    await reply(reader)
    if starttls:
        assert tls is not None
        writer.write(b"STARTTLS\r\n")
        await reply(reader)
        await writer.start_tls(tls, server_hostname=HOSTNAME)
        writer.write(b"EHLO c.example\r\n")
        await reply(reader)
    return reader, writer


# Good clients


async def bring(port: int, source: str, tls: ssl.SSLContext | None) -> None:
    """One message in a session of its own; users sign in first. Raises when it was not taken."""
    reader, writer = await connect(port, source, tls)
    try:
        steps = [
            b"EHLO c.example\r\n",
            b"MAIL FROM:<a@x.gov.vn>\r\nRCPT TO:<b@x.gov.vn>\r\nDATA\r\n",
        ]
        if tls is not None:
            steps.insert(1, b"AUTH PLAIN " + PLAIN + b"\r\n")
        said = [await reply(reader)]
        for step in steps:
            writer.write(step)
            said += [await reply(reader) for _ in range(3 if b"DATA" in step else 1)]
        if not all(line[:1] in (b"2", b"3") for line in said):
            raise ConnectionRefusedError(said[-1].decode())
        writer.write(BODY)
        if not (last := await reply(reader)).startswith(b"250"):
            raise ConnectionRefusedError(last.decode())
        writer.write(b"QUIT\r\n")
    finally:
        writer.transport.abort()


async def busy(
    port: int, tls: ssl.SSLContext | None, seconds: float
) -> tuple[list[float], Counter[str]]:
    """Ten clients of ten networks for a while: times of those that were taken, and the failures."""
    times: list[float] = []
    failures: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                async with asyncio.timeout(30):
                    await bring(port, address(40_000 + number, number), tls)
                times.append(time.monotonic() - began)
            except (OSError, TimeoutError, IndexError) as exc:
                failures[str(exc)[:9] or type(exc).__name__] += 1
            await asyncio.sleep(0.25)  # four a minute for each limit of 300 that is not at stake

    await asyncio.gather(*(one(number) for number in range(BUSY)))
    return times, failures


# Bad clients


async def _junk(port: int, source: str, _tls: ssl.SSLContext) -> None:
    """Talks nonsense until it is sent away."""
    reader, writer = await connect(port, source)
    try:
        writer.write(b"XYZZY\r\n" * 50)
        while await reader.read(4096):
            pass
    finally:
        writer.transport.abort()


async def _slow(port: int, source: str, _tls: ssl.SSLContext) -> None:
    """Sends an octet each second."""
    _, writer = await connect(port, source)
    try:
        while not writer.is_closing():
            writer.write(b"N")
            await writer.drain()
            await asyncio.sleep(1)
    finally:
        writer.transport.abort()


async def _silent(port: int, source: str, _tls: ssl.SSLContext) -> None:
    """Opens a port where TLS comes first, and says nothing."""
    reader, writer = await connect(port, source)
    try:
        await reader.read()
    finally:
        writer.transport.abort()


async def _guess(port: int, source: str, tls: ssl.SSLContext) -> None:
    """Tries three passwords of a known account."""
    reader, writer = await connect(port, source, tls)
    try:
        await reply(reader)
        writer.write(b"EHLO c.example\r\n")
        await reply(reader)
        for _ in range(3):
            writer.write(b"AUTH PLAIN " + WRONG + b"\r\n")
            if not await reply(reader):
                return
    finally:
        writer.transport.abort()


Bad = Callable[[int, str, ssl.SSLContext], Awaitable[None]]
KINDS: dict[str, tuple[Bad, str, int, int]] = {  # what, where, how many at once, of how many /24s
    "junk": (_junk, "mx", 200, 500),
    "slowloris": (_slow, "mx", 3000, 1000),
    "silent on 465": (_silent, "submissions", 3000, 1000),
    "guessing": (_guess, "submissions", 100, 500),
}


async def _flood(kind: str, port: int, tls: ssl.SSLContext) -> None:
    what, _, at_once, networks = KINDS[kind]

    async def one(number: int) -> None:
        while True:
            try:
                await what(port, address(number % networks, random.randrange(250)), tls)  # noqa: S311
            except (OSError, IndexError):
                pass
            await asyncio.sleep(0.2)

    await asyncio.gather(*(one(number) for number in range(at_once)))


def run_flood(kind: str, ports: dict[str, int]) -> None:
    """The process of the bad clients, until killed."""
    os.nice(5)  # the machine is ours, theirs would be elsewhere
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    uvloop.run(_flood(kind, ports[KINDS[kind][1]], tls))


# The tables


def told(name: str, times: list[float], failures: Counter[str], cpu: float) -> None:
    """One line."""
    marks = statistics.quantiles(times, n=100) if len(times) > 1 else [float("nan")] * 99
    taken = f"{len(times)}/{len(times) + failures.total()}"
    shown = " ".join(f"{key}×{count}" for key, count in failures.most_common(3))
    print(  # noqa: T201
        f"{name:34}{taken:>10}{marks[49] * 1e3:9.0f}{marks[94] * 1e3:9.0f}{marks[98] * 1e3:9.0f}"
        f"{cpu * 100:8.0f} %  {shown}"
    )


async def measured(
    name: str, ports: dict[str, int], pid: int, tls: ssl.SSLContext, seconds: float
) -> None:
    """Good clients on both ports, one line each."""
    for label, port, context in (("mx", "mx", None), ("465", "submissions", tls)):
        before, began = cpu_seconds(pid), time.monotonic()
        times, failures = await busy(ports[port], context, seconds)
        cpu = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        told(f"{name}, {label}", times, failures, cpu)


async def memory(ports: dict[str, int], pid: int, tls: ssl.SSLContext, count: int) -> None:
    """The server's growth for each idle session."""
    kinds: list[tuple[str, str, ssl.SSLContext | None, bool]] = [
        ("in clear", "mx", None, False),
        ("STARTTLS", "mx", tls, True),
        ("TLS at once (465)", "submissions", tls, False),
    ]
    for name, port, context, starttls in kinds:
        warm = [await idle_session(ports[port], address(1, 1), context, starttls=starttls)]
        before = resident_kib(pid)
        sessions = [
            await idle_session(ports[port], address(number, number), context, starttls=starttls)
            for number in range(count)
        ]
        grown = (resident_kib(pid) - before) / count
        print(f"idle session {name:22}{grown:8.1f} KiB")  # noqa: T201
        if port == "submissions":
            heads = f"{'taken':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'server':>10}"
            print(f"\n{'messages of 4 KB':34}{heads}")  # noqa: T201
            await measured(f"beside {count} idle in TLS", ports, pid, tls, 8)
        for _, writer in [*warm, *sessions]:
            writer.transport.abort()
        await asyncio.sleep(1)


async def main_async(ports: dict[str, int], pid: int, *, quick: bool) -> None:
    """All tables."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    seconds = 4 if quick else 10
    await memory(ports, pid, tls, IDLE)
    spawn = multiprocessing.get_context("spawn")
    for kind in KINDS:
        await measured(f"before: {kind}", ports, pid, tls, seconds)
        flood: BaseProcess = spawn.Process(target=run_flood, args=(kind, ports), daemon=True)
        flood.start()
        await asyncio.sleep(3 if quick else 8)
        await measured(f"flood: {kind}", ports, pid, tls, seconds)
        flood.terminate()
        flood.join()
        await asyncio.sleep(2)
    await measured("afterwards", ports, pid, tls, seconds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = trustme.CA().issue_cert(HOSTNAME)
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        ours, theirs = spawn.Pipe()
        server = spawn.Process(target=run_server, args=(folder, theirs), daemon=True)
        server.start()
        ports = ours.recv()
        assert server.pid is not None
        uvloop.run(main_async(ports, server.pid, quick=options.quick))
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
