"""Which domains belong to one organisation, by the public suffix list that comes with us.

`gov.vn` is a public suffix, so each agency right below it is an organisation of its own: a ministry's
mail says nothing about a province's.
"""

from functools import cache
from importlib.metadata import version

from publicsuffixlist import PublicSuffixList

LIST_VERSION = version("publicsuffixlist")
"""Ends in the day of the list, such as 1.1.2.20261023."""


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList()  # 60 ms: once, and not when imported


def organisation_of(domain: str) -> str:
    """The organisational domain of a domain in its one form (RFC 7489, 3.2).

    A public suffix is its own organisation; nothing below it belongs to it.
    """
    return str(_list().privatesuffix(domain) or domain)


def suffix_of(domain: str) -> str:
    """The public suffix that a domain stands under."""
    return str(_list().publicsuffix(domain) or "")


def is_aligned(one: str, other: str, *, strict: bool) -> bool:
    """Whether an authenticated domain speaks for the author's (RFC 7489, 3.1)."""
    if strict or not one or not other:
        return bool(one) and one == other
    return organisation_of(one) == organisation_of(other)
