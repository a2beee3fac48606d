"""Facts as plain data, for keeping with a verdict and judging again under another ruleset.

What a message says is left out: texts, lines, abstracts, names of people and files. What stays are
codes, counts, kinds, places, addresses and domains. Rules that need the rest are named here.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from mailgov_policies.facts import (
    Attachment,
    Content,
    Document,
    Envelope,
    Facts,
    Header,
    Mark,
    Person,
    RecipientFacts,
    Signature,
    Text,
)

NOT_REPLAYED = ("annex-signed", "display-name-spoof", "subject-line", "unknown-recipient-unit")
"""Rules whose findings can't be told again from what is kept."""

_DROPPED: Mapping[type, frozenset[str]] = {
    Attachment: frozenset({"why"}),
    Document: frozenset({"abstract", "addressees", "agency", "words"}),
    Envelope: frozenset({"client_ip", "helo"}),
    Mark: frozenset({"line"}),
    Person: frozenset({"name"}),
    RecipientFacts: frozenset({"agency_names"}),
    Signature: frozenset({"signer", "organisation", "why"}),
    Text: frozenset({"as_read", "converted", "file"}),
    Header: frozenset({"message_id"}),
    Content: frozenset(),
}
_SUBJECT_LETTER = "…"  # a subject keeps its length alone
_LONGEST_SUBJECT = 1000


def keep(facts: Facts) -> dict[str, Any]:
    """The facts as JSON can hold them; what has its default is left out."""
    kept: dict[str, Any] = _plain(facts)
    return kept


def restore(kept: Mapping[str, Any]) -> Facts:
    """The facts again, empty where something was left out. Unknown names are passed over."""
    restored = _restored(Facts, kept)
    assert isinstance(restored, Facts)
    return restored


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    dropped = _DROPPED.get(type(value), frozenset())
    return {
        field.name: _plain(shown)
        for field in fields(value)
        if field.name not in dropped
        and (shown := _without_words(value, field.name)) != field.default
    }


def _without_words(value: Any, name: str) -> Any:
    shown = getattr(value, name)
    if isinstance(value, Header) and name == "subject":
        return _SUBJECT_LETTER * min(len(shown), _LONGEST_SUBJECT)
    if isinstance(value, Attachment) and name == "name":
        return f"{_SUBJECT_LETTER}.{value.extension}" if value.extension else ""
    return shown


def _restored(kind: Any, value: Any) -> Any:
    if get_origin(kind) is tuple:
        return tuple(_restored(get_args(kind)[0], item) for item in value)
    if isinstance(kind, UnionType):
        (inner,) = (one for one in get_args(kind) if one is not NoneType)
        return None if value is None else _restored(inner, value)
    if not isinstance(kind, type) or not is_dataclass(kind):
        return value  # a number, a word of a Literal
    hints = _hints(kind)
    given = {name: _restored(hints[name], item) for name, item in value.items() if name in hints}
    absent = {name: "" for name in _DROPPED.get(kind, ()) if name in _required(kind)}
    return kind(**{**absent, **given})


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


@cache
def _required(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind) if field.default is MISSING)
