"""Agencies out of a sheet: what each row would bring, the writing of it, the taking back, the export.

Preview and writing are the same work, in a transaction that is kept or not. Agencies come after those
above them, wherever the sheet has them. Empty cells leave a field as it is; what is there already is
passed over, so a file may be read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from mailgov.access import branch
from mailgov.bulk import encodings
from mailgov.bulk.apply import Writing
from mailgov.bulk.columns import Field, Table, find_columns, simple
from mailgov.bulk.plan import Planned, in_portions
from mailgov.bulk.sheets import Row, read_sheet
from mailgov.bulk.staff import Problem, read_date
from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import Agency, Domain, JobRow
from mailgov.directory.change import Act
from mailgov.directory.naming import SCHEMES
from mailgov.directory.provisioning import add_agency, add_domain, edit_agency, get_agency
from mailgov.directory.provisioning.agencies import move_agency, require_open
from mailgov.errors import InputError, MailgovError

KIND = "agency.import"
FIELDS = (
    Field(
        "code",
        ("Mã cơ quan", "Mã định danh", "Mã định danh cơ quan", "Mã đơn vị", "Agency code", "Code"),
        required=True,
    ),
    Field(
        "parent",
        ("Mã cơ quan cấp trên", "Cơ quan cấp trên", "Mã cấp trên", "Parent code", "Parent"),
    ),
    Field("name", ("Tên cơ quan", "Tên đơn vị", "Tên", "Agency name", "Name"), required=True),
    Field("name_en", ("Tên tiếng Anh", "Name in English", "English name")),
    Field("short_name", ("Tên viết tắt", "Viết tắt", "Chữ viết tắt", "Abbreviation")),
    Field("level", ("Cấp", "Cấp cơ quan", "Loại cơ quan", "Level", "Kind")),
    Field("headcount", ("Số cán bộ", "Biên chế", "Số biên chế", "Headcount")),
    Field("regulation", ("Quy chế", "Số quy chế", "Quy chế thư điện tử", "Regulation")),
    Field("domain", ("Tên miền", "Tên miền thư", "Domain")),
    Field("address_scheme", ("Cách đặt địa chỉ", "Address scheme")),
    Field("person_quota_mb", ("Dung lượng cá nhân (MB)", "Person quota")),
    Field("office_quota_mb", ("Dung lượng cơ quan (MB)", "Office quota")),
    Field("effective_on", ("Ngày hiệu lực", "Từ ngày", "Effective on", "Valid from")),
)
EXPORT_FIELDS = tuple(field.name for field in FIELDS)
LEVELS: Mapping[str, tuple[str, ...]] = {
    "ministry": ("bộ", "bộ, cơ quan ngang bộ", "cơ quan ngang bộ"),
    "ministry-unit": ("đơn vị thuộc bộ", "vụ", "cục"),
    "province": ("tỉnh", "thành phố", "tỉnh, thành phố"),
    "department": ("sở", "sở, ban, ngành"),
    "department-unit": ("đơn vị thuộc sở", "phòng", "trung tâm"),
    "ward": ("phường",),
    "commune": ("xã",),
    "special-zone": ("đặc khu",),
}
"""Levels in the words of sheets; the first is the one that we write."""
CHOICES: Mapping[str, Sequence[str]] = {
    "level": [words[0] for words in LEVELS.values()],
    "address_scheme": list(SCHEMES),
}
_LIMITS = {"name": 200, "name_en": 200, "short_name": 40, "regulation": 120}
_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What the platform allows: domains lie below these suffixes."""

    official_suffixes: Sequence[str]


def prepare(file: Path, *, sheet: str = "") -> Table:
    """Read a list of agencies.

    Raises InputError: those of `read_sheet`, `settle` and `find_columns`; NotFound `sheet-unknown`.
    """
    settled = encodings.settle(file.name, read_sheet(file, sheet), convert=False)
    return find_columns(file.name, settled.sheet, FIELDS)


def ordered(table: Table) -> list[Row]:
    """The rows, each after the one that names the agency above it."""
    rows = {table.values(row)["code"].upper(): row for row in reversed(table.rows)}
    found: dict[int, Row] = {}
    for row in table.rows:
        chain = [row]
        while (upper := _above(table, chain[-1], rows)) is not None and upper not in chain:
            chain.append(upper)
        for one in reversed(chain):
            found.setdefault(one.number, one)
    return list(found.values())


def _above(table: Table, row: Row, rows: Mapping[str, Row]) -> Row | None:
    values = table.values(row)
    code = values["code"].upper()
    return rows.get((values.get("parent") or code.rpartition(".")[0]).upper())


def preview(database: Database, table: Table, act: Act, rules: Rules) -> list[Planned]:
    """What an import would do with each row, now, in the order of the sheet; nothing is kept."""
    seen: dict[str, int] = {}
    with database.write() as session:
        planned = [_row(session, table, row, act, rules, seen) for row in ordered(table)]
        session.rollback()
    return sorted(planned, key=lambda row: row.number)


def write(database: Database, table: Table, rules: Rules, writing: Writing) -> None:
    """Write what can be written, portion by portion with its journal.

    Interrupted between two, nothing is half written and the same run goes on from there.
    """
    seen: dict[str, int] = {}
    for rows in in_portions(ordered(table)):
        with database.write() as session:
            planned = [_row(session, table, row, writing.act, rules, seen) for row in rows]
            for row in planned:
                if row.verb in ("add", "edit"):
                    session.add(_journal(row, writing.job_id))
            session.flush()
        writing.told(planned)


def _journal(row: Planned, job_id: str) -> JobRow:
    return JobRow(
        job_id=job_id,
        number=row.number,
        verb=row.verb,
        target=row.key,
        changes={name: list(pair) for name, pair in row.changes.items()},
    )


def _row(
    session: Session, table: Table, row: Row, act: Act, rules: Rules, seen: dict[str, int]
) -> Planned:
    """One row, written into the session; what is wrong with it leaves nothing behind."""
    cells = table.values(row)
    code = cells["code"].upper()
    planned = Planned(number=row.number, verb="reject", key=code, name=cells["name"])
    values, problems = _read(cells)
    first = seen.setdefault(code, row.number)
    if first != row.number:
        problems.append(Problem("code", InputError("cell-twice", value=code, row=first)))
    if problems:
        planned.problems = tuple(problems)
        return planned
    try:
        with session.begin_nested():
            verb, planned.changes = _apply(session, act, code, cells, values, rules)
    except MailgovError as error:
        planned.problems = (Problem(_field_of(error), error),)
        return planned
    planned.verb = "add" if verb == "add" else "edit" if planned.changes else "same"
    return planned


def _apply(
    session: Session,
    act: Act,
    code: str,
    cells: Mapping[str, str],
    values: dict[str, Any],
    rules: Rules,
) -> tuple[str, dict[str, tuple[str, str]]]:
    day = values.pop("effective_on", None)
    parent = cells.get("parent", "").upper()
    settings = {name: values.pop(name) for name in _SETTINGS if name in values}
    changes: dict[str, tuple[str, str]] = {}
    verb = "edit"
    there = session.exec(select(Agency).where(Agency.code == code)).first()
    if there is None:
        verb = "add"
        if "level" not in values:
            raise InputError("cell-empty-for-new", column="level")
        added = add_agency(session, act, code=code, parent=parent, valid_from=day, **values)
        changes |= added.changes
    else:
        on = day or local_date(act.at)
        require_open(there, on)
        if parent and there.parent_id is not None:
            changes |= move_agency(session, act, code, parent, on=on).changes
        changes |= edit_agency(session, act, code=code, on=on, **values).changes
    if settings:
        changes |= edit_agency(session, act, code=code, **settings).changes
    if domain := cells.get("domain", ""):
        suffixes = rules.official_suffixes
        changes |= _domain(session, act, domain, code, suffixes)
    return verb, changes


_SETTINGS = ("address_scheme", "person_quota_mb", "office_quota_mb")


def _domain(
    session: Session, act: Act, name: str, code: str, suffixes: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Units of a department name its domain in their rows: then it is there already, above them."""
    owner = select(Agency.code).join(Domain, col(Domain.agency_id) == col(Agency.id))
    holder = session.exec(owner.where(Domain.name == name.lower())).first()
    if holder is not None and code in branch(session, holder):
        return {}
    change = add_domain(session, act, name=name, agency=code, official_suffixes=suffixes)
    return {} if change.nothing else {"domain": ("", change.target)}


def _field_of(error: MailgovError) -> str:
    if error.code.startswith("domain"):
        return "domain"
    if error.code.startswith(("agency-parent", "agency-below", "agency-unknown")):
        return "parent"
    if error.code == "cell-empty-for-new":
        return "level"
    return "code"


# Cells -----------------------------------------------------------------------------------------


def _read(cells: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """The values that the cells give, and what is wrong with them."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in FIELDS:
        text = cells.get(field.name, "")
        if not text:
            if field.required:
                problems.append(Problem(field.name, InputError("cell-empty")))
            continue
        if field.name in ("code", "parent", "domain"):
            continue
        try:
            values[field.name] = _value(field.name, text)
        except InputError as error:
            problems.append(Problem(field.name, error))
    return values, problems


def _value(name: str, text: str) -> object:
    match name:
        case "level":
            return _level(text)
        case "headcount" | "person_quota_mb" | "office_quota_mb":
            return _number(text)
        case "effective_on":
            return _day(text)
        case _:
            if len(text) > _LIMITS.get(name, 60):
                raise InputError("cell-too-long", most=_LIMITS.get(name, 60))
            return text


def _level(text: str) -> str:
    for level, words in LEVELS.items():
        if simple(text) in {simple(level), *(simple(word) for word in words)}:
            return level
    raise InputError("cell-word-unknown", value=text[:60], known=", ".join(CHOICES["level"]))


def _number(text: str) -> int:
    digits = text.replace(".", "").replace(" ", "")
    if digits.isascii() and digits.isdigit() and int(digits) <= _MOST:
        return int(digits)
    raise InputError("cell-number", value=text[:30], most=_MOST)


def _day(text: str) -> date:
    day, error = read_date(text)
    if error is not None or day is None:
        raise error or InputError("cell-date", value=text[:30])
    return day


# Export ----------------------------------------------------------------------------------------


def export_rows(session: Session, within: str = "") -> Iterator[dict[str, object]]:
    """Every agency that is not closed, as a row that an import finds unchanged.

    Raises NotFound `agency-unknown`.
    """
    codes = dict(session.exec(select(Agency.id, Agency.code)).all())
    owned = select(Domain.agency_id, Domain.name).order_by(col(Domain.id).desc())
    domains = dict(session.exec(owned).all())  # the oldest of each comes last
    query = select(Agency).where(col(Agency.valid_to).is_(None)).order_by(Agency.code)
    if within:
        inside = branch(session, get_agency(session, within).code)
        query = query.where(col(Agency.code).in_(inside))
    for row in session.exec(query):
        assert row.id is not None
        yield {
            "code": row.code,
            "parent": codes.get(row.parent_id, ""),
            "name": row.name_vi,
            "name_en": row.name_en,
            "short_name": row.short_name,
            "level": LEVELS[row.level][0],
            "headcount": row.headcount,
            "regulation": row.regulation,
            "domain": domains.get(row.id, ""),
            "address_scheme": row.address_scheme,
            "person_quota_mb": row.person_quota_mb,
            "office_quota_mb": row.office_quota_mb,
            "effective_on": None,
        }
