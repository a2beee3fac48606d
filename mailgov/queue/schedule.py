"""When to try again. Pure: the moment, the age and the chance come in as arguments."""

from collections.abc import Callable
from datetime import datetime, timedelta

from mailgov.config import Delivery

SPREAD = 0.2
"""Waits vary by a fifth either way, so that mail that failed together does not return together."""


def next_attempt(
    now: datetime,
    queued_at: datetime,
    attempts: int,
    settings: Delivery,
    chance: Callable[[], float],
) -> datetime | None:
    """When to try again after `attempts` failures; None when it is time to give up.

    `chance` gives numbers from 0 to 1. The last try is made at the very end of the time allowed.
    """
    end = queued_at + timedelta(hours=settings.give_up_hours)
    if now >= end:
        return None
    waits = settings.retry_minutes
    minutes = waits[min(max(attempts, 1), len(waits)) - 1]
    factor = 1 + SPREAD * (2 * chance() - 1)
    return min(now + timedelta(minutes=minutes * factor), end)


def is_delay_notice_due(now: datetime, queued_at: datetime, settings: Delivery) -> bool:
    """Whether the sender should hear by now that the message still waits."""
    return now >= queued_at + timedelta(hours=settings.delay_notice_hours)
