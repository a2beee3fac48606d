"""What the sender says the document is: a header field, else a subject tag.

`Mailgov-Document: type=TB; number=12; symbol=12/TB-UBND; date=2026-11-21; urgency=khan; due=…`,
or `[TB]` before the subject.
"""

import re
from datetime import date

from mailgov.content.lines import normal
from mailgov.content.notations import category_of, notation_at_start, type_named
from mailgov.content.vietnamese import without_marks
from mailgov_policies.document_types import email_categories
from mailgov_policies.facts import Document

MAX_ABSTRACT = 500  # letters, Decree 30/2020, Annex VI
_MAX_FIELD = 4000
_PAIR = re.compile(r'([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^;]*)')
_PREFIX = re.compile(r"^\s*(?:(?:re|fw|fwd|tr|trả lời|chuyển tiếp)\s*:\s*)+", re.IGNORECASE)
_TAG = re.compile(r"^\s*\[\s*([^\[\]]{1,40}?)\s*\]")
_URGENCIES = {"khan": "KHẨN", "thuong-khan": "THƯỢNG KHẨN", "hoa-toc": "HOẢ TỐC"}


def declared(field: str, subject: str) -> Document | None:
    """The declaration in the decoded field `Mailgov-Document`, else in the subject's tag."""
    return _in_field(field[:_MAX_FIELD]) if field else _in_tag(normal(subject[:1000]))


def without_tag(subject: str) -> str:
    """The subject without reply prefixes and tag."""
    return _TAG.sub("", _PREFIX.sub("", subject)).strip()


def _in_field(field: str) -> Document | None:
    values: dict[str, str] = {}
    for name, value in _PAIR.findall(field):
        values.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", value.strip().strip('"')).strip())
    notation = notation_at_start(values.get("symbol", ""))
    symbol = notation.symbol or values.get("symbol", "")[:60]
    type_id = type_named(values.get("type", "")) or notation.type
    category = values.get("category", "").lower()
    if category not in email_categories():
        category = category_of(type_id)
    if not (type_id or category or symbol):
        return None
    return Document(
        category=category,
        type=type_id,
        number=(values.get("number") or notation.number)[:20],
        symbol=symbol,
        date=_valid_date(values.get("date", "")),
        agency=values.get("agency", "")[:200],
        abstract=values.get("abstract", "")[:MAX_ABSTRACT],
        urgency=_urgency(values.get("urgency", "")),
        due=_valid_date(values.get("due", "")),
        place="header Mailgov-Document",
        words=tuple(word for word in (values.get("type"), values.get("symbol")) if word),
        confidence=1.0,
    )


def _in_tag(subject: str) -> Document | None:
    match = _TAG.match(_PREFIX.sub("", subject))
    type_id = type_named(match[1]) if match else ""
    if match is None or not type_id:
        return None
    return Document(
        category=category_of(type_id),
        type=type_id,
        abstract=without_tag(subject)[:MAX_ABSTRACT],
        place="subject",
        words=(f"[{match[1]}]",),
        confidence=0.9,
    )


def _urgency(text: str) -> str:
    return _URGENCIES.get(re.sub(r"\s+", "-", without_marks(text.strip().lower())), "")


def _valid_date(text: str) -> str:
    """ISO 8601; empty when it is no date."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return ""
