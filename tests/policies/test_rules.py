"""Each rule alone, on the cases of its vectors."""

from typing import Any

import pytest

from mailgov_policies import RULES, RULES_BY_KEY, Hit, Rule, Settings

from .cases import VECTORS, cases, facts_of


def _file(rule: Rule) -> str:
    return rule.key.replace("-", "_")


def _settings(rule: Rule, case: dict[str, Any]) -> Settings:
    changes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in case.get("settings", {}).items()
    }
    assert changes.keys() <= rule.settings.keys()
    return Settings(rule.settings).changed(changes)


def _hits(rule: Rule, case: dict[str, Any]) -> list[Hit]:
    return list(rule.check(facts_of(case), _settings(rule, case)))


ALL = [(rule, case) for rule in RULES for case in cases(_file(rule))]


@pytest.mark.parametrize(
    ("rule", "case"), ALL, ids=[f"{rule.key}: {case['name']}" for rule, case in ALL]
)
def test_a_rule_sees_what_its_vectors_say(rule: Rule, case: dict[str, Any]) -> None:
    hits = _hits(rule, case)
    assert [hit.where for hit in hits] == [where for where, _ in case["hits"]]
    for hit, (_, evidence) in zip(hits, case["hits"], strict=True):
        assert {key: hit.evidence[key] for key in evidence} == evidence
        assert hit.code == rule.key
        assert tuple(hit.evidence) == rule.evidence
        assert hit.evidence.get("case", "") in ("", *rule.cases)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_vectors_show_a_rule_strike_and_stay_silent_and_use_each_of_its_cases(rule: Rule) -> None:
    outcomes = [_hits(rule, case) for case in cases(_file(rule))]
    seen = {hit.evidence.get("case", "") for hits in outcomes for hit in hits}
    assert any(outcomes)
    assert not all(outcomes)
    assert {*rule.cases} <= seen


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_every_setting_of_a_rule_changes_an_outcome(rule: Rule) -> None:
    changed = {name for case in cases(_file(rule)) for name in case.get("settings", {})}
    # These lists name kinds of files; the vectors show each kind that is in them.
    lists_of_kinds = {
        "executable": {"kinds", "extensions"},
        "macro": {"kinds"},
        "file-format": {"old_office", "technical"},
        "legacy-encoding": {"share"},
        "legacy-encoding-possible": {"words", "share"},
    }
    assert {*rule.settings} <= changed | lists_of_kinds.get(rule.key, set())


def test_every_vector_file_belongs_to_a_rule() -> None:
    assert {path.stem for path in VECTORS.glob("*.toml")} == {_file(rule) for rule in RULES}


def test_keys_are_unique_and_say_what_they_are() -> None:
    assert len(RULES_BY_KEY) == len(RULES)
    assert all(key == key.lower() and "_" not in key for key in RULES_BY_KEY)
