"""Headings: found in any order, under titles and merged cells, in Vietnamese or English.

Compared without case, marks and signs: `Họ và tên`, `HO VA TEN` and `ho_va_ten` are one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailgov.bulk.sheets import Row, Sheet
from mailgov.errors import InputError
from mailgov.texts import without_marks

_SEARCHED = 30  # lines above the headings, at most: titles of the agency and of the list
_LEAST = 2  # known headings that make a line the headings


@dataclass(frozen=True, slots=True)
class Field:
    """A column that means something."""

    name: str
    headings: tuple[str, ...]  # the first is the one that the template writes
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet whose headings are understood."""

    sheet: Sheet
    heading_row: Row
    places: Mapping[str, int]  # field: column
    unknown: tuple[str, ...]  # headings that mean nothing to us
    rows: tuple[Row, ...]

    def heading(self, field: str) -> str:
        """What the clerk called this column; our own name where it isn't there."""
        place = self.places.get(field)
        return field if place is None else self.heading_row.cells[place]

    def values(self, row: Row) -> dict[str, str]:
        """The cells of a row by field; those that are not there are empty."""
        cells = row.cells
        return {
            name: cells[place] if place < len(cells) else "" for name, place in self.places.items()
        }


# What our own reject workbook adds; so that it can be corrected and imported as it is.
REJECT_HEADINGS = ("Dòng", "Cột", "Lỗi", "Cách sửa")
_IGNORED = ("stt", "tt", "so thu tu", "no", "ghi chu", "note", "notes")


def simple(heading: str) -> str:
    """A heading without case, marks and signs; what stands in brackets is a note."""
    plain = without_marks(re.sub(r"\(.*?\)|\*", " ", heading)).lower()
    return " ".join(re.findall(r"[a-z0-9]+", plain))


def find_columns(file: str, sheet: Sheet, fields: Sequence[Field]) -> Table:
    """The table in the sheet.

    Raises InputError `headings-missing` when no line looks like headings or a required one is
    missing, `heading-twice` when two columns mean the same.
    """
    by_name = {
        simple(name): field.name for field in fields for name in (field.name, *field.headings)
    }
    row = _heading_row(sheet, by_name)
    missing = [field.headings[0] for field in fields if field.required]
    if row is None:
        raise InputError(
            "headings-missing", file=file, sheet=sheet.name, missing=", ".join(missing)
        )
    places: dict[str, int] = {}
    unknown: list[str] = []
    ignored = {*_IGNORED, *(simple(name) for name in REJECT_HEADINGS)}
    for place, cell in enumerate(row.cells):
        name = by_name.get(simple(cell))
        if name is None:
            if cell and simple(cell) not in ignored:
                unknown.append(cell)
        elif name in places:
            raise InputError("heading-twice", file=file, first=row.cells[places[name]], second=cell)
        else:
            places[name] = place
    missing = [field.headings[0] for field in fields if field.required and field.name not in places]
    if missing:
        raise InputError(
            "headings-missing", file=file, sheet=sheet.name, missing=", ".join(missing)
        )
    rows = tuple(below for below in sheet.rows if below.number > row.number)
    return Table(sheet, row, places, tuple(unknown), rows)


def _heading_row(sheet: Sheet, by_name: Mapping[str, str]) -> Row | None:
    """The line with the most known headings, the upper one of equals."""
    best, most = None, _LEAST - 1
    for row in sheet.rows[:_SEARCHED]:
        known = len({by_name.get(simple(cell)) for cell in row.cells} - {None})
        if known > most:
            best, most = row, known
    return best
