"""Letters that bring people to their mailbox: one page each, one PDF per unit, readable by nobody else.

A letter carries a link that is good once and for some days, as text and as a QR code; no password is ever
printed. Files are made new with mode 0600 and never written over.
"""

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from mailgov.clock import VIETNAM, local_date
from mailgov.errors import InputError
from mailgov.texts import Language, words

_LEFT, _RIGHT, _TOP, _BOTTOM = 30 * mm, 20 * mm, 20 * mm, 20 * mm  # Decree 30/2020, annex I
_WIDTH, _HEIGHT = A4
_TEXT_WIDTH = _WIDTH - _LEFT - _RIGHT
_SIZE, _LINE = 11.5, 17.0  # points
_QR = 38 * mm
_REGULAR, _BOLD = "Roboto-Regular", "Roboto-Bold"


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody is told. The link is a secret."""

    name: str
    title: str  # position; may be empty
    address: str
    agency_code: str
    agency_name: str
    link: str
    expires_at: datetime
    is_person: bool = True  # else an office, a post


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes, and where somebody who needs help turns to."""

    organisation: str
    contact: str
    language: Language


def require_free(target: Path, agency_codes: Iterable[str]) -> None:
    """Raise InputError `letters-there` when a file would be written over; before anything is done."""
    for file in _files(target, sorted(set(agency_codes))).values():
        if file.exists():
            raise InputError("letters-there", file=file)


def write_letters(
    target: Path, letters: Sequence[Letter], sender: Sender, now: datetime
) -> list[Path]:
    """One PDF per unit: in the folder or zip file named, else beside each other. Returns the files.

    Raises InputError `letters-there`, `file-unwritable`.
    """
    units: dict[str, list[Letter]] = {}
    for letter in sorted(letters, key=lambda one: (one.agency_code, one.address)):
        units.setdefault(letter.agency_code, []).append(letter)
    if target.suffix.lower() == ".zip":
        _write_new(target, _zipped(units, sender, now))
        return [target]
    written = []
    for code, file in _files(target, list(units)).items():
        _write_new(file, _document(units[code], sender, now))
        written.append(file)
    return written


def _files(target: Path, codes: Sequence[str]) -> Mapping[str, Path]:
    """Where the letters of each unit go."""
    if target.suffix.lower() == ".zip":
        return {"": target}
    if target.suffix.lower() != ".pdf":
        return {code: target / f"{code}.pdf" for code in codes}
    if len(codes) == 1:
        return {codes[0]: target}
    return {code: target.with_name(f"{target.stem}-{code}.pdf") for code in codes}


def _write_new(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise InputError("letters-there", file=file) from exc
    except OSError as exc:
        raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _zipped(units: Mapping[str, Sequence[Letter]], sender: Sender, now: datetime) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for code, letters in units.items():
            archive.writestr(f"{code}.pdf", _document(letters, sender, now))
    return buffer.getvalue()


# Pages -------------------------------------------------------------------------------------------


def _document(letters: Sequence[Letter], sender: Sender, now: datetime) -> bytes:
    _fonts()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, lang=sender.language)
    canvas.setTitle(words(sender.language, "letter.title"))
    canvas.setAuthor(sender.organisation)
    for letter in letters:
        _Page(canvas, sender, letter, now).draw()
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@cache
def _fonts() -> None:
    """Roboto holds every Vietnamese letter; what is used of it is put into the file."""
    for name in (_REGULAR, _BOLD):
        with as_file(files("font_roboto").joinpath("files", f"{name}.ttf")) as path:
            pdfmetrics.registerFont(TTFont(name, path))


class _Page:
    """One letter, written from top to bottom."""

    def __init__(self, canvas: Canvas, sender: Sender, letter: Letter, now: datetime) -> None:
        self._canvas = canvas
        self._sender = sender
        self._letter = letter
        self._now = now
        self._y = _HEIGHT - _TOP

    def draw(self) -> None:
        """The whole page."""
        letter = self._letter
        self._centred(self._sender.organisation.upper(), _BOLD, 11)
        self._centred(self._text("day", day=self._day(self._now)), _REGULAR, 10)
        self._y -= 8 * mm
        self._centred(self._text("title").upper(), _BOLD, 15)
        self._y -= 6 * mm
        self._line(
            self._text("dear" if letter.is_person else "dear-office", name=letter.name), _BOLD
        )
        for about in (letter.title, f"{letter.agency_name} ({letter.agency_code})"):
            if about:
                self._line(about)
        self._y -= 4 * mm
        self._paragraph(self._text("opening"))
        self._y -= 2 * mm
        self._box()
        self._y -= 4 * mm
        self._line(self._text("steps"), _BOLD)
        for number in range(1, 5):
            self._paragraph(f"{number}. {self._text(f'step-{number}')}", indent=5 * mm)
        self._y -= 4 * mm
        self._paragraph(self._text("warning", day=self._day(letter.expires_at)), font=_BOLD)
        if self._sender.contact:
            self._y -= 2 * mm
            self._paragraph(self._text("help", contact=self._sender.contact))
        self._foot()

    def _text(self, key: str, **fields: str) -> str:
        return words(self._sender.language, f"letter.{key}", **fields)

    def _day(self, moment: datetime) -> str:
        day = local_date(moment)
        return day.strftime("%d/%m/%Y")

    def _centred(self, text: str, font: str, size: float) -> None:
        for part in _wrapped(text, font, size, _TEXT_WIDTH):
            self._canvas.setFont(font, size)
            self._canvas.drawCentredString(_LEFT + _TEXT_WIDTH / 2, self._y, part)
            self._y -= size * 1.4

    def _line(self, text: str, font: str = _REGULAR) -> None:
        self._paragraph(text, font=font)

    def _paragraph(self, text: str, *, font: str = _REGULAR, indent: float = 0) -> None:
        for part in _wrapped(text, font, _SIZE, _TEXT_WIDTH - indent):
            self._canvas.setFont(font, _SIZE)
            self._canvas.drawString(_LEFT + indent, self._y, part)
            self._y -= _LINE

    def _box(self) -> None:
        """Address and link, with the QR code beside them."""
        letter, canvas = self._letter, self._canvas
        height = _QR + 8 * mm
        top = self._y + 4 * mm
        canvas.setLineWidth(0.7)
        canvas.roundRect(_LEFT, top - height, _TEXT_WIDTH, height, 2 * mm)
        self._qr(_WIDTH - _RIGHT - _QR - 4 * mm, top - height + 4 * mm)
        room = _TEXT_WIDTH - _QR - 14 * mm
        y = top - 8 * mm
        shown = (
            (self._text("address"), letter.address, _BOLD),
            (self._text("link"), letter.link, _REGULAR),
            (
                self._text("until"),
                letter.expires_at.astimezone(VIETNAM).strftime("%H:%M %d/%m/%Y"),
                _BOLD,
            ),
        )
        for label, value, font in shown:
            canvas.setFont(_REGULAR, 9)
            canvas.drawString(_LEFT + 4 * mm, y, label)
            y -= 5 * mm
            for part in _wrapped(value, font, _SIZE, room):
                canvas.setFont(font, _SIZE)
                canvas.drawString(_LEFT + 4 * mm, y, part)
                y -= 5 * mm
            y -= 1 * mm
        self._y = top - height - 6 * mm

    def _qr(self, x: float, y: float) -> None:
        rows = [bytes(row) for row in segno.make_qr(self._letter.link, error="m").matrix]
        side = _QR / len(rows)
        self._canvas.setFillGray(0)
        for line, row in enumerate(rows):
            for column, dark in enumerate(row):
                if dark:
                    # A hair of overlap, or printers leave white lines between the modules.
                    self._canvas.rect(
                        x + column * side,
                        y + _QR - (line + 1) * side,
                        side + 0.1,
                        side + 0.1,
                        stroke=0,
                        fill=1,
                    )

    def _foot(self) -> None:
        """Where to fold, so that what is secret lies inside."""
        canvas = self._canvas
        canvas.setDash(2, 3)
        canvas.setLineWidth(0.4)
        for x in (5 * mm, _WIDTH - 15 * mm):
            canvas.line(x, _HEIGHT / 2, x + 10 * mm, _HEIGHT / 2)
        canvas.setDash()
        canvas.setFont(_REGULAR, 8.5)
        canvas.drawCentredString(_LEFT + _TEXT_WIDTH / 2, _BOTTOM, self._text("fold"))


def _wrapped(text: str, font: str, size: float, width: float) -> Iterator[str]:
    """The text in lines that fit; a word longer than a line, such as a link, is cut."""
    line = ""
    for word in text.split():
        wider = f"{line} {word}".strip()
        if pdfmetrics.stringWidth(wider, font, size) <= width:
            line = wider
            continue
        if line:
            yield line
        line = word
        while pdfmetrics.stringWidth(line, font, size) > width:
            fits = len(line)
            while pdfmetrics.stringWidth(line[:fits], font, size) > width:
                fits -= 1
            yield line[:fits]
            line = line[fits:]
    if line:
        yield line
