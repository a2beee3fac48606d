"""The engine: every rule in force sees the facts, the gravest finding decides.

Pure and deterministic. More findings never make a verdict milder, a rule that raises defers, and
what was looked for in vain is told too.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule
from mailgov_policies.rules import RULES
from mailgov_policies.ruleset import Row, Ruleset, concerned
from mailgov_policies.verdict import Action, Finding, Hit, Verdict

RULE_FAILED = "rule-failed"  # code of the finding that stands for a rule that raised


def judge(facts: Facts, ruleset: Ruleset, on: date, rules: Sequence[Rule] = RULES) -> Verdict:
    """The verdict of a ruleset on a message on that day."""
    findings: list[Finding] = []
    passed: list[str] = []
    views = concerned(facts.envelope)
    for rule in (*rules, *ruleset.own):
        in_force = ruleset.in_force(rule, facts.envelope.direction, views, on)
        rows = [row for row in in_force if row.mode != "off" or rule.least > Action.PASS]
        found = [finding for row in rows for finding in _findings(rule, row, facts)]
        if found:
            findings += gravest_of_each(found)
        elif rows:
            passed.append(rule.key)
    return combine(findings, tuple(passed), ruleset.label)


def combine(findings: Iterable[Finding], passed: tuple[str, ...], ruleset: str) -> Verdict:
    """Findings in order of gravity, the order of rules within; the first one names the verdict."""
    ordered = tuple(sorted(findings, key=lambda finding: -finding.action))
    action = ordered[0].action if ordered else Action.PASS
    code = ordered[0].code if action is not Action.PASS else ""
    return Verdict(action, code, ordered, passed, ruleset)


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several rulesets, each asked for those it binds. The gravest outcome counts.

    What one ruleset found and another did not has not passed. Never called without a verdict.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    findings = gravest_of_each(finding for verdict in verdicts for finding in verdict.findings)
    codes = {finding.code for finding in findings}
    passed = dict.fromkeys(code for verdict in verdicts for code in verdict.passed)
    labels = "; ".join(dict.fromkeys(verdict.ruleset for verdict in verdicts))
    return combine(findings, tuple(code for code in passed if code not in codes), labels)


def gravest_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """The same sight judged by the rows of several agencies is one finding, the gravest."""
    kept: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        sight = (finding.code, finding.where, *finding.evidence.items())
        if sight not in kept or finding.action > kept[sight].action:
            kept[sight] = finding
    return list(kept.values())


def _action(row: Row, hit: Hit, *, excepted: bool) -> Action:
    return Action.PASS if excepted else row.action_for(hit.evidence.get("case", ""))


def _findings(rule: Rule, row: Row, facts: Facts) -> list[Finding]:
    try:
        hits = list(rule.check(facts, row.settings))
        excepted = bool(hits) and row.is_excepted is not None and row.is_excepted(facts)
    except Exception as exc:  # noqa: BLE001 - whatever breaks in a rule, the message waits
        action = Action.DEFER if row.mode == "enforce" else Action.PASS
        evidence = {"rule": rule.key, "error": type(exc).__name__}
        return [Finding(RULE_FAILED, action, rule.key, evidence, rule.version, row.basis)]
    return [
        Finding(
            code=hit.code,
            action=max(rule.least, _action(row, hit, excepted=excepted)),
            where=hit.where,
            evidence=hit.evidence,
            rule_version=rule.version,
            basis=row.basis,
        )
        for hit in hits
    ]
