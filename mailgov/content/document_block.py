"""The header block of a document: heading, agency, number, date, title, abstract, signs of the end.

Decree 30/2020/NĐ-CP, Article 8 and Annex I. Only lines are looked at, so that it serves bodies,
office files and the text of PDFs alike.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from mailgov.content.lines import Line
from mailgov.content.notations import NONE, Notation, category_of, notation_at_start
from mailgov.content.purpose_words import Phrase, best_phrase, table, title_phrase
from mailgov.content.vietnamese import with_old_tone_placement, without_marks

HEADER_LINES = 60
_AGENCY_LINES = 20  # within which the agency's name stands
_NAME_GAP = 2  # lines from one line of a name to the next: the other column may stand between
_LETTER_LINES = 40  # of an official letter, whose words tell whether it directs
_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_PARTY_HEADING = "DANGCONGSANVIETNAM"
# At the start of a line; behind other words only with its colon, as two columns read as one line.
_NUMBER_LABEL = re.compile(r"^S[ốỐoO]\s*:?\s*(?=\d)|\sS[ốỐ]\s*:\s*(?=\d)")
_NUMBER_IN_TITLE = re.compile(r"\sS[ốỐ]\s*:?\s*(?=\d)")
# Scanning loses blanks, haste diacritics.
_DATE_IN_FIGURES = re.compile(
    r",\s*ng[àa]y\s+(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\s*$", re.IGNORECASE
)
_PLACE_AND_DATE = re.compile(r",\s*ng[àa]y[\s\d.…/-]+(?:th[áa]ng\b|$)", re.IGNORECASE)
_DATE = re.compile(r"ng[àa]y\s*(\d{1,2})\s*th[áa]ng\s*(\d{1,2})\s*n[ăa]m\s*(\d{4})", re.IGNORECASE)
_ABOUT = re.compile(r"^\s*(?:v/v|về việc|ve viec)\s*:?\s*", re.IGNORECASE)
_ADDRESSEE = re.compile(r"^\s*(?:kính gửi|kính trình|kinh gui)\b", re.IGNORECASE)
_RECIPIENTS = re.compile(r"^\s*(?:nơi nhận|noi nhan)\s*:", re.IGNORECASE)
# The number is not yet given: `Số:      /TB-UBND`.
_NO_NUMBER = re.compile(r"(?:^|\s)S[ốỐoO]\s*:\s*[.…_\s]*(/[A-ZĐ\u00d0][^\s/]*)")
_AGENCY_WORD = re.compile(
    r"\b(?:uy ban nhan dan|ubnd|hoi dong nhan dan|cong hoa xa hoi chu nghia)\b|\bso\s*:\s*\d+\s*/"
)
_SIGNER = re.compile(r"^\s*(?:TM|KT|TL|TUQ|Q)\s*\.\s*[^\W\d_]{2}")
_ISSUER = re.compile(r"^(?:của\s|số\s*:?\s*\d)", re.IGNORECASE)  # below a title, in older documents
_GAPS = re.compile(r"[\s.\-_–]+")
_COLUMN = re.compile(r"\t| {3,}")
_HEADING_SPAN = re.compile(
    r"C[ỘÔO]NG\s*H[ÒO]A\s*X[ÃA]\s*H[ỘÔO]I\s*CH[ỦU]\s*NGH[ĨI]A\s*VI[ỆÊE]T\s*NAM", re.IGNORECASE
)
_HEADING_OR_MOTTO = re.compile(r"NAM|NH\s*PH[ÚU]", re.IGNORECASE)
_MOTTO_SPAN = re.compile(
    r"[ĐD][ộôo]c\s*l[ậâa]p\s*[-–—]?\s*T[ựưu]\s*do\s*[-–—]?\s*H[ạa]nh\s*ph[úu]c", re.IGNORECASE
)
_PLACES = "tỉnh|thành phố|tp|huyện|quận|xã|phường|thị xã|thị trấn|đặc khu|khu vực|việt nam"
_OF_A_PLACE = re.compile(rf"(?:{_PLACES})\b")
_OF_A_BARE_PLACE = re.compile(rf"(?:{without_marks(_PLACES)})\b")
_FIRST_WORDS = re.compile(r"^(?:\S+\s+){0,1}\S+")
_WHOLE_NAMES = frozenset({"chính phủ", "quốc hội", "thủ tướng chính phủ", "chủ tịch nước"})


@dataclass(slots=True)
class Block:
    """What the top and the end of a document say."""

    heading: bool = False  # the national heading, or the Party's
    agencies: list[str] = field(default_factory=list)  # from above to below
    private: bool = False  # the name of a company instead
    notation: Notation = NONE
    type: str = ""
    category: str = ""
    title: str = ""
    petition: bool = False  # a title under which citizens write
    date: str = ""
    abstract: str = ""
    recipients: bool = False
    signer: bool = False
    words: list[str] = field(default_factory=list)  # what decided
    bare: bool = False  # written without diacritics
    name_at: int = -1  # line of the agency's name that the next line may go on with
    name_start: str = ""  # that name, as long as it is only the beginning of one

    @property
    def is_of_agency(self) -> bool:
        """Two signs of an agency, one of them its name or number, and none of citizen or company."""
        if self.private or (self.petition and not self.notation.symbol):
            return False
        named = bool(self.agencies) or bool(self.notation.symbol)
        signs = (
            self.heading,
            bool(self.agencies),
            bool(self.notation.symbol),
            self.notation.of_state,
            self.recipients,
            self.signer,
        )
        return named and sum(signs) >= 2


def read_block(lines: Sequence[Line]) -> Block:
    """The block of a document whose text these lines are."""
    block = Block()
    head = lines[:HEADER_LINES]
    block.bare = _is_bare(head)
    for index, line in enumerate(head):
        _read_line(block, line.text, index, head)
    for line in lines[-HEADER_LINES:]:
        block.recipients = block.recipients or _RECIPIENTS.match(line.text) is not None
        block.signer = block.signer or _SIGNER.match(line.text) is not None
    if block.notation.symbol and not block.category:
        _name_letter(block, lines)
    return block


def _is_bare(head: Sequence[Line]) -> bool:
    """Whether it is Vietnamese written without any diacritic."""
    text = "\n".join(line.text for line in head[:_AGENCY_LINES])
    return text.isascii() and _AGENCY_WORD.search(text.lower()) is not None


def _read_line(block: Block, text: str, index: int, head: Sequence[Line]) -> None:
    above_title = not (block.title or block.abstract)
    if above_title and _HEADING_OR_MOTTO.search(text):
        text = _without_heading(block, text)
    if above_title and index < _AGENCY_LINES:
        _read_agency(block, text, index, head)
    if above_title and not block.notation.symbol:
        _read_notation(block, text)
    if not block.date and "ng" in text and "y" in text:
        match = _DATE.search(text) or _DATE_IN_FIGURES.search(text)
        block.date = _iso_date(match) if match else ""
    if not block.title and _begins_in_capitals(text):
        _read_title(block, text, index, head)
    elif not block.abstract and block.notation.symbol and _ABOUT.match(text):
        block.abstract = _abstract(index, head)


def _without_heading(block: Block, text: str) -> str:
    """What stands beside heading and motto on their lines: the agency, where columns are one line."""
    span = _HEADING_SPAN.search(text)
    if span is not None and text[span.start() : span.end()].isupper():
        _see_heading(block)
        return _cut(text, span)
    folded = _GAPS.sub("", without_marks(text)).upper()
    if _HEADING in folded or _PARTY_HEADING in folded:
        _see_heading(block)
        upper = text.upper()
        starts = [
            at
            for at in (upper.find("CỘNG H"), upper.find("ĐẢNG C"), upper.find("CONG H"))
            if at > 0
        ]
        return text[: min(starts)].strip() if starts else ""
    motto = _MOTTO_SPAN.search(text)
    return _cut(text, motto) if motto else text


def _see_heading(block: Block) -> None:
    block.heading = True
    block.words.append("quốc hiệu")


def _cut(text: str, span: re.Match[str]) -> str:
    return f"{text[: span.start()]}\t{text[span.end() :]}".strip()


def _read_agency(block: Block, text: str, index: int, head: Sequence[Line]) -> None:
    """An agency's name stands in capitals above the number; it may take several lines."""
    name = next((one.strip() for one in _COLUMN.split(text) if one.strip()), "")
    if _DATE.search(name):  # place and date of the other column, on the same line
        name = _capital_start(name)
    if not 4 < len(name) <= 120 or not _is_capital(name):
        return
    lowered = name.lower()
    if title_phrase(lowered) or _begins_with(lowered, _names("not", block.bare)):
        return
    if _goes_on(block, lowered, index, head):
        _go_on(block, name, index)
    elif _begins_with(lowered, _names("private", block.bare)):
        block.private = True
    elif begin := _begins_with(lowered, _names("state", block.bare)):
        _begin_name(block, name, index, is_whole=lowered != begin or begin in _WHOLE_NAMES)


def _goes_on(block: Block, lowered: str, index: int, head: Sequence[Line]) -> bool:
    """Whether a line goes on with the name above: with its place, or within its cell."""
    if block.name_at < 0 or index - block.name_at > _NAME_GAP:
        return False
    if (_OF_A_BARE_PLACE if block.bare else _OF_A_PLACE).match(lowered):
        return True
    at_once = index == block.name_at + 1 and head[index].place == head[block.name_at].place
    in_cell = at_once and head[index].place.startswith(("table", "text box"))
    return in_cell and " " in lowered and not _begins_with(lowered, _names("state", block.bare))


def _go_on(block: Block, name: str, index: int) -> None:
    if block.name_start:
        _take_name(block, f"{block.name_start} {name}", index)
    else:
        block.agencies[-1] += f" {name}"
        block.words[-1] = block.agencies[-1]
        block.name_at = index


def _begin_name(block: Block, name: str, index: int, *, is_whole: bool) -> None:
    """A name by itself; an office such as VĂN PHÒNG has one where that of its agency stands above."""
    if is_whole or (block.agencies and " " in name):
        _take_name(block, name, index)
    else:
        block.name_start, block.name_at = name, index


def _take_name(block: Block, name: str, index: int) -> None:
    block.agencies.append(name)
    block.words.append(name)
    block.name_start, block.name_at = "", index


@cache
def _names(kind: str, bare: bool) -> tuple[str, ...]:
    names = [with_old_tone_placement(name) for name in table()["agencies"][kind]]
    names = list(map(without_marks, names)) if bare else names
    return tuple(sorted(names, key=len, reverse=True))


@cache
def _petitions() -> tuple[str, ...]:
    return tuple(with_old_tone_placement(title) for title in table()["petitions"]["titles"])


def _begins_with(lowered: str, names: tuple[str, ...]) -> str:
    """The name that the text is or begins with as a whole word; empty when none."""
    if not lowered.startswith(names):
        return ""
    return next((n for n in names if lowered == n or lowered.startswith(f"{n} ")), "")


def _read_notation(block: Block, text: str) -> None:
    label = _NUMBER_LABEL.search(text, 0, 80)
    if label is not None:
        block.notation = notation_at_start(text[label.end() :])
    elif draft := _NO_NUMBER.search(text, 0, 80):
        block.notation = notation_at_start(f"1{draft[1]}")._replace(number="")
    if block.notation.symbol:
        block.words.append(f"{block.notation.number}/{block.notation.symbol}")
        block.type = block.notation.type
        block.category = category_of(block.notation.type)


def _read_title(block: Block, text: str, index: int, head: Sequence[Line]) -> None:
    stripped = text.strip(" *_•-–:.")
    lowered = stripped.lower()
    phrase = title_phrase(lowered)
    petition = bool(_begins_with(lowered, _petitions()))
    if phrase is None and not petition:
        return
    block.title = text
    block.petition = petition
    if phrase is None:
        return
    block.words.append(phrase.words)
    if phrase.type or not block.type:
        block.type, block.category = phrase.type, phrase.category
    if not block.notation.symbol and (label := _NUMBER_IN_TITLE.search(text)):
        block.notation = notation_at_start(text[label.end() :])
    block.abstract = _rest_of_title(phrase, stripped, lowered) or _abstract(index + 1, head)


def _rest_of_title(phrase: Phrase, stripped: str, lowered: str) -> str:
    if not lowered.startswith(phrase.words):
        return ""
    rest = stripped[len(phrase.words) :].strip(" :-–")
    return rest if len(rest) > 3 and not _ISSUER.match(rest) else ""


def _abstract(index: int, head: Sequence[Line]) -> str:
    """The lines that tell what it is about: until somebody is addressed or running text begins."""
    taken: list[str] = []
    for line in head[index : index + 4]:
        text = line.text.strip(" *_")
        if not any(map(str.isalnum, text)):  # a rule below the title
            continue
        if not taken and _ISSUER.match(text):
            continue
        running = text.endswith((";", ".", ":")) or len(text) > 300
        dated = _DATE.search(text) or _PLACE_AND_DATE.search(text)
        if running or dated or _ADDRESSEE.match(text):
            break
        if taken and _is_capital(text) != _is_capital(taken[0]):
            break
        taken.append(text if taken else _ABOUT.sub("", text))
    return " ".join(taken)


def _name_letter(block: Block, lines: Sequence[Line]) -> None:
    """A number without a type is an official letter; its words tell whether it directs."""
    text = " ".join(line.text for line in lines[:_LETTER_LINES])[:4000].lower()
    match = best_phrase(text)
    directs = match is not None and match.phrase.category == "directive" and not match.phrase.type
    if block.notation.normative:
        block.category = "for-information"
        return
    block.type = "cong-van"
    block.category = "directive" if directs else "work-exchange"


def _iso_date(match: re.Match[str]) -> str:
    try:
        return date(int(match[3]), int(match[2]), int(match[1])).isoformat()
    except ValueError:
        return ""


def _begins_in_capitals(text: str) -> bool:
    stripped = text.lstrip(" *_•-–:.")
    first = _FIRST_WORDS.match(stripped)
    return first is not None and _is_capital(first.group())


def _capital_start(text: str) -> str:
    """The words in capitals that the text begins with."""
    return " ".join(itertools.takewhile(_is_capital, text.split()))


def _is_capital(text: str) -> bool:
    return text.upper() == text and any(map(str.isalpha, text))
