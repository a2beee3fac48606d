"""Workbooks that clerks get from us: the template, the rows that were rejected, and the export."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import xlsxwriter
from sqlmodel import Session, col, select
from xlsxwriter.exceptions import FileCreateError

from mailgov.access import branch
from mailgov.bulk.columns import REJECT_HEADINGS, Field, Table
from mailgov.bulk.plan import Planned
from mailgov.bulk.staff import FIELDS, GROUPS, KINDS
from mailgov.db.models import Agency, Mailbox, Person
from mailgov.directory.provisioning import get_agency
from mailgov.errors import InputError
from mailgov.texts import Language, tell

_WIDTHS = {"full_name": 26, "address": 34, "title": 24, "agency_code": 14}
_CHOICES = {"kind": list(KINDS.values()), "group": list(GROUPS.values())}
_TEMPLATE_ROWS = 5000


def write_template(
    file: Path,
    notes: Mapping[str, str],
    fields: Sequence[Field] = FIELDS,
    choices: Mapping[str, Sequence[str]] = _CHOICES,
) -> None:
    """An empty list with a note on every heading and drop-down lists.

    Raises InputError `file-unwritable`.
    """
    with open_book(file) as book:
        sheet = book.add_worksheet("Danh sách")
        bold = book.add_format(
            {"bold": True, "bg_color": "#E8EEF7", "border": 1, "text_wrap": True}
        )
        text = book.add_format({"num_format": "@"})  # staff numbers keep their leading zeros
        for column, field in enumerate(fields):
            heading = field.headings[0] + (" *" if field.required else "")
            sheet.write_string(0, column, heading, bold)
            sheet.set_column(column, column, _WIDTHS.get(field.name, 16), text)
            sheet.write_comment(0, column, notes[field.name])
            if field.name in choices:
                choice = {"validate": "list", "source": list(choices[field.name])}
                sheet.data_validation(1, column, _TEMPLATE_ROWS, column, choice)
        sheet.freeze_panes(1, 0)


def write_rejects(file: Path, table: Table, rows: Iterable[Planned], language: Language) -> int:
    """The rejected and doubtful rows as they were, with what is wrong and how to mend it.

    Corrected, the file can be imported as it is. Returns the rows. Raises InputError
    `file-unwritable`.
    """
    by_number = {row.number: row for row in table.rows}
    width = len(table.heading_row.cells)
    written = 0
    with open_book(file) as book:
        sheet = book.add_worksheet("Lỗi")
        bold = book.add_format({"bold": True, "bg_color": "#FBE9E7", "border": 1})
        wrong = book.add_format({"bg_color": "#FFF3E0"})
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        for column, heading in enumerate((*table.heading_row.cells, *REJECT_HEADINGS)):
            sheet.write_string(0, column, heading, bold)
        sheet.set_column(0, width - 1, 18)
        sheet.set_column(width, width + 1, 12)
        sheet.set_column(width + 2, width + 3, 60, wrap)
        for line, planned in enumerate(rows, 1):
            bad = {table.places[p.field] for p in planned.problems if p.field in table.places}
            for column, cell in enumerate(by_number[planned.number].cells):
                sheet.write_string(line, column, cell, wrong if column in bad else None)
            told = [tell(problem.error, language) for problem in planned.problems]
            columns = dict.fromkeys(table.heading(problem.field) for problem in planned.problems)
            sheet.write_number(line, width, planned.number)
            sheet.write_string(line, width + 1, ", ".join(columns))
            sheet.write_string(line, width + 2, "\n".join(text for text, _ in told))
            sheet.write_string(line, width + 3, "\n".join(mend for _, mend in told))
            written = line
        sheet.freeze_panes(1, 0)
    return written


EXPORT_FIELDS = tuple(field.name for field in FIELDS)


def export_rows(session: Session, within: str = "") -> list[dict[str, object]]:
    """Every mailbox as a row that an import finds unchanged; `within` is the top of a branch.

    Raises NotFound `agency-unknown`.
    """
    query = (
        select(Mailbox, Person, Agency.code)
        .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
        .join(Person, col(Mailbox.person_id) == col(Person.id), isouter=True)
        .where(Mailbox.state != "recalled")
        .order_by(Agency.code, Mailbox.address)
    )
    if within:
        codes = branch(session, get_agency(session, within).code)
        query = query.where(col(Agency.code).in_(codes))
    return [_export_row(mailbox, person, code) for mailbox, person, code in session.exec(query)]


def _export_row(mailbox: Mailbox, person: Person | None, code: str) -> dict[str, object]:
    return {
        "staff_no": person.staff_no if person else "",
        "full_name": person.full_name if person else mailbox.display_name,
        "agency_code": code,
        "title": person.title if person else "",
        "group": GROUPS.get(person.staff_group, "") if person else "",
        "address": mailbox.address,
        "kind": KINDS.get(mailbox.kind, mailbox.kind),
        "quota_mb": mailbox.quota_mb,
        "phone": person.phone if person else "",
        "effective_on": person.joined_on if person else None,
    }


def write_export(
    file: Path, rows: Iterable[Mapping[str, object]], fields: Sequence[Field] = FIELDS
) -> None:
    """The export as a workbook with Vietnamese headings. Raises InputError `file-unwritable`."""
    with open_book(file) as book:
        sheet = book.add_worksheet("Danh sách")
        bold = book.add_format({"bold": True, "bg_color": "#E8EEF7", "border": 1})
        for column, field in enumerate(fields):
            sheet.write_string(0, column, field.headings[0], bold)
            sheet.set_column(column, column, _WIDTHS.get(field.name, 16))
        for line, row in enumerate(rows, 1):
            for column, field in enumerate(fields):
                value = row[field.name]
                sheet.write_string(line, column, "" if value is None else str(value))
        sheet.freeze_panes(1, 0)


@contextmanager
def open_book(file: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook that takes no text for a formula. Raises InputError `file-unwritable`."""
    book = xlsxwriter.Workbook(str(file), {"strings_to_formulas": False})
    yield book
    try:
        book.close()
    except (OSError, FileCreateError) as exc:
        raise InputError("file-unwritable", file=file, reason=str(exc)) from exc
