"""From rows to a table: one number is the count of its rows, never anything else.

A report yields rows for the whole branch that is asked for; a row belongs to an agency and to
columns. Here they are summed by unit, small groups are hidden, and totals come first.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from sqlmodel import Session

from mailgov.clock import local_date
from mailgov.errors import InputError
from mailgov.reports.period import Period
from mailgov.reports.tree import Tree, Unit

LEAST_GROUP = 10  # people; smaller groups are hidden


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was counted: a person, a document, a finding."""

    agency: str  # code
    columns: frozenset[str]  # keys of the columns it counts in
    group: str = ""  # category or rule, where the report is cut by it
    key: str = ""  # pseudonym of a person, queue id of a message
    facts: Mapping[str, str] = field(default_factory=dict)  # what the rows page shows


@dataclass(frozen=True, slots=True)
class Column:
    """A count, or a rate of two counts."""

    key: str
    kind: Literal["count", "rate"]
    numerator: str = ""  # for rates: keys of counts
    denominator: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a report means. Its words are under `[report.<key>]` in the texts."""

    key: str
    version: int
    columns: tuple[Column, ...]
    headline: str  # the column that charts and rankings use
    cuts: tuple[str, ...]  # of agency, category, rule
    people: str = ""  # the column that counts people, to which the least group applies


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is asked for."""

    period: Period
    tree: Tree
    today: date


@dataclass(frozen=True, slots=True)
class Report:
    """A definition and the function that finds its rows."""

    definition: Definition
    rows: Callable[[Session, Question], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a unit, a category or a rule."""

    key: str
    name: str
    values: Mapping[str, int | Decimal | None]  # None: nothing over nothing
    hidden: bool = False  # fewer people than may be shown


@dataclass(frozen=True, slots=True)
class Result:
    """A finished report. `total` covers the whole branch, `lines` its parts."""

    definition: Definition
    period: Period
    unit: Unit | None  # None: everything
    by: str
    total: Line
    lines: tuple[Line, ...]
    provisional: bool
    made_at: datetime

    @property
    def sha256(self) -> str:
        """A fingerprint of the numbers, without the time of making."""
        figures = [
            [line.key, line.hidden, *(f"{key}={value}" for key, value in line.values.items())]
            for line in (self.total, *self.lines)
        ]
        named = [
            self.definition.key, self.definition.version, self.period.key,
            self.unit.code if self.unit else "", self.by, figures,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(named, ensure_ascii=False).encode()).hexdigest()


def run_report(
    session: Session,
    report: Report,
    period: Period,
    *,
    agency: str = "",
    by: str | None = None,
    now: datetime,
) -> Result:
    """Count one report.

    `agency` is the code of the branch, empty for all; `by` None is the report's first cut. Cost:
    linear in the people and events of the period. Raises NotFound `agency-unknown`, InputError
    `report-cut-unknown`.
    """
    definition = report.definition
    by = by or definition.cuts[0]
    if by not in definition.cuts:
        raise InputError(
            "report-cut-unknown", report=definition.key, cut=by, known=", ".join(definition.cuts)
        )
    tree = Tree.read(session, agency)
    question = Question(period, tree, local_date(now))
    rows = list(report.rows(session, question))
    if by == "agency":
        lines = _by_unit(definition, tree, rows)
    else:
        lines = _by_group(definition, rows)
    total = _line("", tree.top.name_vi if tree.top else "", definition, rows)
    return Result(
        definition=definition,
        period=period,
        unit=tree.top,
        by=by,
        total=_hidden(total) if _is_small(definition, total) else total,
        lines=tuple(_with_small_groups_hidden(definition, lines)),
        provisional=period.is_provisional(question.today),
        made_at=now,
    )


def _by_unit(definition: Definition, tree: Tree, rows: Sequence[Row]) -> list[Line]:
    """One line for each unit just below the top, its whole branch included, and the top's own."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[tree.branch_below_top(row.agency)].append(row)
    return [
        _line(unit.code, unit.name_vi, definition, found[unit.code])
        for unit in tree.parts
        if found[unit.code]
    ]


def _by_group(definition: Definition, rows: Sequence[Row]) -> list[Line]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.group].append(row)
    lines = [_line(group, group, definition, members) for group, members in found.items()]
    headline = definition.headline
    return sorted(lines, key=lambda line: (-int(line.values[headline] or 0), line.key))


def _line(key: str, name: str, definition: Definition, rows: Sequence[Row]) -> Line:
    counts = {
        column.key: sum(column.key in row.columns for row in rows)
        for column in definition.columns
        if column.kind == "count"
    }
    values: dict[str, int | Decimal | None] = {}
    for column in definition.columns:
        if column.kind == "count":
            values[column.key] = counts[column.key]
        else:
            values[column.key] = percent(counts[column.numerator], counts[column.denominator])
    return Line(key, name, values)


def percent(numerator: int, denominator: int) -> Decimal | None:
    """A rate in percent, one decimal, half up; nothing over nothing is None, never 0."""
    if denominator == 0:
        return None
    rate = Decimal(100 * numerator) / Decimal(denominator)
    return rate.quantize(Decimal("0.1"), ROUND_HALF_UP)


def _with_small_groups_hidden(definition: Definition, lines: Sequence[Line]) -> Iterable[Line]:
    """Hide units with fewer people than may be shown, and one more where a subtraction from the
    total would give a single hidden unit away."""
    if not definition.people:
        return lines
    sizes = {line.key: int(line.values[definition.people] or 0) for line in lines}
    small = {key for key, size in sizes.items() if 0 < size < LEAST_GROUP}
    rest = sorted((size, key) for key, size in sizes.items() if key not in small and size)
    if small and sum(sizes[key] for key in small) < LEAST_GROUP and rest:
        small.add(rest[0][1])
    return [_hidden(line) if line.key in small else line for line in lines]


def _is_small(definition: Definition, line: Line) -> bool:
    return bool(definition.people) and 0 < int(line.values[definition.people] or 0) < LEAST_GROUP


def _hidden(line: Line) -> Line:
    return Line(line.key, line.name, dict.fromkeys(line.values), hidden=True)
