"""One agency as administrators see it, and what is below it."""

from mailgov.lookups.branches import require_agency
from mailgov.lookups.history import changes_of_agency
from mailgov.lookups.source import Record, Source, day

_DOMAINS = "SELECT name FROM domain WHERE agency_id = :id ORDER BY name"
_MAILBOXES = "SELECT count(*) AS mailboxes FROM mailbox WHERE agency_id = :id"
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
        "domains": [one["name"] for one in source.rows(_DOMAINS, id=number)],
        "mailboxes": next(source.rows(_MAILBOXES, id=number))["mailboxes"],
        "below": [dict(one) for one in source.rows(_BELOW, id=number)],
        "history": changes_of_agency(source, "agency", row["code"], row["code"]),
    }
