"""How long a mail program waits: one folder of many messages, on either engine.

    python benchmarks/imap.py [--engine embedded|dovecot] [--messages 10000]

Prints milliseconds, the best of three where nothing is cached by then, and the server's memory.
"""

import argparse
import asyncio
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.header import Header
from pathlib import Path

from mailgov.addresses import Address
from mailgov.config import Log, load_config
from mailgov.imap import ImapServer
from mailgov.logs import set_up
from mailgov.mailstore import layout, master, reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change, User

ADDRESS = "an@vidu.gov.vn"
WORDS = (
    "Giấy",
    "mời",
    "họp",
    "giao",
    "ban",
    "báo",
    "cáo",
    "kết",
    "quả",
    "kế",
    "hoạch",
    "quý",
    "tuần",
)


@dataclass(frozen=True)
class Holder:
    """The one mailbox there is."""

    address: str = ADDRESS
    state: str = "active"
    quota_mb: int = 0
    home: str = ""


class Accounts:
    """A directory of one."""

    async def authenticate(self, _address: str, _password: str) -> Holder | None:
        """Nobody signs in by password here."""

    async def account(self, _address: str) -> Holder | None:
        """The mailbox."""
        return Holder()

    async def find_mailbox(self, _address: Address) -> Holder | None:
        """The mailbox."""
        return Holder()


def fill(maildir: Path, messages: int) -> int:
    """Deliver messages of about 9 KB; returns their bytes."""
    chance, total = random.Random(1), 0  # noqa: S311 - the same texts every time
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True)
    for number in range(messages):
        subject = Header(" ".join(chance.choices(WORDS, k=6)), "utf-8").encode()
        text = "\r\n".join(" ".join(chance.choices(WORDS, k=12)) for _ in range(110))
        data = (
            f"From: =?utf-8?q?Nguy=E1=BB=85n?= <nguoi{number % 200}@vidu.gov.vn>\r\nTo: {ADDRESS}\r\n"
            f"Subject: {subject}\r\nDate: Sat, 21 Nov 2026 08:00:00 +0700\r\n"
            f"Message-ID: <{number}@vidu.gov.vn>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            f"{text}\r\n"
        ).encode()
        name = f"{1700000000 + number}.{number}.bench,S={len(data)},W={len(data)}"
        (maildir / "new" / name).write_bytes(data)
        total += len(data)
    return total


class Client:
    """Enough IMAP to ask and to read the answer to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._tag = reader, writer, 0

    async def ask(self, command: str) -> bytes:
        """Everything up to the tagged answer, which must be OK."""
        self._tag += 1
        self._writer.write(f"t{self._tag} {command}\r\n".encode())
        end, data = f"t{self._tag} ".encode(), bytearray()
        while True:
            data += await self._reader.read(1 << 20)
            before = data.rfind(b"\r\n", 0, len(data) - 2)
            last = bytes(data[before + 2 :] if before >= 0 else data)
            if last.startswith(end) and last.endswith(b"\r\n"):
                if not last.startswith(end + b"OK"):
                    raise RuntimeError(last.decode())
                return bytes(data)


async def signed_in(host: str, port: int, secret: str) -> Client:
    """A new session of the mailbox."""
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    client = Client(reader, writer)
    await client.ask(f'LOGIN "{master.login_name(ADDRESS)}" "{secret}"')
    return client


def say(line: str) -> None:
    """One line of the report."""
    print(line)  # noqa: T201


async def measure(client: Client, messages: int) -> None:
    """The commands of a mail program, in its order."""
    asked: list[tuple[str, Callable[[int], str], int]] = [
        ("SELECT, 1st: finds the deliveries", lambda _: "SELECT INBOX", 1),
        ("SELECT", lambda _: "SELECT INBOX", 3),
        ("NOOP", lambda _: "NOOP", 3),
        ("FETCH 50 headers, never read", lambda n: f"FETCH {messages - n * 50 - 49}:{messages - n * 50} (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)", 3),
        ("FETCH 50 headers, again", lambda _: f"FETCH {messages - 49}:{messages} (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)", 3),
        ("FETCH 1,000 headers, never read", lambda n: f"FETCH {n * 1000 + 1}:{n * 1000 + 1000} (UID ENVELOPE)", 3),
        ("FETCH 1:* (UID FLAGS)", lambda _: "FETCH 1:* (UID FLAGS)", 3),
        ("FETCH one message", lambda n: f"FETCH {n + 1} BODY.PEEK[]", 3),
        ("STORE 1 +FLAGS", lambda n: f"STORE {n + 1} +FLAGS (\\Flagged)", 3),
        ("SEARCH UNSEEN", lambda _: "SEARCH UNSEEN", 3),
        ("SEARCH SUBJECT, 1st", lambda _: 'SEARCH CHARSET UTF-8 SUBJECT "giấy mời"', 1),
        ("SEARCH SUBJECT", lambda _: 'SEARCH CHARSET UTF-8 SUBJECT "kế hoạch"', 3),
        ("SEARCH TEXT", lambda _: 'SEARCH CHARSET UTF-8 TEXT "không có ở đâu"', 1),
        ("COPY 100", lambda n: f"COPY {n * 100 + 1}:{n * 100 + 100} Archive", 3),
    ]  # fmt: skip
    for name, command, times in asked:
        spans = []
        for turn in range(times):
            started = time.perf_counter()
            await client.ask(command(turn))
            spans.append(time.perf_counter() - started)
        say(f"{name:36}{min(spans) * 1000:10.1f} ms")


async def run(engine: str, messages: int, data: Path) -> None:
    """Start the engine on a filled folder and measure."""
    set_up(Log(level="warning"))
    config = load_config(None, data={"path": str(data)}, mailstore={"imap": "127.0.0.1:0"})
    size = fill(layout.maildir(data, Address.parse(ADDRESS)), messages)
    say(f"{engine}: {messages} messages, {size / 1e6:.0f} MB")
    server = DovecotChild(config) if engine == "dovecot" else ImapServer(config, Accounts())
    await server.apply(Change((User(ADDRESS, "$argon2id$", 0),)))
    host, port = reach.split(await server.start())
    try:
        secret = master.token(data)
        client = await signed_in(host, port, secret)
        await measure(client, messages)
        await client.ask("LOGOUT")  # the last session: the mailbox is closed
        client = await signed_in(host, port, secret)
        started = time.perf_counter()
        await client.ask("SELECT INBOX")
        say(
            f"{'SELECT in a mailbox just opened':36}{(time.perf_counter() - started) * 1000:10.1f} ms"
        )
    finally:
        await server.stop()
    if engine == "embedded":
        say(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["embedded", "dovecot"], default="embedded")
    parser.add_argument("--messages", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailgov-bench-") as folder:
        asyncio.run(run(given.engine, given.messages, Path(folder)))


if __name__ == "__main__":
    main()
