"""Mailboxes that fill up: their holders are told at 80 and at 95 percent, once each (rule quota)."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import Mailbox, Told
from mailgov.holding.letters import Line
from mailgov.lifecycle.telling import Notice, forget, steps_told, tell_once
from mailgov.logs import logger
from mailgov.mailstore import layout
from mailgov.mailstore.space import Space

MATTER = "quota"
_AT_ONCE = 500  # mailboxes between two looks at the database

log = logger("lifecycle")


def tell_of_space(
    database: Database, config: Config, now: datetime, used: Callable[[Path], int] | None = None
) -> int:
    """Look how full mailboxes are, tell their holders; how many letters were sent.

    `used` says how many bytes a Maildir holds. Reads the names of all files: blocks. A mailbox that
    can't be read is left out and logged.
    """
    steps = sorted(config.lifecycle.quota_warnings)
    if not steps:
        return 0
    measure = used or Space().used_bytes
    sent, after = 0, 0
    while boxes := _some(database, after):
        after = boxes[-1][0]
        full: dict[int, int] = {}
        for number, address, home, quota_mb in boxes:
            maildir = layout.maildir(config.data.path, Address.parse(home or address))
            try:
                percent = measure(maildir) * 100 // (quota_mb << 20)
            except OSError as exc:
                log.warning("quota.unread", mailbox=address, cause=str(exc))
                continue
            full[number] = max((step for step in steps if percent >= step), default=0)
        with database.read() as session:
            told = steps_told(session, MATTER)
        news = {n: step for n, step in full.items() if step != int(told.get(n, "0"))}
        if news:
            with database.write() as session:
                sent += _tell(session, config, news, now)
    return sent


def _some(database: Database, after: int) -> list[tuple[int, str, str, int]]:
    query = (
        select(Mailbox.id, Mailbox.address, Mailbox.home, Mailbox.quota_mb)
        .where(col(Mailbox.id) > after, Mailbox.state == "active", Mailbox.kind != "group")
        .order_by(col(Mailbox.id))
        .limit(_AT_ONCE)
    )
    with database.read() as session:
        return [
            (number, address, home, quota)
            for number, address, home, quota in session.exec(query)
            if number is not None
        ]


def _lower(session: Session, number: int, step: int) -> None:
    if not step:
        forget(session, number, MATTER)
        return
    told = session.get_one(Told, (number, MATTER))
    told.step = str(step)
    session.add(told)


def _tell(session: Session, config: Config, full: dict[int, int], now: datetime) -> int:
    told = steps_told(session, MATTER)
    sent = 0
    for number, step in full.items():
        before = int(told.get(number, "0"))
        if step == before:
            continue
        if step < before:  # there is room again: from here on it is told anew
            _lower(session, number, step)
        if step > before:
            mailbox = session.get_one(Mailbox, number)
            lines = (Line("percent", str(step)), Line("quota", str(mailbox.quota_mb)))
            notice = Notice(MATTER, str(step), "quota", str(step), lines)
            sent += tell_once(session, config, mailbox, notice, now)
    return sent
