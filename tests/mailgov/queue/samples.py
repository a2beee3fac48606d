"""Messages to queue, and a queue with a clock that stands still."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import sqlmodel
from sqlalchemy import select

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.config import Delivery
from mailgov.db import Database
from mailgov.db.models import Agency, Domain, Mailbox
from mailgov.ledger.events import MessageAccepted
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import MAILBOX, NewMessage, NewRecipient, Queue, QueueItem, Spool, enqueue
from mailgov.queue.item import Result
from mailgov.queue.tables import RECIPIENT
from mailgov_policies.verdict import Action, Verdict

NOON = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
TEXT = (
    b"From: a@tinhmau.gov.vn\r\nSubject: =?utf-8?q?Gi=E1=BA=A5y_m=E1=BB=9Di?=\r\n\r\nThan moi\r\n"
)
PASSED = Verdict(Action.PASS, "", (), ("sender-identity",), "default/1")


def body_of(data: bytes) -> Body:
    """A body in memory."""
    return Body(len(data), sha256(data).digest(), data=data)


def message(
    *recipients: str,
    sender: str = "an@tinhmau.gov.vn",
    body: Body | None = None,
    spool_name: str = "",
    at: datetime = NOON,
    held: bool = False,
    notify: Iterable[str] = (),
    mailbox_id: int | None = None,
) -> NewMessage:
    """A judged message; recipients of tinhmau.gov.vn are ours."""
    addresses = [Address.parse(text) for text in recipients or ("binh@example.vn",)]
    wishes = frozenset(notify)
    envelope = Envelope(
        direction="submission",
        mail_from=Address.parse(sender) if sender else None,
        recipients=tuple(Recipient(address, wishes) for address in addresses),
        login=Address.parse(sender) if sender else None,
    )
    return NewMessage(
        queue_id=new_queue_id(at),
        envelope=envelope,
        body=body or body_of(TEXT),
        spool_name=spool_name,
        prefix=b"Received: from here\r\n",
        verdict=PASSED,
        document=None,
        agency_code="H99.02",
        message_id="<1@tinhmau.gov.vn>",
        header_from=sender,
        recipients=tuple(
            NewRecipient(
                address=str(address),
                destination=MAILBOX if address.domain == "tinhmau.gov.vn" else address.domain,
                mailbox_id=mailbox_id if address.domain == "tinhmau.gov.vn" else None,
                notify=wishes,
                state="held" if held else "queued",
            )
            for address in addresses
        ),
        accepted_at=at,
    )


def accept(database: Database, *messages: NewMessage) -> None:
    """Store messages with their events, as the gate does."""
    with database.write() as session:
        for new in messages:
            enqueue(session, new)
            event = MessageAccepted(
                at=new.accepted_at,
                message_id=new.queue_id,
                direction=new.envelope.direction,
                action=new.verdict.action.label,
                recipients=len(new.recipients),
            )
            ledger.record(session, event)


@dataclass
class Bench:
    """A queue over a database and a spool, the hands of its clock, and its timer."""

    database: Database
    spool: Spool
    queue: Queue
    now: datetime = NOON
    elapsed: float = 0.0

    def later(self, **span: float) -> datetime:
        """Let time pass."""
        self.elapsed += timedelta(**span).total_seconds()
        return self.jump(**span)

    def jump(self, **span: float) -> datetime:
        """Set the clock, without time passing."""
        self.now += timedelta(**span)
        return self.now

    def recipients(self) -> dict[str, tuple[str, int]]:
        """State and attempts by address."""
        with self.database.read() as session:
            rows = session.connection().execute(select(RECIPIENT)).all()
        return {row.address: (row.state, row.attempts) for row in rows}

    def events(self, queue_id: str) -> list[str]:
        """Kinds of what happened to a message."""
        with self.database.read() as session:
            return [row.kind for row in ledger.of_message(session, queue_id)]


def bench(database: Database, folder: Path, settings: Delivery | None = None) -> Bench:
    """A prepared queue at noon."""
    spool = Spool(folder / "spool")
    spool.prepare(database)
    made: list[Bench] = []
    queue = Queue(
        database,
        spool,
        settings or Delivery(),
        lambda: made[0].now,
        lambda: made[0].elapsed,
    )
    made.append(Bench(database, spool, queue))
    return made[0]


def delivered(items: Sequence[QueueItem], reply: str = "250 2.0.0 ok") -> list[Result]:
    """The result that every item was taken."""
    return [Result(item, "delivered", reply) for item in items]


def add_mailbox(database: Database, address: str) -> int:
    """A mailbox of ours, with the agency and the domain it needs. Its id."""
    with database.write() as session:
        agency = session.exec(sqlmodel.select(Agency)).first() or Agency(
            code="H99.02", name_vi="Sở Nội vụ", level="department"
        )
        session.add(agency)
        session.flush()
        assert agency.id is not None
        name = address.partition("@")[2]
        domain = session.exec(sqlmodel.select(Domain).where(Domain.name == name)).first() or Domain(
            name=name, agency_id=agency.id
        )
        session.add(domain)
        session.flush()
        assert domain.id is not None
        mailbox = Mailbox(address=address, agency_id=agency.id, domain_id=domain.id)
        session.add(mailbox)
        session.flush()
        assert mailbox.id is not None
        return mailbox.id
