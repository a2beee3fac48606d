"""Words of the pages: `texts/{vi,en}.toml`, one entry per key in both languages.

Words that other faces share (rules, errors, places of findings) are in `mailgov.texts`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from mailgov import texts
from mailgov.errors import MailgovError, Unavailable
from mailgov.texts import Language
from mailgov_webmail import formats


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every entry of a language under its dotted key."""
    raw = tomllib.loads(files(__package__).joinpath("texts", f"{language}.toml").read_text("utf-8"))
    return dict(_flat(raw, ""))


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, str):
            yield prefix + key, value
        else:
            yield from _flat(value, f"{prefix}{key}.")


@dataclass(frozen=True, slots=True)
class Words:
    """The voice of one page: texts, dates and sizes of one language, at one moment."""

    language: Language
    now: datetime

    def __call__(self, key: str, /, **fields: Any) -> str:
        """The text of a key, its places filled. A missing key is shown as it is."""
        known = catalogue(self.language)
        shown = {
            name: formats.number(value, self.language) if type(value) is int else value
            for name, value in fields.items()
        }
        return known.get(key, key).format_map(_Fields(shown))

    def error(self, error: MailgovError) -> str:
        """What went wrong and how to mend it, as sentences.

        What helps against troubles of our own is for those who run the servers, not for readers.
        """
        sentence, mend = texts.tell(error, self.language)
        if isinstance(error, Unavailable):
            mend = self("trouble.wait")
        return " ".join(_as_sentence(part) for part in (sentence, mend) if part)

    def size(self, size_bytes: int) -> str:
        """A size for people: 2,4 MB."""
        return formats.size(size_bytes, self.language)

    def number(self, value: int) -> str:
        """A whole number with marks between thousands."""
        return formats.number(value, self.language)

    def moment(self, moment: datetime) -> str:
        """Day and time: 21/11/2026 08:05."""
        return formats.moment(moment)

    def brief(self, moment: datetime) -> str:
        """As short as it stays clear: 08:05, `Hôm qua`, 15/11, 15/11/2025."""
        found = formats.brief(moment, self.now)
        return self("date.yesterday") if found == formats.YESTERDAY else found


class _Fields(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"  # a page must never fail for want of a field


def _as_sentence(text: str) -> str:
    """Texts shared with the command line are lower case without full stop."""
    first = text[:1].upper() + text[1:]
    return first if first.endswith((".", "?", ":")) else f"{first}."
