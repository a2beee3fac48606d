"""Tables out of files: .xlsx, .xls, .ods, .csv, .tsv, every cell as the text that a clerk sees."""

import codecs
import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetVisibleEnum,
    load_workbook,
)

from mailgov.content.extract import plain
from mailgov.errors import InputError, NotFound

MiB = 1 << 20
MAX_FILE_BYTES = 100 * MiB
MAX_UNPACKED_BYTES = 1024 * MiB  # of all members of a workbook, as its directory declares them
MAX_ROWS = 1_048_576  # what a sheet of Excel can hold
MAX_COLUMNS = 200
MAX_CELLS = 6_000_000  # of the rectangle around all that hold something: read, each takes memory
MAX_CELL = 4000  # letters; nothing that belongs in a list of people is longer

_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_SEPARATORS = {".tsv": "\t"}
_SNIFFED = ",;\t|"
_ZIP, _COMPOUND = b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4.4
# A cell that holds something, with its column and row; an empty formatted one closes itself.
_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"[^>]*(?<!/)>')
_CHUNK = 1 << 20
_OVERLAP = 512  # octets that a cell's tag may have


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the sheet. `number` is what the spreadsheet program shows beside it."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as read, empty lines left out."""

    name: str  # of the sheet, or of the file
    rows: tuple[Row, ...]
    encoding: str = ""  # of a text file, as found; empty where bytes alone don't tell
    separator: str = ""


def read_sheet(file: Path, sheet: str = "") -> Sheet:
    """The first sheet that is not hidden, or the one of that name.

    Raises InputError `file-unreadable`, `file-too-large`, `sheet-kind`, `sheet-damaged`,
    `sheet-locked`, `sheet-encoding`, `sheet-too-large`; NotFound `sheet-unknown`.
    """
    kind = file.suffix.lower()
    if kind not in (*_WORKBOOKS, ".csv", ".tsv", ".txt"):
        raise InputError(
            "sheet-kind", file=file.name, kinds=", ".join((*_WORKBOOKS, ".csv", ".tsv"))
        )
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError("file-too-large", file=file.name, limit_mb=MAX_FILE_BYTES // MiB)
        data = file.read_bytes()
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    # What the bytes are counts, not how somebody named them.
    if data.startswith((_ZIP, _COMPOUND)) or (kind in _WORKBOOKS and not _is_plain(data)):
        return _workbook(file.name, data, sheet)
    return _text(file.name, data, _SEPARATORS.get(kind, ""))


def _is_plain(data: bytes) -> bool:
    """Whether a file named like a workbook is lines of text; pages of the web are not."""
    head = data[:4096]
    return b"\0" not in head and b"\n" in head and not head.lstrip().startswith(b"<")


def _workbook(name: str, data: bytes, wanted: str) -> Sheet:
    if data.startswith(_COMPOUND) and _ENCRYPTED in data:
        raise InputError("sheet-locked", file=name)
    try:
        _require_small(name, data)
        with load_workbook(io.BytesIO(data)) as book:
            title = _title(name, book, wanted)
            found = book.get_sheet_by_name(title)
            if found.width > MAX_COLUMNS or found.height > MAX_ROWS:
                raise InputError("sheet-too-large", file=name, rows=MAX_ROWS, columns=MAX_COLUMNS)
            lines = ([_shown(cell) for cell in row] for row in found.iter_rows())
            return Sheet(title, _rows(lines))
    except PasswordError as exc:
        raise InputError("sheet-locked", file=name) from exc
    except (CalamineError, zipfile.BadZipFile, ValueError) as exc:
        raise InputError("sheet-damaged", file=name) from exc


def _require_small(name: str, data: bytes) -> None:
    """A workbook that unpacks to more than any list of people is refused unopened."""
    if not data.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
            raise InputError("file-too-large", file=name, limit_mb=MAX_UNPACKED_BYTES // MiB)
        for member in members:
            if re.fullmatch(r"xl/worksheets/[^/]+\.xml", member.filename):
                with archive.open(member) as stream:
                    _require_bounded(name, stream)


def _require_bounded(name: str, stream: IO[bytes]) -> None:
    """Two cells in opposite corners make a rectangle that no memory holds: looked for beforehand.

    Raises InputError `sheet-too-large`.
    """
    width = height = 0
    rest = b""
    while chunk := stream.read(_CHUNK):
        window = rest + chunk
        for column, row in _CELL.findall(window):
            place = 0
            for letter in column:
                place = place * 26 + letter - 64
            width, height = max(width, place), max(height, int(row))
        if width > MAX_COLUMNS or height > MAX_ROWS or width * height > MAX_CELLS:
            raise InputError("sheet-too-large", file=name, rows=MAX_ROWS, columns=MAX_COLUMNS)
        rest = window[-_OVERLAP:]


def _title(name: str, book: CalamineWorkbook, wanted: str) -> str:
    titles = [sheet.name for sheet in book.sheets_metadata]
    if wanted:
        if wanted not in titles:
            raise NotFound("sheet-unknown", file=name, sheet=wanted, known=", ".join(titles))
        return wanted
    visible = [s.name for s in book.sheets_metadata if s.visible == SheetVisibleEnum.Visible]
    if not (visible or titles):
        raise InputError("sheet-damaged", file=name)
    return (visible or titles)[0]


def _shown(cell: object) -> str:
    """A cell as text: whole numbers without a decimal point, dates in ISO form."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return (cell.date() if cell.time() == time() else cell).isoformat()
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)


def _text(name: str, data: bytes, separator: str) -> Sheet:
    encoding, text = _decoded(data)
    if not separator:
        separator = _separator(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as exc:
        raise InputError("sheet-damaged", file=name) from exc
    if len(lines) > MAX_ROWS or any(len(line) > MAX_COLUMNS for line in lines):
        raise InputError("sheet-too-large", file=name, rows=MAX_ROWS, columns=MAX_COLUMNS)
    return Sheet(name, _rows(lines), encoding, separator)


def _decoded(data: bytes) -> tuple[str, str]:
    """UTF-8 or UTF-16; of anything else the letters that its bytes look like, to be judged later."""
    for encoding in ("utf-8-sig", "utf-16"):
        if encoding == "utf-16" and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            break
        try:
            return encoding.removesuffix("-sig"), data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return "", plain.decode(data)


def _separator(text: str) -> str:
    """The sign that cuts the first lines into the most cells."""
    head = text[:20_000].splitlines()[:30]
    return max(_SNIFFED, key=lambda sign: sum(line.count(sign) for line in head))


def _rows(lines: Iterable[Sequence[str]]) -> tuple[Row, ...]:
    return tuple(_full(lines))


def _full(lines: Iterable[Sequence[str]]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        cells = tuple(cell[:MAX_CELL].strip() for cell in line)
        if any(cells):
            yield Row(number, cells)


def tidy(cell: str) -> str:
    """One line of NFC text, without what can't be seen; no-break spaces are spaces."""
    if cell.isascii() and cell.isprintable():
        return cell
    text = unicodedata.normalize("NFC", cell)
    seen = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Co", "Cs"))
    return " ".join(seen.split())
