"""Passwords that have become old: told a week before, then to be changed at the next sign-in."""

from datetime import datetime, timedelta

from sqlmodel import Session

from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db.models import Agency
from mailgov.directory.change import Act, Change, recorded
from mailgov.holding.letters import Line
from mailgov.lifecycle.passwords import ageing, last_day_of, months_of
from mailgov.lifecycle.telling import Notice, tell_once

MATTER = "password-age"
ACTOR = "scheduler"
_SHORTEST_MONTH = 28


def tend_passwords(session: Session, config: Config, now: datetime) -> int:
    """Ask for a change where one is due, tell where it will be; how many letters were sent.

    Rule password-age: 3 months for users without a second factor, 2 for administrators.
    """
    settings, today = config.lifecycle, local_date(now)
    shortest = min(settings.password_months, settings.admin_password_months)
    youngest = timedelta(days=max(0, shortest * _SHORTEST_MONTH - settings.warning_days))
    sent = 0
    for mailbox, credential in ageing(session, now - youngest):
        months = months_of(session, mailbox, today, settings)
        if months is None:
            continue
        last = last_day_of(credential, months)
        if today > last:
            credential.must_change = True
            session.add(credential)
            code = session.get_one(Agency, mailbox.agency_id).code
            fields = {"must_change": ("False", "True")}
            change = Change(
                "mailbox",
                "edit",
                mailbox.address,
                fields,
                agency_code=code,
                mailbox=mailbox.address,
            )
            recorded(session, Act(ACTOR, now, "password-age"), change)
        elif today > last - timedelta(days=settings.warning_days):
            day = last.strftime("%d/%m/%Y")
            step = str(credential.id)
            notice = Notice(MATTER, step, "password-age", day, (Line("until", day),))
            sent += tell_once(session, config, mailbox, notice, now)
    return sent
