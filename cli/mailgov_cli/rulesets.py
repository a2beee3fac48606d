"""Ruleset files from the command line: checked, changed, tried on past mail."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailgov import texts
from mailgov.clock import local_date, utc_now
from mailgov.directory.change import Change, recorded
from mailgov.directory.provisioning import get_agency
from mailgov.errors import InputError
from mailgov.rulesets import AgencyRulesets, agency_files, below, editing, lay, read_ruleset
from mailgov.rulesets.simulation import Difference, simulate
from mailgov.texts import Language
from mailgov_cli.exits import UsageMistake
from mailgov_policies import (
    RULES_BY_KEY,
    Row,
    Rule,
    Ruleset,
    RulesetError,
    default_ruleset,
    load_ruleset,
)
from mailgov_policies.lint import lint
from mailgov_policies.rule import Setting

if TYPE_CHECKING:
    from mailgov_cli.runtime import Runtime

LINT_FIELDS = ("file", "line", "kind", "code", "told")
SIMULATION_FIELDS = ("agency", "code", "change", "before", "after", "messages")


def lint_rows(file: Path, language: Language) -> Iterator[dict[str, Any]]:
    """What is wrong (`fault`) and doubtful (`doubt`) in a file. Raises InputError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("ruleset-unreadable", file=file, reason=exc) from exc
    base = below(file, default_ruleset())
    report = lint(text, file.name.removesuffix(".toml"), base, local_date(utc_now()))
    for kind, problems in (("fault", report.faults), ("doubt", report.doubts)):
        for problem in problems:
            yield {
                "file": str(file),
                "line": problem.line,
                "kind": kind,
                "code": problem.code,
                "told": texts.ruleset_problems(language, [problem]),
            }


def set_level(
    run: "Runtime",
    code: str,
    agency: str,
    values: Mapping[str, editing.Value],
    reason: str,
    *,
    dry_run: bool,
) -> Change:
    """Add a row to the agency's file and record it; with `dry_run` only say what would change.

    The file changes inside the transaction that records it: without the record, no change.
    """
    folder = run.config.policy.rulesets
    if folder is None or not folder.is_dir():
        raise InputError("rulesets-folder-missing")
    act = run.act(reason)
    today = local_date(act.at)
    rulesets = AgencyRulesets(read_ruleset(run.config.policy.ruleset), folder, run.database)
    with run.change(dry_run=dry_run) as session:
        get_agency(session, agency)
        above = rulesets.laid(session, agency, above=True)
        edit, ruleset = editing.with_row(folder, agency, above, code, values, today)
        old, new = (_level(one, code) for one in (rulesets.laid(session, agency), ruleset))
        if "from" not in values:
            new["from"] = old.get("from", "")  # the day of a row that changes nothing is no change
        change = Change(
            noun="rule",
            verb="edit",
            target=f"{code} ({agency})",
            changes={name: (old[name], new[name]) for name in new if old.get(name) != new[name]},
            agency_code=agency,
            details={"file": str(edit.path), "diff": edit.diff},
        )
        if not change.nothing:
            recorded(session, act, change)
            if not dry_run:
                editing.write(edit)
    return change


def _level(ruleset: Ruleset, code: str) -> dict[str, str]:
    """How grave the rule is for the agency, and where: the row that stands last."""
    rows = ruleset.of(code)
    if not rows:
        return {}
    row = rows[-1]
    return {
        "mode": row.mode,
        "action": row.action.label,
        "cases": ", ".join(f"{case}={action.label}" for case, action in row.cases.items()),
        "settings": ", ".join(f"{name}={_shown(v)}" for name, v in row.settings.values.items()),
        "directions": ", ".join(row.directions),
        "agencies": ", ".join(row.agencies),
        "except_agencies": ", ".join(row.except_agencies),
        "mailbox_kinds": ", ".join(row.mailbox_kinds),
        "unless": row.unless,
        "from": row.begins.isoformat() if row.begins else "",
        "until": row.ends.isoformat() if row.ends else "",
        "locked": str(row.locked).lower(),
        "basis": row.basis,
    }


def _shown(value: Setting) -> str:
    return "|".join(value) if isinstance(value, tuple) else f"{value:g}"


def row_values(code: str, given: Mapping[str, Any]) -> dict[str, editing.Value]:
    """Options of `policy set` as fields of a row. Raises UsageMistake.

    `cases` and `settings` are texts `name=value`; a setting that is a list takes commas.
    """
    values = {name: value for name, value in given.items() if value not in (None, "", [])}
    for name in ("cases", "settings"):
        pairs = dict(_pair(text) for text in given.get(name) or ())
        values[name] = (
            {key: _setting(code, key, text) for key, text in pairs.items()}
            if name == "settings"
            else pairs
        )
    return {name: value for name, value in values.items() if value != {}}


def rows_everywhere(
    run: "Runtime", code: str, file: Path | None
) -> tuple[Sequence[Row], tuple[Rule, ...]]:
    """Every row of a rule, and the rules that rulesets have added: of a file, else of the installation.

    Files of agencies that are not valid are left out; `policy lint` tells what is wrong with them.
    """
    policy = run.config.policy
    base = read_ruleset(file or policy.ruleset)
    rows, added = [*base.of(code)], {rule.key: rule for rule in base.own}
    if file is None and policy.rulesets is not None and policy.rulesets.is_dir():
        for path in agency_files(policy.rulesets).values():
            try:
                under = below(path, base)
                laid = lay(path, under)
            except InputError:
                continue
            rows += laid.of(code)[len(under.of(code)) :]
            added |= {rule.key: rule for rule in laid.own}
    return rows, tuple(added.values())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise UsageMistake("pair-not-valid", text=text)
    return name.strip(), value.strip()


def _setting(code: str, name: str, text: str) -> editing.Value:
    rule = RULES_BY_KEY.get(code)
    default = rule.settings.get(name) if rule else None
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text  # the loader tells what it should be


def simulated(
    run: "Runtime", since: datetime, file: Path | None, levels: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Differences by agency and rule, and how many messages were judged again."""
    rulesets = AgencyRulesets(
        read_ruleset(run.config.policy.ruleset), run.config.policy.rulesets, run.database
    )
    text = "\n".join(_level_row(level) for level in levels)
    with run.database.read() as session:

        @cache
        def current(agency: str) -> Ruleset:
            return rulesets.laid(session, agency)

        @cache
        def candidate(agency: str) -> Ruleset:
            return _over(text, current(agency)) if file is None else lay(file, current(agency))

        candidate("")  # a faulty candidate is told before mail is read
        result = simulate(session, since, current, candidate)
    rows = [_row(difference, messages) for difference, messages in _in_order(result.differences)]
    return rows, {"messages": result.messages, "without": result.without_facts}


def _over(text: str, base: Ruleset) -> Ruleset:
    try:
        return load_ruleset(text, "simulation", base)
    except RulesetError as exc:
        raise InputError("ruleset-not-valid", file="--level", problems=exc.problems) from exc


def _level_row(level: str) -> str:
    code, equals, action = level.partition("=")
    if not (code and equals and action):
        raise UsageMistake("level-not-valid", text=level)
    return editing.row_text(code, {"mode": "enforce", "action": action})


def _in_order(differences: Mapping[Difference, int]) -> list[tuple[Difference, int]]:
    return sorted(differences.items(), key=lambda one: (one[0].agency, one[0].code, -one[1]))


def _row(difference: Difference, messages: int) -> dict[str, Any]:
    return {
        "agency": difference.agency,
        "code": difference.code,
        "change": difference.kind,
        "before": difference.before.label if difference.before is not None else "",
        "after": difference.after.label if difference.after is not None else "",
        "messages": messages,
    }
