"""Many mail programs that wait for mail (IDLE): memory of each, and how soon they hear of a delivery.

    python benchmarks/imap_sessions.py [--engine embedded|dovecot] [--sessions 1000]

Each session has a mailbox of its own. The server runs in another process; memory is its share and that
of its children (PSS), before and after. Dovecot needs one inotify instance for each session:
`sysctl fs.inotify.max_user_instances` must be higher than their number, else it looks every 30 seconds.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from mailgov.addresses import Address
from mailgov.config import Config, Log, load_config
from mailgov.imap import ImapServer
from mailgov.logs import set_up
from mailgov.mailstore import layout, master, reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change, User

MESSAGE = b"From: a@vidu.gov.vn\r\nSubject: Thu\r\n\r\nx\r\n"
PATIENCE_SECONDS = 60.0


def address_of(number: int) -> str:
    """The mailbox of a session."""
    return f"nguoi{number}@vidu.gov.vn"


class Box:
    """A mailbox as the embedded server asks for it."""

    state, quota_mb, home = "active", 0, ""

    def __init__(self, address: str) -> None:
        self.address = address


class Accounts:
    """A directory of everybody; nobody signs in by password."""

    async def sign_in(self, _name: str, _password: str, *, channel: str, ip: str) -> Box | None:
        """Nobody."""

    async def account(self, address: str) -> Box | None:
        """Whoever is asked for."""
        return Box(address)

    async def find_mailbox(self, address: Address) -> Box | None:
        """Whatever is asked for."""
        return Box(address.key)


def settings(data: Path) -> Config:
    """The configuration of both processes."""
    return load_config(
        None, data={"path": str(data)}, mailstore={"imap": "127.0.0.1:0"},
        limits={"connections": 5000},
    )  # fmt: skip


def serve(engine: str, data: Path, sessions: int, pipe: Connection) -> None:
    """The other process: start, say where, stop when told to."""
    set_up(Log(level="error"))

    async def run() -> None:
        config = settings(data)
        server = DovecotChild(config) if engine == "dovecot" else ImapServer(config, Accounts())
        users = tuple(User(address_of(n), "$argon2id$", 0) for n in range(sessions))
        await server.apply(Change(users))
        pipe.send(await server.start())
        await asyncio.to_thread(pipe.recv)
        await server.stop()

    asyncio.run(run())


def memory_mib(pid: int) -> float:
    """What a process and all below it take, shared pages counted once."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total / 1024


class Waiting:
    """A session in IDLE."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.heard_at = 0.0

    async def start(self, host: str, port: int, secret: str) -> None:
        """Sign in, select, wait."""
        self.reader, self._writer = await asyncio.open_connection(host, port)
        await self.reader.readline()
        name = master.login_name(address_of(self.number))
        for line in (f'a LOGIN "{name}" "{secret}"', "a SELECT INBOX", "a IDLE"):
            self._writer.write(f"{line}\r\n".encode())
            while not (said := await self.reader.readline()).startswith((b"a ", b"+")):
                pass
            if b"NO" in said[:5] or b"BAD" in said[:6]:
                raise RuntimeError(said.decode())

    async def hear(self) -> None:
        """Until the delivery is told."""
        while b"EXISTS" not in await self.reader.readline():
            pass
        self.heard_at = time.perf_counter()


async def wait_and_deliver(host: str, port: int, data: Path, sessions: int, pid: int) -> None:
    """Open all, measure, deliver one message to each, measure."""
    secret = master.token(data)
    empty = memory_mib(pid)
    programs = [Waiting(n) for n in range(sessions)]
    started = time.perf_counter()
    for at in range(0, sessions, 20):
        await asyncio.gather(*(p.start(host, port, secret) for p in programs[at : at + 20]))
    opened = time.perf_counter() - started
    full = memory_mib(pid)
    say(f"opened in                 {opened:8.1f} s")
    say(f"memory without sessions   {empty:8.0f} MiB")
    say(f"memory with them          {full:8.0f} MiB")
    say(f"for each session          {(full - empty) * 1024 / sessions:8.0f} KiB")
    hearing = [asyncio.create_task(p.hear()) for p in programs]
    started = time.perf_counter()
    await asyncio.to_thread(deliver, data, sessions)
    delivered = time.perf_counter() - started
    await asyncio.wait(hearing, timeout=PATIENCE_SECONDS)
    waits = sorted(p.heard_at - started for p in programs if p.heard_at)
    say(f"deliveries took           {delivered:8.1f} s")
    say(f"heard of it               {len(waits):8d} of {sessions}")
    if waits:
        say(f"after, median             {statistics.median(waits):8.2f} s")
        say(f"after, 95 of 100          {waits[int(len(waits) * 0.95)]:8.2f} s")
    for task in hearing:
        task.cancel()


def deliver(data: Path, sessions: int) -> None:
    """One message into each mailbox."""
    for number in range(sessions):
        maildir = layout.maildir(data, Address.parse(address_of(number)))
        draft = maildir / "tmp" / "1700000000.1.b,S=43,W=43"
        draft.write_bytes(MESSAGE)
        draft.rename(maildir / "new" / draft.name)


def say(line: str) -> None:
    """One line of the report."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["embedded", "dovecot"], default="embedded")
    parser.add_argument("--sessions", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailgov-bench-") as folder:
        data = Path(folder)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(given.engine, data, given.sessions, theirs)
        )
        process.start()
        theirs.close()  # so that its end is noticed
        host, port = reach.split(ours.recv())
        say(f"{given.engine}: {given.sessions} sessions in IDLE")
        try:
            assert process.pid is not None
            asyncio.run(wait_and_deliver(host, port, data, given.sessions, process.pid))
        finally:
            ours.send("stop")
            process.join()


if __name__ == "__main__":
    main()
