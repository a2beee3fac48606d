"""The life of a key: made, published, seen in DNS, signing, retired, withdrawn; with dates for each.

A key signs only after DNS shows it, and its record goes only when no mail signed with it is under way
any more. The scheduler takes each step when its day has come; the command line can take it earlier.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from mailgov.clock import Clock
from mailgov.config import Signing
from mailgov.db import Database
from mailgov.db.models import DkimKey, Domain
from mailgov.errors import Conflict, MailgovError, Unavailable
from mailgov.logs import logger
from mailgov.resolver import Resolver
from mailgov.signing import keys
from mailgov.signing.dns_check import is_published
from mailgov.signing.dns_records import dkim_record

ALGORITHMS: tuple[keys.Algorithm, ...] = ("rsa2048", "ed25519")
LOOKED_AT_EVERY = timedelta(days=1)
KEYS_AT_ONCE = 200
_QUESTIONS_AT_ONCE = 20

log = logger("signing")


@dataclass(frozen=True, slots=True)
class KeyStore:
    """Where this process keeps private keys, and what encrypts them."""

    folder: Path
    secret: bytes | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A key that the scheduler looks at."""

    domain: str
    key: DkimKey


def rotate(
    session: Session,
    folder: Path,
    domain: str,
    settings: Signing,
    *,
    secret: bytes | None,
    clock: Clock,
    actor: str = "",
    reason: str = "",
) -> list[DkimKey]:
    """Give a domain the successors of its keys, one of each kind, in the caller's transaction.

    Kinds that have a successor waiting keep it, so a repeated call makes nothing new. Raises as
    `create_key` does.
    """
    activate_at = clock() + timedelta(days=settings.publish_days)
    waiting = []
    for algorithm in ALGORITHMS:
        known = keys.keys_of(session, domain)
        found = [key for key in known if key.state == "pending" and key.algorithm == algorithm]
        if not found:
            selector = keys.default_selector(clock, [key.selector for key in known])
            found = [
                keys.create_key(
                    session, folder, domain, selector, algorithm, secret=secret,
                    activate_at=activate_at, clock=clock, actor=actor, reason=reason,
                )
            ]  # fmt: skip
        for key in found:
            if key.state == "pending" and key.activate_at is None:
                key.activate_at = activate_at
                session.add(key)
        waiting += found
    session.flush()
    return waiting


def retire(
    session: Session,
    domain: str,
    selector: str,
    settings: Signing,
    *,
    clock: Clock,
    actor: str = "",
    reason: str = "",
) -> dict[str, tuple[str, str]]:
    """Let a key sign no more, in the caller's transaction; returns old and new state by target.

    Its record stays published for a while. Empty when it signs no more already. Raises NotFound
    `dkim-key-unknown`, Conflict `dkim-key-last` for the only key that signs.
    """
    key = keys.get_key(session, domain, selector)
    if key.state in ("retired", "withdrawn"):
        return {}
    others = [one for one in keys.keys_of(session, domain) if one.state == "active"]
    if key.state == "active" and len(others) == 1:
        raise Conflict("dkim-key-last", domain=domain, selector=selector)
    return keys.change_states(
        session, domain, {selector: "retired"}, settings.withdraw_days,
        clock=clock, actor=actor, reason=reason,
    )  # fmt: skip


async def tend(
    database: Database,
    resolver: Resolver,
    settings: Signing,
    clock: Clock,
    store: KeyStore | None,
) -> None:
    """Take the steps that are due: look keys up, activate, withdraw, make successors of old ones.

    Without a `store` the files are another process's: then keys are made and their private halves
    removed by whoever runs the command line there. Trouble with DNS is logged, not raised. Raises
    Unavailable `database-unavailable`.
    """
    now = clock()
    due = await database.query(lambda session: _due(session, now))
    gate = asyncio.Semaphore(_QUESTIONS_AT_ONCE)
    await asyncio.gather(
        *(_tend_one(one, database, resolver, settings, clock, gate) for one in due)
    )
    gone = await database.submit(lambda session: _withdraw(session, settings, clock))
    if store is None:
        return
    for file_name in gone:  # of no use any more, and nothing to leave lying about
        await asyncio.to_thread((store.folder / file_name).unlink, missing_ok=True)
    if settings.rotate_days:
        await database.submit(lambda session: _renew_oldest(session, settings, clock, store))


def _renew_oldest(session: Session, settings: Signing, clock: Clock, store: KeyStore) -> None:
    """Give successors to the domain whose key is oldest, if it is too old; one at a time."""
    waiting = select(DkimKey.domain_id).where(DkimKey.state == "pending")
    query = (
        select(Domain.name)
        .join(DkimKey, col(Domain.id) == DkimKey.domain_id)
        .where(
            DkimKey.state == "active",
            col(DkimKey.created_at) < clock() - timedelta(days=settings.rotate_days),
            Domain.state == "active",
            col(Domain.id).not_in(waiting),
        )
        .order_by(col(DkimKey.created_at))
    )
    domain = session.exec(query).first()
    if domain is not None:
        made = rotate(
            session, store.folder, domain, settings, secret=store.secret,
            clock=clock, actor="scheduler", reason="rotation",
        )  # fmt: skip
        log.warning("key.publish", domain=domain, selectors=[key.selector for key in made])


def _due(session: Session, now: datetime) -> Sequence[Due]:
    """Keys to look up: those that wait, and each of the others once in a day."""
    query = (
        select(DkimKey, Domain.name)
        .join(Domain, col(Domain.id) == DkimKey.domain_id)
        .where(
            or_(
                col(DkimKey.state) == "pending",
                col(DkimKey.state).in_(("active", "retired"))
                & (col(DkimKey.seen_at).is_(None) | (col(DkimKey.seen_at) < now - LOOKED_AT_EVERY)),
            )
        )
        # By chance among the rest: many that are never published must not keep others from their turn.
        .order_by(col(DkimKey.state) != "pending", func.random())
        .limit(KEYS_AT_ONCE)
    )
    found = [Due(name, key) for key, name in session.exec(query)]
    session.expunge_all()
    return found


async def _tend_one(
    due: Due,
    database: Database,
    resolver: Resolver,
    settings: Signing,
    clock: Clock,
    gate: asyncio.Semaphore,
) -> None:
    key = due.key
    record = dkim_record(due.domain, key)
    async with gate:
        try:
            published = await is_published(record, resolver)
        except Unavailable as error:
            log.info("key.unknown", record=record.name, cause=str(error))
            return
    if not published:
        ripe = key.state == "pending" and key.activate_at is not None and key.activate_at <= clock()
        if ripe or (key.state == "active" and key.seen_at is not None):
            log.error("key.not-published", record=record.name, state=key.state)
        else:  # of a domain that is being set up: `mailgov dns check` tells what it lacks
            log.info("key.not-published-yet", record=record.name, state=key.state)
        return
    ready = key.activate_at is not None and key.activate_at <= clock()

    def work(session: Session) -> None:
        row = session.get(DkimKey, key.id)
        if row is None:
            return
        row.seen_at = clock()
        session.add(row)
        if row.state == "pending" and ready:
            keys.activate_key(
                session, due.domain, row.selector, settings.withdraw_days,
                clock=clock, actor="scheduler", reason="rotation",
            )  # fmt: skip
            log.info("key.activated", record=record.name)

    try:
        await database.submit(work)
    except MailgovError as error:
        log.warning("key.unchanged", record=record.name, cause=str(error))


def _withdraw(session: Session, settings: Signing, clock: Clock) -> list[str]:
    """Retired keys whose time is over; their files."""
    query = (
        select(DkimKey, Domain.name)
        .join(Domain, col(Domain.id) == DkimKey.domain_id)
        .where(DkimKey.state == "retired", col(DkimKey.withdraw_at) <= clock())
    )
    files = []
    for key, domain in session.exec(query).all():
        keys.change_states(
            session, domain, {key.selector: "withdrawn"}, settings.withdraw_days,
            clock=clock, actor="scheduler", reason="rotation",
        )  # fmt: skip
        log.info("key.withdrawn", record=f"{key.selector}._domainkey.{domain}")
        files.append(key.file_name)
    return files
