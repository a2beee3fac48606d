"""Adding and changing agencies."""

from datetime import date
from difflib import get_close_matches
from typing import Any

from sqlmodel import Session, col, select

from mailgov.db.models import Agency
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.naming import TOP_LEVELS, require_code, require_level
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


def edit_agency(
    session: Session,
    act: Act,
    *,
    code: str,
    name: str | None = None,
    headcount: int | None = None,
    regulation: str | None = None,
) -> Change:
    """Change what an agency declares; None leaves a field as it is.

    Raises NotFound `agency-unknown`, InputError `agency-name-missing`.
    """
    agency = get_agency(session, code)
    if name is not None and not name.strip():
        raise InputError("agency-name-missing", code=code)
    fields = edited_fields(agency, name_vi=name, headcount=headcount, regulation=regulation)
    session.add(agency)
    return recorded(session, act, Change("agency", "edit", code, fields, agency_code=code))


def ancestors(session: Session, agency: Agency) -> list[Agency]:
    """The agency and all above it, nearest first."""
    chain = [agency]
    while chain[-1].parent_id is not None:
        chain.append(
            session.exec(select(Agency).where(col(Agency.id) == chain[-1].parent_id)).one()
        )
    return chain
