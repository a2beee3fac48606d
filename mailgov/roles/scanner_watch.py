"""Looking after the malware scanner: whether it answers, and how old its signatures are.

A scanner with stale signatures goes on calling new malware clean, so those who run the platform are
told: a letter once a day to whoever holds `it` for the whole platform, an event, and two metrics.
"""

from datetime import datetime, timedelta

from prometheus_client import Gauge

from mailgov.errors import Unavailable
from mailgov.holding.telling import tell_stale
from mailgov.logs import logger
from mailgov.scanner import ClamdScanner
from mailgov.services import Services

UP = Gauge("mailgov_scanner_up", "1 when the malware scanner answers")
AGE = Gauge(
    "mailgov_scanner_signature_age_seconds", "Age of the malware scanner's signatures, in seconds"
)

log = logger("scheduler")


async def look(services: Services) -> None:
    """Ask the scanner for its signatures; tell when they are stale. Nothing where none is set."""
    settings = services.config.scanner
    if not settings.clamd:
        return
    try:
        made_at = await ClamdScanner(settings).signatures_of()
    except Unavailable as error:
        UP.set(0)
        log.warning("scanner.down", cause=str(error))
        return
    UP.set(1)
    now = services.clock()
    if made_at is None:
        return
    AGE.set((now - made_at).total_seconds())
    if now - made_at > timedelta(days=settings.signatures_days):
        await _tell(services, made_at, now)


async def _tell(services: Services, made_at: datetime, now: datetime) -> None:
    config = services.config
    told = await services.database.submit(lambda session: tell_stale(session, config, made_at, now))
    if told:
        log.error("scanner.stale", made_at=made_at.isoformat(), days=(now - made_at).days)
        services.queue.wake()
