"""Words that suggest that a mail is no work: chain letters, trade, gambling.

Each kind has sayings that are enough alone, and others of which two must meet. Only what the writer
wrote is looked at, nothing quoted. Sayings are in `tables/uses.toml`.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mailgov.content.vietnamese import without_marks

_MAX_LETTERS = 4000
_ENOUGH = 2


@dataclass(frozen=True, slots=True)
class _Use:
    kind: str
    hints: tuple[
        str, ...
    ]  # words without one of which no saying is there: looked for first, for speed
    alone: re.Pattern[str]
    together: tuple[re.Pattern[str], ...]


def improper_uses(texts: Iterable[str]) -> tuple[str, ...]:
    """The kinds that the words of these texts suggest."""
    folded = " ".join(" ".join(texts).split())[:_MAX_LETTERS]
    folded = without_marks(folded).lower()
    return tuple(
        use.kind
        for use in _table()
        if any(map(folded.__contains__, use.hints)) and _suggests(use, folded)
    )


def _suggests(use: _Use, folded: str) -> bool:
    if use.alone.search(folded):
        return True
    return sum(bool(saying.search(folded)) for saying in use.together) >= _ENOUGH


@cache
def _table() -> tuple[_Use, ...]:
    text = resources.files("mailgov.content").joinpath("tables", "uses.toml").read_text("utf-8")
    return tuple(
        _Use(
            row["kind"],
            tuple(row["hints"]),
            re.compile("|".join(row["alone"]) or "(?!)"),
            tuple(re.compile(saying) for saying in row["together"]),
        )
        for row in tomllib.loads(text)["use"]
    )
