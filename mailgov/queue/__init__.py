"""Accepted mail until its end: bodies, rows, leases, schedule."""

from mailgov.queue.acceptance import enqueue
from mailgov.queue.item import MAILBOX, NewMessage, NewRecipient, QueuedMessage, QueueItem
from mailgov.queue.spool import BodyWriter, Spool
from mailgov.queue.store import Queue

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
