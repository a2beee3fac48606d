"""Administrative documents recognised: by heading, notation, title, subject, file name, words.

Decree 30/2020/NĐ-CP, Articles 7 and 8, Annexes I and III. What the sender declares (header field,
subject tag) and what the content shows are read apart; a rule compares them. Words in
`tables/document-words.toml`, types and notations in the document types of the policies.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from mailgov.content.fields import Fields
from mailgov.content.lines import Line, normal
from mailgov.content.vietnamese import with_old_tone_placement, without_marks
from mailgov_policies.document_types import document_types, email_categories
from mailgov_policies.facts import Document, Mark

HEADER_LINES = 60  # of a document, in which its header block stands
_BODY_LINES = 40  # of a message, in which words say what it is for
_MAX_ABSTRACT = 500  # letters, Annex VI
_MAX_WORDS = 12

_HEADING = "CONGHOAXAHOICHUNGHIAVIETNAM"
_PARTY_HEADING = "DANGCONGSANVIETNAM"
_NUMBER_LABEL = re.compile(r"(?:^|\s)S[ốÔôO]\s*:?\s*(?=\d)", re.IGNORECASE)
_DATE = re.compile(r"ngày\s+(\d{1,2})\s+tháng\s+(\d{1,2})\s+năm\s+(\d{4})", re.IGNORECASE)
_SUBJECT_LINE = re.compile(r"^\s*(?:v/v|về việc)\s*:?\s*", re.IGNORECASE)
_ADDRESSEE = re.compile(r"^\s*(?:kính gửi|kính trình)\b", re.IGNORECASE)
_RECIPIENTS = re.compile(r"^\s*nơi nhận\s*:", re.IGNORECASE)
_SIGNER = re.compile(r"^\s*(?:TM|KT|TL|TUQ|Q)\s*\.\s*[^\W\d_]{2}")
_PREFIX = re.compile(r"^\s*(?:(?:re|fw|fwd|tr|trả lời|chuyển tiếp)\s*:\s*)+", re.IGNORECASE)
_TAG = re.compile(r"^\s*\[\s*([^\[\]]{1,40}?)\s*\]")
_GAPS = re.compile(r"[\s.\-_–]+")
_SEPARATORS = re.compile(r"[_\-.+()\[\]]+|\s+")
_STATE_NOTATION = re.compile(
    r"^(?:UBND|HĐND|CP|TTg|QH\d*|UBTVQH\d*|CTN|VPCP|VP|B[A-ZĐ]|S[A-ZĐ]|TU|HU|BTV|VKS|TA|TAND|CCT|CA|CAT"
    r"|KBNN|BHXH|TTr?|PGD|CT|CTUBND|TCT|ĐU)"
)


class _Phrase(NamedTuple):
    words: str  # lower case, one tone placement
    bare: str  # without diacritics
    type: str
    category: str
    weight: float
    title: bool
    abbreviation: str


class _Match(NamedTuple):
    phrase: _Phrase
    score: float


@dataclass(slots=True)
class _Block:
    """What the top of a document says."""

    heading: bool = False
    agencies: list[str] = field(default_factory=list)
    private: bool = False
    number: str = ""
    symbol: str = ""
    type: str = ""
    category: str = ""
    title: str = ""
    petition: bool = False
    date: str = ""
    abstract: str = ""
    recipients: bool = False
    signer: bool = False
    words: list[str] = field(default_factory=list)


@cache
def _table() -> dict[str, Any]:
    path = resources.files("mailgov.content").joinpath("tables", "document-words.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def _phrases() -> tuple[_Phrase, ...]:
    types = document_types()
    phrases = []
    for row in _table()["phrase"]:
        type_ = row.get("type", "")
        category = row.get("category") or _category(type_)
        for words in row["words"]:
            spelled = with_old_tone_placement(words)
            phrases.append(
                _Phrase(
                    spelled,
                    without_marks(spelled),
                    type_,
                    category,
                    row["weight"],
                    row.get("title", True),
                    types[type_].abbreviation if type_ else "",
                )
            )
    return tuple(sorted(phrases, key=lambda phrase: -len(phrase.words)))


def _category(type_: str) -> str:
    """The e-mail category of a type; types that no list names are `other`."""
    known = document_types().get(type_)
    if known is None:
        return ""
    return known.categories[0] if known.categories else "other"


@cache
def _notations() -> tuple[re.Pattern[str], ...]:
    """Normative, administrative, official letter; in this order."""
    text = resources.files("mailgov_policies").joinpath("tables", "document-types.toml")
    rows = {row["id"]: row["regex"] for row in tomllib.loads(text.read_text("utf-8"))["notation"]}
    order = ("normative", "administrative", "official-letter")
    # Behind "Số:" numbers below ten may lack their zero.
    return tuple(
        re.compile(rows[name].replace(r"\d{2,5}", r"\d{1,5}").replace(r"\d{2,6}", r"\d{1,6}"))
        for name in order
    )


@cache
def _abbreviations() -> dict[str, str]:
    """Type id by abbreviation in capitals, as written and without diacritics."""
    known: dict[str, str] = {}
    for type_ in document_types().values():
        if type_.abbreviation:
            known.setdefault(type_.abbreviation.upper(), type_.id)
    for abbreviation, type_id in list(known.items()):
        known.setdefault(without_marks(abbreviation), type_id)
    return known


@cache
def _file_notation() -> re.Pattern[str]:
    """Number, type and agency in a file name: `20_QD-SXD`, `101-TB-UBND`, `12.BC.STC`."""
    names = "|".join(sorted(map(re.escape, _abbreviations()), key=len, reverse=True))
    return re.compile(
        rf"(?<![A-Za-z0-9])(\d{{1,5}}[a-z]?)[\s_\-./]+({names})[\s_\-./]+"
        r"([A-ZĐ][A-ZĐ0-9]{1,14}(?:-[A-ZĐ0-9]{1,14})*)",
        re.IGNORECASE,
    )


# Found in content


def in_document(lines: Sequence[Line], marks: Iterable[Mark], place: str) -> Document | None:
    """The document whose text these lines are; None when the top shows none."""
    block = _read_block(lines)
    if not (block.type or block.category or block.symbol):
        return None
    score = 0.6 + 0.15 * bool(block.symbol) + 0.1 * block.heading + 0.1 * bool(block.agencies)
    if block.title and not (block.heading or block.symbol or block.agencies):
        score = 0.75
    return Document(
        category=block.category,
        type=block.type,
        number=block.number,
        symbol=block.symbol,
        date=block.date,
        agency=block.agencies[-1] if block.agencies else "",
        abstract=block.abstract[:_MAX_ABSTRACT],
        urgency=next((m.value for m in marks if m.kind == "urgency" and m.certain), ""),
        place=place,
        words=tuple(dict.fromkeys(block.words))[:_MAX_WORDS],
        confidence=round(min(score, 0.98), 2),
        is_agency_document=_is_of_agency(block),
    )


def _is_of_agency(block: _Block) -> bool:
    """Two signs of an agency, and none of a citizen or company."""
    if block.private or (block.petition and not block.symbol):
        return False
    of_state = bool(block.symbol) and _STATE_NOTATION.match(block.symbol.split("-")[-1]) is not None
    signs = (
        block.heading,
        bool(block.agencies),
        bool(block.symbol),
        of_state,
        block.recipients,
        block.signer,
    )
    return sum(signs) >= 2 and (bool(block.agencies) or bool(block.symbol))


def _read_block(lines: Sequence[Line]) -> _Block:
    block = _Block()
    head = lines[:HEADER_LINES]
    for index, line in enumerate(head):
        _read_line(block, line.text, index, head)
    for line in lines[-HEADER_LINES:]:
        block.recipients = block.recipients or _RECIPIENTS.match(line.text) is not None
        block.signer = block.signer or _SIGNER.match(line.text) is not None
    if not block.type and not block.category and block.symbol:
        _name_letter(block, lines)
    return block


def _read_line(block: _Block, text: str, index: int, head: Sequence[Line]) -> None:
    before_title = not (block.title or block.abstract)
    folded = _folded(text) if len(text) > 15 else ""
    if _HEADING in folded or _PARTY_HEADING in folded:
        block.heading = True
        block.words.append("quốc hiệu")
        text = text[: max(text.upper().find("CỘNG H"), 0)].strip()
    if before_title and index < 20:
        _read_agency(block, text)
    if not block.symbol and before_title:
        _read_notation(block, text)
    if not block.date and (match := _DATE.search(text)):
        block.date = _iso_date(match)
    if not block.title and (title := _title(text)):
        _set_title(block, title, text, index, head)
    elif not block.abstract and block.symbol and _SUBJECT_LINE.match(text):
        block.abstract = _abstract(index, head)


def _read_agency(block: _Block, text: str) -> None:
    """An agency's name stands in capitals above the number."""
    bare = _columns(text)
    if not bare or len(bare) > 120 or not _is_capital(bare):
        return
    lowered = bare.lower()
    for kind in ("private", "state"):
        for name in _agency_names(kind):
            if lowered == name or lowered.startswith(f"{name} "):
                if kind == "private":
                    block.private = True
                elif lowered != name or name in _STANDALONE:
                    block.agencies.append(bare)
                    block.words.append(bare)
                return


_STANDALONE = frozenset(
    {"chính phủ", "quốc hội", "thủ tướng chính phủ", "chủ tịch nước", "văn phòng chính phủ"}
)


@cache
def _agency_names(kind: str) -> tuple[str, ...]:
    names = (with_old_tone_placement(name) for name in _table()["agencies"][kind])
    return tuple(sorted(names, key=len, reverse=True))


def _columns(text: str) -> str:
    """The left column where a line holds two."""
    return re.split(r"\t| {3,}", text.strip(), maxsplit=1)[0].strip()


def _read_notation(block: _Block, text: str) -> None:
    label = _NUMBER_LABEL.search(text)
    if label is None or label.start() > 60:
        return
    number, symbol, type_ = notation(text[label.end() :])
    if symbol:
        block.number, block.symbol = number, symbol
        block.words.append(f"{number}/{symbol}")
        if type_:
            block.type, block.category = type_, _category(type_)


def notation(text: str) -> tuple[str, str, str]:
    """Number, symbol and type id of the notation that the text begins with; empty when none does.

    Đ is often typed as U+00D0; blanks around the slash and behind the hyphen are typing errors.
    """
    written = text[:80].replace("\u00d0", "Đ").replace("\u00f0", "đ")
    written = re.sub(r"\s*([/\-–])\s*", lambda match: match[1].replace("–", "-"), written)
    for pattern in _notations():
        match = pattern.match(written)
        if match:
            parts = match.groupdict()
            symbol = match.group()[len(parts["number"]) + 1 :].split("(")[0]
            return (
                parts["number"],
                symbol,
                _abbreviations().get((parts.get("type") or "").upper(), ""),
            )
    return "", "", ""


def _title(text: str) -> _Phrase | None:
    """The type of document that a line in capitals names at its beginning."""
    stripped = text.strip(" *_•-–:.")
    if not stripped or not _is_capital(" ".join(stripped.split()[:2])):
        return None
    lowered = stripped.lower()
    squeezed = _GAPS.sub("", lowered)
    for phrase in _phrases():
        if phrase.title and (
            lowered == phrase.words
            or lowered.startswith((f"{phrase.words} ", f"{phrase.words}\n"))
            or squeezed == phrase.words.replace(" ", "")
            or (lowered.isascii() and lowered == phrase.bare)
        ):
            return phrase
    return _petition(lowered)


@cache
def _petitions() -> tuple[str, ...]:
    return tuple(with_old_tone_placement(title) for title in _table()["petitions"]["titles"])


_PETITION = _Phrase("", "", "", "", 0.0, title=True, abbreviation="")


def _petition(lowered: str) -> _Phrase | None:
    return (
        _PETITION
        if any(lowered == t or lowered.startswith(f"{t} ") for t in _petitions())
        else None
    )


def _set_title(block: _Block, phrase: _Phrase, text: str, index: int, head: Sequence[Line]) -> None:
    block.title = text
    lowered = text.lower()
    block.petition = any(lowered == t or lowered.startswith(f"{t} ") for t in _petitions())
    if phrase is _PETITION:
        return
    block.words.append(phrase.words)
    if phrase.type or not block.type:
        block.type = phrase.type or block.type
        block.category = phrase.category or block.category
    rest = text[len(phrase.words) :].strip(" :-–") if lowered.startswith(phrase.words) else ""
    block.abstract = rest if len(rest) > 3 else _abstract(index + 1, head)


def _abstract(index: int, head: Sequence[Line]) -> str:
    """The lines from here that tell what it is about: until somebody is addressed or text begins."""
    taken: list[str] = []
    for line in head[index : index + 4]:
        text = line.text.strip(" *_")
        if (
            _ADDRESSEE.match(text)
            or _DATE.search(text)
            or text.endswith((";", ".", ":"))
            or len(text) > 300
        ):
            break
        if taken and (_is_capital(text) != _is_capital(taken[0]) or _HEADING in _folded(text)):
            break
        taken.append(_SUBJECT_LINE.sub("", text) if not taken else text)
    return " ".join(taken)


def _name_letter(block: _Block, lines: Sequence[Line]) -> None:
    """A number without a type is an official letter; its words tell whether it directs."""
    block.type = "cong-van"
    match = _best(" ".join(line.text for line in lines[:_BODY_LINES])[:4000].lower())
    directs = match is not None and match.phrase.category == "directive" and match.phrase.type == ""
    block.category = "directive" if directs else "work-exchange"


def _iso_date(match: re.Match[str]) -> str:
    try:
        return date(int(match[3]), int(match[2]), int(match[1])).isoformat()
    except ValueError:
        return ""


def _is_capital(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return len(letters) > 1 and sum(map(str.isupper, letters)) >= 0.9 * len(letters)


def _folded(text: str) -> str:
    return _GAPS.sub("", without_marks(text)).upper()


# Subject, file names, words


def in_subject(subject: str, marks: Iterable[Mark] = ()) -> Document | None:
    """What a subject says the message is."""
    title = _PREFIX.sub("", normal(subject[:1000]))
    title = _TAG.sub("", title).strip()
    return _named(title, "subject", 0.72, marks)


def in_file_name(name: str, place: str, marks: Iterable[Mark] = ()) -> Document | None:
    """What a file name says the file is."""
    title = normal(name[:255])
    stem = title.rpartition(".")[0] or title
    return _named(stem, place, 0.66, marks)


def in_words(lines: Sequence[Line]) -> Document | None:
    """What the words of a message without any header block say it is for."""
    text = " ".join(line.text for line in lines[:_BODY_LINES] if not line.text.startswith(">"))
    match = _best(text[:3000].lower())
    if match is None or match.score < 0.5:
        return None
    return Document(
        category=match.phrase.category,
        type=match.phrase.type,
        place="body",
        words=(match.phrase.words,),
        confidence=0.45,
    )


def _named(title: str, place: str, confidence: float, marks: Iterable[Mark]) -> Document | None:
    number, symbol, type_ = _notation_in_name(title)
    words = [f"{number}/{symbol}"] if symbol else []
    category = _category(type_)
    match = _best(_SEPARATORS.sub(" ", title).lower())
    if match is not None and not (type_ and match.phrase.type == ""):
        words.append(match.phrase.words)
        if not type_ or match.phrase.type == type_:
            type_, category = match.phrase.type, match.phrase.category
    if symbol and not type_:
        type_, category = "cong-van", category or "work-exchange"
    if not category:
        return None
    score = confidence * min(match.score if match else 1.0, 1.0)
    return Document(
        category=category,
        type=type_,
        number=number,
        symbol=symbol,
        abstract=title[:_MAX_ABSTRACT] if place == "subject" else "",
        urgency=next((m.value for m in marks if m.kind == "urgency" and m.certain), ""),
        place=place,
        words=tuple(words),
        confidence=round(min(max(score, 0.3) + 0.1 * bool(symbol), 0.9), 2),
        is_agency_document=bool(symbol)
        and _STATE_NOTATION.match(symbol.split("-")[-1]) is not None,
    )


def _notation_in_name(title: str) -> tuple[str, str, str]:
    match = _file_notation().search(title)
    if match:
        type_ = _abbreviations()[match[2].upper()]
        abbreviation = document_types()[type_].abbreviation
        return match[1], f"{abbreviation}-{match[3].upper()}", type_
    slash = re.search(r"(?<![\d/])\d{1,6}[a-z]?\s*/", title)
    return notation(title[slash.start() :]) if slash else ("", "", "")


def _best(lowered: str) -> _Match | None:
    """The phrase that names the thing: sure ones first, early ones before late ones."""
    plain = without_marks(lowered)
    bare = lowered == plain
    best: _Match | None = None
    for phrase in _phrases():
        position = _find_word(plain if bare else lowered, phrase.bare if bare else phrase.words)
        if position < 0:
            continue
        score = phrase.weight - 0.004 * min(position, 60) - (0.1 if position > 60 else 0)
        if bare:
            score -= 0.05
        if best is None or score > best.score:
            best = _Match(phrase, score)
    return best


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


def best_of(candidates: Iterable[Document | None]) -> Document | None:
    """The document that the message is: what most and surest signs agree on.

    Signs for one category add up; what the surest lacks is taken from the others that agree.
    """
    found = [candidate for candidate in candidates if candidate is not None]
    if not found:
        return None
    doubt: dict[str, float] = {}
    for document in found:
        doubt[document.category] = doubt.get(document.category, 1.0) * (1 - document.confidence)
    category = min(doubt, key=lambda name: doubt[name])
    agreeing = sorted((d for d in found if d.category == category), key=lambda d: -d.confidence)
    surest = agreeing[0]
    words = [word for document in agreeing for word in document.words]
    return replace(
        surest,
        type=surest.type or next((d.type for d in agreeing if d.type), ""),
        words=tuple(dict.fromkeys(words))[:_MAX_WORDS],
        confidence=round(min(1 - doubt[category], 0.99), 2),
        is_agency_document=any(d.is_agency_document for d in found),
    )


# Declared by the sender


def declared(fields: Fields, subject: str) -> Document | None:
    """What the sender says the document is: the field `Mailgov-Document`, else a subject tag."""
    raw = fields.text("mailgov-document")
    if raw:
        return _declared_in_field(raw[:4000])
    return _declared_in_tag(normal(subject[:1000]))


def _declared_in_field(raw: str) -> Document | None:
    values: dict[str, str] = {}
    for pair in re.findall(r'([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^;]*)', raw):
        values.setdefault(pair[0].lower(), re.sub(r"\\(.)", r"\1", pair[1].strip().strip('"')))
    type_ = _type_named(values.get("type", ""))
    category = values.get("category", "").strip().lower()
    if category not in email_categories():
        category = _category(type_)
    number, symbol, type_of_symbol = notation(values.get("symbol", ""))
    if not symbol:
        symbol = values.get("symbol", "")[:60]
    type_ = type_ or type_of_symbol
    if not (type_ or category or symbol):
        return None
    return Document(
        category=category or _category(type_),
        type=type_,
        number=values.get("number", "") or number,
        symbol=symbol,
        date=_valid_date(values.get("date", "")),
        agency=values.get("agency", "")[:200],
        abstract=values.get("abstract", "")[:_MAX_ABSTRACT],
        urgency=_urgency(values.get("urgency", "")),
        due=_valid_date(values.get("due", "")),
        place="header Mailgov-Document",
        words=(values.get("type", "") or symbol,),
        confidence=1.0,
    )


def _declared_in_tag(subject: str) -> Document | None:
    match = _TAG.match(_PREFIX.sub("", subject))
    if match is None:
        return None
    type_ = _type_named(match[1])
    if not type_:
        return None
    return Document(
        category=_category(type_),
        type=type_,
        abstract=subject[match.end() :].strip()[:_MAX_ABSTRACT],
        place="subject",
        words=(f"[{match[1]}]",),
        confidence=0.9,
    )


def _type_named(text: str) -> str:
    """The type id that an id, abbreviation or name stands for; empty when none."""
    text = with_old_tone_placement(text.strip())
    if text.lower() in document_types():
        return text.lower()
    if known := _abbreviations().get(text.upper()):
        return known
    return _types_by_name().get(text.lower(), "")


@cache
def _types_by_name() -> dict[str, str]:
    known: dict[str, str] = {}
    for type_ in document_types().values():
        name = with_old_tone_placement(type_.vi).lower()
        for spelling in (name, name.split(" (")[0]):
            known.setdefault(spelling, type_.id)
            known.setdefault(without_marks(spelling), type_.id)
    return known


_URGENCIES = {"khan": "KHẨN", "thuong-khan": "THƯỢNG KHẨN", "hoa-toc": "HOẢ TỐC"}


def _urgency(text: str) -> str:
    return _URGENCIES.get(re.sub(r"\s+", "-", without_marks(text.strip().lower())), "")


def _valid_date(text: str) -> str:
    """ISO 8601; empty when it is no date."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return ""
