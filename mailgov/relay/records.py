"""What the relay reads and keeps in the database: it must survive a restart, or be true everywhere.

Methods raise Unavailable `database-unavailable` when the database can't serve.
"""

from datetime import datetime, timedelta

from sqlalchemy import case, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from mailgov.clock import Clock
from mailgov.config import Screening
from mailgov.db import Database
from mailgov.db.models import Greylisted, MessageRow, RecipientRow
from mailgov.relay.ports import Sent

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Records:
    """Counts of messages, and the greylist."""

    def __init__(self, database: Database, clock: Clock, screening: Screening) -> None:
        self._database = database
        self._clock = clock
        self._screening = screening
        self._swept_at: datetime | None = None

    async def sent(self, login: str) -> Sent:
        """What a user has sent in the last hour and day, by any way. `login` is an `Address.key`."""
        now = self._clock()
        return await self._database.query(lambda session: _sent(session, login, now))

    async def backlog(self) -> int:
        """Recipients that wait in the queue."""
        return await self._database.query(_backlog)

    async def has_come_back(self, network: bytes, triplet: bytes) -> bool:
        """Whether a sender may pass the greylist; if not, it is asked to come again.

        Both are digests: of the network alone, and with sender and recipient.
        """
        now = self._clock()
        sweep = self._swept_at is None or now - self._swept_at > HOUR
        if sweep:
            self._swept_at = now

        def work(session: Session) -> bool:
            if sweep:
                _forget(session, self._screening, now)
            return _pass(session, self._screening, network, triplet, now)

        try:
            return await self._database.submit(work)
        except IntegrityError:  # the same sender at the same moment, in another session
            return False


def _sent(session: Session, login: str, now: datetime) -> Sent:
    accepted_at = col(MessageRow.accepted_at)
    of_user = (col(MessageRow.login) == login, accepted_at > now - DAY)
    messages = session.connection().execute(select(func.count()).where(*of_user)).scalar_one()
    if not messages:
        return Sent()
    recipients = session.connection().execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((accepted_at > now - HOUR, 1), else_=0)), 0),
        )
        .select_from(MessageRow)
        .join(RecipientRow, col(RecipientRow.message_id) == col(MessageRow.id))
        .where(*of_user)
    )
    day, hour = recipients.one()
    return Sent(hour, day, messages)


def _backlog(session: Session) -> int:
    waiting = select(func.count()).where(col(RecipientRow.state) == "queued")
    return session.connection().execute(waiting).scalar_one()


def _pass(session: Session, rule: Screening, network: bytes, triplet: bytes, now: datetime) -> bool:
    known = session.get(Greylisted, network)
    if known is not None and known.passes >= rule.greylist_passes:
        _seen(known, now)
        return True
    row = session.get(Greylisted, triplet)
    if row is None or (not row.passes and now - row.first_at > _hours(rule)):
        if row is None:
            row = Greylisted(key=triplet, first_at=now, last_at=now)
            session.add(row)
        row.first_at = row.last_at = now
        return False
    if row.passes:
        _seen(row, now)
        return True
    if now - row.first_at < timedelta(minutes=rule.greylist_minutes):
        return False
    row.passes, row.last_at = 1, now
    if known is None:
        known = Greylisted(key=network, first_at=now, last_at=now)
        session.add(known)
    known.passes, known.last_at = known.passes + 1, now
    return True


def _hours(rule: Screening) -> timedelta:
    return timedelta(hours=rule.greylist_hours)


def _seen(row: Greylisted, now: datetime) -> None:
    """Note use, once a day: a write for each message would be too much."""
    if now - row.last_at > DAY:
        row.last_at = now


def _forget(session: Session, rule: Screening, now: datetime) -> None:
    last_at = col(Greylisted.last_at)
    session.connection().execute(
        delete(Greylisted).where(
            or_(
                last_at < now - timedelta(days=rule.greylist_days),
                (col(Greylisted.passes) == 0) & (last_at < now - _hours(rule)),
            )
        )
    )
