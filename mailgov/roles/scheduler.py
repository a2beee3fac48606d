"""Housekeeping by the clock: acts planned for a day, leftovers of the spool, ended sign-ins, held mail,
the scanner, and once a day what lasts only for a time.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col

from mailgov.authentication.reports.daily import Reporting, send_due
from mailgov.db.models import WebSession
from mailgov.holding.passing import pass_on, remind
from mailgov.lifecycle.rounds import tend as tend_directory
from mailgov.logs import logger
from mailgov.roles.scanner_watch import look
from mailgov.services import Services
from mailgov.signing import key_store
from mailgov.signing.rotation import KeyStore, tend

ROUND = timedelta(minutes=10)
ENDED_SESSIONS_KEPT = timedelta(days=400)  # as long as daily acts of use

log = logger("scheduler")


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Tidy at the start and every ten minutes until `stop`."""
    keys = key_store(services.config)
    announce("", "")
    while not stop.is_set():
        await _tidy(services, keys)
        try:
            async with asyncio.timeout(ROUND.total_seconds()):
                await stop.wait()
        except TimeoutError:
            continue


async def _tidy(services: Services, keys: KeyStore | None) -> None:
    now = services.clock()
    # First of all: who leaves today is out, whatever else may be in trouble.
    if await asyncio.to_thread(tend_directory, services.database, services.config, now):
        services.queue.wake()
    swept = await services.queue.sweep_orphans()
    if swept:
        log.info("spool.swept", files=swept)
    await services.database.submit(lambda session: _forget_sessions(session, now))
    config = services.config
    await look(services)
    await tend(services.database, services.resolver, config.signing, services.clock, keys)
    reporting = Reporting(
        config, services.database, services.resolver, services.signer, services.clock
    )
    if await send_due(reporting):
        services.queue.wake()
    passed = await services.database.submit(lambda session: pass_on(session, config, now))
    if await services.database.submit(lambda session: remind(session, config, now)) or passed:
        services.queue.wake()


def _forget_sessions(session: Session, now: datetime) -> None:
    session.connection().execute(
        delete(WebSession).where(col(WebSession.used_at) < now - ENDED_SESSIONS_KEPT)
    )
