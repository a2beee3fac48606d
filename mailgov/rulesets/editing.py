"""Changing an agency's ruleset file: a row is added, nothing that stands there is touched."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from mailgov.errors import InputError
from mailgov.rulesets.files import SUFFIX
from mailgov_policies import Ruleset, RulesetError, load_ruleset


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it is and as it shall be."""

    path: Path
    old: str
    new: str

    @property
    def diff(self) -> str:
        """The change in the unified format."""
        lines = unified_diff(
            self.old.splitlines(keepends=True),
            self.new.splitlines(keepends=True),
            fromfile=self.path.name,
            tofile=self.path.name,
        )
        return "".join(lines)


def with_row(
    folder: Path, agency: str, above: Ruleset, key: str, values: Mapping[str, str], on: date
) -> tuple[Edit, Ruleset]:
    """The agency's file with one more row, in force from that day, and the ruleset it makes.

    `above` is the ruleset that the file is laid over; `values` are fields of the row, texts all.
    Raises InputError `ruleset-unreadable`, or `ruleset-not-valid` with every fault of the result.
    """
    path = folder / f"{agency}{SUFFIX}"
    try:
        old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("ruleset-unreadable", file=path, reason=exc) from exc
    start = old or f'schema = 1\nname = "{agency}"\nversion = "1"\n'
    new = f"{start.rstrip()}\n\n{row_text(key, {**values}, on)}"
    try:
        return Edit(path, old, new), load_ruleset(new, agency, above)
    except RulesetError as exc:
        raise InputError("ruleset-not-valid", file=path, problems=exc.problems) from exc


def row_text(key: str, values: Mapping[str, str], begins: date | None = None) -> str:
    """A row as it stands in a file."""
    lines = ["[[rule]]", f"key = {_quoted(key)}"]
    lines += [f"{name} = {_quoted(value)}" for name, value in values.items() if value]
    lines += [f"from = {begins.isoformat()}"] if begins else []
    return "\n".join(lines) + "\n"


def write(edit: Edit) -> None:
    """Put the new text in place, whole or not at all. Raises InputError `ruleset-unwritable`."""
    folder = edit.path.parent
    try:
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=f".{edit.path.name}.", delete=False
        ) as file:
            file.write(edit.new)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(0o644)
        Path(file.name).replace(edit.path)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as exc:
        raise InputError("ruleset-unwritable", file=edit.path, reason=exc) from exc


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(max(c, " ") for c in escaped)}"'
