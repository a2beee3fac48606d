"""Domains as labels."""

from collections.abc import Iterable


def is_within(domain: str, suffixes: Iterable[str]) -> bool:
    """Whether the domain is one of the suffixes or lies below one."""
    return any(domain == suffix or domain.endswith(f".{suffix}") for suffix in suffixes)


def domain_of(address: str) -> str:
    """The part after the last @, in lower case; empty for the null sender."""
    return address.rpartition("@")[2].lower()


def parents(domain: str) -> Iterable[str]:
    """The domain itself and each one above it: a.b.vn, b.vn, vn."""
    labels = domain.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))
