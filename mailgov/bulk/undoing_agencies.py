"""Taking back an import of agencies: last row first, what is in use or was changed since stays."""

from sqlmodel import Session, col, select

from mailgov.bulk.undoing import ROWS_AT_ONCE, Kept
from mailgov.db import Database
from mailgov.db.models import (
    Agency,
    AgencyPast,
    DkimKey,
    Domain,
    GroupMember,
    JobRow,
    Mailbox,
    Person,
    Post,
    RoleGrant,
)
from mailgov.directory.change import Act, Change, recorded

_NUMBERS = ("headcount", "person_quota_mb", "office_quota_mb")
_TEXTS = ("name_vi", "name_en", "short_name", "level", "regulation", "address_scheme")


def take_back_agencies(database: Database, act: Act, job_id: str) -> list[Kept]:
    """Undo what stands in the journal of a job.

    An agency that was added goes if nothing belongs to it; so does a domain that came with it. A field
    goes back to what it was unless it was changed since.
    """
    with database.read() as session:
        numbers = session.exec(
            select(JobRow.number)
            .where(JobRow.job_id == job_id, col(JobRow.undone_at).is_(None))
            .order_by(col(JobRow.number).desc())
        ).all()
    kept: list[Kept] = []
    waiting = list(numbers)
    # What lies above may stand further down in the sheet: it goes when nothing is below it any more.
    while waiting:
        left = _round(database, act, job_id, waiting)
        if len(left) == len(waiting):
            kept += left
            break
        waiting = [row.number for row in left]
    return sorted(kept, key=lambda row: -row.number)


def _round(database: Database, act: Act, job_id: str, numbers: list[int]) -> list[Kept]:
    left: list[Kept] = []
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        with database.write() as session:
            for number in numbers[start : start + ROWS_AT_ONCE]:
                row = session.get_one(JobRow, (job_id, number))
                if code := _take(session, act, row):
                    left.append(Kept(number, row.target, code))
                else:
                    row.undone_at = act.at
                    session.add(row)
            session.flush()
    return left


def _take(session: Session, act: Act, row: JobRow) -> str:
    agency = session.exec(select(Agency).where(Agency.code == row.target)).first()
    if agency is None:
        return ""
    return (
        _remove(session, act, row, agency)
        if row.verb == "add"
        else _restore(session, act, row, agency)
    )


def _domain_of(session: Session, row: JobRow) -> Domain | None:
    name = row.changes.get("domain", ["", ""])[1]
    return session.exec(select(Domain).where(Domain.name == name)).first() if name else None


def _remove(session: Session, act: Act, row: JobRow, agency: Agency) -> str:
    domain = _domain_of(session, row)
    columns = (
        Agency.parent_id,
        Agency.successor_id,
        Mailbox.agency_id,
        Person.agency_id,
        Post.agency_id,
        RoleGrant.agency_id,
        GroupMember.agency_id,
    )
    others = select(Domain.id).where(Domain.agency_id == agency.id)
    if domain is not None:
        others = others.where(Domain.id != domain.id)
    if (
        any(_names(session, column, agency.id) for column in columns)
        or session.exec(others).first()
    ):
        return "undo-in-use"
    if domain is not None and _is_used(session, domain):
        return "undo-in-use"
    for thing in (domain, *_past(session, agency)):
        if thing is not None:
            session.delete(thing)
            session.flush()
    session.delete(agency)
    session.flush()
    gone = {"code": (agency.code, ""), "name_vi": (agency.name_vi, "")}
    recorded(session, act, Change("agency", "remove", agency.code, gone, agency.code))
    return ""


def _names(session: Session, column: object, number: int | None) -> bool:
    query = select(column).where(column == number).limit(1)  # type: ignore[call-overload]  # any column
    return session.exec(query).first() is not None


def _is_used(session: Session, domain: Domain) -> bool:
    return any(
        _names(session, column, domain.id) for column in (Mailbox.domain_id, DkimKey.domain_id)
    )


def _past(session: Session, agency: Agency) -> list[AgencyPast]:
    return list(session.exec(select(AgencyPast).where(AgencyPast.agency_id == agency.id)))


def _restore(session: Session, act: Act, row: JobRow, agency: Agency) -> str:
    now = _now(session, agency)
    fields = {name: pair for name, pair in row.changes.items() if name in now}
    if any(now[name] != pair[1] for name, pair in fields.items()):
        return "undo-changed-since"
    domain = _domain_of(session, row)
    if domain is not None and _is_used(session, domain):
        return "undo-in-use"
    for name, (old, _) in fields.items():
        if name == "parent":
            upper = session.exec(select(Agency).where(Agency.code == old)).first()
            agency.parent_id = upper.id if upper else None
        else:
            setattr(agency, name, int(old or 0) if name in _NUMBERS else old)
    session.add(agency)
    if domain is not None:
        session.delete(domain)
    session.flush()
    back = {name: (pair[1], pair[0]) for name, pair in row.changes.items()}
    recorded(session, act, Change("agency", "edit", agency.code, back, agency.code))
    return ""


def _now(session: Session, agency: Agency) -> dict[str, str]:
    upper = session.get(Agency, agency.parent_id) if agency.parent_id else None
    values = {name: str(getattr(agency, name)) for name in (*_NUMBERS, *_TEXTS)}
    return {**values, "parent": upper.code if upper else ""}
