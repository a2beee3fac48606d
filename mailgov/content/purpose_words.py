"""Words that name documents and purposes: `tables/document-words.toml`."""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from mailgov.content.notations import category_of
from mailgov.content.vietnamese import with_old_tone_placement, without_marks

_NEAR = 60  # letters from the start within which words count for more
_MAX_TITLE_WORDS = 5
_ABBREVIATED_WITHIN = 3  # words
_LETTER_WITH_MARK = re.compile("[\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]")
_WORD = re.compile(r"[^\W\d_]+")
_GAPS = re.compile(r"[\s.\-_–]+")
_WIDE_GAPS = re.compile(r"\s{2,}")


class Phrase(NamedTuple):
    """Words in lower case and one tone placement, and what they name."""

    words: str
    bare: str  # without diacritics
    type: str
    category: str
    weight: float
    title: bool  # whether they name the document in a title line


class Match(NamedTuple):
    """A phrase found, and how well it tells."""

    phrase: Phrase
    score: float


@cache
def table() -> dict[str, Any]:
    """The whole table of words."""
    path = resources.files("mailgov.content").joinpath("tables", "document-words.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def _phrases() -> tuple[Phrase, ...]:
    phrases = []
    for row in table()["phrase"]:
        type_id = row.get("type", "")
        category = row.get("category") or category_of(type_id)
        for words in row["words"]:
            spelled = with_old_tone_placement(words)
            phrases.append(
                Phrase(
                    spelled,
                    without_marks(spelled),
                    type_id,
                    category,
                    row["weight"],
                    row.get("title", True),
                )
            )
    return tuple(sorted(phrases, key=lambda phrase: -len(phrase.words)))


@cache
def _titles() -> dict[str, Phrase]:
    """Phrases that name documents by their words, spaced and not, with and without diacritics."""
    known: dict[str, Phrase] = {}
    for phrase in _phrases():
        if phrase.title:
            for spelling in (phrase.words, phrase.words.replace(" ", "")):
                known.setdefault(spelling, phrase)
    for phrase in _phrases():
        if phrase.title and " " in phrase.bare:
            known.setdefault(phrase.bare, phrase)
    return known


def title_phrase(lowered: str) -> Phrase | None:
    """The phrase that a line begins with, the longest first; spaced-out letters are joined."""
    words = lowered.split()
    for count in range(min(len(words), _MAX_TITLE_WORDS), 0, -1):
        if phrase := _titles().get(" ".join(words[:count])):
            return phrase
    if len(lowered) >= 80:
        return None
    apart = " ".join(_GAPS.sub("", word) for word in _WIDE_GAPS.split(lowered))
    return _titles().get(with_old_tone_placement(apart)) or _titles().get(_GAPS.sub("", lowered))


def best_phrase(lowered: str) -> Match | None:
    """The phrase that best tells what a text is: sure ones first, early ones before late ones.

    Without any diacritic in the text, none is asked for.
    """
    bare = _LETTER_WITH_MARK.search(lowered) is None
    best: Match | None = None
    for phrase in _possible(lowered, bare):
        words = phrase.bare if bare else phrase.words
        if words not in lowered:
            continue
        position = _find_word(lowered, words)
        if position < 0:
            continue
        score = phrase.weight - 0.004 * min(position, _NEAR) - 0.1 * (position > _NEAR)
        if best is None or score > best.score:
            best = Match(phrase, score)
    return Match(best.phrase, best.score - 0.05) if best and bare else best


def _possible(lowered: str, bare: bool) -> list[Phrase]:
    """The phrases whose first word is there, in the order of all."""
    known = _by_first_word(bare)
    words: set[str] = set()
    for token in set(lowered.split()):
        words.update((token,) if token.isalpha() else _WORD.findall(token))
    rows = [row for word in known.keys() & words for row in known[word]]
    return [phrase for _, phrase in sorted(rows)]


@cache
def _by_first_word(bare: bool) -> dict[str, list[tuple[int, Phrase]]]:
    """Phrases with their places, by the first word."""
    known: dict[str, list[tuple[int, Phrase]]] = {}
    for place, phrase in enumerate(_phrases()):
        first = _WORD.findall(phrase.bare if bare else phrase.words)[0]
        known.setdefault(first, []).append((place, phrase))
    return known


def abbreviated(title: str) -> tuple[str, str]:
    """The abbreviation among the first words of a title, and the type that it stands for."""
    known: dict[str, str] = table()["abbreviations"]
    for word in _WORD.findall(title)[:_ABBREVIATED_WITHIN]:
        if word in known:
            return word, known[word]
    return "", ""


def _find_word(text: str, words: str) -> int:
    """Where the words stand as whole words, -1 when they don't."""
    position = text.find(words)
    while position >= 0:
        end = position + len(words)
        before = position == 0 or not text[position - 1].isalpha()
        if before and (end == len(text) or not text[end].isalpha()):
            return position
        position = text.find(words, position + 1)
    return -1
