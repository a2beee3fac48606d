"""Repairs that a finding offers: text into Unicode, nothing else in it touched."""

import re

from mailgov import config
from mailgov.content.legacy_text import assess, to_unicode
from mailgov.content.runs import Run, Unreadable
from mailgov.content.vietnamese import is_marked_syllable, marked_words
from mailgov.errors import InputError
from mailgov.readers.converting import convert_apart
from mailgov_policies.facts import Encoding
from mailgov_webmail.compose.drafts import Draft, File

# Endings of files that can be converted; what they are is told by their bytes.
_COPIED = frozenset({"csv", "docm", "docx", "eml", "txt", "xlsm", "xlsx"})
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


def copy_name(name: str) -> str:
    """The name of the Unicode copy of a file: `ds.csv` becomes `ds.unicode.csv`."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}.unicode.{ending}"


def can_be_copied(file: File, draft: Draft) -> bool:
    """Whether a Unicode copy of the file may be offered: of that kind, and not there yet."""
    ending = file.name.rpartition(".")[2].lower()
    there = any(other.name == copy_name(file.name) for other in draft.files)
    return ending in _COPIED and not there


def unicode_copy(file: File, content: bytes, settings: config.Readers) -> bytes:
    """The file in Unicode; empty when it is so already. Blocks while a sandboxed process works.

    Raises InputError `convert-signed`, `convert-kind`, `convert-unreadable`; Unavailable.
    """
    try:
        conversion = convert_apart(content, file.name, settings)
    except Unreadable as exc:
        raise InputError("convert-unreadable", file=file.name, why=str(exc.args[0])) from exc
    if conversion.outcome == "refused":
        raise InputError(f"convert-{conversion.why}", file=file.name)
    return conversion.data
