"""Once a day: reports to every domain that asks for them about the mail of the day before."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.authentication.dmarc_record import ReportAddress
from mailgov.authentication.reports.day import Day
from mailgov.authentication.reports.destinations import dmarc_addresses, tls_addresses
from mailgov.authentication.reports.dmarc_made import Made, Sender, make_dmarc
from mailgov.authentication.reports.letter import ReportKind, compose, pack
from mailgov.authentication.reports.received import forget_reports
from mailgov.authentication.reports.tls_made import make_tls
from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import DkimKey, DmarcResult, Domain, Mailbox, SentReport, TlsResult
from mailgov.errors import MailgovError, Unavailable
from mailgov.ledger import record
from mailgov.ledger.events import MessageAccepted
from mailgov.logs import logger
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import MAILBOX, NewMessage, NewRecipient, enqueue
from mailgov.resolver import Resolver
from mailgov.signing import Signer
from mailgov_policies.verdict import Action, Verdict

AT_ONCE = 8
IN_A_ROUND = 200
"""Reports made in one round of the scheduler; the rest follows in the next ones."""

DAYS_BACK = 3
"""For how many days a report is tried, while its domain can't be looked up."""

REPORTS_KEPT = timedelta(days=400)

WAIT = timedelta(minutes=30)
"""After midnight, so that mail under way is counted with its day."""

log = logger("reports")


@dataclass(frozen=True, slots=True)
class Reporting:
    """What sending reports needs."""

    config: Config
    database: Database
    resolver: Resolver
    signer: Signer
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Due:
    kind: ReportKind
    domain: str
    day: Day


async def send_due(reporting: Reporting) -> int:
    """Send the reports that are due; how many. A domain in trouble does not hold up the others.

    Raises Unavailable `database-unavailable`.
    """
    settings = reporting.config.authentication
    now = reporting.clock()
    await reporting.database.submit(
        lambda session: _forget(session, now, timedelta(days=settings.results_days))
    )
    if not settings.send_reports:
        return 0
    sender = await reporting.database.query(lambda session: _sender(session, reporting.config))
    if sender is None:
        return 0
    due = await reporting.database.query(lambda session: _due(session, now - WAIT))
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(report: _Due) -> bool:
        async with gate:
            try:
                return await _send(reporting, report, sender)
            except MailgovError as error:
                log.warning("report.later", domain=report.domain, cause=str(error))
                return False

    return sum(await asyncio.gather(*(one(report) for report in due[:IN_A_ROUND])))


def _sender(session: Session, config: Config) -> Sender | None:
    """Who reports come from; None while no domain of ours can sign them."""
    name, hostname = config.site.organisation or config.site.hostname, config.site.hostname
    address = config.authentication.report_sender
    if not address:
        query = (
            select(Domain.name)
            .join(DkimKey, col(Domain.id) == DkimKey.domain_id)
            .where(DkimKey.state == "active", Domain.state == "active")
            .order_by(col(Domain.id))
        )
        domain = session.exec(query).first()
        if domain is None:
            return None
        address = f"{config.authentication.report_mailbox}@{domain}"
    return Sender(name, address, hostname)


def _due(session: Session, now: datetime) -> list[_Due]:
    """What has results and no report yet, oldest day first."""
    found = []
    tables: tuple[tuple[ReportKind, Any], ...] = (("dmarc", DmarcResult), ("tls", TlsResult))
    for back in range(DAYS_BACK, 0, -1):
        day = Day.before(now, back)
        for kind, table in tables:
            done = select(SentReport.domain).where(
                SentReport.kind == kind, SentReport.begins_at == day.begins_at
            )
            query = (
                select(table.policy_domain)
                .where(table.at >= day.begins_at, table.at < day.ends_at)
                .where(col(table.policy_domain).not_in(done))
                .distinct()
                .limit(IN_A_ROUND)
            )
            found += [_Due(kind, domain, day) for domain in session.exec(query)]
    return found


async def _send(reporting: Reporting, due: _Due, sender: Sender) -> bool:
    """Make one report and queue it; False when nobody wants it. Raises Unavailable."""
    wanted = await (dmarc_addresses if due.kind == "dmarc" else tls_addresses)(
        due.domain, reporting.resolver
    )
    make = make_dmarc if due.kind == "dmarc" else make_tls
    made = await reporting.database.query(
        lambda session: make(session, due.domain, due.day, sender)
    )
    now = reporting.clock()
    packed = await asyncio.to_thread(pack, made) if made else b""
    to = [one for one in wanted if one.max_bytes is None or len(packed) <= one.max_bytes]
    new = None
    if made is not None and to:
        new = await _message(reporting, due, made, packed, sender, to, now)
    sent = SentReport(
        kind=due.kind,
        domain=due.domain,
        begins_at=due.day.begins_at,
        ends_at=due.day.ends_at,
        report_id=made.report_id if made else "",
        state="sent" if new else "unwanted",
        recipients=[one.address for one in new.recipients] if new else [],
        queue_id=new.queue_id if new else "",
        messages=made.messages if made else 0,
        made_at=now,
    )
    await reporting.database.submit(lambda session: _keep(session, sent, new))
    return new is not None


async def _message(
    reporting: Reporting,
    due: _Due,
    made: Made,
    packed: bytes,
    sender: Sender,
    to: list[ReportAddress],
    now: datetime,
) -> NewMessage | None:
    """The signed mail; None when no recipient can be reached.

    Raises Unavailable `signing-key-absent` and what signing does.
    """
    addresses = [one.address for one in to]
    recipients = await reporting.database.query(lambda session: _recipients(session, addresses))
    if not recipients:
        return None
    queue_id = new_queue_id(now)
    content = compose(
        due.kind, made, packed, due.domain, due.day, sender,
        [one.address for one in recipients], queue_id, now,
    )  # fmt: skip
    body = Body(len(content), sha256(content).digest(), data=content)
    author = Address.parse(sender.address)
    header = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    signature = await reporting.signer.sign(header, body, author.domain)
    if signature is None:  # RFC 8460, 3: without one it would not be believed
        raise Unavailable("signing-key-absent", domain=author.domain)
    return NewMessage(
        queue_id=queue_id,
        envelope=Envelope(
            direction="internal",
            mail_from=author,
            recipients=tuple(
                Recipient(Address.parse(one.address), notify=one.notify) for one in recipients
            ),
        ),
        body=body,
        spool_name="",
        prefix=signature,
        verdict=Verdict(Action.PASS, "", (), (), "notice"),
        document=None,
        agency_code="",
        message_id=f"<{queue_id}@{sender.hostname}>",
        header_from=sender.address,
        recipients=recipients,
        accepted_at=now,
    )


def _recipients(session: Session, addresses: list[Address]) -> tuple[NewRecipient, ...]:
    """Who gets it: those elsewhere, and mailboxes of ours. Nobody hears if it does not arrive."""
    never = frozenset({"NEVER"})  # RFC 3461, 4.1
    found = []
    for address in addresses:
        ours = session.exec(select(Domain).where(Domain.name == address.domain)).first()
        if ours is None:
            if not address.needs_smtputf8:
                found.append(NewRecipient(str(address), address.domain, notify=never))
            continue
        box = session.exec(select(Mailbox).where(Mailbox.address == address.key)).first()
        if box is not None:
            found.append(NewRecipient(str(address), MAILBOX, mailbox_id=box.id, notify=never))
    return tuple(found)


def _keep(session: Session, sent: SentReport, new: NewMessage | None) -> None:
    session.add(sent)
    session.flush()  # a second one who makes the same report stops here
    if new is None:
        return
    enqueue(session, new)
    event = MessageAccepted(
        at=new.accepted_at,
        message_id=new.queue_id,
        actor="scheduler",
        direction=new.envelope.direction,
        action=new.verdict.action.label,
        recipients=len(new.recipients),
        size_bytes=new.size_bytes,
        channel="notice",
    )
    record(session, event)


def _forget(session: Session, now: datetime, results_kept: timedelta) -> None:
    """Single results are of no use once they were reported, nor reports after more than a year."""
    for table in (DmarcResult, TlsResult):
        session.connection().execute(delete(table).where(col(table.at) < now - results_kept))
    session.connection().execute(
        delete(SentReport).where(col(SentReport.made_at) < now - REPORTS_KEPT)
    )
    forget_reports(session, now - REPORTS_KEPT)
