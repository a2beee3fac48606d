"""Agencies, domains, people and mailboxes: look-ups for the road of mail, and provisioning."""

from mailgov.access import Role
from mailgov.directory.lookup import Directory
from mailgov.directory.queries import Account, LocalMailbox

__all__ = ["Account", "Directory", "LocalMailbox", "Role"]
