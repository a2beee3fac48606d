"""Data on stdout: tables for people, plain rows and JSON for programs."""

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TextIO

from mailgov.clock import VIETNAM
from mailgov.texts import Language
from mailgov_cli import words

Row = Mapping[str, Any]

LIMIT = 1000  # rows of a page, when nothing else is asked for

_LEAST_WIDTH = 8  # a column is never cut below this
_GAP = "  "


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    TSV = "tsv"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def write(
    stream: TextIO,
    form: Format,
    schema: str,
    rows: Iterable[Row],
    fields: Sequence[str],
    *,
    language: Language,
    width: int | None = None,
    single: bool = False,
    cursor: str | None = None,
) -> None:
    """Write rows with these fields.

    `width` is the terminal's, in letters: tables are cut to it; None cuts nothing. `single` marks
    one record, which a table shows field by field. `cursor` is where the next page begins. But for
    tables, rows are written as they come, however many there are.
    """
    chosen = ({field: row.get(field) for field in fields} for row in rows)
    match form:
        case Format.JSON:
            stream.write(f'{{"schema": {_json(schema)}, "data": [')
            for number, row in enumerate(chosen):
                plain_row = _json({key: plain(value) for key, value in row.items()})
                stream.write(f", {plain_row}" if number else plain_row)
            stream.write(f'], "next": {_json(cursor)}}}\n')
        case Format.JSONL:
            stream.writelines(
                _json({key: plain(value) for key, value in row.items()}) + "\n" for row in chosen
            )
        case Format.CSV:
            writer = csv.writer(stream, lineterminator="\r\n")  # RFC 4180
            writer.writerow(fields)
            writer.writerows([_harmless(_flat(value)) for value in row.values()] for row in chosen)
        case Format.TSV:
            stream.write("\t".join(fields) + "\n")
            stream.writelines(
                "\t".join(one_line(_flat(v)) for v in row.values()) + "\n" for row in chosen
            )
        case Format.TABLE if single:
            for row in chosen:
                _write_record(stream, row, language)
        case Format.TABLE:
            _write_table(stream, list(chosen), fields, language, width)


def plain(value: Any) -> Any:
    """The value as JSON has it; moments by RFC 3339 with the offset of Vietnam."""
    if isinstance(value, datetime):
        return value.astimezone(VIETNAM).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _flat(value: Any) -> str:
    """One cell of a plain row."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, dict):
        return _json(value) if value else ""
    return str(value)


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def one_line(text: str) -> str:
    """Text from anywhere, safe on a terminal: no control characters, no line breaks."""
    if text.isascii() and text.isprintable():  # most cells of long lists
        return text
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c
        for c in unicodedata.normalize("NFC", text)
    )


def _shown(field: str, value: Any, language: Language) -> str:
    """One cell as people read it; words of a fixed list, such as states, in their language."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return words.find(language, "value", "bool", "yes" if value else "no")
    if isinstance(value, datetime):
        return value.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S")
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y")
    if isinstance(value, int):
        grouped = f"{value:,}"
        return grouped.replace(",", ".") if language == "vi" else grouped
    if isinstance(value, float):
        return f"{value:.1f}".replace(".", ",") if language == "vi" else f"{value:.1f}"
    if isinstance(value, Mapping):
        return "; ".join(_pair(field, key, item, language) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(field, item, language) for item in value)
    if isinstance(value, str) and field == "field":
        return heading(value, language)
    if isinstance(value, str):
        return one_line(words.find(language, "value", field, value) or value)
    return one_line(_flat(value))


def _pair(field: str, key: str, item: Any, language: Language) -> str:
    """One pair of a mapping: names under words of a fixed list, else fields under values."""
    if field == "changes":
        old, new = item
        told = f"{old} → {new or '—'}" if old else str(new)
        return f"{heading(key, language)}: {one_line(told)}"
    if word := words.find(language, "value", field, str(item)):
        return f"{key}: {word}"
    return f"{heading(key, language)}: {_shown(key, item, language)}"


def heading(field: str, language: Language) -> str:
    """The column's name for people."""
    return words.find(language, "column", field) or field


def _write_record(stream: TextIO, row: Row, language: Language) -> None:
    names = {field: heading(field, language) for field in row}
    width = max((len(name) for name in names.values()), default=0)
    for field, value in row.items():
        lines = list(_record_lines(field, value, language))
        stream.write(f"{names[field]:<{width}}{_GAP}{lines[0] if lines else ''}".rstrip() + "\n")
        stream.writelines(" " * width + _GAP + line + "\n" for line in lines[1:])


def _record_lines(field: str, value: Any, language: Language) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _record_lines(field, item, language)
    elif isinstance(value, Mapping):
        shown = (_shown(key, item, language) for key, item in value.items())
        yield _GAP.join(cell for cell in shown if cell)
    else:
        yield _shown(field, value, language)


def _write_table(
    stream: TextIO,
    rows: Sequence[Row],
    fields: Sequence[str],
    language: Language,
    width: int | None,
) -> None:
    heads = [heading(field, language) for field in fields]
    cells = [[_shown(field, value, language) for field, value in row.items()] for row in rows]
    widths = _widths([heads, *cells], width)
    right = [_is_number(row.get(field) for row in rows) for field in fields]
    for line in (heads, ["─" * size for size in widths], *cells):
        padded = (
            _fit(cell, size, to_right)
            for cell, size, to_right in zip(line, widths, right, strict=True)
        )
        stream.write(_GAP.join(padded).rstrip() + "\n")


def _is_number(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in present
    )


def _fit(cell: str, width: int, to_right: bool) -> str:
    cut = cell if len(cell) <= width else cell[: width - 1] + "…"
    return cut.rjust(width) if to_right else cut.ljust(width)


def _widths(lines: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Column widths; the widest are narrowed until the table fits the terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    while width and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = widths.index(max(widths))
        if widths[widest] <= _LEAST_WIDTH:
            break
        widths[widest] -= 1
    return widths
