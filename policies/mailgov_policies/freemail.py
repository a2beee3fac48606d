"""Domains that give mailboxes to anybody: `tables/freemail-domains.txt`, subdomains included."""

from functools import cache
from importlib.resources import files

from mailgov_policies.domains import is_within, parents


@cache
def freemail_domains() -> frozenset[str]:
    """The whole table."""
    text = files(__package__).joinpath("tables", "freemail-domains.txt").read_text("utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def is_freemail(domain: str, more: tuple[str, ...] = ()) -> bool:
    """Whether the domain, or one above it, is in the table or among `more`."""
    table = freemail_domains()
    return any(parent in table for parent in parents(domain)) or is_within(domain, more)
