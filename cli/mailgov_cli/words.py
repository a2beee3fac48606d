"""Words of the command line: headings, messages, help. Those of errors are shared with every face.

Both files in texts/ have the same entries, except that the help of commands and options stands in
English beside their code, and only in Vietnamese in texts/vi.toml.
"""

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from mailgov import texts
from mailgov.errors import MailgovError
from mailgov.texts import LANGUAGES, Language


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """The whole file of a language."""
    return tomllib.loads(files(__package__).joinpath(f"texts/{language}.toml").read_text("utf-8"))


def find(language: Language, *steps: str) -> str:
    """The text under these keys; empty when there is none."""
    found: Any = catalogue(language)
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def say(language: Language, section: str, key: str, /, **fields: Any) -> str:
    """The text with its places filled; an unknown one shows its key, so that it is seen."""
    text = find(language, section, key)
    return texts.fill(text, fields) if text else key


def tell(error: MailgovError, language: Language) -> tuple[str, str]:
    """What went wrong and how to mend it: words of the command line first, then the platform's."""
    if text := find(language, "error", error.code, "text"):
        mend = find(language, "error", error.code, "mend")
        return texts.fill(text, error.fields), texts.fill(mend, error.fields)
    return texts.tell(error, language)


def told(field: str, error: MailgovError, language: Language) -> dict[str, str]:
    """What is wrong with a field of a row, for programs."""
    text, mend = tell(error, language)
    return {"field": field, "code": error.code, "text": text, "mend": mend}


def locale_language() -> Language:
    """`MAILGOV_LANG`, else the locale's language if it is one of ours, else Vietnamese."""
    for name in ("MAILGOV_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        language = os.environ.get(name, "")[:2].lower()
        if language in LANGUAGES:
            return language
        if language and name != "MAILGOV_LANG":
            break
    return "vi"
