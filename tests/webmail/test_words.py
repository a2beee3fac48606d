"""Every text that a page asks for is there, and nothing is there that no page asks for."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from mailgov.texts import LANGUAGES
from mailgov_webmail.words import Words, catalogue
from tests.support.directory import NOW

USED = re.compile(r"""(?:\bt|words|visit\.words|self)\(\s*f?['"]([a-z][\w.{}-]*)['"](\s*~)?""")
KEYS_IN_CODE = re.compile(r"""['"]((?:compose|repair|hint|login|refused)\.[a-z0-9-]+)['"]""")
# Parts of keys that are put together where they are used.
PREFIXES = (
    "done.", "folder.", "login.", "level.", "standing.", "urgency.", "document.group-", "role.",
    "document.paper-", "kind.", "place.", "reports.", "hint.", "help.way-", "action.restore-", "refused.",
    "quarantine.done-", "access.opens-", "access.programs-", "access.done-",
    "absence.done-", "absence.state-", "search-by.", "search-is.", "outbox-later.",
)  # fmt: skip


def sources() -> Iterator[str]:
    package = files("mailgov_webmail")
    for folder in ("", "pages", "compose", "templates"):
        for entry in package.joinpath(folder).iterdir():
            if entry.name.endswith((".py", ".html")):
                yield entry.read_text("utf-8")


def used_keys() -> set[str]:
    found: set[str] = set()
    for source in sources():
        found |= {key for key, joined in USED.findall(source) if not joined and "{" not in key}
        found |= set(KEYS_IN_CODE.findall(source))
    return {key for key in found if "." in key and not key.endswith((".", "-", ".html"))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_a_page_asks_for_is_there(language: str) -> None:
    known = catalogue(language)  # type: ignore[arg-type]  # one of LANGUAGES
    assert {key for key in used_keys() if key not in known and f"{key}.title" not in known} == set()


def test_no_text_is_left_over() -> None:
    used = used_keys()
    unused = {key for key in catalogue("vi") if key not in used and not key.startswith(PREFIXES)}
    assert unused == {"date.yesterday"} - used


def test_a_missing_field_is_seen_and_breaks_nothing() -> None:
    words = Words("vi", NOW)
    assert words("folder.unread") == "(… chưa đọc)"
    assert words("no.such-key") == "no.such-key"
    assert words("folder.unread", n=1204) == "(1.204 chưa đọc)"
