"""Words as data: one entry per code in vi.toml and en.toml.

`[rule.<key>]` has title, reason (one sentence with {places}), basis, steps for webmail,
thunderbird, outlook, phone. `[error.<code>]` has text and mend. `[notice.…]` holds the words of
delivery status notices. Both files have the same entries; a test compares them.
"""

import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from mailgov.errors import MailgovError

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")


class _Fields(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"  # a text must never fail for want of a field


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
    return text.format_map(_Fields(fields)) if isinstance(text, str) else path


def rule_sentence(language: Language, code: str, evidence: Mapping[str, str]) -> str:
    """Why a rule struck, in one sentence."""
    return words(language, f"rule.{code}.reason", **evidence)


def tell(error: MailgovError, language: Language) -> tuple[str, str]:
    """What went wrong and how to mend it, in words."""
    sentence = words(language, f"error.{error.code}.text", **error.fields)
    if sentence == f"error.{error.code}.text":
        sentence = str(error)
    mend = entry(language, f"error.{error.code}").get("mend", "")
    return sentence, mend.format_map(_Fields(error.fields)) if mend else ""


def without_marks(text: str) -> str:
    """Vietnamese without diacritics, in ASCII: for SMTP replies to clients without SMTPUTF8."""
    plain = text.replace("đ", "d").replace("Đ", "D").replace("“", '"').replace("”", '"')
    decomposed = unicodedata.normalize("NFD", plain)
    return (
        "".join(c for c in decomposed if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode()
    )
