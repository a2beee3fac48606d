"""How each rule does on everything that is labelled: struck rightly, silent rightly, missed, wrong."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.trust_roots import read_trust_roots
from mailgov_cli.checking import facts_of
from mailgov_cli.manifest import read_manifest
from mailgov_policies import RULES, Rule, Settings, Verdict, default_ruleset, judge

from .cases import cases
from .cases import facts_of as facts_of_vector
from .labelled import judged, labelled
from .letters import TODAY, letter, verdict_on

COLUMNS = ("struck", "silent", "missed", "wrong")


@dataclass
class Confusion:
    """Counts by rule, and what each wrong one was."""

    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {rule.key: Counter() for rule in RULES}
    )
    faults: list[str] = field(default_factory=list)

    def add(self, rule: str, *, wanted: bool, found: bool, name: str) -> None:
        """One judgement of one rule."""
        outcome = ("struck" if found else "missed") if wanted else ("wrong" if found else "silent")
        self.counts[rule][outcome] += 1
        if outcome in ("missed", "wrong"):
            self.faults.append(f"{rule} {outcome}: {name}")

    def add_verdict(self, wanted: set[str], verdict: Verdict, name: str) -> None:
        """All rules that judged a message. What is wanted may have other findings beside it."""
        found = {finding.code for finding in verdict.findings if finding.action}
        for key in found | wanted | {*verdict.passed}:
            if key in self.counts and (key in wanted or not wanted or key not in found):
                self.add(key, wanted=key in wanted, found=key in found, name=name)

    def table(self) -> list[str]:
        """Lines of text: a row for each rule, and the sum."""
        total = sum(self.counts.values(), Counter[str]())
        rows = [*self.counts.items(), ("all", total)]
        width = max(len(key) for key in self.counts)
        head = f"{'rule':{width}}" + "".join(f"{name:>8}" for name in COLUMNS)
        return [head] + [
            f"{key:{width}}" + "".join(f"{count[name]:8}" for name in COLUMNS)
            for key, count in rows
        ]


def over_everything(words: dict[str, Any], corpus: Path | None) -> Confusion:
    """Vectors of the rules, messages and words of ours, and the samples of the corpus when it is there."""
    confusion = Confusion()
    for rule in RULES:
        for case in cases(rule.key.replace("-", "_")):
            hits = list(rule.check(facts_of_vector(case), _settings(rule, case)))
            confusion.add(rule.key, wanted=bool(case["hits"]), found=bool(hits), name=case["name"])
    for case in labelled():
        wanted = {case["code"]} if "code" in case else set()
        confusion.add_verdict(wanted, judged(case)[1], case["name"])
    for wanted, place, text in _letters(words):
        confusion.add_verdict(wanted, verdict_on(letter(place, text)), f"{place}: {text}")
    if corpus is not None:
        for wanted, verdict, name in _samples(corpus / "policy-samples" / "manifest.json"):
            confusion.add_verdict(wanted, verdict, name)
    return confusion


def _settings(rule: Rule, case: dict[str, Any]) -> Settings:
    changes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in case.get("settings", {}).items()
    }
    return Settings(rule.settings).changed(changes)


def _letters(words: dict[str, Any]) -> Iterator[tuple[set[str], str, str]]:
    for text in words["innocent"]:
        yield set(), "body", text
        yield set(), "subject", text
    for text in words["innocent_names"]:
        yield set(), "name", text
    for text, _ in words["marks"]:
        yield {"secret-mark"}, "body", text
        yield {"secret-mark"}, "subject in brackets", text
        yield {"secret-mark"}, "file name", text


def _samples(manifest: Path) -> Iterator[tuple[set[str], Verdict, str]]:
    known = read_manifest(manifest)
    roots = read_trust_roots(known.trust_roots)
    for case, wanted in zip(known.cases(), known.wanted, strict=True):
        facts = facts_of(case, read_message(case.data, Limits(), roots))
        codes = set(wanted.reasons[:1]) if wanted.action != "accept" else set()
        yield codes, judge(facts, default_ruleset(), TODAY), case.id
