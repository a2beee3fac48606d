"""Adding and changing agencies, domains, mailboxes and rights.

Every function works in the caller's transaction, writes its ledger event there, and returns the
Change; a Change without fields means that everything was already so. Not for the event loop.
"""

from mailgov.directory.change import Act, Change

__all__ = ["Act", "Change"]
