"""The latest changes of one thing, from the ledger."""

from typing import Any

from mailgov.lookups.source import Record, Source, data, moment

_HISTORY = 50  # latest changes shown of one thing

# The kind stands in the statement, not in a place of it: only so the index of changes is used.
_CHANGES = "SELECT at, actor, data FROM event WHERE kind = 'directory.changed'"


def changes_of_mailbox(source: Source, address: str) -> list[Record]:
    """What was changed of a mailbox, newest first."""
    query = f"{_CHANGES} AND mailbox = :mailbox ORDER BY id DESC LIMIT {_HISTORY}"
    return _of(source.rows(query, mailbox=address), "mailbox", address)


def changes_of_agency(source: Source, noun: str, target: str, agency: str) -> list[Record]:
    """What was changed of an agency, or of something that belongs to it and is no mailbox."""
    query = f"{_CHANGES} AND mailbox = '' AND agency_code = :agency ORDER BY id DESC"
    found = _of(source.rows(query, agency=agency), noun, target)
    return found[:_HISTORY]


def _of(rows: Any, noun: str, target: str) -> list[Record]:
    found = []
    for row in rows:
        told = data(row["data"])
        if (told["noun"], told["target"]) == (noun, target):
            found.append(
                {
                    "at": moment(row["at"]),
                    "actor": row["actor"],
                    "verb": told["verb"],
                    "fields": ", ".join(told["changes"]),
                    "reason": told["reason"],
                }
            )
    return found
