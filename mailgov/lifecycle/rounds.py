"""What is looked after by the clock: acts whose day has come, then, once a day, passwords, unused accounts,
quotas, and accounts of agencies that are to be gone through.
"""

from datetime import date, datetime

from sqlmodel import Session

from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import Instance
from mailgov.lifecycle import planning
from mailgov.lifecycle.ageing import tend_passwords
from mailgov.lifecycle.performers import PERFORMERS
from mailgov.lifecycle.quotas import tell_of_space
from mailgov.lifecycle.reviews import remind_of_reviews
from mailgov.lifecycle.unused import tend_unused
from mailgov.logs import logger

_DAY_KEY = "lifecycle-day"
"""The last day on which everything daily was done."""

log = logger("lifecycle")


def tend(database: Database, config: Config, now: datetime) -> bool:
    """Do what is due; whether letters wait in the queue. Blocks, on the database and on the disk.

    Raises Unavailable `database-unavailable`; then the next round does the rest.
    """
    today = local_date(now)
    planning.perform_due(database, today, now, PERFORMERS)
    with database.read() as session:
        if _last_day(session) == today:
            return False
    with database.write() as session:
        sent = tend_passwords(session, config, now)
        sent += tend_unused(session, config, now)
        sent += remind_of_reviews(session, config, now)
    sent += tell_of_space(database, config, now)
    with database.write() as session:
        session.merge(Instance(key=_DAY_KEY, value=today.isoformat()))
    log.info("day", letters=sent)
    return sent > 0


def _last_day(session: Session) -> date | None:
    row = session.get(Instance, _DAY_KEY)
    return date.fromisoformat(row.value) if row is not None else None
