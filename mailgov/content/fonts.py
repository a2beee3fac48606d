"""What font names tell of the text set in them."""

import functools
import re
from typing import NamedTuple

from mailgov.content.encodings import decoders
from mailgov.content.vietnamese import table_rows
from mailgov_policies.facts import Encoding

_SUBSET_PREFIX = re.compile(r"^[A-Z]{6}\+")
_FONT_SUFFIX = re.compile(
    r"(?:,(?:Bold|Italic|BoldItalic)|(?:Bold|Italic)+|[ -](?:Tur|CE|Cyr|Greek|Baltic)|(?<=[A-Za-z])\d)$"
)


class FontFamily(NamedTuple):
    """What a font name says of the text set in it."""

    encoding: Encoding | None  # None: nothing, or an encoding that is not read here
    capitals: bool = False  # draws lower-case codes as capitals


@functools.lru_cache(maxsize=1024)
def font_family(font: str) -> FontFamily:
    """The encoding that a font was made for. Many files keep such names around Unicode text."""
    name = _SUBSET_PREFIX.sub("", font[:64].strip())
    while (bare := _FONT_SUFFIX.sub("", name)) != name:
        name = bare
    for pattern, encoding, capitals in _font_patterns():
        if pattern.search(name):
            return FontFamily(encoding, capitals)
    return FontFamily(None)


@functools.cache
def _font_patterns() -> tuple[tuple[re.Pattern[str], Encoding | None, bool], ...]:
    known: dict[str, Encoding] = {name: name for name in decoders()}
    return tuple(
        (
            re.compile(pattern, re.IGNORECASE if "i" in flags else 0),
            known.get(encoding),
            capitals == "yes",
        )
        for _, pattern, flags, encoding, capitals, *_ in table_rows("fonts.tsv")
    )
