"""One import from file to directory: prepare, preview, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mailgov.bulk import encodings
from mailgov.bulk.apply import Writing, write_rows
from mailgov.bulk.columns import Table, find_columns
from mailgov.bulk.missing import Missing, find_missing
from mailgov.bulk.plan import Planned, Planner, in_portions
from mailgov.bulk.sheets import read_sheet
from mailgov.bulk.staff import FIELDS
from mailgov.db import Database
from mailgov.directory.change import Act


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that is read and understood, not yet compared with anything."""

    table: Table
    doubtful: frozenset[tuple[int, int]]
    converted: int  # cells brought to Unicode


def prepare(file: Path, *, sheet: str = "", convert_legacy: bool = False) -> Prepared:
    """Read a staff list.

    Raises InputError: those of `read_sheet`, `settle` and `find_columns`; NotFound `sheet-unknown`.
    """
    settled = encodings.settle(file.name, read_sheet(file, sheet), convert=convert_legacy)
    table = find_columns(file.name, settled.sheet, FIELDS)
    return Prepared(table, settled.doubtful, settled.converted)


def preview(database: Database, prepared: Prepared, today: date) -> list[Planned]:
    """What an import would do with each row, now."""
    with database.read() as session:
        planner = Planner(session, prepared.table, today, prepared.doubtful)
        return [
            planned
            for rows in in_portions(prepared.table.rows)
            for planned in planner.plan(session, rows)
        ]


def missing(database: Database, planned: Sequence[Planned], most_percent: float) -> list[Missing]:
    """Whom the file leaves out, of the agencies that it names. Raises Conflict `import-too-many-missing`."""
    agencies = {row.agency.code for row in planned if row.agency is not None}
    numbers = {row.row.staff_no for row in planned if row.row is not None}
    with database.read() as session:
        return find_missing(session, agencies, numbers, most_percent)


def write(
    database: Database,
    prepared: Prepared,
    act: Act,
    job_id: str,
    told: Callable[[Sequence[Planned]], None],
) -> None:
    """Write what can be written; `told` hears of each portion when it is durable.

    Raises Conflict `import-raced`.
    """
    write_rows(database, prepared.table, prepared.doubtful, Writing(act, job_id, told))
