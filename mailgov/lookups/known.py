"""What completion offers: names that begin so, found by index."""

from mailgov.lookups.branches import branches
from mailgov.lookups.source import Source

_MOST = 100  # more than that nobody reads at a prompt


def known_agencies(source: Source, begins: str) -> list[tuple[str, str]]:
    """Codes of agencies with their names."""
    return _known(source, "agency", "code", "name_vi", "id", begins)


def known_domains(source: Source, begins: str) -> list[tuple[str, str]]:
    """Domains; no further word on them."""
    return _known(source, "domain", "name", "''", "agency_id", begins.lower())


def known_addresses(source: Source, begins: str) -> list[tuple[str, str]]:
    """Addresses of mailboxes with the names of their holders."""
    return _known(source, "mailbox", "address", "display_name", "agency_id", begins.lower())


def _known(
    source: Source, table: str, name: str, word: str, agency: str, begins: str
) -> list[tuple[str, str]]:
    seen = branches(source, f"{table}.{agency}")
    # A beginning is never after what it begins, so the index leads to the first; no LIKE, for
    # engines differ in the letters that they fold.
    conditions = (f"{name} >= :begins", f"substr({name}, 1, :length) = :begins", *seen.conditions)
    query = f"""{seen.tables}SELECT {name} AS name, {word} AS word FROM {table}
        WHERE {" AND ".join(conditions)} ORDER BY {name} LIMIT :most"""
    found = source.rows(query, begins=begins, length=len(begins), most=_MOST, **seen.values)
    return [(row["name"], row["word"]) for row in found]
