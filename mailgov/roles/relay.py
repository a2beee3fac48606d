"""SMTP in: the listeners for other servers and for users."""

import asyncio
from collections.abc import Callable

from mailgov.relay.records import Records
from mailgov.relay.server import RelayServer
from mailgov.services import Services

GRACE_SECONDS = 10.0


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Take mail until `stop`; then let messages under way finish."""
    server = RelayServer(
        config=services.config,
        directory=services.directory,
        intake=services.intake,
        spool=services.spool,
        records=Records(services.database, services.clock, services.config.screening),
        resolver=services.resolver,
        listening=services.listening,
    )
    for name, address in (await server.start()).items():
        announce(name, address)
    try:
        await stop.wait()
    finally:
        await server.stop(GRACE_SECONDS)
