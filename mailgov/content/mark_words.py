"""The words of marks: how each is spelled, and whether a piece of text is one and nothing else.

Decree 30/2020/NĐ-CP, Annex I, and Law 117/2025 on state secrets; words in `tables/marks.toml`.
"""

import itertools
import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from mailgov.content.vietnamese import with_old_tone_placement, without_marks
from mailgov_policies.facts import MarkKind

MAX_ALONE = 60  # letters of a piece that may be a mark, spaced out and framed
DECORATION = " \t*_-–—=~•·.,:;|/\\[](){}<>«»\"'“”‘’!#+^>`→"

_MAX_COMPACT = 40
_GAPS = re.compile(r"[\s.\-_·*|/–—,']+")
_SIGNS = re.compile(r"[\W_]+")  # whatever is no letter or digit
_MISREAD = str.maketrans({"0": "O", "1": "I", "l": "I", "|": "I"})  # by scanners
_MISREAD_LETTER = re.compile("[01l|]")
_SMALL, _SMALL_BUT_L, _LARGE = re.compile("[a-z]"), re.compile("[a-km-z]"), re.compile("[A-Z]")
_ENDS_OF_NUMBERS = (*"0123456789", ")", "]")
_COPY_NUMBER = re.compile(r"[\s(\[–—-]*\bbản\s+số\s*:?\s*\d[\d/]*[\s)\]]*$", re.IGNORECASE)


class Word(NamedTuple):
    """A mark by its spelling."""

    kind: MarkKind
    value: str
    needs_context: bool  # found without diacritics, where it is too common a word


@cache
def _table() -> dict[str, Any]:
    path = resources.files("mailgov.content").joinpath("tables", "marks.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def _words() -> dict[str, Word]:
    """Every spelling of a mark without spaces, in capitals."""
    known: dict[str, Word] = {}
    for row in _table()["mark"]:
        nouns = _table()["nouns"]["words"] if row["kind"] == "secrecy" else ()
        named = (f"{noun} {row['value']}" for noun in nouns)
        for value in (row["value"], *row.get("also", ()), *named):
            syllables = with_old_tone_placement(value).split()
            for spelling in itertools.product(*map(_spellings, syllables)):
                bare = "".join(spelling)
                context = row.get("context", False) and bare.isascii()
                known.setdefault(bare, Word(row["kind"], row["value"], context))
        for spelling in row.get("legacy", ()):
            known.setdefault(compacted(spelling), Word(row["kind"], row["value"], False))
    return known


def _spellings(syllable: str) -> set[str]:
    """The syllable, the same without its tone, and bare: scanning and haste lose diacritics."""
    bare = without_marks(syllable)
    toneless = {"Ậ": "Â", "Ố": "Ô", "Ệ": "Ê", "Ẩ": "Â", "Ợ": "Ơ", "Ỏ": "O", "Ộ": "Ô"}
    return {syllable, bare, "".join(toneless.get(letter, letter) for letter in syllable)}


@cache
def _labels() -> re.Pattern[str]:
    words = [with_old_tone_placement(word) for word in _table()["labels"]["words"]]
    known = "|".join(dict.fromkeys([*words, *map(without_marks, words)]))
    return re.compile(
        rf"(?:^|[\s\[(,;–—-])(?:{known})\s*[:：]\s*((?:(?!\s-)[^,;–—\])]){{2,40}})", re.IGNORECASE
    )


@cache
def _innocent(side: str) -> frozenset[str]:
    return frozenset(_table()["innocent"][side])


def compacted(text: str) -> str:
    """Without spaces and what is set between letters."""
    return _GAPS.sub("", text)


def folded(text: str) -> str:
    """Without gaps and diacritics, in capitals."""
    return compacted(without_marks(text)).upper()


def is_capital(text: str) -> bool:
    """All letters capital; toned ones of an encoding without toned capitals don't count."""
    return _SMALL.search(text) is None and _LARGE.search(text) is not None


def mark_of(text: str) -> Word | None:
    """The mark that the text is, whatever its case, spacing and decoration."""
    stripped = text.strip(DECORATION)
    if not 2 < len(stripped) <= MAX_ALONE:
        return None
    known = _words()
    # Signs are letters in private encodings, so they are only left out where nothing is found with them.
    for compact in (compacted(stripped), _SIGNS.sub("", stripped)):
        if 2 < len(compact) <= _MAX_COMPACT and (
            word := known.get(compact) or known.get(compact.upper())
        ):
            return word
    return None


def mark_in_capitals(text: str) -> Word | None:
    """The mark that the text is in capitals, also as scanners misread it or with the copy's number."""
    if _SMALL_BUT_L.search(text):
        if not text.endswith(_ENDS_OF_NUMBERS):
            return None
        text = _COPY_NUMBER.sub("", text)
    forms = (text, text.translate(_MISREAD)) if _MISREAD_LETTER.search(text) else (text,)
    return next((word for form in forms if is_capital(form) and (word := mark_of(form))), None)


def labelled(text: str) -> Word | None:
    """The mark behind a label such as `Độ mật:`."""
    match = _labels().search(text) if ":" in text or "：" in text else None
    if match is None or "MAT" in folded(text[match.end() :]):  # then it tells of all levels
        return None
    return mark_of(match[1])


def is_innocent_before(word: str) -> bool:
    """Whether the syllable makes another word of a MẬT behind it: BẢO MẬT."""
    return word.upper() in _innocent("before")


def is_innocent_behind(word: str) -> bool:
    """Whether the syllable makes another word of a MẬT before it: MẬT KHẨU."""
    return word.upper() in _innocent("behind")
