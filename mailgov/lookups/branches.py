"""Branches of the agency tree in statements: the one asked for, and those that somebody may see."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mailgov.errors import NotFound
from mailgov.lookups.source import Source


@dataclass(frozen=True, slots=True)
class Branches:
    """What a statement needs so that a column with ids of agencies stays in the branches."""

    tables: str  # to go before SELECT
    conditions: tuple[str, ...]
    values: dict[str, Any]


def branches(source: Source, column: str, within: str = "") -> Branches:
    """The branches that the source is kept to, and that of `within`. Raises NotFound `agency-unknown`."""
    tables, conditions, values = [], [], {}
    if source.tops is not None:
        places = {f"top{number}": code for number, code in enumerate(source.tops)}
        tables.append(_branch("seen", ", ".join(f":{place}" for place in places) or "NULL"))
        conditions.append(f"{column} IN (SELECT id FROM seen)")
        values.update(places)
    if within:
        require_agency(source, within)
        tables.append(_branch("branch", ":within"))
        conditions.append(f"{column} IN (SELECT id FROM branch)")
        values["within"] = within
    prefix = f"WITH RECURSIVE {', '.join(tables)} " if tables else ""
    return Branches(prefix, tuple(conditions), values)


def _branch(name: str, codes: str) -> str:
    return f"""{name}(id) AS (SELECT id FROM agency WHERE code IN ({codes})
        UNION SELECT agency.id FROM agency JOIN {name} ON agency.parent_id = {name}.id)"""


def require_agency(source: Source, code: str) -> Any:
    """The agency's row, with `parent_code`.

    Raises NotFound `agency-unknown`, with codes that look like it.
    """
    seen = branches(source, "agency.id")
    conditions = " AND ".join(("agency.code = :code", *seen.conditions))
    query = f"""{seen.tables}SELECT agency.*, above.code AS parent_code FROM agency
        LEFT JOIN agency AS above ON above.id = agency.parent_id WHERE {conditions}"""
    row = next(iter(source.rows(query, code=code, **seen.values)), None)
    if row is not None:
        return row
    query = f"{seen.tables}SELECT code FROM agency WHERE {' AND '.join(seen.conditions) or 'true'}"
    codes = [one["code"] for one in source.rows(f"{query} ORDER BY code", **seen.values)]
    like = ", ".join(get_close_matches(code, codes, n=3)) or ", ".join(codes[:3]) or "-"
    raise NotFound("agency-unknown", agency=code, like=like)
