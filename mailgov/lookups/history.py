"""The latest changes of one thing, from the ledger."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from mailgov.lookups.source import Record, Source, data, moment

_HISTORY = 50  # latest changes shown of one thing

# The kind stands in the statement, not in a place of it: only so the index of changes is used.
_CHANGES = "SELECT id, at, actor, data FROM event WHERE kind = 'directory.changed'"


def changes_of_mailbox(source: Source, addresses: Iterable[str]) -> list[Record]:
    """What was changed of a mailbox under each of its addresses, newest first."""
    query = f"{_CHANGES} AND mailbox = :mailbox ORDER BY id DESC LIMIT {_HISTORY}"
    found = []
    for address in addresses:
        rows = list(source.rows(query, mailbox=address))
        found += [row for row in rows if _is_of(row, "mailbox", address)]
    found.sort(key=lambda row: -int(row["id"]))
    return [_told(row) for row in found[:_HISTORY]]


def changes_of_agency(source: Source, noun: str, target: str, agency: str) -> list[Record]:
    """What was changed of an agency, or of something that belongs to it and is no mailbox."""
    query = f"{_CHANGES} AND mailbox = '' AND agency_code = :agency ORDER BY id DESC"
    rows = source.rows(query, agency=agency)
    found = (_told(row) for row in rows if _is_of(row, noun, target))
    return list(islice(found, _HISTORY))


def _is_of(row: Any, noun: str, target: str) -> bool:
    told = data(row["data"])
    return (told["noun"], told["target"]) == (noun, target)


def _told(row: Any) -> Record:
    """Who changed what when, and each field from old to new."""
    told = data(row["data"])
    return {
        "at": moment(row["at"]),
        "actor": row["actor"],
        "verb": told["verb"],
        "changes": told["changes"],
        "reason": told["reason"],
    }
