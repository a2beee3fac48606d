"""Changing an agency's ruleset file: a row is added, nothing that stands there is touched."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from mailgov.errors import InputError
from mailgov.rulesets.files import SUFFIX
from mailgov_policies import Row, Ruleset, RulesetError, load_ruleset

Value = str | bool | int | float | date | Sequence["Value"] | Mapping[str, "Value"]

_SCOPE = ("directions", "agencies", "except_agencies", "mailbox_kinds")
_TABLES = ("cases", "settings")  # rows of one rule add to these


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
    folder: Path, agency: str, above: Ruleset, key: str, values: Mapping[str, Value], on: date
) -> tuple[Edit, Ruleset]:
    """The agency's file with one more row, in force from that day, and the ruleset it makes.

    `above` is the ruleset that the file is laid over; `values` are fields of the row as a file has
    them, `from` too. What the file's last row of the same scope has said and `values` do not, goes on.
    Raises InputError `ruleset-unreadable`, or `ruleset-not-valid` with every fault of the result.
    """
    path = folder / f"{agency}{SUFFIX}"
    try:
        old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("ruleset-unreadable", file=path, reason=exc) from exc
    values = {**_kept(old, agency, above, key, values), **values}
    values.setdefault("from", on)
    start = old or f'schema = 1\nname = "{agency}"\nversion = "1"\n'
    new = f"{start.rstrip()}\n\n{row_text(key, values)}"
    try:
        return Edit(path, old, new), load_ruleset(new, agency, above)
    except RulesetError as exc:
        raise InputError("ruleset-not-valid", file=path, problems=exc.problems) from exc


def _kept(
    old: str, agency: str, above: Ruleset, key: str, values: Mapping[str, Value]
) -> dict[str, Value]:
    """What the last row of that rule and scope in the file says, as far as it is not what is below."""
    try:
        rows = load_ruleset(old, agency, above).of(key)[len(above.of(key)) :]
    except RulesetError:
        return {}  # told of the whole file at the end
    below = above.of(key)[-1] if above.of(key) else None
    wanted = {field: tuple(_listed(values.get(field))) for field in _SCOPE}
    if below is not None and wanted["directions"] == below.directions:
        wanted["directions"] = ()
    same = [row for row in rows if _scope(row, below) == wanted]
    if not same:
        return {}
    row = same[-1]
    kept: dict[str, Value] = {"mode": row.mode, "action": row.action.label, "basis": row.basis}
    kept["locked"] = row.locked
    for name, said in (("cases", _cases(row)), ("settings", dict(row.settings.values))):
        known = {} if below is None else _cases(below) if name == "cases" else below.settings.values
        changed = {one: value for one, value in said.items() if known.get(one) != value}
        given = values.get(name, {})
        assert isinstance(given, Mapping)
        kept[name] = {**changed, **given}
    return {name: value for name, value in kept.items() if name not in values or name in _TABLES}


def _scope(row: Row, below: Row | None) -> Mapping[str, tuple[str, ...]]:
    """The scope that a row names; one without directions has those of the row below."""
    same = below is None or row.directions == below.directions
    return {
        "directions": () if same else row.directions,
        "agencies": row.agencies,
        "except_agencies": row.except_agencies,
        "mailbox_kinds": row.mailbox_kinds,
    }


def _cases(row: Row) -> dict[str, str]:
    return {case: action.label for case, action in row.cases.items()}


def _listed(value: Value | None) -> Sequence[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else ()


def row_text(key: str, values: Mapping[str, Value]) -> str:
    """A row as it stands in a file; what is empty is left out."""
    lines = ["[[rule]]", f"key = {_quoted(key)}"]
    lines += [
        f"{name} = {_as_toml(value)}"
        for name, value in values.items()
        if value is False or value not in ("", (), [], {}, None)
    ]
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


def _as_toml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = (f"{name} = {_as_toml(one)}" for name, one in value.items())
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    return repr(value)


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(max(c, " ") for c in escaped)}"'
