"""Whether a display name speaks for a state agency. Pure string work over `tables/state-names.toml`."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from mailgov_policies.domains import domain_of, is_within
from mailgov_policies.lookalike import letters

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

_WORD = re.compile(r"[^\W_]+")


def agency_claimed(name: str, domain: str, suffixes: Iterable[str]) -> str:
    """The agency, or official address, that a display name claims; empty when it claims none.

    `domain` is that of the real address: a name that repeats it claims nothing.
    """
    for address in _ADDRESS.findall(name[:500]):
        claimed = domain_of(address)
        if claimed != domain and is_within(claimed, suffixes):
            return str(address)
    words = _words(name[:500])
    anywhere, others = _table()
    if any(words.startswith(start) for start in others):
        return ""
    return next((shown for phrase, shown in anywhere if phrase in words), "")


def _words(text: str) -> str:
    """Words without case, marks and signs, one space around each."""
    return f" {' '.join(_WORD.findall(letters(text)))} "


@cache
def _table() -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    raw = tomllib.loads(
        files(__package__).joinpath("tables", "state-names.toml").read_text("utf-8")
    )
    return (
        tuple((_words(name), name) for name in raw["anywhere"]),
        tuple(_words(name) for name in raw["others"]),
    )
