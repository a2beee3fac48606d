"""Speaking IMAP to servers: our own, and those that mailboxes are moved from."""

from mailgov.imap_client.connection import (
    COMMAND_SECONDS,
    Answer,
    Connection,
    Library,
    internal_date,
)

__all__ = ["COMMAND_SECONDS", "Answer", "Connection", "Library", "internal_date"]
