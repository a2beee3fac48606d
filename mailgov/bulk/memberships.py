"""Members of groups out of a sheet: what each row would bring, and the writing of it.

Preview and writing are the same work, in a transaction that is kept or not. Groups are written one by
one, each whole; what is there already is passed over, so a file may be read again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from mailgov.bulk import encodings
from mailgov.bulk.columns import Field, Table, find_columns
from mailgov.bulk.plan import Planned
from mailgov.bulk.sheets import read_sheet
from mailgov.bulk.staff import Problem
from mailgov.directory.change import Act, Change
from mailgov.directory.provisioning.groups import add_members
from mailgov.errors import InputError, MailgovError, NotFound

FIELDS = (
    Field("group", ("Nhóm", "Địa chỉ nhóm", "Group", "Group address"), required=True),
    Field(
        "member",
        ("Thành viên", "Địa chỉ thành viên", "Địa chỉ thư", "Hộp thư", "Member", "Email"),
        required=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One row of the sheet."""

    number: int
    group: str
    member: str  # address of a mailbox or group, or code of an agency


def prepare(file: Path, *, sheet: str = "") -> Table:
    """Read a list of groups and members.

    Raises InputError: those of `read_sheet`, `settle` and `find_columns`; NotFound `sheet-unknown`.
    """
    settled = encodings.settle(file.name, read_sheet(file, sheet), convert=False)
    return find_columns(file.name, settled.sheet, FIELDS)


def by_group(table: Table) -> Iterator[Sequence[Wanted]]:
    """The rows of each group, groups in the order in which the sheet first names them."""
    found: dict[str, list[Wanted]] = {}
    for row in table.rows:
        values = table.values(row)
        wanted = Wanted(row.number, values["group"].strip().lower(), values["member"].strip())
        found.setdefault(wanted.group, []).append(wanted)
    yield from found.values()


def write_group(session: Session, act: Act, rows: Sequence[Wanted], most: int) -> list[Planned]:
    """Put the members of one group in; what became of each row."""
    named = [row for row in rows if row.group and row.member]
    outcomes: dict[int, Change | MailgovError] = {}
    if named:
        try:
            told = add_members(session, act, named[0].group, [row.member for row in named], most)
        except NotFound as error:  # the group itself
            told = [error] * len(named)
        outcomes = {row.number: one for row, one in zip(named, told, strict=True)}
    return [_planned(row, outcomes.get(row.number)) for row in rows]


def _planned(row: Wanted, outcome: Change | MailgovError | None) -> Planned:
    planned = Planned(number=row.number, verb="reject", key=row.group, name=row.member)
    if outcome is None:
        planned.problems = (Problem("member" if row.group else "group", InputError("cell-empty")),)
    elif isinstance(outcome, MailgovError):
        about = "group" if outcome.code.startswith("group-unknown") else "member"
        planned.problems = (Problem(about, outcome),)
    else:
        planned.verb = "same" if outcome.nothing else "add"
    return planned
