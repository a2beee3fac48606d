"""What a message costs the relay: server CPU, by size, way of TLS and event loop.

    python benchmarks/relay.py [--quick] [--loop asyncio|uvloop]

The gate says yes at once and the directory answers from memory, so the figures are those of the
relay alone: protocol, limits, body to the spool, reply. `stock` is the library's own class with a
handler that drops everything, for comparison. Memory is the growth of the server by an idle
session. On a shared machine trust CPU time, not messages per second.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path

import trustme
import uvloop
from aiosmtpd.smtp import SMTP

from mailgov.addresses import Address
from mailgov.config import load_config
from mailgov.message import Body, Envelope
from mailgov.queue.spool import Spool
from mailgov.relay import RelayServer
from mailgov.relay.ports import Sent
from mailgov.resolver import DnsResolver
from mailgov_policies.verdict import Action, Verdict

HOSTNAME = "mx.bench.example"
TICKS = os.sysconf("SC_CLK_TCK")
PASSED = Verdict(Action.PASS, "", (), (), "bench")


@dataclass(frozen=True, slots=True)
class Yes:
    """A mailbox, an account and an outcome at once: whatever is asked for is there."""

    state: str = "active"
    address: str = "a@x.gov.vn"
    may_send_as: tuple[str, ...] = ("a@x.gov.vn",)
    queue_id: str = "01jd3x0000abcdefghjk"
    verdict: Verdict = PASSED


class Neighbours:
    """Directory and gate that cost nothing."""

    async def sign_in(self, name: str, password: str, *, channel: str, ip: str) -> Yes:  # noqa: ARG002
        """Everybody."""
        return Yes()

    async def begin_scram(self, name: str, *, channel: str, ip: str) -> Yes:
        """Nobody asks."""
        raise NotImplementedError

    async def end_scram(self, scram: object, app: object) -> Yes:
        """Nobody asks."""
        raise NotImplementedError

    async def account(self, address: str) -> Yes:  # noqa: ARG002
        """The same."""
        return Yes()

    async def is_local_domain(self, domain: str) -> bool:  # noqa: ARG002
        """Every one."""
        return True

    async def find_mailbox(self, address: Address) -> Yes:  # noqa: ARG002
        """Every one."""
        return Yes()

    async def return_path(self, address: Address) -> None:
        """None is a rewritten one."""

    async def sent(self, login: str) -> Sent:  # noqa: ARG002
        """Nothing yet."""
        return Sent()

    async def backlog(self) -> int:
        """Empty."""
        return 0

    async def has_come_back(self, network: bytes, triplet: bytes) -> bool:  # noqa: ARG002
        """Always."""
        return True

    async def receive(self, envelope: Envelope, body: Body) -> Yes:  # noqa: ARG002
        """Taken."""
        return Yes()


class Stock:
    """The library's handler that takes everything."""

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802
        """Taken."""
        return "250 ok"


async def serve_ours(folder: Path, ready: Connection) -> None:
    """Our relay, until killed."""
    config = load_config(
        None,
        site={"hostname": HOSTNAME},
        data={"path": str(folder)},
        relay={
            **dict.fromkeys(("mx", "submission", "submissions"), "127.0.0.1:0"),
            "certificate": str(folder / "cert.pem"),
            "private_key": str(folder / "key.pem"),
            "trusted_networks": [str(ip_network("127.0.0.0/8"))],
        },
    )
    spool = Spool(folder / "spool")
    (spool.folder / "tmp").mkdir(parents=True, exist_ok=True)
    both = Neighbours()
    server = RelayServer(
        config=config,
        directory=both,
        intake=both,
        spool=spool,
        records=both,
        resolver=DnsResolver(config.dns),
    )
    listeners = await server.start()
    ready.send(int(listeners["mx"].rpartition(":")[2]))
    await asyncio.Event().wait()


async def serve_stock(folder: Path, ready: Connection) -> None:
    """The library's class, until killed."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def session() -> SMTP:
        return SMTP(
            Stock(),
            hostname=HOSTNAME,
            loop=loop,
            enable_SMTPUTF8=True,
            data_size_limit=64 << 20,
            tls_context=context,
        )

    server = await loop.create_server(session, "127.0.0.1", 0, backlog=1024)
    ready.send(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def run(kind: str, loop: str, folder: Path, ready: Connection) -> None:
    """A server process."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    work = serve_ours if kind == "relay" else serve_stock
    runner: Callable[..., None] = uvloop.run if loop == "uvloop" else asyncio.run
    runner(work(folder, ready))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid: int) -> int:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * 4


async def reply(reader: asyncio.StreamReader) -> bytes:
    """The last line of a reply."""
    while (line := await reader.readline())[3:4] == b"-":
        pass
    return line


async def client(
    port: int, *, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A session after EHLO."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    await reply(reader)
    writer.write(b"EHLO c.example\r\n")
    await reply(reader)
    if tls is not None:
        writer.write(b"STARTTLS\r\n")
        await reply(reader)
        await writer.start_tls(tls, server_hostname=HOSTNAME)
        writer.write(b"EHLO c.example\r\n")
        await reply(reader)
    return reader, writer


async def send(port: int, count: int, body: bytes, *, tls: ssl.SSLContext | None) -> None:
    """Messages one after the other in one session, commands pipelined."""
    reader, writer = await client(port, tls=tls)
    for _ in range(count):
        writer.write(b"MAIL FROM:<a@x.gov.vn>\r\nRCPT TO:<b@y.gov.vn>\r\nDATA\r\n")
        for _ in range(3):
            await reply(reader)
        writer.write(body)
        await writer.drain()
        taken = await reply(reader)
        assert taken.startswith(b"250"), taken
    writer.close()


async def measure(name: str, port: int, pid: int, scale: int, tls: ssl.SSLContext | None) -> None:
    """One line of the table."""
    line = b"x" * 74 + b"\r\n"
    cells = []
    for lines, sessions, each in ((52, 20, 25 * scale), (1_350, 10, 5 * scale), (138_000, 2, 1)):
        body = b"Subject: bench\r\n\r\n" + line * lines + b".\r\n"
        await send(port, 2, body, tls=tls)
        before, began = cpu_seconds(pid), time.perf_counter()
        await asyncio.gather(*(send(port, each, body, tls=tls) for _ in range(sessions)))
        count = sessions * each
        spent = (cpu_seconds(pid) - before) / count
        rate = count / (time.perf_counter() - began)
        cells.append(f"{spent * 1e3:7.2f} ms {rate:6.0f}/s")
    before_kib = resident_kib(pid)
    idle = await asyncio.gather(*(client(port, tls=tls) for _ in range(200)))
    memory = (resident_kib(pid) - before_kib) / len(idle)
    for _, writer in idle:
        writer.close()
    print(f"{name:28}" + "".join(f"{cell:>22}" for cell in cells) + f"{memory:10.1f} KiB")  # noqa: T201


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"))
    options = parser.parse_args()
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    print(f"{'':28}{'4 KB':>22}{'100 KB':>22}{'10 MB':>22}{'idle session':>14}")  # noqa: T201
    spawn = multiprocessing.get_context("spawn")
    for loop in (options.loop,) if options.loop else ("asyncio", "uvloop"):
        for kind in ("stock", "relay"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                certificate = authority.issue_cert(HOSTNAME)
                certificate.private_key_pem.write_to_path(folder / "key.pem")
                certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=run, args=(kind, loop, folder, theirs), daemon=True)
                process.start()
                port = ours.recv()
                assert process.pid is not None
                for label, context in (("clear", None), ("STARTTLS", trust)):
                    title = f"{loop} {kind} {label}"
                    scale = 1 if options.quick else 4
                    asyncio.run(measure(title, port, process.pid, scale, context))
                process.terminate()
                process.join()


if __name__ == "__main__":
    main()
