"""The words of marks: how each is spelled, and whether a piece of text is one and nothing else.

Decree 30/2020/NĐ-CP, Annex I, and Law 117/2025 on state secrets; words in `tables/marks.toml`.
"""

import itertools
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from mailgov.content.vietnamese import with_old_tone_placement, without_marks
from mailgov_policies.facts import Mark, MarkKind

MAX_ALONE = 60  # letters of a piece that may be a mark, spaced out and framed
DECORATION = " \t*_-–—=~•·.,:;|/\\[](){}<>«»\"'“”‘’!#+^>`→"

MAX_LINE = 120
MOST_SYLLABLES = 9  # of a mark: TÀI LIỆU TUYỆT MẬT, and its letters apart
SECRET_SUFFIXES = {"M": "MẬT", "TM": "TỐI MẬT", "TuM": "TUYỆT MẬT"}
LEVELS = {"TỐI": "TỐI MẬT", "TOI": "TỐI MẬT", "TUYỆT": "TUYỆT MẬT", "TUYET": "TUYỆT MẬT"}
_MAX_COMPACT = 40
_TOGETHER = re.compile(r"\t+| {3,}|\s*[|/+;,–—]\s*|\s+-\s*|-\s+")
_MAX_TOGETHER = 4  # marks on one line
_MORE_THAN_ONE = re.compile("(?:KH[ẨÂA]N|T[ỐÔO]C|B[ỘÔO]).*M[ẬÂA]T|M[ẬÂA]T.*(?:KH[ẨÂA]N|H[ỎO])")
_INSIDE = re.compile(r"(?<![^\W\d_])(?:(?:(TỐI|TUYỆT)\s+)?MẬT|(TOI|TUYET)\s+MAT)(?![^\W\d_])")
LAST_WORD = re.compile(r"([^\W\d_]+)[\s_-]+$")
FIRST_WORD = re.compile(r"^[\s_-]+([^\W\d_]+)")
_MIXED_SPLIT = re.compile(r"[^\W\d_]+")
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


def together(text: str) -> tuple[Word, ...]:
    """Marks of a line that has nothing else: MẬT - KHẨN. Several levels of one kind are a list."""
    pieces = [piece for piece in _TOGETHER.split(text) if piece.strip(DECORATION)]
    if len(pieces) == 1 and _MORE_THAN_ONE.search(text):
        return _side_by_side(text.split())
    if not 2 <= len(pieces) <= _MAX_TOGETHER:
        return ()
    words = [word for piece in pieces if (word := mark_in_capitals(piece))]
    levels = {word.value for word in words if word.kind == "secrecy"}
    return tuple(words) if len(words) == len(pieces) and len(levels) < 2 else ()


def _side_by_side(syllables: list[str]) -> tuple[Word, ...]:
    """Two marks with nothing but a space between them: KHẨN MẬT."""
    for count in range(1, len(syllables)):
        first = mark_in_capitals(" ".join(syllables[:count]))
        second = mark_in_capitals(" ".join(syllables[count:])) if first else None
        if first and second:
            return first, second
    return ()


def only(word: Word | None) -> tuple[Word, ...]:
    """One mark or none, as a tuple."""
    return () if word is None else (word,)


_PLAIN_WORDS = re.compile(
    r"\b(?:bao cao|to trinh|cong van|ke hoach|quyet dinh|thong bao|van ban|tai lieu|kinh gui|giay moi"
    r"|cong hoa xa hoi|uy ban|nhan dan|chi thi|cong dien|ho so|danh sach|de an|bien ban|noi nhan)\b"
)


def has_document_words(text: str) -> bool:
    """Whether words of official Vietnamese stand in the text, diacritics or not."""
    return _PLAIN_WORDS.search(re.sub(r"[\s_.-]+", " ", without_marks(text).lower())) is not None


def value_inside(text: str) -> str:
    """The level that stands out by its capitals; empty in headings and in innocent words."""
    levels = {match[1] or match[2] or "" for match in _INSIDE.finditer(text)}
    if len(levels) > 1:  # a sentence about levels
        return ""
    for match in _INSIDE.finditer(text):
        before, behind = text[: match.start()], text[match.end() :]
        words = [word for word in _MIXED_SPLIT.findall(before + behind) if len(word) > 1]
        if not any(word[-1].islower() for word in words):
            continue
        last, first = LAST_WORD.search(before), FIRST_WORD.match(behind)
        if (last and is_innocent_before(last[1])) or (
            first and len(first[1]) > 1 and is_capital(first[1])
        ):
            continue
        return LEVELS.get(match[1] or match[2] or "", "MẬT")
    return ""


def distinct(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """One fact for each value, the surest and first."""
    best: dict[tuple[str, str], Mark] = {}
    for mark in marks:
        key = (mark.kind, mark.value)
        if key not in best or (mark.certain and not best[key].certain):
            best[key] = mark
    return tuple(best.values())
