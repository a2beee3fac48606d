"""What the text of one thing says: private encodings, marks, and the document it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailgov.content import documents, marks
from mailgov.content.fonts import font_family
from mailgov.content.legacy_text import assess, convert
from mailgov.content.lines import Line, lines_of
from mailgov.content.runs import Run
from mailgov_policies.facts import Document, Mark, Text


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
    texts = tuple(
        replace(text, place=f"{place} {text.place}".strip(), part=part, file=file)
        for text in assess(runs)
    )
    lines = lines_of(_in_unicode(runs, texts), marks.MAX_LINES)
    found = marks.in_lines(lines, place, part)
    return Said(texts, found, documents.in_document(lines, found, place), tuple(lines))


def read_file_name(name: str, place: str, part: str) -> Said:
    """A file name; the folders of an archive are part of it."""
    texts = _assessed(name, place, part, file=name)
    unicode_name = _name_in_unicode(name, texts)
    found = tuple(
        mark for step in unicode_name.split("/") for mark in marks.in_title(step, place, part)
    )
    document = documents.in_file_name(unicode_name.rpartition("/")[2], place, found)
    return Said(texts, found, document)


def read_subject(subject: str) -> Said:
    """The subject of the message itself."""
    texts = _assessed(subject, "subject", "")
    unicode_subject = _name_in_unicode(subject, texts)
    found = marks.in_title(unicode_subject, "subject")
    return Said(texts, found, documents.in_subject(unicode_subject, found))


def read_display_name(name: str, field: str) -> Said:
    """The name beside an address: only its encoding matters."""
    return Said(_assessed(name, f"{field} name", ""))


def read_property(value: str, place: str, part: str) -> Said:
    """Title, keywords and the like of an office file: only marks, since old titles linger there."""
    return Said(marks=marks.in_title(value, place, part))


def _assessed(text: str, place: str, part: str, file: str = "") -> tuple[Text, ...]:
    if text.isascii() and "^" not in text:
        return ()
    return tuple(
        replace(found, place=place, part=part, file=file) for found in assess((Run(text),))
    )


def _name_in_unicode(text: str, found: tuple[Text, ...]) -> str:
    return "".join(run.text for run in _in_unicode((Run(text),), found))


def _in_unicode(runs: Sequence[Run], found: tuple[Text, ...]) -> Sequence[Run]:
    """The runs converted where anything says that they need it: proof, or a font."""
    if found or any(run.font and font_family(run.font).encoding for run in runs):
        return convert(runs)
    return runs
