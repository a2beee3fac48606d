"""JSON schemas out of answers: what was seen is allowed, and what was published before stays so.

    MAILGOV_WRITE_SCHEMAS=1 pytest -n0 tests/cli/test_matrix.py

writes cli/mailgov_cli/schemas/ anew from the cases. Then read what changed: a key that is gone or
means something else needs a new number.
"""

import re
from collections.abc import Iterable
from typing import Any

from mailgov_cli import words

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_KEY = re.compile(r"[a-z][a-z0-9_]*")

# What is under these names has keys of its own, such as the names of the fields that were changed.
_MAPS = {"changes", "fields", "evidence", "details", "counts", "document", "levels"}
_DAYS = ("until", "_until", "_on", "_day", "valid_from", "valid_to")

Schema = dict[str, Any]


def published(name: str, rows: Iterable[Any], before: Schema | None) -> Schema:
    """The whole schema of an object, from its rows and from what was published before."""
    row: Schema = before["properties"]["data"]["items"] if before else {}
    for one in rows:
        row = merged(row, seen(one))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "properties": {
            "schema": {"const": name},
            "data": {"type": "array", "items": row},
            "next": {"type": ["string", "null"]},
        },
        "required": ["schema", "data", "next"],
        "additionalProperties": False,
    }


def seen(value: Any) -> Schema:
    """The narrowest schema that allows this value."""
    match value:
        case None:
            return {"type": "null"}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return _text(value)
        case list():
            items: Schema = {}
            for one in value:
                items = merged(items, seen(one))
            return {"type": "array", "items": items}
        case dict() if all(_KEY.fullmatch(key) for key in value):
            fields = {key: _explained(key, _named(key, one)) for key, one in value.items()}
            return {
                "type": "object",
                "properties": fields,
                "required": sorted(fields),
                "additionalProperties": False,
            }
        case dict():
            return {"type": "object"}
    raise TypeError(type(value))


def _named(key: str, value: Any) -> Schema:
    """The schema of a field: its name says what nothing, or a text left empty, would be."""
    if key in _MAPS and isinstance(value, dict):
        return {"type": "object"}
    if value is None and key.endswith("_at"):
        return {"type": ["null", "string"], "format": "date-time"}
    if value is None and key.endswith(_DAYS):
        return {"type": ["null", "string"], "format": "date"}
    return seen(value)


def _text(value: str) -> Schema:
    if _MOMENT.fullmatch(value):
        return {"type": "string", "format": "date-time"}
    if _DAY.fullmatch(value):
        return {"type": "string", "format": "date"}
    return {"type": "string"}


def _explained(key: str, schema: Schema) -> Schema:
    told = words.find("en", "column", key)
    return {"description": told, **schema} if told and told != key else schema


def merged(one: Schema, other: Schema) -> Schema:
    """A schema that allows what either allows."""
    if not one or not other:
        return one or other
    both: Schema = {**one, **other}
    types = sorted({*_types(one), *_types(other)})
    if "number" in types and "integer" in types:
        types.remove("integer")
    both["type"] = types[0] if len(types) == 1 else types
    both.pop("format", None)
    if form := _format(one, other):
        both["format"] = form
    if "items" in one and "items" in other:
        both["items"] = merged(one["items"], other["items"])
    if isinstance(one.get("additionalProperties"), dict):
        return one  # written by hand: which keys there are depends on what is asked for
    if "properties" in one and "properties" in other:
        both["properties"] = {
            key: merged(one["properties"].get(key, {}), other["properties"].get(key, {}))
            for key in (*one["properties"], *other["properties"])
        }
        both["required"] = sorted({*one["required"]} & {*other["required"]})
    elif "object" in _types(one) and "object" in _types(other):
        both = {"type": both["type"]}
    return both


def _format(one: Schema, other: Schema) -> str | None:
    """What both texts are; that of the only text, where one is none."""
    if "string" not in _types(one):
        return other.get("format")
    if "string" not in _types(other) or one.get("format") == other.get("format"):
        return one.get("format")
    return None


def _types(schema: Schema) -> set[str]:
    types = schema["type"]
    return {types} if isinstance(types, str) else set(types)
