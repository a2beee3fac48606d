"""What the queue costs: acceptance, claims and results, with a short queue and a long one.

    python benchmarks/mail_queue.py [--waiting 100000] [--messages 2000] [--database URL]

Messages of 4 KB are accepted by many at once, sharing commits; then all are claimed and settled as
delivered, while `--waiting` recipients of other destinations wait for a later time. The same is
done with an empty queue first: figures that grow with `--waiting` would be a defect. On a shared
machine trust CPU time. SQLite in a temporary folder unless a database address is given, whose
tables are made and left behind.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sqlmodel import Session, SQLModel

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.config import Delivery
from mailgov.db import Database
from mailgov.ledger.events import MessageAccepted
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import NewMessage, NewRecipient, Queue, Spool, enqueue
from mailgov.queue.item import Result
from mailgov_policies.verdict import Action, Verdict

SENDER = Address("an", "tinhmau.gov.vn")
CONTENT = b"Subject: x\r\n\r\n" + b"noi dung\r\n" * 400
BODY = Body(len(CONTENT), sha256(CONTENT).digest(), data=CONTENT)
PASSED = Verdict(Action.PASS, "", (), (), "bench")
DESTINATIONS = 100
WAITING_DESTINATIONS = 1000


def message(domain: str, at: datetime, recipients: int = 1) -> NewMessage:
    """A judged message."""
    addresses = [Address(f"u{number}", domain) for number in range(recipients)]
    return NewMessage(
        queue_id=new_queue_id(at),
        envelope=Envelope("submission", SENDER, tuple(Recipient(a) for a in addresses)),
        body=BODY,
        spool_name="",
        prefix=b"Received: from here\r\n",
        verdict=PASSED,
        document=None,
        agency_code="H99",
        message_id="<1@tinhmau.gov.vn>",
        header_from=str(SENDER),
        recipients=tuple(NewRecipient(str(a), domain) for a in addresses),
        accepted_at=at,
    )


def store(session: Session, new: NewMessage) -> None:
    """What the gate does in its transaction."""
    enqueue(session, new)
    event = MessageAccepted(
        at=new.accepted_at,
        message_id=new.queue_id,
        direction="submission",
        action="pass",
        recipients=len(new.recipients),
    )
    ledger.record(session, event)


def fill(database: Database, waiting: int, at: datetime) -> None:
    """Recipients that are not due, a hundred to a message."""
    for batch in range(0, waiting, 10_000):
        with database.write() as session:
            for number in range(batch, min(batch + 10_000, waiting), 100):
                domain = f"w{number // 100 % WAITING_DESTINATIONS}.vn"
                store(session, message(domain, at, recipients=100))


async def measured(name: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
    """Run and print rate and processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {name:<28} {count / wall:>8.0f}/s {1000 * cpu / count:>8.3f} ms CPU each")  # noqa: T201


async def run(database: Database, folder: Path, messages: int) -> None:
    """Accept, claim and settle so many messages."""
    now = datetime.now(UTC)
    spool = Spool(folder)
    queue = Queue(database, spool, Delivery(), lambda: datetime.now(UTC))
    news = [message(f"d{number % DESTINATIONS}.vn", now) for number in range(messages)]
    room = asyncio.Semaphore(200)

    async def accept(new: NewMessage) -> None:
        async with room:
            await database.submit(lambda session: store(session, new))

    async def accept_all() -> None:
        await asyncio.gather(*(accept(new) for new in news))

    async def claim_and_settle_all() -> None:
        while items := await queue.claim(50):
            await asyncio.gather(
                *(queue.settle([Result(item, "delivered", "250 ok")]) for item in items)
            )

    await measured("accept, 200 at once", messages, accept_all)
    await measured("claim by 50, settle each", messages, claim_and_settle_all)

    async def claim_nothing() -> None:
        for _ in range(100):
            await queue.claim(50)

    await measured("claim when nothing is due", 100, claim_nothing)


def main() -> None:
    """Print the figures for an empty queue and for a long one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.database or f"sqlite:///{folder}/mailgov.db")
        with database.write() as session:
            SQLModel.metadata.create_all(session.connection())
        print("empty queue")  # noqa: T201
        asyncio.run(run(database, Path(folder), options.messages))
        fill(database, options.waiting, datetime.now(UTC) + timedelta(days=1))
        print(f"{options.waiting} recipients waiting at {WAITING_DESTINATIONS} destinations")  # noqa: T201
        asyncio.run(run(database, Path(folder), options.messages))
        database.close()


if __name__ == "__main__":
    main()
