"""Both languages say the same things, with the same places to fill."""

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

PLACE = re.compile(r"\{([a-z_]+)\}")
CATALOGUES = ("mailgov.texts", "mailgov_cli", "mailgov_webmail")


def catalogue(package: str, language: str) -> dict[str, Any]:
    folder = files(package)
    path = folder.joinpath(f"{language}.toml")
    if not path.is_file():
        path = folder.joinpath("texts", f"{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def entries(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from entries(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, str) else "\n".join(map(str, value))


@pytest.mark.parametrize("package", CATALOGUES)
def test_both_languages_have_the_same_entries(package: str) -> None:
    vietnamese, english = (dict(entries(catalogue(package, lang))) for lang in ("vi", "en"))
    # English help of commands stands in the code, beside the option it explains.
    missing = {key for key in vietnamese if not key.startswith("help.")} - set(english)
    assert missing == set()
    assert set(english) - set(vietnamese) == set()


@pytest.mark.parametrize("package", CATALOGUES)
def test_both_languages_have_the_same_places(package: str) -> None:
    vietnamese, english = (dict(entries(catalogue(package, lang))) for lang in ("vi", "en"))
    different = [
        key
        for key in vietnamese.keys() & english.keys()
        if set(PLACE.findall(vietnamese[key])) != set(PLACE.findall(english[key]))
    ]
    assert different == []


@pytest.mark.parametrize("package", CATALOGUES)
def test_nothing_is_left_empty(package: str) -> None:
    for language in ("vi", "en"):
        assert [key for key, text in entries(catalogue(package, language)) if not text] == []
