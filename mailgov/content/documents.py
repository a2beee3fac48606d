"""Administrative documents recognised: by header block, subject, file name, words; and put together.

Decree 30/2020/NĐ-CP, Articles 7 and 8, Annexes I and III. What the sender declares is read apart
(`declared`); a rule compares the two.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailgov.content.addressees import addressees
from mailgov.content.declared import MAX_ABSTRACT, without_tag
from mailgov.content.document_block import read_block
from mailgov.content.lines import Line, normal
from mailgov.content.notations import category_of, notation_in_name
from mailgov.content.purpose_words import abbreviated, best_phrase
from mailgov.content.vietnamese import without_marks
from mailgov_policies.facts import Document, Mark

_BODY_LINES = 40  # of a message, in which words say what it is for
_MAX_WORDS = 12
_MIN_SCORE = 0.5  # of words in running text
_PETITION_LINES = 15
_PETITION = re.compile(r"ĐƠN(?:\s|$)")
_NUMBERED = re.compile(r"S[ốỐoO]\s*:\s*\d")
_ABOUT_ANOTHER = re.compile(
    r"\W*(?:re\s*:|tra loi|phuc dap|phan hoi|khieu nai|to cao|kien nghi|phan anh|hoi\b|gop y|y kien|xin y kien"
    r"|don\b|lien quan|can cu|theo\b|thuc hien|v/v|ve\b)"
)
_SEPARATORS = re.compile(r"[_\-.+()\[\]]+|\s+")

# How far each sign alone is believed; a header block adds its parts.
_TITLE_ALONE, _BLOCK, _NUMBER, _HEADING, _AGENCY = 0.75, 0.6, 0.15, 0.1, 0.1
_SUBJECT, _FILE_NAME, _WORDS = 0.72, 0.66, 0.45
_ABBREVIATED = 0.7  # of that


def in_document(lines: Sequence[Line], marks: Iterable[Mark], place: str) -> Document | None:
    """The document whose text these lines are; None when its top shows none."""
    block = read_block(lines)
    if not block.category and not block.notation.symbol:
        return None
    signs = (block.heading, bool(block.notation.symbol), bool(block.agencies))
    score = _BLOCK + sum(
        weight for sign, weight in zip(signs, (_HEADING, _NUMBER, _AGENCY), strict=True) if sign
    )
    return Document(
        category=block.category,
        type=block.type,
        number=block.notation.number,
        symbol=block.notation.symbol,
        date=block.date,
        agency=block.agencies[-1] if block.agencies else "",
        abstract=block.abstract[:MAX_ABSTRACT],
        urgency=_urgency(marks),
        addressees=addressees(lines) if block.is_of_agency else (),
        place=place,
        words=tuple(dict.fromkeys(block.words))[:_MAX_WORDS],
        confidence=round(score if any(signs) else _TITLE_ALONE, 2),
        is_agency_document=block.is_of_agency,
    )


def in_subject(subject: str, marks: Iterable[Mark] = ()) -> Document | None:
    """What a subject says the message is."""
    whole = normal(subject[:1000])
    title = without_tag(whole)
    document = _named(title, "subject", _SUBJECT, marks)
    if document is None:
        return None
    its_own = document.is_agency_document and not _speaks_of_another(whole)
    return replace(document, abstract=title[:MAX_ABSTRACT], is_agency_document=its_own)


def in_file_name(name: str, place: str, marks: Iterable[Mark] = ()) -> Document | None:
    """What a file name says the file is."""
    title = normal(name[:255])
    return _named(title.rpartition(".")[0] or title, place, _FILE_NAME, marks)


def in_words(lines: Sequence[Line]) -> Document | None:
    """What the words of a message without any header block say it is for."""
    text = " ".join(line.text for line in lines[:_BODY_LINES] if not line.text.startswith(">"))
    match = best_phrase(text[:3000].lower())
    if match is None or match.score < _MIN_SCORE:
        return None
    phrase = match.phrase
    return Document(
        phrase.category, phrase.type, place="body", words=(phrase.words,), confidence=_WORDS
    )


def _named(title: str, place: str, belief: float, marks: Iterable[Mark]) -> Document | None:
    """A document by the notation and the words of a title. The notation names its type."""
    notation = notation_in_name(title)
    match = best_phrase(_SEPARATORS.sub(" ", title).lower())
    type_id, category = notation.type, category_of(notation.type)
    if match is not None and not type_id:
        type_id, category = match.phrase.type, match.phrase.category
    short = ""
    if not category and not notation.symbol:
        short, type_id = abbreviated(title)
        category = category_of(type_id)
    if notation.normative:
        category = category or "for-information"
    elif notation.symbol and not type_id:
        type_id, category = "cong-van", category or "work-exchange"
    if not category:
        return None
    words = [f"{notation.number}/{notation.symbol}"] if notation.symbol else []
    words += [match.phrase.words if match else short] if match or short else []
    sure = max(
        match.score if match else 0.0, float(bool(notation.symbol)), _ABBREVIATED * bool(short)
    )
    return Document(
        category=category,
        type=type_id,
        number=notation.number,
        symbol=notation.symbol,
        urgency=_urgency(marks),
        place=place,
        words=tuple(words),
        confidence=round(belief * min(sure, 1.0) + 0.1 * bool(notation.symbol), 2),
        is_agency_document=notation.of_state and not _speaks_of_another(title),
    )


def _speaks_of_another(title: str) -> bool:
    """Whether a title answers a document, or complains of one, rather than names its own."""
    return _ABOUT_ANOTHER.match(without_marks(title).lower()) is not None


def is_petition(lines: Sequence[Line]) -> bool:
    """Whether the text is a citizen's or a company's petition: ĐƠN … as its title, and no number above."""
    for line in lines[:_PETITION_LINES]:
        if _NUMBERED.match(line.text):
            return False
        if _PETITION.match(line.text) and line.text.upper() == line.text:
            return True
    return False


def _urgency(marks: Iterable[Mark]) -> str:
    return next((mark.value for mark in marks if mark.kind == "urgency" and mark.certain), "")


def best_of(candidates: Iterable[Document | None]) -> Document | None:
    """The document that the message is: what most and surest signs agree on.

    Signs for one category add up; a type that the surest lacks is taken from those that agree.
    """
    found = [candidate for candidate in candidates if candidate is not None]
    if not found:
        return None
    doubt: dict[str, float] = {}
    for document in found:
        doubt[document.category] = doubt.get(document.category, 1.0) * (1 - document.confidence)
    category = min(doubt, key=lambda name: doubt[name])
    agreeing = [document for document in found if document.category == category]
    surest = max(agreeing, key=lambda document: document.confidence)
    words = [*surest.words, *(word for document in agreeing for word in document.words)]
    return replace(
        surest,
        type=surest.type or next((d.type for d in agreeing if d.type), ""),
        urgency=surest.urgency or next((d.urgency for d in found if d.urgency), ""),
        words=tuple(dict.fromkeys(words))[:_MAX_WORDS],
        confidence=round(min(1 - doubt[category], 0.99), 2),
        is_agency_document=any(document.is_agency_document for document in found),
    )
