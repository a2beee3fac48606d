"""Mailboxes on disk, and the engine that serves them."""
