"""A finished report as text, CSV, XLSX or JSON; the same bytes from every face but for the time."""

import csv
import io
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import xlsxwriter

from mailgov.clock import VIETNAM
from mailgov.reports.engine import Column, Line, Result
from mailgov.texts import Language, words

# Spreadsheets run what starts like a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def column_title(result: Result, column: Column, language: Language) -> str:
    """The heading of a column."""
    return words(language, f"report.{result.definition.key}.{column.key}")


def name(result: Result, language: Language) -> str:
    """The report's name."""
    return words(language, f"report.{result.definition.key}.name")


def definition_text(result: Result, language: Language) -> str:
    """The definition, as it stands beside every number."""
    return words(language, f"report.{result.definition.key}.definition")


def line_name(result: Result, line: Line, language: Language) -> str:
    """What a line is about: a unit's name, a category's or a rule's title."""
    if line is result.total:
        return words(language, "report.words.total")
    if result.by == "category":
        return words(language, f"category.{line.key}.name")
    if result.by == "rule":
        return words(language, f"rule.{line.key}.title")
    return line.name


def value_text(value: int | Decimal | None, language: Language, *, hidden: bool = False) -> str:
    """A number for people: 1.234,5 in Vietnamese, 1,234.5 in English; `–` for nothing over nothing."""
    if hidden:
        return words(language, "report.words.small_group")
    if value is None:
        return "–"
    text = f"{value:,.1f} %" if isinstance(value, Decimal) else f"{value:,}"
    return text.translate(str.maketrans(",.", ".,")) if language == "vi" else text


def headings(result: Result, language: Language) -> list[str]:
    """The head of the table: key, name, then each column."""
    titles = [column_title(result, column, language) for column in result.definition.columns]
    return [
        words(language, f"report.words.{result.by}"),
        words(language, "report.words.name"),
        *titles,
    ]


def lines(result: Result) -> Sequence[Line]:
    """The total first, then its parts."""
    return (result.total, *result.lines)


def as_records(result: Result) -> dict[str, Any]:
    """The report for other programs: `report.run/1`."""
    return {
        "report": result.definition.key,
        "definition_version": result.definition.version,
        "period": result.period.key,
        "first": result.period.first.isoformat(),
        "last": result.period.last.isoformat(),
        "agency": result.unit.code if result.unit else None,
        "by": result.by,
        "provisional": result.provisional,
        "made_at": result.made_at.astimezone(VIETNAM).isoformat(timespec="seconds"),
        "sha256": result.sha256,
        "total": _record(result.total),
        "rows": [_record(line) for line in result.lines],
    }


def _record(line: Line) -> dict[str, Any]:
    values = {
        key: float(value) if isinstance(value, Decimal) else value
        for key, value in line.values.items()
    }
    return {"key": line.key, "name": line.name, "hidden": line.hidden, **values}


def as_csv(result: Result, language: Language) -> bytes:
    """UTF-8 with mark, comma, point decimals, one header row (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(headings(result, language))
    for line in lines(result):
        cells = [
            words(language, "report.words.small_group") if line.hidden else _plain(value)
            for value in line.values.values()
        ]
        writer.writerow([_harmless(line.key), _harmless(line_name(result, line, language)), *cells])
    return b"\xef\xbb\xbf" + buffer.getvalue().encode("utf-8")


def _plain(value: int | Decimal | None) -> str:
    return "" if value is None else str(value)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def as_xlsx(result: Result, language: Language) -> bytes:
    """Sheets: summary, figures, definition, source. Numbers as numbers, text as text."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False})
    book.set_properties(
        {"title": name(result, language), "created": result.made_at.replace(tzinfo=None)}
    )
    bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    _facts_sheet(
        book, words(language, "report.words.summary"), _summary(result, language), bold, wrap
    )
    _figures_sheet(book, result, language, bold)
    definition = [(name(result, language), definition_text(result, language))]
    _facts_sheet(book, words(language, "report.words.definition"), definition, bold, wrap)
    _facts_sheet(
        book, words(language, "report.words.source"), _source(result, language), bold, wrap
    )
    book.close()
    return buffer.getvalue()


def _facts_sheet(
    book: Any, title: str, facts: Sequence[tuple[str, str]], bold: Any, wrap: Any
) -> None:
    sheet = book.add_worksheet(title)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 80)
    for row, (label, text) in enumerate(facts):
        sheet.write_string(row, 0, label, bold)
        sheet.write_string(row, 1, text, wrap)


def _figures_sheet(book: Any, result: Result, language: Language, bold: Any) -> None:
    sheet = book.add_worksheet(words(language, "report.words.figures"))
    rate = book.add_format({"num_format": "0.0"})
    sheet.freeze_panes(1, 2)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_column(0, 0, 14)
    sheet.set_column(1, 1, 48)
    for column, title in enumerate(headings(result, language)):
        sheet.write_string(0, column, title, bold)
    for row, line in enumerate(lines(result), start=1):
        sheet.write_string(row, 0, line.key)
        sheet.write_string(row, 1, line_name(result, line, language))
        for column, value in enumerate(line.values.values(), start=2):
            if line.hidden:
                sheet.write_string(row, column, words(language, "report.words.small_group"))
            elif isinstance(value, Decimal):
                sheet.write_number(row, column, float(value), rate)
            elif value is not None:
                sheet.write_number(row, column, value)
    sheet.print_area(0, 0, len(result.lines) + 1, len(result.definition.columns) + 1)


def _summary(result: Result, language: Language) -> list[tuple[str, str]]:
    figures = [
        (
            column_title(result, column, language),
            value_text(result.total.values[column.key], language, hidden=result.total.hidden),
        )
        for column in result.definition.columns
    ]
    unit = result.unit.name_vi if result.unit else words(language, "report.words.everything")
    return [
        (words(language, "report.words.report"), name(result, language)),
        (words(language, "report.words.agency"), unit),
        (words(language, "report.words.period"), period_text(result)),
        *figures,
    ]


def _source(result: Result, language: Language) -> list[tuple[str, str]]:
    return [
        (words(language, "report.words.source"), words(language, "report.words.source_text")),
        (words(language, "report.words.version"), str(result.definition.version)),
        (words(language, "report.words.made_at"), made_at_text(result)),
        ("SHA-256", result.sha256),
    ]


def period_text(result: Result) -> str:
    """`2026-10 (01/10/2026 – 31/10/2026)`."""
    period = result.period
    return f"{period.key} ({period.first:%d/%m/%Y} – {period.last:%d/%m/%Y})"


def made_at_text(result: Result) -> str:
    """The time of the data, day first."""
    return f"{result.made_at.astimezone(VIETNAM):%d/%m/%Y %H:%M}"


RENDERERS: dict[str, Callable[[Result, Language], bytes]] = {"csv": as_csv, "xlsx": as_xlsx}
