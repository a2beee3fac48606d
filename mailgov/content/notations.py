"""Numbers and notations of documents, and the types that they name.

Decree 30/2020/NĐ-CP, Annex I and III: `12/TB-UBND`, `125/UBND-KGVX`, `30/2020/NĐ-CP`. The patterns
stand in the document types of the policies; they match 98 % of 55,000 notations in legislation.
"""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

from mailgov.content.vietnamese import with_old_tone_placement, without_marks
from mailgov_policies.document_types import document_types

# What the agency's part of a notation begins with where it is one of the state's.
_STATE = re.compile(
    r"^(?:UBND|HĐND|CP|TTg|QH\d*|UBTVQH\d*|CTN|VP|B[A-ZĐ]|S[A-ZĐ]|TU|HU|BTV|VKS|TA|TAND|CCT|CA|CAT"
    r"|KBNN|BHXH|TT|PGD|CT(?!\w)|TCT|ĐU|HĐ|CC|TTCP|NHNN|KTNN)"
)


class Notation(NamedTuple):
    """`symbol` is everything behind the first slash. All empty where there is none."""

    number: str = ""
    symbol: str = ""
    type: str = ""  # id of the type it names; empty for official letters and normative texts
    normative: bool = False  # number, year, type: a law, decree, circular

    @property
    def of_state(self) -> bool:
        """Whether the agency in it looks like one of the state's."""
        return bool(self.symbol) and _STATE.match(self.symbol.rpartition("-")[2]) is not None


NONE = Notation()


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Normative, administrative, official letter, in this order; numbers may lack their zero."""
    path = resources.files("mailgov_policies").joinpath("tables", "document-types.toml")
    rows = {row["id"]: row["regex"] for row in tomllib.loads(path.read_text("utf-8"))["notation"]}
    return tuple(
        re.compile(re.sub(r"\\d\{2,(\d)\}", r"\\d{1,\1}", rows[name]))
        for name in ("normative", "administrative", "official-letter")
    )


@cache
def _abbreviations() -> dict[str, str]:
    """Type id by abbreviation in capitals, as written and without diacritics."""
    known = {t.abbreviation.upper(): t.id for t in document_types().values() if t.abbreviation}
    for abbreviation, type_id in list(known.items()):
        known.setdefault(without_marks(abbreviation), type_id)
    return known


@cache
def _in_names() -> re.Pattern[str]:
    """Number, type and agency in a file name: `20_QD-SXD`, `101-TB-UBND`, `12.BC.STC`."""
    names = "|".join(sorted(map(re.escape, _abbreviations()), key=len, reverse=True))
    return re.compile(
        r"(?<![A-Za-z0-9])(\d{1,5}[a-z]?)[\s_\-./]+(?:(?:19|20)\d\d[\s_\-./]+)?"
        rf"({names})[\s_\-./]+"
        r"([A-ZĐ][A-ZĐ0-9]{1,14}(?:-[A-ZĐ0-9]{1,14})*)",
        re.IGNORECASE,
    )


_SLASHED = re.compile(r"(?<![\d/])\d{1,6}[a-z]?\s*/")


def notation_at_start(text: str) -> Notation:
    """The notation that the text begins with.

    Đ is often typed as U+00D0; blanks around the slash and the hyphen are typing errors.
    """
    written = text[:80].replace("\u00d0", "Đ").replace("\u00f0", "đ").replace("–", "-")
    written = re.sub(r"\s*([/-])\s*", r"\1", written)
    for pattern in _patterns():
        match = pattern.match(written)
        if match:
            parts = match.groupdict()
            symbol = match.group()[len(parts["number"]) + 1 :]
            if parts.get("year"):
                return Notation(parts["number"], symbol, normative=True)
            type_id = _abbreviations().get((parts.get("type") or "").upper(), "")
            return Notation(parts["number"], symbol, type_id)
    return NONE


def notation_in_name(title: str) -> Notation:
    """The notation in a subject or file name."""
    if slashed := _SLASHED.search(title):
        found = notation_at_start(title[slashed.start() :])
        if found.symbol:
            return found
    match = _in_names().search(title)
    if match is None:
        return NONE
    type_id = _abbreviations()[match[2].upper()]
    abbreviation = document_types()[type_id].abbreviation
    agency = match[3].upper() if match[3].islower() else match[3]
    return Notation(match[1], f"{abbreviation}-{agency}", type_id)


def category_of(type_id: str) -> str:
    """The first e-mail category of a type; `other` for types that no list names."""
    known = document_types().get(type_id)
    if known is None:
        return ""
    return known.categories[0] if known.categories else "other"


def type_named(text: str) -> str:
    """The type id that an id, abbreviation or name stands for; empty when none."""
    text = with_old_tone_placement(text.strip())
    if text.lower() in document_types():
        return text.lower()
    return _abbreviations().get(text.upper()) or _names().get(text.lower(), "")


@cache
def _names() -> dict[str, str]:
    known: dict[str, str] = {}
    for type_ in document_types().values():
        name = with_old_tone_placement(type_.vi).lower()
        for spelling in (name, name.split(" (")[0]):
            known.setdefault(spelling, type_.id)
            known.setdefault(without_marks(spelling), type_.id)
    return known
