"""A fictional ministry and province, for demonstrations and tests: agencies, domains, offices."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from sqlmodel import Session

from mailgov.directory.change import Act
from mailgov.directory.provisioning import NewMailbox, add_agency, add_domain, add_mailbox


@dataclass(frozen=True, slots=True)
class SampleAgency:
    """One row of agencies-sample.csv. Numbers are invented; they are of the row alone."""

    code: str
    parent_code: str
    name_vi: str
    name_en: str
    domain: str
    level: str
    headcount: int
    mailboxes_provided: int
    used_last_month: int
    office_mailbox: str
    short_name: str


def sample_agencies() -> list[SampleAgency]:
    """The rows in the order of the file: parents before children."""
    text = files(__package__).joinpath("agencies-sample.csv").read_text("utf-8")
    numbers = ("headcount", "mailboxes_provided", "used_last_month")
    return [
        SampleAgency(**{key: int(value) if key in numbers else value for key, value in row.items()})  # type: ignore[arg-type]  # numbers by name
        for row in csv.DictReader(text.splitlines())
    ]


def load_sample(session: Session, act: Act, *, official_suffixes: Sequence[str]) -> int:
    """Add the sample agencies with their domains and office mailboxes; says how many were new.

    Loading again changes nothing.
    """
    added = 0
    owned: set[str] = set()
    for row in sample_agencies():
        change = add_agency(
            session,
            act,
            code=row.code,
            name=row.name_vi,
            level=row.level,
            parent=row.parent_code,
            name_en=row.name_en,
            short_name=row.short_name,
            headcount=row.headcount,
            office_mailbox=row.office_mailbox,
        )
        added += not change.nothing
        if row.domain not in owned:  # units of a department share its domain
            add_domain(
                session, act, name=row.domain, agency=row.code, official_suffixes=official_suffixes
            )
            owned.add(row.domain)
        add_mailbox(
            session,
            act,
            NewMailbox(address=row.office_mailbox, agency=row.code, kind="office"),
        )
    return added
