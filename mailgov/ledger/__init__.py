"""Typed, append-only events: the source of every report."""

from mailgov.ledger.events import Event
from mailgov.ledger.store import of_kinds, of_message, record

__all__ = ["Event", "of_kinds", "of_message", "record"]
