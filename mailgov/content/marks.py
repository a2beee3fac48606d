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

from mailgov.content.lines import Line, normal
from mailgov.content.lookalikes import in_latin
from mailgov.content.mark_words import (
    DECORATION,
    MAX_ALONE,
    Word,
    compacted,
    folded,
    is_capital,
    is_innocent_before,
    is_innocent_behind,
    labelled,
    mark_in_capitals,
    mark_of,
)
from mailgov.content.vietnamese import is_vietnamese, without_marks
from mailgov_policies.facts import Mark

MAX_LINES = 5000  # of one file; marks stand at the top
_TOP_LINES = 80
_HEADING_LINES = 20  # behind a national heading: documents bound together have their own tops
_NEAR_LINES = 12  # around a number or heading, where a stamp in small letters stands
_SHEET_ROWS = 15
_LISTING_LINES = 8
_ALL_LEVELS = 3
_TABLE = re.compile(r"\btable \d+|\bsheet \"[^\"]*\"")
_MAX_LINE = 120
_MAX_MARKS = 50  # of one file
_MAX_TOGETHER = 4  # marks on one line

_COLUMNS = re.compile(r"\t+| {3,}|\s*\|\s*")
_TOGETHER = re.compile(r"\t+| {3,}|\s*[|/+;,–—]\s*|\s+-\s*|-\s+")
_BRACKETED = re.compile(r"[\[({<【«]\s*([^\[\](){}<>【】«»]{1,40}?)\s*[\])}>】»]")
_SQUARE = re.compile(r"\[\s*([^\[\]]{3,30}?)\s*\]")
_BRACKETED_AT_END = re.compile(r"[\[({]\s*([^\[\](){}]{3,30}?)\s*[\])}]$")
_STRONG = re.compile(r"\s+[-_]+\s*|\s*[-_]+\s+|\s*[:–—|/]+\s*")  # what parts a title
_DASH = re.compile(r"\s+[-–—]+\s+|\s*[–—]+\s*")
_JOINED = re.compile(r"(?<=[^\W_])[-_]+(?=[^\W_])")  # what stands for the spaces of a file name
_MOST_SYLLABLES = 9  # of a mark: TÀI LIỆU TUYỆT MẬT, and its letters apart
_INSIDE = re.compile(r"(?<![^\W\d_])(?:(?:(TỐI|TUYỆT)\s+)?MẬT|(TOI|TUYET)\s+MAT)(?![^\W\d_])")
_LAST_WORD = re.compile(r"([^\W\d_]+)[\s_-]+$")
_FIRST_WORD = re.compile(r"^[\s_-]+([^\W\d_]+)")
_SECRET_NOTATION = re.compile(r"(^S[ốÔO]\s*:?\s*)?\d{1,5}/[^\s()]{2,40}\s?\((M|TM|TuM)\)")
_SECRET_SUFFIXES = {"M": "MẬT", "TM": "TỐI MẬT", "TuM": "TUYỆT MẬT"}
_SMALL_MARK = re.compile("[Mm][ậâa][tT]")
_CIRCULATION_STARTS = ("L", "X", "T", "C")  # of LƯU HÀNH, XEM XONG, TÀI LIỆU, CHỈ
_MORE_THAN_ONE = re.compile("(?:KH[ẨÂA]N|T[ỐÔO]C|B[ỘÔO]).*M[ẬÂA]T|M[ẬÂA]T.*(?:KH[ẨÂA]N|H[ỎO])")
_NUMBER_LINE = re.compile(r"^S[ốÔO]\s*:?\s*[\w./()-]{0,40}\s+(\D{2,20})$", re.IGNORECASE)
_NUMBER = re.compile(r"^S[ốÔO]\s*:\s*[\w. …]*/[A-ZĐƯ]")
_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_LEVELS = {"TỐI": "TỐI MẬT", "TOI": "TỐI MẬT", "TUYỆT": "TUYỆT MẬT", "TUYET": "TUYỆT MẬT"}
_FILLING_SIGNS = ("    ", "....", "____", "----", "====", "****", "\t\t")
_FILLING = re.compile(r"[\s._=*~-]{4,}")
_NOTATION_IN_TITLE = re.compile(r"\d{1,5}[/_. -][^\s()]{2,40}\s?\((M|TM|TuM)\)")
_HIGHER = frozenset({"TỐI MẬT", "TUYỆT MẬT"})
_MAX_PIECE = 5  # letters of a line of a narrow stamp
_MIXED_SPLIT = re.compile(r"[^\W\d_]+")


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
    return _distinct([*(item.mark for item in listed), *inside])


def _alone(lines: Sequence[Line], place: str, part: str) -> Iterator[_Found]:
    top = _TOP_LINES
    spoken_for = 0  # lines before this one belong to a mark already
    vietnamese: bool | None = None
    for index, line in enumerate(lines):
        text = _without_filling(line.text)
        if len(text) > _MAX_LINE:
            continue
        text = in_latin(text)
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
    if len(text) <= _MAX_LINE or not any(sign in text for sign in _FILLING_SIGNS):
        return text
    return _FILLING.sub("   ", text).strip()


def _is_in_table(place: str) -> bool:
    return place.startswith(("sheet", "table"))


def _in_pieces(text: str, index: int, lines: Sequence[Line]) -> tuple[tuple[Word, ...], int]:
    """A stamp so narrow that its letters stand on lines of their own, and the line behind it."""
    if len(text) > _MAX_PIECE or not is_capital(text):
        return (), 0
    pieces = [text]
    for line in lines[index + 1 : index + _MOST_SYLLABLES]:
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
        if is_capital(text) and (together := _together(text)):
            return together
    if word := labelled(text.strip(DECORATION)):
        return (word,)
    if ", ngày" in text and (before := _before_the_date(text)) != text:
        return _words_on_line(before) if before else ()
    if text[0] in "Ss" and (match := _NUMBER_LINE.match(text)) and is_capital(match[1]):
        return _only(mark_of(match[1]))
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


def _together(text: str) -> tuple[Word, ...]:
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


def _only(word: Word | None) -> tuple[Word, ...]:
    return () if word is None else (word,)


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
    return _LEVELS.get(compacted(text.strip(DECORATION)), "")


def _row(place: str) -> int:
    """The row of a cell such as `sheet "Nhân sự" B7`; 0 elsewhere."""
    match = re.search(r"[A-Z]{1,3}(\d{1,7})$", place) if place.startswith("sheet") else None
    return int(match[1]) if match else 0


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
            value = _value_inside(line.text)
            if value:
                yield Mark("secrecy", value, where, False, line.text[:_MAX_LINE], part)
        if "M)" in line.text and (match := _SECRET_NOTATION.search(line.text)):
            value = _SECRET_SUFFIXES[match[2]]
            certain = bool(match[1]) and index < _TOP_LINES
            yield Mark("secrecy", value, where, certain, line.text[:_MAX_LINE], part)


def _value_inside(text: str) -> str:
    """The level that stands out by its capitals; empty in headings and in innocent words."""
    levels = {match[1] or match[2] or "" for match in _INSIDE.finditer(text)}
    if len(levels) > 1:  # a sentence about levels
        return ""
    for match in _INSIDE.finditer(text):
        before, behind = text[: match.start()], text[match.end() :]
        words = [word for word in _MIXED_SPLIT.findall(before + behind) if len(word) > 1]
        if not any(word[-1].islower() for word in words):
            continue
        last, first = _LAST_WORD.search(before), _FIRST_WORD.match(behind)
        if (last and is_innocent_before(last[1])) or (
            first and len(first[1]) > 1 and is_capital(first[1])
        ):
            continue
        return _LEVELS.get(match[1] or match[2] or "", "MẬT")
    return ""


# Subject and file names


def in_title(text: str, place: str, part: str = "") -> tuple[Mark, ...]:
    """Marks in a subject, file name or property: in brackets, before or behind a dash, or alone."""
    title = in_latin(normal(text[:1000])).strip()
    found = [
        Mark(word.kind, word.value, place, certain, title[:_MAX_LINE], part)
        for word, certain in (*_set_apart(title), *_in_joined_words(title))
    ]
    spaced = title.replace("_", " ")
    if not found and (value := _value_inside(spaced)):
        found.append(Mark("secrecy", value, place, False, title[:_MAX_LINE], part))
    if not found and "M)" in title and (match := _NOTATION_IN_TITLE.search(title)):
        value = _SECRET_SUFFIXES[match[1]]
        found.append(Mark("secrecy", value, place, False, title[:_MAX_LINE], part))
    return _distinct(found)


def _set_apart(title: str) -> Iterator[tuple[Word, bool]]:
    """Marks in brackets, behind a label, at either end before a sign, or alone; and whether they are sure."""
    for bracketed in _BRACKETED.finditer(title):
        text = bracketed[1]
        for word in _only(mark_of(text) or mark_in_capitals(text)) or _together(text):
            yield word, not word.needs_context or has_document_words(title)
    behind_label = labelled(title)
    if behind_label is not None:
        yield behind_label, not behind_label.needs_context
    pieces = [piece for piece in _STRONG.split(title) if piece.strip(DECORATION)]
    for ordered in (pieces, pieces[::-1]):
        for piece in ordered:
            marks = list(_of_piece(piece, title))
            yield from marks
            if not marks:
                break


def _of_piece(piece: str, title: str) -> Iterator[tuple[Word, bool]]:
    """The mark that a piece of a title is. Some spellings need the words of a document beside it."""
    plain = title.isascii() and has_document_words(title)
    for known in _only(mark_in_capitals(piece)) or _together(piece):
        yield known, plain or not known.needs_context
    word = mark_of(piece)
    if word is None or is_capital(piece) or not piece.strip(DECORATION)[:1].isupper():
        return
    if word.kind == "circulation":
        yield word, True
    elif word.kind == "secrecy" and not word.needs_context:
        certain = has_document_words(title)
        if certain or word.value != "MẬT":
            yield word, certain


def _in_joined_words(title: str) -> Iterator[tuple[Word, bool]]:
    """Marks at the ends of a name whose words are joined: `TOI_MAT_bao_cao`, never `MAT_KHAU`."""
    words = _JOINED.split(title)
    for count in range(min(len(words) - 1, _MOST_SYLLABLES), 0, -1):
        behind = _FIRST_WORD.match(f" {words[count]}")
        if marks := list(_of_name(words[:count], title)):
            yield from marks if not (behind and is_innocent_behind(behind[1])) else ()
            break
    for count in range(min(len(words) - 1, _MOST_SYLLABLES), 0, -1):
        before = _LAST_WORD.search(f"{words[-count - 1]} ")
        if marks := list(_of_name(words[-count:], title)):
            yield from marks if not (before and is_innocent_before(before[1])) else ()
            break


def _of_name(words: Sequence[str], title: str) -> Iterator[tuple[Word, bool]]:
    """A mark of these words; without its diacritics only beside words of a document, and not sure."""
    for word, certain in _of_piece(" ".join(words), title):
        if not word.needs_context:
            yield word, certain
        elif has_document_words(title):
            yield word, False


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
