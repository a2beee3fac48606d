"""What the text of one thing says: private encodings, marks, and the document it is."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailgov.content import documents, legacy_text, marks, title_marks
from mailgov.content.charsets import well_formed
from mailgov.content.evidence import is_suspect
from mailgov.content.fonts import font_family
from mailgov.content.lines import Line, lines_of
from mailgov.content.runs import Run
from mailgov_policies.facts import Document, Mark, Text

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclass(frozen=True, slots=True)
class Said:
    """Facts from the text of one body, file or name."""

    texts: tuple[Text, ...] = ()
    marks: tuple[Mark, ...] = ()
    document: Document | None = None
    lines: tuple[Line, ...] = ()

    def moved(self, place: str, part: str) -> "Said":
        """The same said elsewhere: the subject of a message within the message."""
        return Said(
            tuple(replace(text, place=place, part=part) for text in self.texts),
            tuple(replace(mark, place=place, part=part) for mark in self.marks),
            replace(self.document, place=place) if self.document else None,
            self.lines,
        )


def read_file_text(runs: Sequence[Run], place: str, part: str, file: str = "") -> Said:
    """The text of a body or file. Places in `runs` are relative to it; `place` names it."""
    reading = legacy_text.read([_well_formed(run) for run in runs])
    texts = tuple(
        replace(text, place=f"{place} {text.place}".strip(), part=part, file=file)
        for text in reading.texts
    )
    lines = lines_of(map(_as_shown, reading.runs), marks.MAX_LINES)
    found = marks.in_lines(lines, place, part)
    return Said(texts, found, documents.in_document(lines, found, place), tuple(lines))


def read_file_name(name: str, place: str, part: str) -> Said:
    """A file name; the folders of an archive are part of it."""
    texts, unicode_name = _read_name(name, place, part, file=name)
    steps = _EXTENSION.sub("", unicode_name).split("/")
    found = tuple(mark for step in steps for mark in title_marks.in_title(step, place, part))
    document = documents.in_file_name(unicode_name.rpartition("/")[2], place, found)
    return Said(texts, found, document)


def read_subject(subject: str) -> Said:
    """The subject of the message itself."""
    texts, unicode_subject = _read_name(subject, "subject")
    found = title_marks.in_title(unicode_subject, "subject")
    return Said(texts, found, documents.in_subject(unicode_subject, found))


def read_display_name(name: str, field: str) -> Said:
    """The name beside an address: only its encoding matters."""
    return Said(_read_name(name, f"{field} name")[0])


def read_caption(value: str, place: str, part: str) -> Said:
    """A property of an office file or words of a watermark: only marks count.

    Properties are no evidence of an encoding: old titles linger there.
    """
    return Said(marks=title_marks.in_title(value, place, part))


def _read_name(
    name: str, place: str, part: str = "", file: str = ""
) -> tuple[tuple[Text, ...], str]:
    """Facts on the encoding of a name or subject, and the same in Unicode."""
    if name.isascii() and "^" not in name:
        return (), name
    if not is_suspect(name):
        return (), unicodedata.normalize("NFC", name)
    reading = legacy_text.read([Run(name)])
    texts = tuple(replace(text, place=place, part=part, file=file) for text in reading.texts)
    return texts, "".join(run.text for run in reading.runs)


def _as_shown(run: Run) -> Run:
    """Letters in a capitals font or format are seen so, also where no encoding was proven."""
    in_capitals = run.capitals or (run.font and font_family(run.font).capitals)
    if in_capitals and not run.text.isupper():
        return replace(run, text=run.text.upper())
    return run


def _well_formed(run: Run) -> Run:
    text = well_formed(run.text)
    return run if text is run.text else replace(run, text=text)
