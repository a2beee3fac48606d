"""Passing mail on to the outside, for mailboxes whose forwards lead there.

Each is a message of its own: the bytes as they came, judged again as what it is now, with a sender
whose bounces come back through us (mailgov/srs.py), a seal on what we found (ARC), and a mark by
which it is known when it comes round again (Delivered-To, RFC 9228). What the rules do not let out
stays in the mailbox; its holder is told once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock
from mailgov.db import Database
from mailgov.db.models import Forward
from mailgov.directory.forwards import Spread, WayOut
from mailgov.directory.return_paths import rewriter
from mailgov.errors import InputError, Unavailable
from mailgov.holding.letters import Letter, Line
from mailgov.holding.sending import send_about
from mailgov.ledger.events import MessageAccepted
from mailgov.logs import logger
from mailgov.message import Body, Envelope, Recipient, new_queue_id
from mailgov.queue import NewMessage, NewRecipient, Spool, enqueue
from mailgov.srs import Rewriter
from mailgov_policies import Action, Facts, Finding, Verdict

log = logger("forwarding")


class Sealing(Protocol):
    """What is needed of ARC."""

    async def __call__(self, header: bytes, body: Body, domain: str) -> bytes:
        """Fields to prepend; empty where none can be made. Raises Unavailable."""


Judge = Callable[[Envelope, WayOut, str], Awaitable["Judged"]]
"""What the rules say of a message that goes this way, under this queue id. Raises Unavailable."""


class Judged(Protocol):
    """Facts and verdict."""

    @property
    def facts(self) -> Facts:
        """What is known."""

    @property
    def verdict(self) -> Verdict:
        """What the rules say."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What passing on needs."""

    config: Config
    database: Database
    spool: Spool
    seal: Sealing | None
    judge: Judge


@dataclass(frozen=True, slots=True)
class Original:
    """A message that was taken, and its header block, not yet stored."""

    new: NewMessage
    read_header: Callable[[], HeaderBlock]  # blocks
    sender_is_ours: bool  # its domain is


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A message on its way out; without one, that it stays, and by which findings."""

    way: WayOut
    new: NewMessage | None = None
    findings: tuple[Finding, ...] = ()


def within(recipients: Sequence[NewRecipient], spread: Spread) -> tuple[NewRecipient, ...]:
    """Everybody who gets a message by forwards within the platform too, each once."""
    leaves = spread.leaves()
    found = {one.mailbox_id: one for one in recipients if one.mailbox_id is not None}
    for step in spread.steps:
        before = found.get(step.origin)
        if before is not None and step.mailbox_id not in found:
            found[step.mailbox_id] = replace(
                before,
                address=step.address,
                mailbox_id=step.mailbox_id,
                group_id=before.group_id or step.origin,
                original=before.original or f"rfc822;{before.address}",
            )
    given = {one.mailbox_id for one in recipients}
    added = [one for one in found.values() if one.mailbox_id not in given]
    return tuple(one for one in (*recipients, *added) if one.mailbox_id not in leaves)


async def outside(
    parts: Parts, original: Original, ways: Sequence[WayOut], now: datetime
) -> list[PassedOn]:
    """What is passed on, ready for the queue, and what is not. Raises Unavailable."""
    if not ways:
        return []
    header = await asyncio.to_thread(original.read_header)
    rewriting = await parts.database.query(rewriter)
    found = []
    for way in ways:
        if _was_here(header, way.address):
            log.warning("forward.loop", queue_id=original.new.queue_id, mailbox=way.address)
            continue
        found.append(await _one(parts, original, header, way, rewriting, now))
    return found


def _was_here(header: HeaderBlock, mailbox: str) -> bool:
    return any(
        name == b"delivered-to" and value.strip().lower() == mailbox.encode()
        for name, value in header.fields
    )


async def _one(
    parts: Parts,
    original: Original,
    header: HeaderBlock,
    way: WayOut,
    rewriting: Rewriter,
    now: datetime,
) -> PassedOn:
    before = original.new.envelope
    by, target = Address.parse(way.address), Address.parse(way.target)
    sender = before.mail_from
    if sender is not None and not original.sender_is_ours:
        try:
            sender = rewriting.rewrite(sender, by.domain, local_date(now))
        except InputError as exc:
            log.warning("forward.not-rewritable", mailbox=way.address, why=str(exc))
            return PassedOn(way)
    queue_id = new_queue_id(now)
    envelope = replace(
        before,
        direction="internal",
        mail_from=sender,
        recipients=(Recipient(target),),
        login=None,
        forwarded_by=by,
        envid="",
        ret="",
    )
    judged = await parts.judge(envelope, way, queue_id)
    if not judged.verdict.delivers:
        log.info("forward.denied", mailbox=way.address, code=judged.verdict.code)
        if judged.verdict.action is Action.DEFER:
            raise Unavailable("not-judged", queue_id=queue_id)
        findings = tuple(f for f in judged.verdict.findings if f.action >= Action.HOLD)
        return PassedOn(way, findings=findings)
    trace = b"Delivered-To: %b\r\n" % way.address.encode() + original.new.prefix
    body = original.new.body
    sealed = b""
    if parts.seal is not None:
        sealed = await parts.seal(trace + header.raw, body, by.domain)
    if not sealed:
        log.warning("forward.unsealed", mailbox=way.address)
    copy = await asyncio.to_thread(_copied, parts.spool, body)
    spool_name = await asyncio.to_thread(parts.spool.keep, copy, queue_id)
    new = replace(
        original.new,
        queue_id=queue_id,
        envelope=envelope,
        body=copy,
        spool_name=spool_name,
        prefix=sealed + trace,
        verdict=judged.verdict,
        agency_code=way.agency_code,
        recipients=(NewRecipient(str(target), target.domain),),
        judged=judged.facts,
    )
    return PassedOn(way, new)


def _copied(spool: Spool, body: Body) -> Body:
    """A body of its own: each message removes its file at its end."""
    if body.path is None:
        return body
    writer = spool.writer()
    for chunk in body.chunks():
        writer.write(chunk)
    return writer.finish()


def record(session: Session, config: Config, queue_id: str, one: PassedOn, now: datetime) -> None:
    """Queue what is passed on; of what stays, tell the mailbox, once."""
    if one.new is None:
        _tell(session, config, queue_id, one, now)
        return
    new = one.new
    enqueue(session, new)
    event = MessageAccepted(
        at=now,
        message_id=new.queue_id,
        agency_code=new.agency_code,
        actor=one.way.address,
        direction=new.envelope.direction,
        action=new.verdict.action.label,
        size_bytes=new.size_bytes,
        channel="notice",
    )
    ledger.record(session, event)


def _tell(session: Session, config: Config, queue_id: str, one: PassedOn, now: datetime) -> None:
    way = one.way
    row = session.get(Forward, way.forward_id)
    if row is None or row.told_at is not None:
        return
    letter = Letter(
        "unforwarded", way.address, way.mailbox_id, way.agency_code, way.target,
        (Line("target", way.target),), codes=tuple(dict.fromkeys(f.code for f in one.findings)),
    )  # fmt: skip
    if send_about(session, config, queue_id, [letter], now):
        row.told_at = now
        session.add(row)
