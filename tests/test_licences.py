"""Every locked dependency may be distributed with a work under AGPL-3.0-or-later."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.source

LOCK = Path(__file__).parents[1] / "requirements" / "all.txt"

# What the licence fields of packages say, by the terms that make them compatible.
COMPATIBLE = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|0BSD|Unlicense|CC0|Zlib|"
    r"GPL-3\.0-only|GPLv3|LGPL|GNU Lesser|AGPL-3\.0-or-later|HPND|Public Domain",
    re.IGNORECASE,
)

# Packages whose metadata name no licence; read from the files they ship.
STATED = {
    "dkimpy": "BSD-like, as in the LICENSE file it ships",
    "imapclient": "New BSD, as in the COPYING file it ships",
}


def locked() -> list[str]:
    names = re.findall(r"^([a-z0-9_.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 50
    return names


def licence_of(name: str) -> str:
    """Expression, licence field's first line and classifiers, whichever there are."""
    fields = metadata(name)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in fields.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    field = str(fields.get("License") or "").strip().partition("\n")[0]
    return "; ".join(
        part for part in (str(fields.get("License-Expression") or ""), field, *classifiers) if part
    )


def test_every_locked_dependency_has_a_compatible_licence() -> None:
    table, doubtful = [], []
    for name in locked():
        try:
            licence = licence_of(name) or STATED.get(name, "")
        except PackageNotFoundError:
            continue  # for another Python or system
        if name in STATED and not COMPATIBLE.search(licence):
            licence = STATED[name]
        table.append(f"{name:<32} {licence[:90]}")
        if not COMPATIBLE.search(licence):
            doubtful.append(f"{name}: {licence!r}")
    print("\n".join(table))
    assert doubtful == []
    assert any("aioimaplib" in line and "GPL" in line for line in table)


def test_the_lock_names_hashes_and_no_registry() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") >= len(locked())
    assert "://" not in text


def test_the_core_is_a_part_of_the_whole_lock() -> None:
    core = (LOCK.parent / "run.txt").read_text(encoding="utf-8")
    pins = set(re.findall(r"^(\S+==\S+)", core, re.MULTILINE))
    assert pins
    assert pins <= set(re.findall(r"^(\S+==\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
