"""On which line the keys of a ruleset file stand; the TOML reader of Python does not tell."""

import re
from collections.abc import Iterable, Mapping

_ROW = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_PART_OF_ROW = re.compile(r"\s*\[\s*rule\s*\.\s*([\w-]+)\s*\]")
_TABLE = re.compile(r"\s*\[\[?[\w\s.\"'-]+\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w-]+)\s*(?:\.\s*([\w-]+)\s*)?=")


def head_lines(text: str) -> Mapping[str, int]:
    """Line of each key before the first table, and of that table under `rule`."""
    lines: dict[str, int] = {}
    for number, line in _outside_strings(text):
        if _TABLE.match(line):
            lines.setdefault("rule", number)
            break
        if key := _KEY.match(line):
            lines[key[1]] = number
    return lines


def row_lines(text: str) -> list[Mapping[str, int]]:
    """For each `[[rule]]`: its own line under "", and the line of each of its keys, `cases.x` too."""
    rows: list[dict[str, int]] = []
    prefix: str | None = None  # None: in a table that is no part of a row
    for number, line in _outside_strings(text):
        if _ROW.match(line):
            rows.append({"": number})
            prefix = ""
        elif rows and (part := _PART_OF_ROW.match(line)):
            rows[-1].setdefault(part[1], number)
            prefix = f"{part[1]}."
        elif _TABLE.match(line):
            prefix = None
        elif rows and prefix is not None and (key := _KEY.match(line)):
            name = f"{prefix}{key[1]}"
            rows[-1].setdefault(name, number)
            if key[2]:
                rows[-1].setdefault(f"{name}.{key[2]}", number)
    return list(rows)


def _outside_strings(text: str) -> Iterable[tuple[int, str]]:
    """Numbered lines that do not begin within a multi-line string."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not fence:
            yield number, line
        rest = line
        while (mark := fence or _first_fence(rest)) and mark in rest:
            rest = rest.partition(mark)[2]
            fence = "" if fence else mark


def _first_fence(line: str) -> str:
    marks = [mark for mark in ('"""', "'''") if mark in line]
    return min(marks, key=line.index, default="")
