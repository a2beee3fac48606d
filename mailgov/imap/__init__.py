"""A small IMAP4rev1 server of our own, for a demonstration and a small office."""

from mailgov.imap.server import ImapServer

__all__ = ["ImapServer"]
