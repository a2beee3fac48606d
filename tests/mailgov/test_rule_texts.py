"""Words of the rules: both languages, every place filled, harmless whatever a stranger wrote."""

import re
import string
from datetime import date

import pytest

from mailgov import texts
from mailgov.errors import InputError
from mailgov.texts import LANGUAGES, Language
from mailgov_policies import (
    DUTIES,
    RULE_FAILED,
    RULES,
    RULES_BY_KEY,
    RulesetError,
    default_ruleset,
    judge,
    load_ruleset,
)

from ..policies.cases import cases, facts_of

CODES = [*(rule.key for rule in RULES), *DUTIES, RULE_FAILED]
PROGRAMS = {"webmail", "thunderbird", "outlook", "phone"}
BLAME = re.compile(
    r"\b(?:lỗi của bạn|bạn đã vi phạm|cấm|your fault|you violated|forbidden|illegal)\b",
    re.IGNORECASE,
)


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_words(code: str, language: Language) -> None:
    entry = texts.entry(language, f"rule.{code}")
    for name in ("title", "reason", "basis", "help"):
        assert entry[name].strip() == entry[name] != "", name
    assert not BLAME.search(" ".join([entry["title"], entry["reason"], entry["help"]]))
    assert entry["steps"].keys() == PROGRAMS
    for program in PROGRAMS:
        steps = texts.rule_steps(language, code, program)
        assert steps
        assert all(step.endswith(".") and len(step) < 250 for step in steps)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_belongs_to_a_rule_that_is_not_there(language: Language) -> None:
    assert texts.catalogue(language)["rule"].keys() == {*CODES}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_the_evidence_of_a_rule_fills_every_place(rule: "object", language: Language) -> None:
    key, evidence = rule.key, {*rule.evidence}  # type: ignore[attr-defined]  # a Rule
    entry = texts.entry(language, f"rule.{key}")
    assert _places(entry["reason"]) <= evidence
    for case, sentence in entry.get("cases", {}).items():
        assert case in rule.cases  # type: ignore[attr-defined]  # a Rule
        assert _places(sentence) <= evidence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_every_finding_of_the_vectors_is_a_whole_sentence(
    rule: "object", language: Language
) -> None:
    key: str = rule.key  # type: ignore[attr-defined]  # a Rule
    for case in cases(key.replace("-", "_")):
        verdict = judge(facts_of(case), default_ruleset(), date(2026, 11, 21))
        for finding in verdict.findings:
            sentence = texts.rule_sentence(language, finding.code, finding.evidence)
            assert "…" not in sentence
            assert "{" not in sentence
            assert sentence[0].isupper() or sentence[0] == '"'
            assert sentence.endswith(".")


def test_both_languages_fill_the_same_places() -> None:
    for code in CODES:
        vi, en = (texts.entry(language, f"rule.{code}") for language in LANGUAGES)
        assert _places(vi["reason"]) == _places(en["reason"]), code
        assert vi.get("cases", {}).keys() == en.get("cases", {}).keys(), code


def test_what_a_stranger_named_a_file_can_not_break_the_line() -> None:
    evidence = {"place": "part 2", "file": "a\r\n250 OK\u202efdp.exe" + "x" * 500, "kind": "exe"}
    sentence = texts.rule_sentence("en", "executable", evidence)
    assert "\r" not in sentence
    assert "\n" not in sentence
    assert "\u202e" not in sentence
    assert len(sentence) < 400


def test_braces_in_evidence_are_no_places() -> None:
    evidence = {"place": "part 2", "file": "{encoding}.doc", "encoding": "tcvn3"}
    assert "{encoding}.doc" in texts.rule_sentence("en", "legacy-encoding", evidence)


@pytest.mark.parametrize(
    ("where", "file", "shown"),
    [
        ("subject", "", "tiêu đề thư"),
        ("body line 3", "", "nội dung thư (dòng 3)"),
        ("part 2", "", "phần 2"),
        ("part 2", "bc.doc", 'tệp "bc.doc"'),
        ("part 2 paragraph 14", "bc.doc", 'tệp "bc.doc" (đoạn 14)'),
        ('part 3 sheet "page 1" B7', "a.xls", 'tệp "a.xls" (trang tính "page 1" B7)'),
        ("part 2 table 1 row 2 cell 3", "a.docx", 'tệp "a.docx" (bảng 1 hàng 2 ô 3)'),
        ("part 2/Thư mục/a b.exe", "", "phần 2/Thư mục/a b.exe"),
        ("file name 2", "", 'tên tệp "2"'),
        ("header From", "", "trường From"),
        ("envelope sender", "", "địa chỉ gửi của phong bì thư"),
        ("recipient x@y.test", "", "người nhận x@y.test"),
        ("somewhere else", "", "somewhere else"),
    ],
)
def test_places_are_told_in_words(where: str, file: str, shown: str) -> None:
    assert texts.place("vi", where, file) == shown


def test_ids_in_evidence_are_told_in_words_and_words_are_left_alone() -> None:
    shown = texts.evidence_in_words(
        "vi", {"type": "giay-moi", "encoding": "vni-win", "size": "26214400", "limit": "5 MB"}
    )
    assert shown == {"type": "Giấy mời", "encoding": "VNI", "size": "25 MB", "limit": "5 MB"}
    assert texts.evidence_in_words("vi", {"size": "27000000"})["size"] == "25,7 MB"
    assert texts.evidence_in_words("en", {"size": "27000000"})["size"] == "25.7 MB"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_of_a_ruleset_file_is_told_in_words(language: Language) -> None:
    text = '[[rule]]\nkey = "legacy-encodings"\n[[rule]]\nkey = "macro"\naction = "stop"\n'
    with pytest.raises(RulesetError) as caught:
        load_ruleset(text, "x", default_ruleset())
    error = InputError("ruleset-not-valid", file="x.toml", problems=caught.value.problems)
    sentence, mend = texts.tell(error, language)
    assert "legacy-encoding`?" in sentence
    assert "`stop`" in sentence
    assert mend


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_fault_has_words(language: Language) -> None:
    import inspect

    from mailgov_policies import lint, ruleset_file

    source = inspect.getsource(ruleset_file) + inspect.getsource(lint)
    codes = set(re.findall(r'(?:_wrong|wrong|problem|Problem)\(\s*"([a-z-]+)"', source))
    assert {"unknown-rule", "expired", "unreachable", "basis-repealed"} <= codes
    known = texts.entry(language, "ruleset-problem").keys()
    assert codes <= known
    # And none belongs to a fault that nobody tells any more.
    assert known - codes - {"place", "place-head", "place-file", "meant", "no-condition"} == set()


def test_evidence_keys_that_have_words_are_keys_of_rules() -> None:
    used = {key for rule in RULES_BY_KEY.values() for key in rule.evidence}
    assert {"encoding", "type", "size", "limit", "address", "active", "faults", "why"} <= used
