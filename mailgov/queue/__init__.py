"""Accepted mail until its end: bodies, rows, leases, schedule."""

from mailgov.queue.item import MAILBOX, NewMessage, NewRecipient, QueuedMessage, QueueItem
from mailgov.queue.spool import BodyWriter, Spool
from mailgov.queue.store import Queue, enqueue

__all__ = [
    "MAILBOX",
    "BodyWriter",
    "NewMessage",
    "NewRecipient",
    "Queue",
    "QueueItem",
    "QueuedMessage",
    "Spool",
    "enqueue",
]
