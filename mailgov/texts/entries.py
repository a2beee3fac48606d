"""The catalogue: reading entries and filling the places in them."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")


class _Fields(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


def fill(text: str, fields: Mapping[str, Any]) -> str:
    """The text with its places filled; a text must never fail for want of a field."""
    return text.format_map(_Fields(fields))


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """The whole file of a language."""
    return tomllib.loads(files(__package__).joinpath(f"{language}.toml").read_text("utf-8"))


def entry(language: Language, path: str) -> Mapping[str, Any]:
    """The table at `rule.legacy-encoding` and the like; empty when there is none."""
    found: Any = catalogue(language)
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def words(language: Language, path: str, /, **fields: Any) -> str:
    """The text at `error.config-missing.text` and the like, its places filled.

    An unknown path gives the path itself, so that a missing text is seen and nothing fails.
    """
    table, _, key = path.rpartition(".")
    text = entry(language, table).get(key)
    return fill(text, fields) if isinstance(text, str) else path
