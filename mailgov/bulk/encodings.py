"""Private encodings in a sheet: found as in any document, refused, or brought to Unicode on demand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mailgov.bulk.sheets import Row, Sheet, tidy
from mailgov.content import legacy_text
from mailgov.content.runs import Run
from mailgov.errors import InputError

# A code page of its own and letters encoded twice mean one thing only: they are read without asking.
_READ_UNASKED = frozenset({"cp1258", "utf8-as-cp1252"})


@dataclass(frozen=True, slots=True)
class Settled:
    """A sheet in Unicode, and the cells of which that is doubtful."""

    sheet: Sheet
    converted: int  # cells
    doubtful: frozenset[tuple[int, int]]  # row number, column: too few words to be sure


def settle(file: str, sheet: Sheet, *, convert: bool) -> Settled:
    """The sheet with every cell in Unicode NFC.

    Raises InputError `sheet-legacy` for a private encoding such as TCVN3 unless `convert`.
    """
    places = [
        (row.number, column)
        for row in sheet.rows
        for column, cell in enumerate(row.cells)
        if not cell.isascii()
    ]
    cells = {row.number: row.cells for row in sheet.rows}
    runs = [Run(cells[number][column], f"{number}:{column}") for number, column in places]
    reading = legacy_text.read(runs)
    for text in reading.texts:
        if text.encoding not in _READ_UNASKED and text.certain and not convert:
            raise InputError(
                "sheet-legacy",
                file=file,
                encoding=text.encoding.upper(),
                row=text.place.partition(":")[0],
                as_read=text.as_read[:60],
                converted=text.converted[:60],
            )
    changed = {
        place: run.text
        for place, before, run in zip(places, runs, reading.runs, strict=True)
        if tidy(run.text) != tidy(before.text)
    }
    sure = convert or all(text.encoding in _READ_UNASKED for text in reading.texts)
    encoding = sheet.encoding or next((text.encoding for text in reading.texts if sure), "")
    rows = tuple(_settled(sheet, changed if sure else {}))
    return Settled(
        replace(sheet, rows=rows, encoding=encoding),
        len(changed) if sure else 0,
        frozenset() if sure else frozenset(changed),
    )


def _settled(sheet: Sheet, changed: dict[tuple[int, int], str]) -> Iterator[Row]:
    for row in sheet.rows:
        yield Row(
            row.number,
            tuple(
                tidy(changed.get((row.number, column), cell))
                for column, cell in enumerate(row.cells)
            ),
        )
