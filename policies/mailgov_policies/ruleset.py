"""Rulesets: how grave each finding is, where and since when. Data, never code.

A ruleset is a list of rows. For one message and one rule the last row that is in force and in scope
speaks, so the rows of an agency stand after those of the default pack. How a file becomes rows is
in `ruleset_file.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

from mailgov_policies.facts import Envelope, Facts
from mailgov_policies.rule import DIRECTIONS, Rule, Settings
from mailgov_policies.verdict import Action

# off: not run; record: run and written down, without consequence; enforce: run and obeyed.
Mode = Literal["off", "record", "enforce"]
MODES: tuple[Mode, ...] = ("off", "record", "enforce")

# Keys that bind the platform and are not judged from facts. What each asks is in docs/basis.md.
DUTIES = ("secret-no-copy",)


@dataclass(frozen=True, slots=True)
class View:
    """For whom a ruleset is read: the agency whose rules bind, and the kind of its mailbox."""

    agency: str = ""
    mailbox_kind: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of a ruleset. Two rows are the same only when they are one."""

    key: str
    mode: Mode
    action: Action
    cases: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    settings: Settings = field(default_factory=Settings)
    directions: tuple[str, ...] = DIRECTIONS
    agencies: tuple[str, ...] = ()  # branches of the agency tree; empty: all
    mailbox_kinds: tuple[str, ...] = ()  # of recipients of inbound mail; empty: all
    begins: date | None = None  # first day in force
    ends: date | None = None  # last day in force
    basis: str = ""
    confidence: str = ""  # of the basis: sourced, derived, general (to be confirmed)
    locked: bool = False  # rows of lower agencies may tighten it, not relax it
    except_agencies: tuple[str, ...] = ()  # branches in which the rows before it speak
    unless: str = ""  # condition under which its findings are only written down
    is_excepted: Callable[[Facts], bool] | None = None  # the same, compiled
    ruleset: str = ""  # name of the ruleset that it comes from
    line: int = 0  # of its file; 0: from no file

    def action_for(self, case: str) -> Action:
        """The action for a finding of that case; PASS while the row only records."""
        if self.mode != "enforce":
            return Action.PASS
        return self.cases.get(case, self.action)

    def applies(self, direction: str, view: View, on: date) -> bool:
        """Whether the row is in force on that day and the view within its scope."""
        return (
            direction in self.directions
            and (self.begins is None or self.begins <= on)
            and (self.ends is None or on <= self.ends)
            and (not self.agencies or any(in_branch(view.agency, a) for a in self.agencies))
            and not any(in_branch(view.agency, a) for a in self.except_agencies)
            and (not self.mailbox_kinds or view.mailbox_kind in self.mailbox_kinds)
        )


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rows, the most general first."""

    name: str
    version: str
    rows: tuple[Row, ...]
    over: str = ""  # label of the ruleset that this one was laid over
    own: tuple[Rule, ...] = ()  # rules that rulesets add, as conditions over the facts
    _by_key: Mapping[str, tuple[Row, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key: dict[str, list[Row]] = {}
        for row in self.rows:
            by_key.setdefault(row.key, []).append(row)
        object.__setattr__(self, "_by_key", {key: tuple(rows) for key, rows in by_key.items()})

    @property
    def label(self) -> str:
        """Name and version, as verdicts repeat them: `tinh-mau 3, default 2026-11-21`."""
        own = f"{self.name} {self.version}"
        return f"{own}, {self.over}" if self.over else own

    def of(self, key: str) -> tuple[Row, ...]:
        """Every row of a rule, the one that speaks last at the end."""
        return self._by_key.get(key, ())

    def rule(self, key: str) -> Rule | None:
        """The rule of that name among those that rulesets add."""
        return next((rule for rule in self.own if rule.key == key), None)

    def row(self, key: str, direction: str, view: View, on: date) -> Row | None:
        """The row that speaks, or None."""
        for row in reversed(self.of(key)):
            if row.applies(direction, view, on):
                return row
        return None

    def in_force(
        self, rule: Rule, direction: str, views: Iterable[View], on: date
    ) -> tuple[Row, ...]:
        """The rows that speak for those concerned by a message, each once.

        Agencies that receive one message together may have different rows; then all of them
        judge, so that no agency's row is lost because another's is milder.
        """
        if direction not in rule.directions:
            return ()
        rows = (self.row(rule.key, direction, view, on) or _indispensable(rule) for view in views)
        return tuple(dict.fromkeys(row for row in rows if row is not None))


def in_branch(agency: str, branch: str) -> bool:
    """Whether the agency is the branch's root or below it: H99.02 is in H99."""
    return agency == branch or agency.startswith(f"{branch}.")


def concerned(envelope: Envelope) -> tuple[View, ...]:
    """Submitted mail obeys the sender's agency, inbound mail the recipients'; each once."""
    if envelope.direction != "inbound" or not envelope.recipients:
        return (View(envelope.agency),)
    return tuple(dict.fromkeys(View(r.agency, r.kind) for r in envelope.recipients))


def _indispensable(rule: Rule) -> Row | None:
    """What holds for a rule that no ruleset may leave out, when one does."""
    if rule.least is Action.PASS:
        return None
    return Row(rule.key, "enforce", rule.least, settings=Settings(rule.settings))
