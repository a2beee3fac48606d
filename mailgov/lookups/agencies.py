"""One agency as administrators see it, and what is below it."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailgov.lookups.branches import require_agency
from mailgov.lookups.history import changes_of_agency
from mailgov.lookups.source import Record, Source, day

_DOMAINS = "SELECT name FROM domain WHERE agency_id = :id ORDER BY name"
_MAILBOXES = "SELECT count(*) AS mailboxes FROM mailbox WHERE agency_id = :id"
_SUCCESSOR = "SELECT code FROM agency WHERE id = :id"
_BEFORE = """SELECT agency_past.*, above.code AS parent_code FROM agency_past
    LEFT JOIN agency AS above ON above.id = agency_past.parent_id
    WHERE agency_past.agency_id = :id ORDER BY agency_past.until DESC"""
_DATED = ("parent_code", "name_vi", "name_en", "short_name", "level", "headcount", "regulation")
_NAMES = {"parent_code": "parent", "name_vi": "name"}
_BELOW = "SELECT code, name_vi AS name FROM agency WHERE parent_id = :id ORDER BY code"


def agency(source: Source, code: str) -> Record:
    """Everything about one agency. Raises NotFound `agency-unknown`."""
    row = require_agency(source, code)
    number = row["id"]
    return {
        "code": row["code"],
        "name": row["name_vi"],
        "name_en": row["name_en"],
        "short_name": row["short_name"],
        "level": row["level"],
        "parent": row["parent_code"] or "",
        "headcount": row["headcount"],
        "regulation": row["regulation"],
        "office_mailbox": row["office_mailbox"],
        "valid_from": day(row["valid_from"]),
        "valid_to": day(row["valid_to"]),
        "successor": _successor(source, row["successor_id"]),
        "address_scheme": row["address_scheme"],
        "person_quota_mb": row["person_quota_mb"],
        "office_quota_mb": row["office_quota_mb"],
        "grace_months": row["grace_months"],
        "leader_grace_months": row["leader_grace_months"],
        "retention_months": row["retention_months"],
        "domains": [one["name"] for one in source.rows(_DOMAINS, id=number)],
        "mailboxes": next(source.rows(_MAILBOXES, id=number))["mailboxes"],
        "below": [dict(one) for one in source.rows(_BELOW, id=number)],
        "was": list(_before(source, row)),
        "history": changes_of_agency(source, "agency", row["code"], row["code"]),
    }


def _successor(source: Source, number: int | None) -> str:
    found = source.rows(_SUCCESSOR, id=number) if number else iter(())
    return next((str(row["code"]) for row in found), "")


def _before(source: Source, row: Mapping[str, Any]) -> Iterator[Record]:
    """What it was before, latest first: until which day, and what has changed since."""
    later = row
    for past in source.rows(_BEFORE, id=row["id"]):
        changed = [name for name in _DATED if past[name] != later[name]]
        pairs = {_NAMES.get(n, n): [_word(past[n]), _word(later[n])] for n in changed}
        yield {"until": day(past["until"]), "changes": pairs}
        later = past


def _word(value: Any) -> str:
    return "" if value is None else str(value)
