"""Marks of secrecy, urgency and circulation: the mark, never the word.

A mark stands alone on its line near the top of a document, in capitals, behind a label such as
`Độ mật:`, or in brackets or before a dash in subject and file name. The same capitals inside a longer
line are only possible; `bảo mật`, `bí mật`, `mật khẩu`, `mật độ` and headings about secrecy are
nothing. In 2.17 million lines of legislation no line consists of a mark alone.
Decree 30/2020/NĐ-CP, Annex I; words in `tables/marks.toml`.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mailgov.content.lines import Line
from mailgov.content.lookalikes import in_latin
from mailgov.content.mark_words import (
    DECORATION,
    LEVELS,
    MAX_ALONE,
    MAX_LINE,
    MOST_SYLLABLES,
    SECRET_SUFFIXES,
    Word,
    compacted,
    distinct,
    folded,
    has_document_words,
    is_capital,
    labelled,
    mark_in_capitals,
    mark_of,
    only,
    together,
    value_inside,
)
from mailgov.content.vietnamese import is_vietnamese
from mailgov_policies.facts import Mark

MAX_LINES = 5000  # of one file; marks stand at the top
_TOP_LINES = 80
_HEADING_LINES = 20  # behind a national heading: documents bound together have their own tops
_NEAR_LINES = 12  # around a number or heading, where a stamp in small letters stands
_SHEET_ROWS = 15
_LISTING_LINES = 8
_ALL_LEVELS = 3
_TABLE = re.compile(r"\btable \d+|\bsheet \"[^\"]*\"")
_MAX_MARKS = 50  # of one file

_COLUMNS = re.compile(r"\t+| {3,}|\s*\|\s*")
_SQUARE = re.compile(r"\[\s*([^\[\]]{3,30}?)\s*\]")
_BRACKETED_AT_END = re.compile(r"[\[({]\s*([^\[\](){}]{3,30}?)\s*[\])}]$")
_DASH = re.compile(r"\s+[-–—]+\s+|\s*[–—]+\s*")
_SECRET_NOTATION = re.compile(r"(^S[ốÔO]\s*:?\s*)?\d{1,5}/[^\s()]{2,40}\s?\((M|TM|TuM)\)")
_SMALL_MARK = re.compile("[Mm][ậâa][tT]")
_CIRCULATION_STARTS = ("L", "X", "T", "C")  # of LƯU HÀNH, XEM XONG, TÀI LIỆU, CHỈ
_NUMBER_LINE = re.compile(r"^S[ốÔO]\s*:?\s*[\w./()-]{0,40}\s+(\D{2,20})$", re.IGNORECASE)
_NUMBER = re.compile(r"^S[ốÔO]\s*:\s*[\w. …]*/[A-ZĐƯ]")
_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_FILLING_SIGNS = ("    ", "....", "____", "----", "====", "****", "\t\t")
_FILLING = re.compile(r"[\s._=*~-]{4,}")
_HIGHER = frozenset({"TỐI MẬT", "TUYỆT MẬT"})
_MAX_PIECE = 5  # letters of a line of a narrow stamp


@dataclass(frozen=True, slots=True)
class _Found:
    """A mark at a line of a file."""

    index: int
    mark: Mark


# Lines of a document


def in_lines(lines: Sequence[Line], place: str, part: str) -> tuple[Mark, ...]:
    """Marks in the text of one file or body, whose place is given."""
    found = list(itertools.islice(_alone(lines, place, part), _MAX_MARKS))
    listed = _without_listings(found)
    inside = itertools.islice(_inside(lines, place, part), _MAX_MARKS)
    return distinct([*(item.mark for item in listed), *inside])


def _alone(lines: Sequence[Line], place: str, part: str) -> Iterator[_Found]:
    top = _TOP_LINES
    spoken_for = 0  # lines before this one belong to a mark already
    vietnamese: bool | None = None
    for index, line in enumerate(lines):
        text = _without_filling(line.text)
        if len(text) > MAX_LINE:
            continue
        text = in_latin(text).strip()
        if not text:  # signs alone, which belong to no letter
            continue
        if _NUMBER.match(text) or ("NAM" in text and _HEADING in folded(text)):
            top = max(top, index + _HEADING_LINES)
        if index < spoken_for:
            continue
        words = _words_on_line(text)
        if not words:
            words, spoken_for = _in_pieces(text, index, lines)
        for word in words or _in_small_letters(text, index, lines):
            # One word may stand in a list, further down; two in capitals are the mark wherever they do.
            is_high = word.value in _HIGHER and is_capital(text) and not _is_in_table(line.place)
            certain = (index < top or is_high) and _row(line.place) <= _SHEET_ROWS
            if word.needs_context:
                if vietnamese is None:
                    vietnamese = _reads_vietnamese_without_marks(lines)
                certain = certain and vietnamese
            value = word.value
            if value == "MẬT" and index and (before := _split_stamp(lines[index - 1].text)):
                value = before
            where = _joined(place, line.place)
            yield _Found(index, Mark(word.kind, value, where, certain, line.text, part))


def _without_filling(text: str) -> str:
    """A long line without the spaces, dots and dashes that set its columns apart or frame it."""
    if len(text) <= MAX_LINE or not any(sign in text for sign in _FILLING_SIGNS):
        return text
    return _FILLING.sub("   ", text).strip()


def _is_in_table(place: str) -> bool:
    return place.startswith(("sheet", "table"))


def _in_pieces(text: str, index: int, lines: Sequence[Line]) -> tuple[tuple[Word, ...], int]:
    """A stamp so narrow that its letters stand on lines of their own, and the line behind it."""
    if len(text) > _MAX_PIECE or not is_capital(text):
        return (), 0
    pieces = [text]
    for line in lines[index + 1 : index + MOST_SYLLABLES]:
        if len(line.text) > _MAX_PIECE:
            break
        pieces.append(in_latin(line.text))
        if word := mark_in_capitals("".join(pieces)):
            return (word,), index + len(pieces)
    return (), 0


def _words_on_line(text: str) -> tuple[Word, ...]:
    """The marks of a line: alone, in columns, behind a label or the number, in brackets at the end."""
    if len(text) <= MAX_ALONE:
        if word := mark_in_capitals(text):
            return (word,)
        if word := _circulation_title(text):
            return (word,)
        if is_capital(text) and (several := together(text)):
            return several
    if word := labelled(text.strip(DECORATION)):
        return (word,)
    if ", ngày" in text and (before := _before_the_date(text)) != text:
        return _words_on_line(before) if before else ()
    if text[0] in "Ss" and (match := _NUMBER_LINE.match(text)) and is_capital(match[1]):
        return only(mark_of(match[1]))
    if is_capital(text) and (word := _at_end_of_capitals(text)):
        return (word,)
    if "[" in text and (word := _in_square_brackets(text)):
        return (word,)
    if "\t" not in text and "   " not in text and "|" not in text:
        return ()
    columns = _COLUMNS.split(text)
    if not 2 <= len(columns) <= 3:
        return ()
    return tuple(word for column in columns if (word := mark_in_capitals(column)))


def _before_the_date(text: str) -> str:
    """What stands before `Hà Nội, ngày …` where two columns have become one line."""
    words = text.partition(", ngày")[0].split()
    while words and words[-1] != words[-1].upper():
        words.pop()
    return " ".join(words)


def _at_end_of_capitals(text: str) -> Word | None:
    """The mark in brackets or behind a dash at the end of a title: BÁO CÁO (MẬT)."""
    if text[-1] in ")]}" and (match := _BRACKETED_AT_END.search(text)):
        return mark_of(match[1])
    pieces = _DASH.split(text)
    return mark_of(pieces[-1]) if len(pieces) > 1 else None


def _in_square_brackets(text: str) -> Word | None:
    """A mark set before a title, as in a subject: [MẬT] Họp giao ban."""
    marks = (mark_in_capitals(found[1]) for found in _SQUARE.finditer(text))
    return next((word for word in marks if word), None)


def _in_small_letters(text: str, index: int, lines: Sequence[Line]) -> tuple[Word, ...]:
    """`Tối mật` alone on a line beside the number or the heading of a document."""
    if len(text) > MAX_ALONE or not _SMALL_MARK.search(text):
        return ()
    word = mark_of(text)
    if word is None or word.kind != "secrecy" or word.needs_context:
        return ()
    near = lines[max(index - _NEAR_LINES, 0) : index + _NEAR_LINES]
    if any(_NUMBER.match(line.text) or _HEADING in folded(line.text[:80]) for line in near):
        return (word,)
    return ()


def _circulation_title(text: str) -> Word | None:
    """`(Lưu hành nội bộ)` below a title is written in small letters as a rule."""
    if text.strip(DECORATION)[:1] not in _CIRCULATION_STARTS:
        return None
    word = mark_of(text)
    return word if word is not None and word.kind == "circulation" else None


def _split_stamp(text: str) -> str:
    """The level when a narrow stamp breaks its words: TỐI above MẬT."""
    return LEVELS.get(compacted(text.strip(DECORATION)), "")


def _row(place: str) -> int:
    """The row of a cell such as `sheet "Nhân sự" B7`; 0 elsewhere."""
    match = re.search(r"[A-Z]{1,3}(\d{1,7})$", place) if place.startswith("sheet") else None
    return int(match[1]) if match else 0


def _reads_vietnamese_without_marks(lines: Sequence[Line]) -> bool:
    """Whether the text is Vietnamese typed without diacritics, so that MAT is what MẬT became."""
    sample = " ".join(line.text for line in lines[:60])
    return not is_vietnamese(sample) and has_document_words(sample)


def _without_listings(found: list[_Found]) -> Iterator[_Found]:
    """Levels beside each other, or in one table, are a list of levels, no marks; so are all three."""
    levels = {item.mark.value for item in found if item.mark.kind == "secrecy"}
    for item in found:
        neighbours = {
            other.mark.value
            for other in found
            if other.mark.kind == item.mark.kind and _are_together(item, other)
        }
        if len(neighbours) > 1 or (item.mark.kind == "secrecy" and len(levels) == _ALL_LEVELS):
            yield replace(item, mark=replace(item.mark, certain=False))
        else:
            yield item


def _are_together(one: _Found, other: _Found) -> bool:
    if abs(one.index - other.index) <= _LISTING_LINES:
        return True
    table, same = _TABLE.search(one.mark.place), _TABLE.search(other.mark.place)
    return bool(table and same and table[0] == same[0])


def _inside(lines: Sequence[Line], place: str, part: str) -> Iterator[Mark]:
    """Possible marks of secrecy: capitals in a line that is not all capitals, and notations.

    A notation with the level of a secret is sure where it is the number of the document.
    """
    for index, line in enumerate(lines):
        where = _joined(place, line.place)
        if ("MẬT" in line.text or "MAT" in line.text) and not _words_on_line(line.text):
            value = value_inside(line.text)
            if value:
                yield Mark("secrecy", value, where, False, line.text[:MAX_LINE], part)
        if "M)" in line.text and (match := _SECRET_NOTATION.search(line.text)):
            value = SECRET_SUFFIXES[match[2]]
            certain = bool(match[1]) and index < _TOP_LINES
            yield Mark("secrecy", value, where, certain, line.text[:MAX_LINE], part)


def _joined(place: str, inner: str) -> str:
    return f"{place} {inner}".strip()
