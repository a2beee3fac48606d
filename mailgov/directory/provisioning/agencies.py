"""Adding and changing agencies."""

from datetime import date
from difflib import get_close_matches
from typing import Any, TypedDict, Unpack

from sqlmodel import Session, col, select

from mailgov.access import whole
from mailgov.clock import local_date
from mailgov.db.models import Agency
from mailgov.directory.agency_past import DATED, keep_past
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.naming import TOP_LEVELS, require_code, require_level, require_scheme
from mailgov.errors import Conflict, InputError, NotFound


def get_agency(session: Session, code: str) -> Agency:
    """The agency of that code. Raises NotFound `agency-unknown`, with codes that look like it."""
    agency = session.exec(select(Agency).where(Agency.code == code)).first()
    if agency is None:
        codes = session.exec(select(Agency.code).order_by(Agency.code)).all()
        like = ", ".join(get_close_matches(code, codes, n=3)) or ", ".join(codes[:3]) or "-"
        raise NotFound("agency-unknown", agency=code, like=like)
    return agency


def add_agency(
    session: Session,
    act: Act,
    *,
    code: str,
    name: str,
    level: str,
    parent: str = "",
    name_en: str = "",
    short_name: str = "",
    headcount: int = 0,
    regulation: str = "",
    office_mailbox: str = "",
    valid_from: date | None = None,
) -> Change:
    """Add an agency below `parent`; without one, below the agency whose code its own continues.

    Raises InputError `agency-code-not-valid`, `agency-level-not-valid`, `agency-name-missing`,
    `agency-parent-missing`, `agency-parent-too-many`; NotFound `agency-unknown` for the parent;
    Conflict `agency-exists`.
    """
    require_code(code)
    require_level(level)
    if not name.strip():
        raise InputError("agency-name-missing", code=code)
    upper = _parent(session, code, parent, level)
    values: dict[str, Any] = {
        "name_vi": name.strip(),
        "name_en": name_en,
        "short_name": short_name,
        "level": level,
        "headcount": headcount,
        "regulation": regulation,
        "office_mailbox": office_mailbox,
        "valid_from": valid_from,
    }
    existing = session.exec(select(Agency).where(Agency.code == code)).first()
    if existing is not None:
        upper_id = upper.id if upper else None
        same = all(getattr(existing, key) == value for key, value in values.items() if value)
        if same and existing.parent_id == upper_id:
            return Change("agency", "add", code, agency_code=code)
        raise Conflict("agency-exists", code=code, name=existing.name_vi)
    session.add(
        Agency(code=code, parent_id=upper.id if upper else None, created_at=act.at, **values)
    )
    session.flush()
    fields = new_fields(code=code, parent=upper.code if upper else "", **values)
    return recorded(session, act, Change("agency", "add", code, fields, agency_code=code))


def _parent(session: Session, code: str, parent: str, level: str) -> Agency | None:
    if level in TOP_LEVELS:
        if parent:
            raise InputError("agency-parent-too-many", code=code, level=level)
        return None
    wanted = parent or code.rpartition(".")[0]
    if not wanted:
        raise InputError("agency-parent-missing", code=code, level=level)
    return get_agency(session, wanted)


class AgencyEdit(TypedDict, total=False):
    """What is to be otherwise; None leaves a field as it is."""

    name: str | None
    name_en: str | None
    short_name: str | None
    level: str | None
    headcount: int | None
    regulation: str | None
    address_scheme: str | None  # one of `naming.SCHEMES`; empty: as the agency above
    person_quota_mb: int | None  # 0: as the agency above
    office_quota_mb: int | None
    grace_months: int | None  # for whoever leaves; 0: as the agency above
    leader_grace_months: int | None
    retention_months: int | None  # how long mail is kept after the grace


def edit_agency(
    session: Session,
    act: Act,
    *,
    code: str,
    on: date | None = None,
    **wanted: Unpack[AgencyEdit],
) -> Change:
    """Change what an agency declares, with effect from a day, today by default.

    What it was until then is kept. Raises NotFound `agency-unknown`; InputError
    `agency-name-missing`, `agency-level-not-valid`, `address-scheme-not-valid`; Conflict
    `agency-changed-later`.
    """
    agency = get_agency(session, code)
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if "name" in values:
        values = {"name_vi": values.pop("name").strip(), **values}
        if not values["name_vi"]:
            raise InputError("agency-name-missing", code=code)
    if "level" in values:
        require_level(values["level"])
    if values.get("address_scheme"):
        require_scheme(values["address_scheme"])
    if any(getattr(agency, name) != values.get(name, getattr(agency, name)) for name in DATED):
        keep_past(session, agency, on or local_date(act.at))
    changes = edited_fields(agency, **values)
    session.add(agency)
    return recorded(session, act, Change("agency", "edit", code, changes, agency_code=code))


def move_agency(session: Session, act: Act, code: str, to: str, *, on: date) -> Change:
    """Put an agency, with all that is below it, under another, with effect from a day.

    Raises NotFound `agency-unknown`; InputError `agency-parent-too-many` for those at the top;
    Conflict `agency-below-itself`, `agency-closed`, `agency-changed-later`.
    """
    agency, upper = get_agency(session, code), get_agency(session, to)
    if agency.level in TOP_LEVELS:
        raise InputError("agency-parent-too-many", code=code, level=agency.level)
    if agency.id in {one.id for one in ancestors(session, upper)}:
        raise Conflict("agency-below-itself", code=code, to=to)
    require_open(upper, on)
    if agency.parent_id == upper.id:
        return Change("agency", "edit", code, agency_code=code)
    before = session.get_one(Agency, agency.parent_id).code if agency.parent_id else ""
    keep_past(session, agency, on)
    agency.parent_id = upper.id
    session.add(agency)
    session.flush()
    fields = {"parent": (before, to)}
    return recorded(session, act, Change("agency", "edit", code, fields, agency_code=code))


def require_open(agency: Agency, on: date) -> None:
    """Raise Conflict `agency-closed` when the agency is there no more on a day."""
    if agency.valid_to is not None and agency.valid_to < on:
        raise Conflict("agency-closed", code=agency.code, closed_on=agency.valid_to)


def ancestors(session: Session, agency: Agency) -> list[Agency]:
    """The agency and all above it, nearest first; past the fence, for what they lend it."""
    chain = [agency]
    while chain[-1].parent_id is not None:
        query = select(Agency).where(col(Agency.id) == chain[-1].parent_id)
        chain.append(session.exec(whole(query)).one())
    return chain
