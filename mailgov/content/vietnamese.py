"""Vietnamese as Unicode text: syllables, tone placement, folding, counting.

A written syllable is an onset, a rime and at most one of five tone marks. The grammar is the table
`tables/syllable-grammar.tsv`; it accepts 99.3 % of the words with a diacritic in legislation, the
rest being foreign names and typing errors.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from importlib import resources

_TABLES = resources.files("mailgov.content") / "tables"
_TONES = {"huyền": "\u0300", "sắc": "\u0301", "hỏi": "\u0309", "ngã": "\u0303", "nặng": "\u0323"}
_CLOSED_TONES = ("sắc", "nặng")  # all that a syllable ending in c, ch, p or t can bear
_FRONT_ONSETS = {"gh": "ieê", "k": "ieêy", "ngh": "ieê"}  # written only before these letters
_VOWELS = frozenset("aăâeêioôơuưy")
_MARKED_SHARE = 0.05  # of words with diacritics, names mostly, in a text that is written without
_MARKED_LETTERS = 0.1  # bytes beyond one for each letter: far more than names alone can have
_CACHED_LETTERS = 48  # of a word, or of a short text
_UNMARKED_SHARE = 0.85  # of words that could be Vietnamese syllables

_GLIDE = re.compile("o[aăe]|u[âêơy]|ua.")  # but ua alone, which is one sound

_WORD = re.compile(r"[^\W_]+(?:[-./'’][^\W_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")
_MARKS = re.compile("[\u0300-\u036f]+")
# Tone on the second vowel of open oa, oe, uy (newer spelling); `quý` is no such case: its u is onset.
# It begins with letters, not with a look at what is before them: that is eight times as fast.
_NEW_PLACEMENT = re.compile(
    "[oOuU](?:(?<=[oO])[àáảãạèéẻẽẹÀÁẢÃẠÈÉẺẼẸ]|(?<=[uU])[ỳýỷỹỵỲÝỶỸỴ])(?<![qQ]..)(?![^\\W\\d_])"
)


def table_rows(name: str) -> Iterator[list[str]]:
    """Rows of a table in `tables/`, without the header line, `\\uXXXX` left as it is."""
    lines = (_TABLES / name).read_text(encoding="utf-8").split("\n")
    for line in lines[1:]:
        if line:
            yield line.split("\t")


@functools.cache
def marked_syllables() -> frozenset[str]:
    """Every possible syllable with a letter outside ASCII, in lower case and NFC.

    About 26,000 entries; built once, in some 15 ms.
    """
    return frozenset(syllable for syllable in _syllables() if not syllable.isascii())


@functools.cache
def plain_syllables() -> frozenset[str]:
    """Every possible syllable without diacritics, in lower case: what marked ones fold to."""
    return frozenset(without_marks(syllable) for syllable in _syllables())


def _syllables() -> Iterator[str]:
    onsets: list[str] = []
    rimes: list[tuple[str, bool]] = []
    for part, value, note in table_rows("syllable-grammar.tsv"):
        if part == "onset":
            onsets.append(value)
        elif part == "rime":
            rimes.append((value, note.startswith("closed")))
    endings = [(rime[0], ending) for rime, closed in rimes for ending in _toned(rime, closed)]
    for onset in onsets:
        for first, ending in endings:
            if first in _FRONT_ONSETS.get(onset, _VOWELS):
                yield onset + ending


def _toned(rime: str, closed: bool) -> Iterator[str]:
    """The rime without tone and with every tone that it can bear."""
    if not closed:
        yield rime
    for name, mark in _TONES.items():
        if closed and name not in _CLOSED_TONES:
            continue
        for index in _tone_places(rime):
            toned = unicodedata.normalize("NFC", rime[index] + mark)
            yield rime[:index] + toned + rime[index + 1 :]


def _tone_places(rime: str) -> Iterable[int]:
    """Letters that may bear the tone: after a glide either spelling, as in hòa and hoà."""
    vowels = sum(letter in _VOWELS for letter in rime)
    if _GLIDE.match(rime):
        return range(vowels)
    return (1,) if rime.startswith(("iê", "yê", "uô", "ươ")) else (0,)


def is_marked_syllable(word: str) -> bool:
    """Whether the word, in NFC, is a possible Vietnamese syllable with at least one diacritic."""
    return word in marked_syllables() or word.lower() in marked_syllables()


def marked_words(text: str) -> list[str]:
    """Words of two letters or more, one of them outside ASCII. `text` is in NFC."""
    return [word for word in _LETTERS.findall(text) if len(word) > 1 and not word.isascii()]


def unmarked_words(text: str) -> int:
    """How many words a Vietnamese text without diacritics has; 0 for any other text.

    Nearly all of its words could be Vietnamese syllables, which holds for no other language: of an
    English text about a third could, of a French one a fifth.
    """
    if len(text.encode("utf-8", "replace")) - len(text) > _MARKED_LETTERS * len(text):
        return 0  # clear at a glance: letters with diacritics take two or three bytes
    words = [word.lower() for word in _LETTERS.findall(text) if len(word) > 1]
    plain = [word for word in words if word.isascii()]
    if len(words) - len(plain) > _MARKED_SHARE * len(words):
        return 0
    valid = sum(word in plain_syllables() for word in plain)
    return valid if valid >= _UNMARKED_SHARE * len(words) else 0


def is_vietnamese(text: str) -> bool:
    """Whether the words with a diacritic are Vietnamese: one at least, three of four valid."""
    words = marked_words(unicodedata.normalize("NFC", text))
    valid = sum(map(is_marked_syllable, words))
    return valid > 0 and valid >= 0.75 * len(words)


def with_old_tone_placement(text: str) -> str:
    """The text in NFC with `hoà`, `xoè`, `thuỷ` written `hòa`, `xòe`, `thủy`, so that they compare.

    Both spellings are right; official documents use either.
    """
    return _NEW_PLACEMENT.sub(_move_tone, unicodedata.normalize("NFC", text))


def _move_tone(match: re.Match[str]) -> str:
    first, second = match[0][0], match[0][1]
    decomposed = unicodedata.normalize("NFD", second)
    return unicodedata.normalize("NFC", first + decomposed[1]) + decomposed[0]


def without_marks(text: str) -> str:
    """The text with every diacritic removed: `Đề nghị` becomes `De nghi`. Case is kept."""
    if text.isascii():
        return text
    if len(text) <= _CACHED_LETTERS:
        return _bare(text)
    words = text.split(" ")
    if max(map(len, words)) > _CACHED_LETTERS:
        return _bare.__wrapped__(text)  # no words, as people write them: nothing to remember
    return " ".join(map(_bare, words))


@functools.lru_cache(maxsize=1 << 13)
def _bare(word: str) -> str:
    """A word without diacritics. Words repeat, so most are known."""
    if word.isascii():
        return word
    bare = _MARKS.sub("", unicodedata.normalize("NFD", word))
    return bare.replace("đ", "d").replace("Đ", "D")  # no decomposition in Unicode


def fold(text: str) -> str:
    """A key under which spellings of the same words meet: no case, no marks, single spaces."""
    return " ".join(without_marks(text).casefold().split())


def count_words(text: str) -> int:
    """Number of words, which in Vietnamese are syllables; a notation such as `12/TB-UBND` is one."""
    return sum(1 for _ in _WORD.finditer(text))
