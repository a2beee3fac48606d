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
from mailgov.rulesets import AgencyRulesets, below, editing, lay, read_ruleset
from mailgov.rulesets.simulation import Difference, simulate
from mailgov.texts import Language
from mailgov_cli.exits import UsageMistake
from mailgov_policies import Ruleset, RulesetError, default_ruleset, load_ruleset
from mailgov_policies.lint import lint

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
    values: Mapping[str, str],
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
    """How grave the rule is for the agency: the row that stands last."""
    rows = ruleset.of(code)
    if not rows:
        return {"mode": "", "action": "", "basis": ""}
    row = rows[-1]
    return {"mode": row.mode, "action": row.action.label, "basis": row.basis}


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
