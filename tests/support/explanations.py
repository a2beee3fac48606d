"""One finding of every rule, as the rules' own vectors bring them about, and what is told of it."""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache

from mailgov.texts import Language
from mailgov.texts.explanation import PROGRAMS, Explanation, of_finding
from mailgov_policies import RULES, Finding, default_ruleset, judge

from ..policies.cases import cases, facts_of

DAY = date(2026, 11, 21)


@cache
def findings() -> tuple[Finding, ...]:
    """The first finding of each rule."""
    return tuple(filter(None, (_first(rule.key) for rule in RULES)))


def _first(key: str) -> Finding | None:
    for case in cases(key.replace("-", "_")):
        for finding in judge(facts_of(case), default_ruleset(), DAY).findings:
            if finding.code == key:
                return finding
    return None


def explanation(finding: Finding, language: Language) -> Explanation:
    """What every face must tell of it."""
    return of_finding(language, finding.code, finding.where, finding.evidence, finding.basis)


def steps(told: Explanation) -> Iterator[str]:
    """Every step in every program."""
    for program in PROGRAMS:
        yield from told.steps[program]


def plain(text: str) -> str:
    """Text as it reads: one line, without regard to capitals."""
    return re.sub(r"\s+", " ", text).casefold()


def missing(face: str, *parts: str) -> list[str]:
    """The parts that a face does not tell."""
    shown = plain(face)
    return [part for part in parts if plain(part) not in shown]
