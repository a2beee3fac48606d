"""Marks in subjects, file names and properties: in brackets, before or behind a dash, or alone.

The words of marks and what they are in lines of documents: `mark_words`, `marks`.
"""

import re
from collections.abc import Iterator, Sequence

from mailgov.content.lines import normal
from mailgov.content.lookalikes import in_latin
from mailgov.content.mark_words import (
    DECORATION,
    FIRST_WORD,
    LAST_WORD,
    MAX_LINE,
    MOST_SYLLABLES,
    SECRET_SUFFIXES,
    Word,
    distinct,
    has_document_words,
    is_capital,
    is_innocent_before,
    is_innocent_behind,
    labelled,
    mark_in_capitals,
    mark_of,
    only,
    together,
    value_inside,
)
from mailgov_policies.facts import Mark

_BRACKETED = re.compile(r"[\[({<【«]\s*([^\[\](){}<>【】«»]{1,40}?)\s*[\])}>】»]")
_STRONG = re.compile(r"\s+[-_]+\s*|\s*[-_]+\s+|\s*[:–—|/]+\s*")  # what parts a title
_JOINED = re.compile(r"(?<=[^\W_])[-_]+(?=[^\W_])")  # what stands for the spaces of a file name
_NOTATION_IN_TITLE = re.compile(r"\d{1,5}[/_. -][^\s()]{2,40}\s?\((M|TM|TuM)\)")


def in_title(text: str, place: str, part: str = "") -> tuple[Mark, ...]:
    """Marks in a subject, file name or property: in brackets, before or behind a dash, or alone."""
    title = in_latin(normal(text[:1000])).strip()
    found = [
        Mark(word.kind, word.value, place, certain, title[:MAX_LINE], part)
        for word, certain in (*_set_apart(title), *_in_joined_words(title))
    ]
    spaced = title.replace("_", " ")
    if not found and (value := value_inside(spaced)):
        found.append(Mark("secrecy", value, place, False, title[:MAX_LINE], part))
    if not found and "M)" in title and (match := _NOTATION_IN_TITLE.search(title)):
        value = SECRET_SUFFIXES[match[1]]
        found.append(Mark("secrecy", value, place, False, title[:MAX_LINE], part))
    return distinct(found)


def _set_apart(title: str) -> Iterator[tuple[Word, bool]]:
    """Marks in brackets, behind a label, at either end before a sign, or alone; and whether they are sure."""
    for bracketed in _BRACKETED.finditer(title):
        text = bracketed[1]
        for word in only(mark_of(text) or mark_in_capitals(text)) or together(text):
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
    for known in only(mark_in_capitals(piece)) or together(piece):
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
    for count in range(min(len(words) - 1, MOST_SYLLABLES), 0, -1):
        behind = FIRST_WORD.match(f" {words[count]}")
        if marks := list(_of_name(words[:count], title)):
            yield from marks if not (behind and is_innocent_behind(behind[1])) else ()
            break
    for count in range(min(len(words) - 1, MOST_SYLLABLES), 0, -1):
        before = LAST_WORD.search(f"{words[-count - 1]} ")
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
