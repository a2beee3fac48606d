"""SMTP out and into mailboxes: the queue's worker."""

import asyncio
from collections.abc import Callable

from mailgov.delivery.ways_out import transports
from mailgov.delivery.worker import Worker
from mailgov.services import Services


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Deliver what is due until `stop`; attempts under way finish or are tried again later."""
    worker = Worker(
        config=services.config,
        queue=services.queue,
        directory=services.directory,
        clock=services.clock,
        signer=services.signer,
        transports=transports(
            services.config, services.resolver, services.database, services.clock
        ),
    )
    announce("", "")
    await worker.run(stop)
