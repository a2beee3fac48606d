"""The books after a fault: where every recipient of every answered message is now.

The truth is looked up outside of the platform as far as possible: files of mailboxes, what the
world was given, notices in the sender's mailbox. Only what waits is read from the database.
"""

import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sqlalchemy import func, select

from mailgov.queue.conserve import conserve
from mailgov.queue.tables import MESSAGE, RECIPIENT
from mailgov.services import open_database

from .load import OUT, Key, Load, name_of
from .world import AN, BINH, World

_ORIGINAL = re.compile(rb"^message-id:[ \t]*(<[^>]+@torture\.test>)", re.IGNORECASE | re.MULTILINE)


@dataclass
class Row:
    """One line of the table."""

    fault: str
    times: int
    accepted: int = 0  # recipients of messages that were answered 250
    delivered: int = 0
    bounced: int = 0
    queued: int = 0
    held: int = 0
    twice_mailbox: int = 0
    twice_smtp: int = 0
    lost: int = 0
    unanswered_kept: int = 0  # the server took them, the answer never arrived
    troubles: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, and nothing came twice without a reason that we documented."""
        return not self.lost and not self.twice_mailbox and not self.troubles


def _files(data: Path, address: str) -> list[Path]:
    local, _, domain = address.partition("@")
    box = data / "mail" / domain / local / "Maildir"
    return list(chain(box.glob("new/*"), box.glob("cur/*")))


def delivered_to(data: Path, address: str) -> Counter[str]:
    """Message-IDs of the files in a mailbox."""
    return Counter(name_of(file.read_bytes()) for file in _files(data, address))


def notices_to(data: Path, address: str) -> Counter[str]:
    """Message-IDs of the originals that failure notices in a mailbox tell of."""
    found: Counter[str] = Counter()
    for file in _files(data, address):
        text = file.read_bytes()
        if b"multipart/report" in text:
            found.update({match.decode() for match in _ORIGINAL.findall(text)})
    return found


def queued(world: World) -> int:
    """Recipients that wait for an attempt."""
    database = open_database(world.config)
    try:
        with database.read() as session:
            query = select(func.count()).where(RECIPIENT.c.state == "queued")
            return session.connection().execute(query).scalar_one()
    finally:
        database.close()


def _waiting(world: World) -> Counter[tuple[str, str, str]]:
    """Message-ID, recipient and state of what has no end yet."""
    database = open_database(world.config)
    try:
        with database.read() as session:
            query = (
                select(
                    MESSAGE.c.message_id, RECIPIENT.c.address, RECIPIENT.c.state, MESSAGE.c.state
                )
                .join(RECIPIENT, RECIPIENT.c.message_id == MESSAGE.c.id)
                .where(RECIPIENT.c.state.in_(("queued", "held")))
            )
            rows = session.connection().execute(query)
            return Counter(
                # Held because its bytes are not those that were accepted is as good as lost.
                (f"<{r[0].strip('<>')}>", r[1], r[2] if r[3] != "corrupt" else r[3])
                for r in rows
            )
    finally:
        database.close()


def under_way(world: World) -> set[Key]:
    """Message-ID and recipient of what was being delivered when the server was killed.

    SQLite is read from a copy: the server's own recovery is to find everything as it was left.
    """
    if world.url:
        return _leased(world)
    with tempfile.TemporaryDirectory() as folder:
        for file in world.data.glob("mailgov.db*"):
            shutil.copy(file, folder)
        with sqlite3.connect(Path(folder) / "mailgov.db") as connection:
            rows = connection.execute(
                "SELECT message.message_id, recipient.address FROM recipient "
                "JOIN message ON message.id = recipient.message_id WHERE lease_until IS NOT NULL"
            ).fetchall()
    return {(f"<{name.strip('<>')}>", address) for name, address in rows}


def _leased(world: World) -> set[Key]:
    database = open_database(world.config)
    try:
        with database.read() as session:
            query = (
                select(MESSAGE.c.message_id, RECIPIENT.c.address)
                .join(RECIPIENT, RECIPIENT.c.message_id == MESSAGE.c.id)
                .where(RECIPIENT.c.lease_until.is_not(None))
            )
            rows = session.connection().execute(query)
            return {(f"<{name.strip('<>')}>", address) for name, address in rows}
    finally:
        database.close()


def poison(world: World) -> list[str]:
    """Messages that are held because three processes died with them under way."""
    database = open_database(world.config)
    try:
        with database.read() as session:
            query = select(MESSAGE.c.id).where(MESSAGE.c.state == "poison")
            return list(session.connection().execute(query).scalars())
    finally:
        database.close()


def unbalanced(world: World) -> list[str]:
    """Messages for which ledger and queue disagree."""
    database = open_database(world.config)
    try:
        with database.read() as session:
            return [str(found) for found in conserve(session).discrepancies]
    finally:
        database.close()


def balance(
    world: World,
    copies: Mapping[Key, Sequence[str]],
    windows: Container[tuple[str, Key]],
    load: Load,
    row: Row,
) -> Row:
    """Fill in the row.

    `copies` are what the world was given, each by the name of the process that sent it. `windows`
    are what processes had under way when they were killed: only that may be sent once more.
    """
    boxes = delivered_to(world.data, BINH)
    notices = notices_to(world.data, AN)
    waiting = _waiting(world)
    for name, kind in load.answered.items():
        for address in kind.recipients:
            row.accepted += 1
            if (address == OUT and copies.get((name, address))) or (
                address == BINH and boxes[name]
            ):
                row.delivered += 1
            elif notices[name]:
                row.bounced += 1
            elif waiting[name, address, "queued"]:
                row.queued += 1
            elif waiting[name, address, "held"]:
                row.held += 1
            else:
                row.lost += 1
                row.troubles.append(f"lost: {name} to {address}")
    row.twice_mailbox = sum(count - 1 for name, count in boxes.items() if name and count > 1)
    row.twice_mailbox += sum(count - 1 for count in notices.values() if count > 1)
    row.twice_smtp = sum(len(senders) - 1 for senders in copies.values())
    row.troubles += unexplained(copies, windows)
    kept = set(boxes) | set(notices) | {name for name, _ in copies} | {w[0] for w in waiting}
    row.unanswered_kept = len(kept & set(load.unanswered))
    row.troubles += [f"unbalanced: {found}" for found in unbalanced(world)]
    return row


def unexplained(
    copies: Mapping[Key, Sequence[str]], windows: Container[tuple[str, Key]]
) -> Iterator[str]:
    """Copies beyond the one that counts, of which none may be.

    Each copy but the last must be the only one of its process, and that process was killed while it
    had the delivery under way.
    """
    for key, senders in copies.items():
        for sender in dict.fromkeys(senders):
            if senders.count(sender) > 1:
                yield f"sent twice by one process: {key}"
            elif sender != senders[-1] and (sender, key) not in windows:
                yield f"sent twice, though the first was not under way at the end: {key}, {sender}"


def eventually(check: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true within that time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
