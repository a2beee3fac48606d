"""The header block of a document: heading, agency, number, date, title, abstract, signs of the end.

Decree 30/2020/NĐ-CP, Article 8 and Annex I. Only lines are looked at, so that it serves bodies,
office files and the text of PDFs alike.
"""

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
_LETTER_LINES = 40  # of an official letter, whose words tell whether it directs
_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_PARTY_HEADING = "DANGCONGSANVIETNAM"
# At the start of a line; behind other words only with its colon, as two columns read as one line.
_NUMBER_LABEL = re.compile(r"^S[ốỐoO]\s*:?\s*(?=\d)|\sS[ốỐ]\s*:\s*(?=\d)")
_NUMBER_IN_TITLE = re.compile(r"\sS[ốỐ]\s*:?\s*(?=\d)")
_DATE = re.compile(r"ngày\s+(\d{1,2})\s+tháng\s+(\d{1,2})\s+năm\s+(\d{4})", re.IGNORECASE)
_ABOUT = re.compile(r"^\s*(?:v/v|về việc)\s*:?\s*", re.IGNORECASE)
_ADDRESSEE = re.compile(r"^\s*(?:kính gửi|kính trình)\b", re.IGNORECASE)
_RECIPIENTS = re.compile(r"^\s*nơi nhận\s*:", re.IGNORECASE)
_SIGNER = re.compile(r"^\s*(?:TM|KT|TL|TUQ|Q)\s*\.\s*[^\W\d_]{2}")
_ISSUER = re.compile(r"^(?:của\s|số\s*:?\s*\d)", re.IGNORECASE)  # below a title, in older documents
_GAPS = re.compile(r"[\s.\-_–]+")
_COLUMN = re.compile(r"\t| {3,}")
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
    for index, line in enumerate(head):
        _read_line(block, line.text, index, head)
    for line in lines[-HEADER_LINES:]:
        block.recipients = block.recipients or _RECIPIENTS.match(line.text) is not None
        block.signer = block.signer or _SIGNER.match(line.text) is not None
    if block.notation.symbol and not block.category:
        _name_letter(block, lines)
    return block


def _read_line(block: Block, text: str, index: int, head: Sequence[Line]) -> None:
    above_title = not (block.title or block.abstract)
    if above_title and "NAM" in text:
        text = _without_heading(block, text)
    if above_title and index < _AGENCY_LINES:
        _read_agency(block, text)
    if above_title and not block.notation.symbol:
        _read_notation(block, text)
    if not block.date and "ăm" in text and (match := _DATE.search(text)):
        block.date = _iso_date(match)
    if not block.title and _begins_in_capitals(text):
        _read_title(block, text, index, head)
    elif not block.abstract and block.notation.symbol and _ABOUT.match(text):
        block.abstract = _abstract(index, head)


def _without_heading(block: Block, text: str) -> str:
    """What stands beside the heading on its line: the agency, where two columns are one line."""
    folded = _GAPS.sub("", without_marks(text)).upper()
    if _HEADING not in folded and _PARTY_HEADING not in folded:
        return text
    block.heading = True
    block.words.append("quốc hiệu")
    upper = text.upper()
    starts = [
        at for at in (upper.find("CỘNG H"), upper.find("ĐẢNG C"), upper.find("CONG H")) if at > 0
    ]
    return text[: min(starts)].strip() if starts else ""


def _read_agency(block: Block, text: str) -> None:
    """An agency's name stands in capitals above the number."""
    name = _COLUMN.split(text, maxsplit=1)[0].strip()
    if not 4 < len(name) <= 120 or not _is_capital(name):
        return
    lowered = name.lower()
    if title_phrase(lowered) or _begins_with(lowered, _names("not")):
        return
    if _begins_with(lowered, _names("private")):
        block.private = True
    elif (begin := _begins_with(lowered, _names("state"))) and (
        lowered != begin or begin in _WHOLE_NAMES
    ):
        block.agencies.append(name)
        block.words.append(name)


@cache
def _names(kind: str) -> tuple[str, ...]:
    names = (with_old_tone_placement(name) for name in table()["agencies"][kind])
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
    if label is None:
        return
    block.notation = notation_at_start(text[label.end() :])
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
        if not taken and _ISSUER.match(text):
            continue
        running = text.endswith((";", ".", ":")) or len(text) > 300
        if running or _ADDRESSEE.match(text) or _DATE.search(text):
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


def _is_capital(text: str) -> bool:
    return text.upper() == text and any(map(str.isalpha, text))
