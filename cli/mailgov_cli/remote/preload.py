"""What every command needs, imported once: the process that runs one begins with it."""

from mailgov import services
from mailgov.bulk import imports, jobs
from mailgov.directory import listing, provisioning
from mailgov.reports import render
from mailgov_cli.remote import tree, worker

tree.commands()

__all__ = ["imports", "jobs", "listing", "provisioning", "render", "services", "tree", "worker"]
