"""Which domains give mailboxes to anybody: the table of the policy package, subdomains included."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files


@cache
def _table() -> frozenset[str]:
    text = files("mailgov_policies").joinpath("tables", "freemail-domains.txt").read_text("utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def freemail_among(domains: Iterable[str]) -> frozenset[str]:
    """The free ones of these domains. Cost does not grow with the table."""
    return frozenset(domain for domain in domains if _is_free(domain))


def _is_free(domain: str) -> bool:
    labels = domain.split(".")
    return any(".".join(labels[start:]) in _table() for start in range(len(labels) - 1))
