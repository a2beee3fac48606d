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
    left = timedelta(hours=settings.give_up_hours) - age(now, queued_at, attempts, settings)
    if left <= timedelta(0):
        return None
    factor = 1 + SPREAD * (2 * chance() - 1)
    return now + min(_wait(attempts, settings) * factor, left)


def age(now: datetime, queued_at: datetime, attempts: int, settings: Delivery) -> timedelta:
    """How long the mail has been tried, by the clock, but no longer than its attempts explain.

    A clock that jumps ahead, or a server that was off for days, can so give nobody's mail up.
    """
    waits = sum((_wait(number, settings) for number in range(1, attempts)), timedelta(0))
    under_way = attempts * timedelta(seconds=settings.attempt_seconds)
    return min(now - queued_at, waits * (1 + SPREAD) + under_way)


def _wait(attempts: int, settings: Delivery) -> timedelta:
    waits = settings.retry_minutes
    return timedelta(minutes=waits[min(max(attempts, 1), len(waits)) - 1])


def longest_wait(settings: Delivery) -> timedelta:
    """No recipient waits longer than this for its next attempt, or for the end of its lease."""
    wait = timedelta(minutes=max(settings.retry_minutes)) * (1 + SPREAD)
    return max(wait, timedelta(seconds=settings.lease_seconds))


def is_delay_notice_due(
    now: datetime, queued_at: datetime, attempts: int, settings: Delivery
) -> bool:
    """Whether the sender should hear by now that the message still waits."""
    tried = age(now, queued_at, attempts, settings)
    return tried >= timedelta(hours=settings.delay_notice_hours)
