"""Ruleset files: from TOML to rows, with every fault of the file told at once.

schema = 1
name = "tinh-mau"
version = "3"
packs = ["ha-noi-2017"]              # packs of authorities to lay below the rows of this file

[[rule]]
key = "file-format"                  # which rule; what is not named stays as it is below
mode = "enforce"                     # off, record, enforce
action = "hold"                      # pass, tag, warn, hold, quarantine, defer, reject
cases = { old-office = "warn" }      # actions for the rule's own cases
settings = { allow = ["pdf"] }       # its numbers and lists
directions = ["submission"]          # scope: submission, inbound, internal
agencies = ["H99.02"]                # scope: branches of the agency tree
except_agencies = ["H99.02.01"]      # branches within, for which what stands below goes on
unless = "envelope.mail_from.endsWith('@doitac.vn')"  # exception: findings are only written down
mailbox_kinds = ["office"]           # scope: recipients of inbound mail
from = 2026-12-01                    # first day in force
until = 2027-06-30                   # last day in force
basis = "Quyết định 12/2026/QĐ-UBND" # the law it rests on
locked = true                        # rulesets laid over this one may tighten it, not relax it

[[rule]]
key = "anh-ngoai-gio"                # a name of its own: a rule that this file adds
when = "content.attachments.exists(a, a.kind == 'jpg')" # condition over the facts: conditions.py
vi = "Thư có tệp ảnh."               # why, in one sentence, in both languages
en = "The message has a picture."
action = "warn"
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any

from mailgov_policies.conditions import ConditionError, compiled, own_rule
from mailgov_policies.facts import Facts
from mailgov_policies.rule import DIRECTIONS, Rule, Setting, Settings
from mailgov_policies.rules import RULES_BY_KEY
from mailgov_policies.ruleset import DUTIES, MODES, Row, Ruleset
from mailgov_policies.toml_lines import head_lines, row_lines
from mailgov_policies.verdict import Action

SCHEMA = 1
MAILBOX_KINDS = ("person", "office", "post", "shared")
CONFIDENCES = ("sourced", "derived", "implementation", "general")

_NOTHING = Ruleset("", "", ())
_OWN_KEY = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+")
_AGENCY = re.compile(r"[A-Z][0-9]{2}(?:\.[A-Z0-9]{1,4})*")
_HEAD = {"schema": int, "name": str, "version": str, "packs": list, "rule": list}
_FIELDS: Mapping[str, type] = {
    "key": str,
    "mode": str,
    "action": str,
    "cases": dict,
    "settings": dict,
    "directions": list,
    "agencies": list,
    "except_agencies": list,
    "unless": str,
    "mailbox_kinds": list,
    "from": date,
    "until": date,
    "basis": str,
    "confidence": str,
    "locked": bool,
    "when": str,
    "vi": str,
    "en": str,
}
_OF_OWN_RULES = ("when", "vi", "en")


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a ruleset file. `code` finds its words in the texts, `fields` fill their places."""

    code: str
    line: int  # 0: the file as a whole
    row: int  # which `[[rule]]`, from 1; 0: the head of the file
    key: str  # the rule named there, if any
    fields: Mapping[str, str]
    file: str = ""  # its name, where several are told of together

    def __str__(self) -> str:
        details = ", ".join(f"{name}=`{value}`" for name, value in self.fields.items())
        place = f"line {self.line}" if self.line else "file"
        return f"{place}: {self.code}" + (f": {details}" if details else "")


class RulesetError(ValueError):
    """A ruleset file is not valid; `problems` holds every fault, in the order of the file."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__(name, *(str(problem) for problem in self.problems))
        self.name = name


@cache
def default_ruleset() -> Ruleset:
    """The pack that holds where no authority says otherwise."""
    text = files(__package__).joinpath("packs", "default.toml").read_text("utf-8")
    return load_ruleset(text, "default", _NOTHING)


def load_ruleset(text: str, name: str, base: Ruleset) -> Ruleset:
    """The ruleset of a file, laid over `base`. `name` serves where the file gives none.

    Raises RulesetError with every fault of the file.
    """
    raw = _parsed(text, name)
    problems: list[Problem] = []
    head = _head(raw, problems, head_lines(text))
    base = _with_packs(base, head.get("packs", []), problems, head_lines(text).get("packs", 0))
    tables = raw["rule"] if isinstance(raw.get("rule"), list) else []
    rows: list[Row | None] = []
    added: dict[str, Rule] = {rule.key: rule for rule in base.own}
    for index, lines in zip(range(len(tables)), chain(row_lines(text), repeat({})), strict=False):
        if isinstance(tables[index], dict):
            reader = _RowReader(tables[index], index + 1, lines, base, added, name, problems)
            rows.append(reader.read())
        else:
            line = head_lines(text).get("rule", 0)
            fields = {"field": "rule", "expected": "[[rule]]"}
            problems.append(Problem("wrong-type", line, index + 1, "", fields))
    if problems:
        raise RulesetError(name, problems)
    own = str(head.get("name", name))
    return Ruleset(
        name=own,
        version=str(head.get("version", "1")),
        rows=(*base.rows, *(replace(row, ruleset=own) for row in rows if row is not None)),
        over=base.label if base.rows else "",
        own=tuple(added.values()),
    )


@cache
def packs() -> tuple[str, ...]:
    """Names of the packs of authorities that are shipped."""
    found = (entry.name for entry in files(__package__).joinpath("packs").iterdir())
    names = (name.removesuffix(".toml") for name in found if name.endswith(".toml"))
    return tuple(sorted(name for name in names if name != "default"))


def with_pack(name: str, base: Ruleset) -> Ruleset:
    """A shipped pack, laid over `base`. Raises RulesetError where `base` has locked what it relaxes."""
    text = files(__package__).joinpath("packs", f"{name}.toml").read_text("utf-8")
    return load_ruleset(text, name, base)


def _with_packs(base: Ruleset, names: Any, problems: list[Problem], line: int) -> Ruleset:
    for name in names if isinstance(names, list) else []:
        if name not in packs():
            fields = {"field": "packs", "found": str(name), "known": _listed(packs())}
            problems.append(Problem("unknown-pack", line, 0, "", fields))
            continue
        try:
            base = with_pack(name, base)
        except RulesetError as exc:
            reason = str(exc.problems[0])
            problems.append(
                Problem("pack-not-laid", line, 0, "", {"found": name, "reason": reason})
            )
    return base


def is_agency_code(text: str) -> bool:
    """Whether the text has the form of an agency's code, such as H99.02."""
    return _AGENCY.fullmatch(text) is not None


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        at = re.search(r"at line (\d+)", str(exc))
        line = int(at[1]) if at else len(text.splitlines())  # else: at the end of the file
        problem = Problem("not-toml", line, 0, "", {"reason": str(exc)})
        raise RulesetError(name, [problem]) from exc


def _head(
    raw: Mapping[str, Any], problems: list[Problem], lines: Mapping[str, int]
) -> Mapping[str, Any]:
    def wrong(code: str, field: str, **fields: str) -> None:
        problems.append(Problem(code, lines.get(field, 0), 0, "", {"field": field, **fields}))

    for field, value in raw.items():
        if field not in _HEAD:
            wrong("unknown-field", field, known=", ".join(_HEAD))
        elif not _is(value, _HEAD[field]):
            wrong("wrong-type", field, expected=_HEAD[field].__name__)
    if raw.get("schema", SCHEMA) != SCHEMA:
        wrong("unknown-schema", "schema", known=str(SCHEMA))
    return raw


class _RowReader:
    """Reads one `[[rule]]`; what is wrong goes to `problems`, and reading goes on."""

    def __init__(
        self,
        table: Mapping[str, Any],
        index: int,
        lines: Mapping[str, int],
        base: Ruleset,
        own: dict[str, Rule],
        name: str,
        problems: list[Problem],
    ) -> None:
        self._raw, self._index, self._lines = table, index, lines
        self._given = frozenset(table)
        self._name, self._problems = name, problems
        self._key = table.get("key") if isinstance(table.get("key"), str) else ""
        below = base.of(self._key or "")
        self._below = below[-1] if below else None
        self._locks = tuple(row for row in below if row.locked)
        self._own = own
        self._rule = RULES_BY_KEY.get(self._key or "") or own.get(self._key or "")

    def read(self) -> Row | None:
        """The row, or None when something is wrong with it."""
        before = len(self._problems)
        self._keep_what_can_be_read()
        is_own = any(name in self._raw for name in _OF_OWN_RULES)
        if not self._key:
            self._wrong("no-key", "key")
        elif is_own:
            self._add_rule(self._key)
        elif self._rule is None and self._key not in DUTIES:
            near = get_close_matches(self._key, [*RULES_BY_KEY, *DUTIES, *self._own], n=1)
            self._wrong("unknown-rule", "key", found=self._key, near=near[0] if near else "")
        if self._rule is None:  # nobody knows its cases and numbers
            self._raw = {k: v for k, v in self._raw.items() if k not in ("cases", "settings")}
        row = self._row()
        if len(self._problems) > before:
            return None
        self._check_locks(row)
        return row if len(self._problems) == before else None

    def _keep_what_can_be_read(self) -> None:
        """Fields of other names and types are told and left aside; the others are looked at."""
        kept: dict[str, Any] = {}
        for field, value in self._raw.items():
            if field not in _FIELDS:
                self._wrong("unknown-field", field, known=", ".join(_FIELDS))
            elif not _is(value, _FIELDS[field]):
                self._wrong("wrong-type", field, expected=_type_name(_FIELDS[field]))
            else:
                kept[field] = value
        self._given = frozenset(self._raw)
        self._raw = kept

    def _add_rule(self, key: str) -> None:
        """The rule that the row brings along."""
        if key in (*RULES_BY_KEY, *DUTIES, *self._own):
            self._wrong("key-taken", "key", found=key)
        elif not _OWN_KEY.fullmatch(key):
            self._wrong("key-not-valid", "key", found=key)
        wanted = [name for name in _OF_OWN_RULES if name in self._raw or name not in self._given]
        missing = [name for name in wanted if not self._raw.get(name, "").strip()]
        for name in missing:
            self._wrong("no-words" if name != "when" else "no-condition", name)
        words = {language: self._raw.get(language, "").strip() for language in ("vi", "en")}
        try:
            rule = own_rule(key, self._raw.get("when", "true"), words)
        except ConditionError as exc:
            if "when" not in missing:
                self._wrong("condition-not-valid", "when", reason=str(exc))
            return
        self._rule = rule
        if not missing and len(wanted) == len(_OF_OWN_RULES):
            self._own.setdefault(key, rule)

    def _row(self) -> Row:
        below = self._below
        row = Row(
            key=self._key or "",
            mode=self._choice("mode", MODES) or (below.mode if below else "enforce"),
            action=self._action(below),
            cases=self._cases(below),
            settings=self._settings(below),
            directions=self._directions(below),
            agencies=self._agencies("agencies"),
            except_agencies=self._agencies("except_agencies"),
            unless=self._raw.get("unless", ""),
            is_excepted=self._exception(),
            mailbox_kinds=self._choices("mailbox_kinds", MAILBOX_KINDS),
            begins=self._raw.get("from"),
            ends=self._raw.get("until"),
            basis=self._raw.get("basis", below.basis if below else ""),
            confidence=self._choice("confidence", CONFIDENCES)
            or (below.confidence if below else ""),
            locked=self._raw.get("locked", below.locked if below else False),
            ruleset=self._name,
            line=self._lines.get("", 0),
        )
        if row.begins and row.ends and row.ends < row.begins:
            self._wrong("dates-crossed", "until", begins=str(row.begins), ends=str(row.ends))
        if self._rule is not None:
            self._check_least(row, self._rule)
        return row

    def _action(self, below: Row | None) -> Action:
        if "action" in self._raw:
            return self._action_named("action", self._raw["action"])
        if below is None and self._rule is not None and "action" not in self._given:
            self._wrong("no-action", "")
        return below.action if below else Action.PASS

    def _cases(self, below: Row | None) -> Mapping[str, Action]:
        known = self._rule.cases if self._rule else ()
        cases = dict(below.cases) if below else {}
        for case, label in self._raw.get("cases", {}).items():
            if case not in known:
                self._wrong("unknown-case", f"cases.{case}", found=case, known=_listed(known))
            elif not isinstance(label, str):
                self._wrong("wrong-type", f"cases.{case}", expected="text")
            else:
                cases[case] = self._action_named(f"cases.{case}", label)
        return MappingProxyType(cases)

    def _settings(self, below: Row | None) -> Settings:
        defaults = self._rule.settings if self._rule else {}
        changes: dict[str, Setting] = {}
        for name, value in self._raw.get("settings", {}).items():
            field = f"settings.{name}"
            if name not in defaults:
                self._wrong("unknown-setting", field, found=name, known=_listed(defaults))
            elif isinstance(defaults[name], tuple):
                if isinstance(value, list) and all(isinstance(item, str) for item in value):
                    changes[name] = tuple(value)
                else:
                    self._wrong("wrong-type", field, expected="list of texts")
            elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                self._wrong("wrong-type", field, expected="number of 0 or more")
            else:
                changes[name] = value
        return (below.settings if below else Settings(defaults)).changed(changes)

    def _directions(self, below: Row | None) -> tuple[str, ...]:
        possible = self._rule.directions if self._rule else DIRECTIONS
        found = self._choices("directions", DIRECTIONS)
        for direction in found:
            if direction not in possible:
                self._wrong(
                    "direction-without-meaning",
                    "directions",
                    found=direction,
                    known=_listed(possible),
                )
        return found or (below.directions if below else possible)

    def _agencies(self, field: str) -> tuple[str, ...]:
        codes = self._raw.get(field, [])
        for code in codes:
            if not isinstance(code, str) or not _AGENCY.fullmatch(code):
                self._wrong("agency-not-valid", field, found=str(code))
        return tuple(codes)

    def _exception(self) -> Callable[[Facts], bool] | None:
        condition = self._raw.get("unless", "").strip()
        if not condition:
            return None
        try:
            return compiled(condition)
        except ConditionError as exc:
            self._wrong("condition-not-valid", "unless", reason=str(exc))
            return None

    def _choice(self, field: str, known: tuple[Any, ...]) -> Any:
        value = self._raw.get(field)
        if value is not None and value not in known:
            self._wrong("unknown-value", field, found=value, known=_listed(known))
            return None
        return value

    def _choices(self, field: str, known: tuple[str, ...]) -> tuple[str, ...]:
        values = self._raw.get(field, [])
        for value in values:
            if value not in known:
                self._wrong("unknown-value", field, found=str(value), known=_listed(known))
        return tuple(value for value in values if value in known)

    def _action_named(self, field: str, label: str) -> Action:
        try:
            return Action.parse(label)
        except ValueError:
            known = _listed(action.label for action in Action)
            self._wrong("unknown-value", field, found=label, known=known)
            return Action.REJECT

    def _check_least(self, row: Row, rule: Rule) -> None:
        mildest = min([row.action, *row.cases.values()])
        if mildest < rule.least or (row.mode != "enforce" and rule.least > Action.PASS):
            self._wrong(
                "too-mild", "action" if row.mode == "enforce" else "mode", least=rule.least.label
            )

    def _check_locks(self, row: Row) -> None:
        for lock in self._locks:
            for field in _relaxed(row, lock):
                self._wrong("locked", field, ruleset=lock.ruleset)

    def _wrong(self, code: str, field: str, **fields: str) -> None:
        line = self._lines.get(field) or self._lines.get(field.partition(".")[0])
        self._problems.append(
            Problem(
                code,
                line or self._lines.get("", 0),
                self._index,
                self._key or "",
                {"field": field, **fields},
            )
        )


def _relaxed(row: Row, lock: Row) -> Iterable[str]:
    """The fields in which a row is milder than a locked one."""
    if not row.locked:
        yield "locked"
    if MODES.index(row.mode) < MODES.index(lock.mode):
        yield "mode"
    if row.action < lock.action:
        yield "action"
    for case in sorted({*row.cases, *lock.cases}):
        if row.cases.get(case, row.action) < lock.cases.get(case, lock.action):
            yield f"cases.{case}"
    if row.unless and row.unless != lock.unless:
        yield "unless"
    if row.settings != lock.settings:
        yield "settings"  # which way a number is stricter is not known here


def _is(value: Any, wanted: type) -> bool:
    if wanted is date:
        return isinstance(value, date) and not isinstance(value, datetime)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _type_name(wanted: type) -> str:
    names = {str: "text", dict: "table", list: "list", bool: "true or false", date: "date"}
    return names.get(wanted, wanted.__name__)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"
