"""Tỷ lệ được cấp hộp thư: who has a mailbox (M01).

People with a person mailbox that is open at the end / people on the staff list at the end. An
agency without a staff list counts by its declared headcount, and its rows say so.
"""

from collections.abc import Iterator

from sqlmodel import Session

from mailgov.reports.engine import Column, Definition, Question, Report, Row
from mailgov.reports.people import officials

DEFINITION = Definition(
    key="coverage",
    version=1,
    columns=(
        Column("people", "count"),
        Column("provided", "count"),
        Column("coverage", "rate", "provided", "people"),
        Column("activated", "count"),
        Column("activated_rate", "rate", "activated", "provided"),
        Column("declared", "count"),
    ),
    headline="coverage",
    cuts=("agency",),
    people="people",
)


def rows(session: Session, question: Question) -> Iterator[Row]:
    """A row for each person, and for each post that is only declared."""
    listed: set[str] = set()
    for official in officials(session, question):
        listed.add(official.agency)
        columns = {"people"}
        if official.active:
            columns.add("provided")
            if official.activated:
                columns.add("activated")
        state = "active" if official.active else "closed" if official.mailbox else "none"
        yield Row(
            official.agency, frozenset(columns), key=official.pseudonym, facts={"state": state}
        )
    for unit in question.tree.units.values():
        if unit.code not in listed:
            for number in range(1, unit.headcount + 1):
                yield Row(
                    unit.code, frozenset({"people", "declared"}),
                    key=f"{unit.code}#{number}", facts={"state": "declared"},
                )  # fmt: skip


REPORT = Report(DEFINITION, rows)
