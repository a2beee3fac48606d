"""People of the agencies in a file whom the file no longer names."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session, col, select

from mailgov.db import Database
from mailgov.db.models import Agency, JobRow, Mailbox, Person
from mailgov.directory.change import Act
from mailgov.directory.provisioning import suspend
from mailgov.errors import Conflict


@dataclass(frozen=True, slots=True)
class Missing:
    """A mailbox in use whose holder stands in no row."""

    mailbox_id: int
    address: str
    staff_no: str
    name: str


def find_missing(
    session: Session, agencies: Collection[str], staff_numbers: Collection[str], most_percent: float
) -> list[Missing]:
    """Who is missing, of those agencies alone that the file is about.

    Raises Conflict `import-too-many-missing` when more than `most_percent` of them would go: then
    the file is rather not the whole list.
    """
    present = set(staff_numbers)
    found: list[Missing] = []
    everybody = 0
    codes = sorted(agencies)
    for start in range(0, len(codes), 1000):
        rows = session.exec(
            select(Mailbox.id, Mailbox.address, Person.staff_no, Person.full_name)
            .join(Person, col(Mailbox.person_id) == col(Person.id))
            .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
            .where(
                col(Agency.code).in_(codes[start : start + 1000]),
                Mailbox.kind == "person",
                Mailbox.state == "active",
            )
            .order_by(col(Mailbox.address))
        ).all()
        everybody += len(rows)
        found += [Missing(row[0] or 0, *row[1:]) for row in rows if row[2] not in present]
    if len(found) * 100 > everybody * most_percent:
        raise Conflict(
            "import-too-many-missing",
            missing=len(found),
            people=everybody,
            most=f"{most_percent:g}",
        )
    return found


def suspend_missing(
    database: Database, act: Act, job_id: str, after: int, missing: Collection[Missing]
) -> None:
    """Suspend them, in one transaction; their journal follows the last row of the sheet."""
    with database.write() as session:
        for number, person in enumerate(missing, after + 1):
            change = suspend(session, act, person.address)
            session.add(
                JobRow(
                    job_id=job_id,
                    number=number,
                    verb="suspend",
                    target=person.address,
                    mailbox_id=person.mailbox_id,
                    changes={name: list(pair) for name, pair in change.changes.items()},
                )
            )
