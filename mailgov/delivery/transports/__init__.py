"""Ways to hand a message on. Each takes a parcel and answers for every recipient in it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mailgov.errors import DeliveryError
from mailgov.message import Body
from mailgov.queue import QueuedMessage, QueueItem


@dataclass(frozen=True, slots=True)
class Parcel:
    """Recipients of one message at one destination, claimed together."""

    message: QueuedMessage
    destination: str
    items: tuple[QueueItem, ...]
    body: Body  # checked; `message.prefix` goes before it


@dataclass(frozen=True, slots=True)
class Taken:
    """A recipient's message is in the mailbox, or another server answers for it now."""

    reply: str
    by: Literal["mailbox", "relay", "dsn-relay"]  # dsn-relay: a server that sends notices itself


Answer = Taken | DeliveryError
Answers = Mapping[int, Answer]
"""By recipient id."""

Fence = Callable[[], Awaitable[None]]
"""Passed right before a delivery becomes final. Raises LeaseLost."""


class LeaseLost(Exception):
    """The recipients belong to another attempt by now, or were removed: write nothing."""


class Transport(Protocol):
    """One way to hand messages on."""

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """Try once. Raises DeliveryError for all recipients alike, Unavailable, LeaseLost."""

    async def tend(self) -> None:
        """Called about once a second: give up what is kept for reuse too long."""

    async def close(self) -> None:
        """Give up everything that is kept for reuse."""
