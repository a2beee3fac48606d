"""What a valid ruleset file may still have against it: laws that ended, rows that never speak."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from mailgov_policies.ruleset import Row, Ruleset
from mailgov_policies.ruleset_file import Problem, RulesetError, load_ruleset


@dataclass(frozen=True, slots=True)
class Report:
    """`faults` keep a file from being loaded, `doubts` do not. Both in the order of the file."""

    faults: tuple[Problem, ...]
    doubts: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Repealed:
    """A text that has lost its force."""

    names: tuple[str, ...]
    by: str
    until: date  # last day in force


def lint(text: str, name: str, base: Ruleset, on: date) -> Report:
    """Everything that can be said against a ruleset file on that day."""
    try:
        ruleset = load_ruleset(text, name, base)
    except RulesetError as exc:
        return Report(exc.problems, ())
    own = tuple(row for row in ruleset.rows[len(base.rows) :] if row.ruleset == ruleset.name)
    doubts = [problem for index, _ in enumerate(own) for problem in _doubts(own, index, on)]
    return Report((), tuple(sorted(doubts, key=lambda problem: problem.line)))


@cache
def repealed() -> tuple[Repealed, ...]:
    """The table of texts no longer in force."""
    text = files(__package__).joinpath("tables", "repealed.toml").read_text("utf-8")
    rows = tomllib.loads(text)["text"]
    return tuple(Repealed(tuple(row["names"]), row["by"], row["until"]) for row in rows)


def _doubts(rows: tuple[Row, ...], index: int, on: date) -> Iterator[Problem]:
    row = rows[index]

    def problem(code: str, **fields: str) -> Problem:
        return Problem(code, row.line, index + 1, row.key, fields)

    if row.ends is not None and row.ends < on:
        yield problem("expired", ends=row.ends.isoformat())
    if not row.basis:
        yield problem("no-basis")
    for law in repealed():
        if law.until < on and any(name in row.basis for name in law.names):
            yield problem("basis-repealed", law=law.names[0], by=law.by)
    for later in rows[index + 1 :]:
        if _covers(later, row):
            yield problem("unreachable", line=str(later.line))
            break


def _covers(later: Row, row: Row) -> bool:
    """Whether wherever and whenever the row applies, the later one does."""
    return (
        later.key == row.key
        and {*later.directions} >= {*row.directions}
        and {*later.except_agencies} <= {*row.except_agencies}
        and (not later.agencies or (row.agencies != () and {*later.agencies} >= {*row.agencies}))
        and (
            not later.mailbox_kinds
            or (row.mailbox_kinds != () and {*later.mailbox_kinds} >= {*row.mailbox_kinds})
        )
        and (later.begins is None or (row.begins is not None and later.begins <= row.begins))
        and (later.ends is None or (row.ends is not None and row.ends <= later.ends))
    )
