"""Accounts that nobody signs in to: told a week before, then locked; mail still arrives (inactive-account)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db.models import Agency, Credential, KnownPlace, Mailbox, WebSession
from mailgov.db.types import Moment
from mailgov.directory.change import Act, Change, recorded
from mailgov.holding.letters import Line
from mailgov.lifecycle.access import end_open_sessions
from mailgov.lifecycle.telling import Notice, tell_once

MATTER = "unused"
ACTOR = "scheduler"


def tend_unused(session: Session, config: Config, now: datetime) -> int:
    """Lock what was not used for 45 days, tell what will be; how many letters were sent."""
    settings = config.lifecycle
    lock_before = now - timedelta(days=settings.unused_days)
    warn_before = lock_before + timedelta(days=settings.warning_days)
    sent = 0
    for mailbox, used in list(_unused_since(session, warn_before)):
        if used <= lock_before:
            _lock(session, mailbox, used, now)
            continue
        last = local_date(used + timedelta(days=settings.unused_days)) - timedelta(days=1)
        day = last.strftime("%d/%m/%Y")
        step = used.isoformat(timespec="seconds")
        notice = Notice(MATTER, step, "unused", day, (Line("until", day),))
        sent += tell_once(session, config, mailbox, notice, now)
    return sent


def _latest(column: Any) -> sa.Subquery:
    """By mailbox, the latest moment in a column."""
    table = column.class_
    return (
        sa.select(col(table.mailbox_id).label("box"), sa.func.max(column).label("at"))
        .group_by(col(table.mailbox_id))
        .subquery()
    )


def _query() -> sa.Select[Any]:
    moment = sa.bindparam("moment", type_=Moment())
    uses = [
        _latest(col(Credential.last_used_at)),
        _latest(col(KnownPlace.seen_at)),
        _latest(col(WebSession.used_at)),
    ]
    opens = sa.exists().where(
        col(Credential.mailbox_id) == col(Mailbox.id), col(Credential.revoked_at).is_(None)
    )
    query: Any = sa.select(Mailbox, *(use.c.at for use in uses))
    for use in uses:
        query = query.outerjoin(use, use.c.box == col(Mailbox.id))
    moments: list[Any] = [use.c.at for use in uses]
    moments += [col(Mailbox.reopened_at), col(Mailbox.activated_at)]
    found: sa.Select[Any] = query.where(
        col(Mailbox.state) == "active",
        col(Mailbox.kind) == "person",
        col(Mailbox.locked_at).is_(None),
        opens,
        col(Mailbox.created_at) <= moment,
        *(sa.or_(at.is_(None), at <= moment) for at in moments),
    ).order_by(col(Mailbox.id))
    return found


_UNUSED = _query()


def _unused_since(session: Session, moment: datetime) -> Iterator[tuple[Mailbox, datetime]]:
    """People's open accounts with a password that nobody has used since, and when it was last used."""
    for mailbox, *moments in session.execute(_UNUSED, {"moment": moment}):
        known = (mailbox.created_at, mailbox.activated_at, mailbox.reopened_at, *moments)
        yield mailbox, max(at for at in known if at is not None)


def _lock(session: Session, mailbox: Mailbox, used: datetime, now: datetime) -> None:
    mailbox.locked_at = now
    session.add(mailbox)
    act = Act(ACTOR, now, "inactive-account")
    end_open_sessions(session, act, mailbox)
    code = session.get_one(Agency, mailbox.agency_id).code
    fields = {
        "locked": ("", now.isoformat(timespec="seconds")),
        "last_use": (used.isoformat(timespec="seconds"), ""),
    }
    change = Change(
        "mailbox", "lock", mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    recorded(session, act, change)
