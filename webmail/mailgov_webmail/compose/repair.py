"""Repairs that a finding offers: text into Unicode, nothing else in it touched."""

import re

from mailgov.content.legacy_text import assess, to_unicode
from mailgov.content.runs import Run
from mailgov.content.vietnamese import is_marked_syllable, marked_words
from mailgov_policies.facts import Encoding

_CASE_JUMP = re.compile(r"[a-zà-öø-ÿ][A-ZÀ-ÖØ-Þ]")


def private_encodings(text: str) -> tuple[Encoding, ...]:
    """The private encodings that the text is in, the commonest first."""
    found: dict[Encoding, int] = {}
    for stretch in assess([Run(text)]):
        found[stretch.encoding] = found.get(stretch.encoding, 0) + stretch.words
    return tuple(sorted(found, key=lambda encoding: -found[encoding]))


def converted(text: str) -> str:
    """The text in Unicode; lines that are Unicode already stay as they are.

    A letter often mixes both: pasted old paragraphs between typed new ones.
    """
    encodings = private_encodings(text)
    return "\n".join(_line(line, encodings) for line in text.split("\n"))


def _line(line: str, encodings: tuple[Encoding, ...]) -> str:
    if line.isascii() and "viqr" not in encodings:
        return line
    candidates = [line, *(to_unicode(line, encoding) for encoding in encodings)]
    return max(candidates, key=_likeness)  # the first of equals: the line as it is


def _likeness(text: str) -> float:
    """How much of the words with marks is Vietnamese, 0 to 1."""
    words = marked_words(text)
    valid = sum(is_marked_syllable(word) and not _CASE_JUMP.search(word) for word in words)
    return valid / len(words) if words else 0.0
