"""Rules that a ruleset adds as conditions: checked when loaded, judged like any other."""

from dataclasses import replace
from datetime import date

import pytest

from mailgov_policies import (
    Action,
    Attachment,
    Content,
    Document,
    Envelope,
    Facts,
    Ruleset,
    RulesetError,
    View,
    default_ruleset,
    judge,
    load_ruleset,
)
from mailgov_policies.conditions import samples

TODAY = date(2026, 11, 22)
FACTS = Facts(Envelope("submission", "an.nv@tinhmau.gov.vn", ()), Content(4096))


def _file(when: str, key: str = "anh-dinh-kem", more: str = "") -> str:
    return f"""
[[rule]]
key = "{key}"
when = {when!r}
vi = "Thư có tệp ảnh."
en = "The message has a picture."
action = "warn"
{more}
"""


def _load(text: str, base: Ruleset | None = None) -> Ruleset:
    return load_ruleset(text, "tinh-mau", base or default_ruleset())


def _faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(RulesetError) as caught:
        _load(text)
    return [(problem.line, problem.code) for problem in caught.value.problems]


def _with(*attachments: Attachment) -> Facts:
    return replace(FACTS, content=replace(FACTS.content, attachments=attachments))


PICTURE = 'content.attachments.exists(a, a.kind == "jpg")'


def test_a_condition_that_holds_is_a_finding_with_its_words() -> None:
    rules = _load(_file(PICTURE, more='basis = "Quy chế của tỉnh"'))
    verdict = judge(_with(Attachment("2", "a.jpg", "", "jpg", 1)), rules, TODAY, ())
    (finding,) = verdict.findings
    assert (finding.code, finding.action, finding.where) == ("anh-dinh-kem", Action.WARN, "message")
    assert finding.evidence["en"] == "The message has a picture."
    assert finding.basis == "Quy chế của tỉnh"


def test_a_condition_that_does_not_hold_is_told_among_what_passed() -> None:
    verdict = judge(FACTS, _load(_file(PICTURE)), TODAY, ())
    assert verdict.action is Action.PASS
    assert "anh-dinh-kem" in verdict.passed


@pytest.mark.parametrize(
    "when",
    [
        'content.document.type == "thong-bao" && content.document.notation == "12/TB-UBND"',
        'content.found.type.startsWith("thong")',
        'content.declared.type == "" && content.header.sender.address == ""',
        'envelope.direction == "submission" && size(envelope.recipients) == 0',
        'envelope.authentication.spf == "none"',
        '!content.attachments.exists(a, a.document.agency.contains(".unknown name"))',
    ],
)
def test_facts_that_are_not_there_are_empty(when: str) -> None:
    found = Document(type="thong-bao", number="12", symbol="TB-UBND")
    facts = replace(FACTS, content=replace(FACTS.content, found=found))
    assert judge(facts, _load(_file(when)), TODAY, ()).action is Action.WARN


@pytest.mark.parametrize(
    ("when", "fault"),
    [
        ("content.size_bytes >", "condition-not-valid"),
        ("content.sise_bytes > 3", "condition-not-valid"),
        ("false && content.no_such_fact", "condition-not-valid"),
        ("message.size_bytes > 3", "condition-not-valid"),
        ("content.size_bytes", "condition-not-valid"),
        ("content.attachments[0].kind == 'pdf'", "condition-not-valid"),
        ("content.attachments.exists(a, a.kind > 3)", "condition-not-valid"),
        ("no_such_function(content)", "condition-not-valid"),
        ("content.size_bytes > " + "1" * 2000, "condition-not-valid"),
        ("", "no-condition"),
    ],
)
def test_a_faulty_condition_is_told_when_it_is_loaded(when: str, fault: str) -> None:
    assert _faults(_file(when)) == [(4, fault)]


def test_names_and_words_of_a_rule_are_checked() -> None:
    assert _faults(_file("true", key="macro")) == [(3, "key-taken")]
    assert _faults(_file("true", key="secret-no-copy")) == [(3, "key-taken")]
    assert _faults(_file("true") + _file("false")) == [(11, "key-taken")]
    assert _faults(_file("true", key="Ảnh")) == [(3, "key-not-valid")]
    assert _faults('[[rule]]\nkey = "a-b"\nwhen = "true"\nvi = "A."\naction = "warn"\n') == [
        (1, "no-words")
    ]


def test_a_condition_that_raises_defers() -> None:
    rules = _load(_file("100 / (content.size_bytes - 7) > 1"))
    facts = replace(FACTS, content=replace(FACTS.content, size_bytes=7))
    verdict = judge(facts, rules, TODAY, ())
    assert (verdict.action, verdict.code) == (Action.DEFER, "rule-failed")
    assert verdict.findings[0].evidence["rule"] == "anh-dinh-kem"


def test_a_file_laid_over_it_weighs_the_rule_anew() -> None:
    over = _load('[[rule]]\nkey = "anh-dinh-kem"\naction = "hold"\n', _load(_file(PICTURE)))
    assert judge(_with(Attachment("2", "a", "", "jpg", 1)), over, TODAY, ()).action is Action.HOLD
    row = over.row("anh-dinh-kem", "submission", View(), TODAY)
    assert row is not None
    assert row.ruleset == "tinh-mau"


def test_the_full_sample_leaves_no_list_empty() -> None:
    _, full = samples()
    content = full.content
    assert all((content.texts, content.marks, content.attachments, content.malformed))
    assert content.attachments[0].signatures
