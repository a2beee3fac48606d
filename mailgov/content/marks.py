"""Marks of secrecy, urgency and circulation: the mark, never the word.

A mark stands alone on its line near the top of a document, in capitals, behind a label such as
`Độ mật:`, or in brackets or before a dash in subject and file name. The same capitals inside a longer
line are only possible; `bảo mật`, `bí mật`, `mật khẩu`, `mật độ` and headings about secrecy are
nothing. In 2.17 million lines of legislation no line consists of a mark alone.
Decree 30/2020/NĐ-CP, Annex I; words in `tables/marks.toml`.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from mailgov.content.lines import Line, normal
from mailgov.content.lookalikes import in_latin
from mailgov.content.vietnamese import is_vietnamese, with_old_tone_placement, without_marks
from mailgov_policies.facts import Mark, MarkKind

MAX_LINES = 5000  # of one file; marks stand at the top
_TOP_LINES = 80
_HEADING_LINES = 20  # behind a national heading: documents bound together have their own tops
_SHEET_ROWS = 15
_LISTING_LINES = 8
_MAX_LINE = 120
_MAX_COMPACT = 40
_MAX_ALONE = 60  # letters of a line that may be a mark, spaced out and framed
_MAX_MARKS = 50  # of one file

_DECORATION = " \t*_-–—=~•·.,:;|/\\[](){}<>«»\"'“”‘’!#+^>`→"
_GAPS = re.compile(r"[\s.\-_·*|/–—,']+")
_SIGNS = re.compile(r"[\W_]+")  # whatever is no letter or digit
_COLUMNS = re.compile(r"\t+| {3,}|\s*\|\s*")
_BRACKETED = re.compile(r"[\[({<【«]\s*([^\[\](){}<>【】«»]{1,40}?)\s*[\])}>】»]")
_LEADING = re.compile(r"^\s*([^\W\d_](?:[^:\-–—_|\[\](){}]{0,38}[^\W\d_])?)\s*[:\-–—_|]")
_TRAILING = re.compile(r"[\-–—_|]\s*([^\W\d_](?:[^:\-–—_|\[\](){}]{0,38}[^\W\d_])?)\s*$")
_INSIDE = re.compile(r"(?<![^\W\d_])(?:(?:(TỐI|TUYỆT)\s+)?MẬT|(TOI|TUYET)\s+MAT)(?![^\W\d_])")
_INNOCENT_BEFORE = re.compile(r"(?:BÍ|BẢO|CƠ|NỘI|THÂN|ĐỘ|TÚI|HOA|ONG|CHÈ|ĐƯỜNG|RỈ|GIỮ|TIẾT LỘ)\s+$")
_SECRET_NOTATION = re.compile(r"\d{2,5}/[^\s()]{2,40}\((M|TM|TuM)\)")
_SECRET_SUFFIXES = {"M": "MẬT", "TM": "TỐI MẬT", "TuM": "TUYỆT MẬT"}
_NUMBER_LINE = re.compile(r"^S[ốÔO]\s*:?\s*[\w./()-]{0,40}\s+(\D{2,20})$", re.IGNORECASE)
_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_LEVELS = {"TỐI": "TỐI MẬT", "TOI": "TỐI MẬT", "TUYỆT": "TUYỆT MẬT", "TUYET": "TUYỆT MẬT"}
_MIXED_SPLIT = re.compile(r"[^\W\d_]+")


class _Word(NamedTuple):
    kind: MarkKind
    value: str
    needs_context: bool  # found without diacritics, where it is too common a word


@dataclass(frozen=True, slots=True)
class _Found:
    """A mark at a line of a file."""

    index: int
    mark: Mark


@cache
def _table() -> dict[str, Any]:
    path = resources.files("mailgov.content").joinpath("tables", "marks.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def _words() -> dict[str, _Word]:
    """Every spelling of a mark without spaces, in capitals."""
    known: dict[str, _Word] = {}
    for row in _table()["mark"]:
        for value in (row["value"], *row.get("also", ())):
            syllables = with_old_tone_placement(value).split()
            for spelling in itertools.product(*map(_spellings, syllables)):
                bare = "".join(spelling)
                context = row.get("context", False) and bare.isascii()
                known.setdefault(bare, _Word(row["kind"], row["value"], context))
        for spelling in row.get("legacy", ()):
            known.setdefault(_compact(spelling), _Word(row["kind"], row["value"], False))
    return known


def _spellings(syllable: str) -> set[str]:
    """The syllable, the same without its tone, and bare: scanning and haste lose diacritics."""
    bare = without_marks(syllable)
    toneless = {"Ậ": "Â", "Ố": "Ô", "Ệ": "Ê", "Ẩ": "Â", "Ợ": "Ơ", "Ỏ": "O", "Ộ": "Ô"}
    return {syllable, bare, "".join(toneless.get(letter, letter) for letter in syllable)}


@cache
def _labels() -> re.Pattern[str]:
    words = (with_old_tone_placement(word) for word in _table()["labels"]["words"])
    return re.compile(rf"^(?:{'|'.join(words)})\s*[:：]\s*(.{{2,40}})$", re.IGNORECASE)


def _compact(text: str) -> str:
    return _GAPS.sub("", text)


def _is_capital(text: str) -> bool:
    """All letters capital; toned ones of an encoding without toned capitals don't count."""
    ascii_letters = [c for c in text if c.isascii() and c.isalpha()]
    return bool(ascii_letters) and all(map(str.isupper, ascii_letters))


def _mark_of(text: str) -> _Word | None:
    """The mark that the text is, whatever its case, spacing and decoration."""
    stripped = text.strip(_DECORATION)
    if not 2 < len(stripped) <= _MAX_ALONE:
        return None
    known = _words()
    # Signs are letters in private encodings, so they are only left out where nothing is found with them.
    for compact in (_compact(stripped), _SIGNS.sub("", stripped)):
        if 2 < len(compact) <= _MAX_COMPACT and (
            word := known.get(compact) or known.get(compact.upper())
        ):
            return word
    return None


# Lines of a document


def in_lines(lines: Sequence[Line], place: str, part: str) -> tuple[Mark, ...]:
    """Marks in the text of one file or body, whose place is given."""
    found = list(itertools.islice(_alone(lines, place, part), _MAX_MARKS))
    listed = _without_listings(found)
    inside = itertools.islice(_inside(lines, place, part), _MAX_MARKS)
    return _distinct([*(item.mark for item in listed), *inside])


def _alone(lines: Sequence[Line], place: str, part: str) -> Iterator[_Found]:
    top = _TOP_LINES
    vietnamese: bool | None = None
    for index, line in enumerate(lines):
        if len(line.text) > _MAX_LINE:
            continue
        text = in_latin(line.text)
        if "NAM" in text and _HEADING in _folded(text):
            top = max(top, index + _HEADING_LINES)
        word = _word_on_line(text)
        if word is None:
            continue
        certain = index < top and _row(line.place) <= _SHEET_ROWS
        if word.needs_context:
            if vietnamese is None:
                vietnamese = _reads_vietnamese_without_marks(lines)
            certain = certain and vietnamese
        value = word.value
        if value == "MẬT" and index and (before := _split_stamp(lines[index - 1].text)):
            value = before
        yield _Found(
            index,
            Mark(word.kind, value, _joined(place, line.place), certain, line.text, part),
        )


def _word_on_line(text: str) -> _Word | None:
    """The mark of a line: alone, in a column of its own, behind a label, or behind the number."""
    word = _mark_of(text) if len(text) <= _MAX_ALONE else None
    if word is not None:
        return word if _is_capital(text) or _is_circulation_title(word, text) else None
    if ":" in text and (match := _labels().match(text.strip(_DECORATION))):
        return _mark_of(match[1])
    if text[0] in "Ss" and (match := _NUMBER_LINE.match(text)) and _is_capital(match[1]):
        return _mark_of(match[1])
    if "\t" not in text and "   " not in text and "|" not in text:
        return None
    columns = _COLUMNS.split(text)
    if 2 <= len(columns) <= 3:
        for column in columns:
            found = _mark_of(column)
            if found is not None and _is_capital(column):
                return found
    return None


def _is_circulation_title(word: _Word, text: str) -> bool:
    """`(Lưu hành nội bộ)` below a title is written in small letters as a rule."""
    return word.kind == "circulation" and text.strip(_DECORATION)[:1].isupper()


def _split_stamp(text: str) -> str:
    """The level when a narrow stamp breaks its words: TỐI above MẬT."""
    return _LEVELS.get(_compact(text.strip(_DECORATION)), "")


def _row(place: str) -> int:
    """The row of a cell such as `sheet "Nhân sự" B7`; 0 elsewhere."""
    match = re.search(r"[A-Z]{1,3}(\d{1,7})$", place) if place.startswith("sheet") else None
    return int(match[1]) if match else 0


def _folded(text: str) -> str:
    return _GAPS.sub("", without_marks(text)).upper()


def _reads_vietnamese_without_marks(lines: Sequence[Line]) -> bool:
    """Whether the text is Vietnamese typed without diacritics, so that MAT is what MẬT became."""
    sample = " ".join(line.text for line in lines[:60])
    return not is_vietnamese(sample) and has_document_words(sample)


_PLAIN_WORDS = re.compile(
    r"\b(?:bao cao|to trinh|cong van|ke hoach|quyet dinh|thong bao|van ban|tai lieu|kinh gui|giay moi"
    r"|cong hoa xa hoi|uy ban|nhan dan|chi thi|cong dien|ho so|danh sach|de an|bien ban|noi nhan)\b"
)


def has_document_words(text: str) -> bool:
    """Whether words of official Vietnamese stand in the text, diacritics or not."""
    return _PLAIN_WORDS.search(re.sub(r"[\s_.-]+", " ", without_marks(text).lower())) is not None


def _without_listings(found: list[_Found]) -> Iterator[_Found]:
    """Levels that stand beside each other are a list of levels, no marks."""
    for item in found:
        neighbours = {
            other.mark.value
            for other in found
            if other.mark.kind == item.mark.kind and abs(other.index - item.index) <= _LISTING_LINES
        }
        if len(neighbours) > 1:
            yield replace(item, mark=replace(item.mark, certain=False))
        else:
            yield item


def _inside(lines: Sequence[Line], place: str, part: str) -> Iterator[Mark]:
    """Possible marks of secrecy: capitals in a line that is not all capitals, and notations."""
    for line in lines:
        where = _joined(place, line.place)
        if ("MẬT" in line.text or "MAT" in line.text) and _word_on_line(line.text) is None:
            value = _value_inside(line.text)
            if value:
                yield Mark("secrecy", value, where, False, line.text[:_MAX_LINE], part)
        if "M)" in line.text and (match := _SECRET_NOTATION.search(line.text)):
            value = _SECRET_SUFFIXES[match[1]]
            yield Mark("secrecy", value, where, False, line.text[:_MAX_LINE], part)


def _value_inside(text: str) -> str:
    """The level that stands out by its capitals; empty in headings and in innocent words."""
    levels = {match[1] or match[2] or "" for match in _INSIDE.finditer(text)}
    if len(levels) > 1:  # a sentence about levels
        return ""
    for match in _INSIDE.finditer(text):
        rest = text[: match.start()] + text[match.end() :]
        words = [word for word in _MIXED_SPLIT.findall(rest) if len(word) > 1]
        if not words or not any(word[-1].islower() for word in words):
            continue
        neighbours = text[: match.start()], text[match.end() :]
        if _INNOCENT_BEFORE.search(neighbours[0]) or re.match(r"\s+[^\W\d_][A-ZĐ]", neighbours[1]):
            continue
        return _LEVELS.get(match[1] or match[2] or "", "MẬT")
    return ""


# Subject and file names


def in_title(text: str, place: str, part: str = "") -> tuple[Mark, ...]:
    """Marks in a subject, file name or property: in brackets, before or behind a dash, or alone."""
    title = in_latin(normal(text[:1000])).strip()
    spaced = title.replace("_", " ") if " " not in title else title
    found = [
        Mark(word.kind, word.value, place, certain, title[:_MAX_LINE], part)
        for word, certain in (*_set_apart(title), *_set_apart(spaced))
    ]
    if not found and (value := _value_inside(spaced)):
        found.append(Mark("secrecy", value, place, False, title[:_MAX_LINE], part))
    return _distinct(found)


def _set_apart(title: str) -> Iterator[tuple[_Word, bool]]:
    for bracketed in _BRACKETED.finditer(title):
        if word := _mark_of(bracketed[1]):
            yield word, not word.needs_context or has_document_words(title)
    for pattern in (_LEADING, _TRAILING):
        apart = pattern.search(title)
        if apart and _is_capital(apart[1]) and (word := _mark_of(apart[1])):
            yield word, not word.needs_context
    if (word := _mark_of(title)) and (_is_capital(title) or word.kind == "circulation"):
        yield word, not word.needs_context


def _joined(place: str, inner: str) -> str:
    return f"{place} {inner}".strip()


def _distinct(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """One fact for each value, the surest and first."""
    best: dict[tuple[str, str], Mark] = {}
    for mark in marks:
        key = (mark.kind, mark.value)
        if key not in best or (mark.certain and not best[key].certain):
            best[key] = mark
    return tuple(best.values())
