"""The administrative document types and the purposes for which e-mail may carry them.

Decree 30/2020, Article 7 and Annex III; permitted purposes of the e-mail regulations. The table is
`tables/document-types.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

EmailBasis = Literal["listed", "by-purpose", "not-listed"]


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of document, formal (one of the 29) or named by an e-mail regulation."""

    id: str
    vi: str
    en: str
    email_basis: EmailBasis
    categories: tuple[str, ...]  # e-mail categories it falls under
    abbreviation: str = ""  # as in notations: TB; empty for those without
    needs_signature: bool = False
    formal: bool = True  # one of the 29 of Decree 30/2020


@dataclass(frozen=True, slots=True)
class EmailCategory:
    """A purpose for which the regulations permit e-mail."""

    id: str
    vi: str
    en: str


@cache
def document_types() -> Mapping[str, DocumentType]:
    """Every type by id, in the order of the decree, then the informal ones."""
    table = _table()
    return {
        row["id"]: DocumentType(
            id=row["id"],
            vi=row["vi"],
            en=row["en"],
            email_basis=row["email_basis"],
            categories=tuple(row["email_categories"]),
            abbreviation=row.get("abbr", ""),
            needs_signature=row["needs_signature"],
            formal=kind == "type",
        )
        for kind in ("type", "informal_type")
        for row in table[kind]
    }


@cache
def email_categories() -> Mapping[str, EmailCategory]:
    """Every e-mail category by id."""
    return {
        row["id"]: EmailCategory(row["id"], row["vi"], row["en"])
        for row in _table()["email_category"]
    }


@cache
def _table() -> dict[str, Any]:
    text = files(__package__).joinpath("tables", "document-types.toml").read_text("utf-8")
    return tomllib.loads(text)
