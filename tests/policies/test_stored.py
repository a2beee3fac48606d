"""Facts kept with a verdict: judged again as before, without the words of the message."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mailgov_policies import RULES, default_ruleset, judge
from mailgov_policies.stored import NOT_REPLAYED, keep, restore

from .cases import cases, facts_of

TODAY = date(2026, 11, 22)
ALL = [
    (rule.key, case)
    for rule in RULES
    if rule.key not in NOT_REPLAYED
    for case in cases(rule.key.replace("-", "_"))
]


@pytest.mark.parametrize(("key", "case"), ALL, ids=[f"{k}: {c['name']}" for k, c in ALL])
def test_kept_facts_are_judged_as_the_message_was(key: str, case: dict[str, Any]) -> None:
    facts = facts_of(case)
    again = restore(json.loads(json.dumps(keep(facts))))
    first, second = (judge(one, default_ruleset(), TODAY) for one in (facts, again))
    assert {(f.code, f.action) for f in second.findings if f.code == key} == {
        (f.code, f.action) for f in first.findings if f.code == key
    }


def test_no_words_are_kept() -> None:
    case: dict[str, Any] = {
        "header": {"subject": "Việc riêng", "from": [["Tên Riêng", "a@b.vn"]]},
        "texts": [
            {"place": "body", "encoding": "tcvn3", "words": 9, "share": 1.0, "certain": True,
             "as_read": "riªng", "converted": "riêng", "file": "riêng.doc"},
        ],
        "marks": [
            {"kind": "urgency", "value": "KHẨN", "place": "body", "certain": True, "line": "riêng"},
        ],
        "found": {"type": "thong-bao", "abstract": "riêng", "agency": "SỞ RIÊNG", "words": ["riêng"]},
        "attached": [{"part": "2", "name": "Đơn riêng.docx", "kind": "docx"}],
    }  # fmt: skip
    kept = json.dumps(keep(facts_of(case)), ensure_ascii=False).lower()
    assert "riêng" not in kept
    assert "riªng" not in kept
    assert '".docx"' not in kept
    assert "….docx" in kept


def test_facts_of_a_later_version_are_restored_without_what_is_not_known() -> None:
    facts = facts_of({})
    kept = keep(facts)
    kept["content"]["of_tomorrow"] = 1
    assert restore(kept) == restore(keep(facts))
    assert replace(restore(kept).content, header=facts.content.header) == facts.content
