"""Backups of everything that can't be made anew: directory, queue, ledger, keys, mailboxes.

`stage` takes a consistent picture beside the running service, `engine` hands it to restic, which
encrypts it and keeps what is new, `store` makes, checks and brings back.
"""

from mailgov.backup.store import Backup, create, initialise, listing, restore, verify

__all__ = ["Backup", "create", "initialise", "listing", "restore", "verify"]
