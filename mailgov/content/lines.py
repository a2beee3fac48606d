"""Text as lines that can be compared: NFC, one tone placement, plain spaces, nothing invisible."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mailgov.content.lookalikes import as_displayed
from mailgov.content.runs import Run
from mailgov.content.vietnamese import with_old_tone_placement

# Unicode's Default_Ignorable_Code_Point: what no program shows, variation selectors and tags included.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_WIDE = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff]+")  # the same letters in other shapes
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")
_UNUSUAL = re.compile(
    f"[{_INVISIBLE.pattern[1:-1]}{_WIDE.pattern[1:-2]}{_SPACE.pattern[1:-1]}]"  # one look at each letter
)
_MAX_LETTERS = 4000  # of a line; longer ones are running text and their end says no more


class Line(NamedTuple):
    """A line that is not blank, and where it stands in its file."""

    text: str
    place: str


def normal(text: str) -> str:
    """The text in the one form in which words are looked for. Case is kept."""
    if text.isascii():
        return text
    if not _UNUSUAL.search(text):
        return with_old_tone_placement(text)
    text = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), as_displayed(text))
    return _SPACE.sub(" ", with_old_tone_placement(_INVISIBLE.sub("", text)))


def visible(text: str) -> str:
    """A name in NFC, without what no program shows and in the usual shapes of its letters."""
    if text.isascii():
        return text
    text = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), as_displayed(text))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def lines_of(runs: Iterable[Run], limit: int) -> list[Line]:
    """The first so many lines. Runs of one place are one text, which may hold several lines."""
    pieces: list[str] = []
    places: list[str] = []
    for place, text in _texts(runs):
        taken = [piece[:_MAX_LETTERS] for piece in text.split("\n") if piece.strip()]
        pieces += taken
        places += [place] * len(taken)
        if len(pieces) >= limit:
            break
    if not pieces:
        return []
    # Normalised in one go, which is much faster than line by line.
    texts = normal("\n".join(pieces)).split("\n")
    stripped = zip((text.strip() for text in texts), places, strict=True)
    return [Line(text, place) for text, place in stripped if text][:limit]


def _texts(runs: Iterable[Run]) -> Iterator[tuple[str, str]]:
    pieces: list[str] = []
    place = ""
    for run in runs:
        if pieces and run.place != place:
            yield place, "".join(pieces)
            pieces = []
        place = run.place
        pieces.append(run.text)
    if pieces:
        yield place, "".join(pieces)
