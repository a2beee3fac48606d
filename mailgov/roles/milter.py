"""The policy engine for a Postfix or Sendmail that keeps its own mail."""

import asyncio
from collections.abc import Callable

from mailgov.milter import MilterServer
from mailgov.services import Services

GRACE_SECONDS = 10.0


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Answer mail servers until `stop`; then let messages under way be answered."""
    server = MilterServer(
        services.config, services.clock, services.intake, services.directory, services.spool
    )
    announce("milter", await server.start())
    try:
        await stop.wait()
    finally:
        await server.stop(GRACE_SECONDS)
