"""The engine: the gravest finding decides, failures defer, nothing unread passes in silence."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov_policies import (
    RULES,
    Action,
    Attachment,
    Authentication,
    Content,
    Document,
    Envelope,
    Facts,
    Finding,
    Header,
    Hit,
    Mark,
    Page,
    Person,
    Receipt,
    RecipientFacts,
    Row,
    Rule,
    Ruleset,
    ScannedPages,
    Settings,
    Signature,
    Text,
    default_ruleset,
    judge,
)
from mailgov_policies.engine import combine
from mailgov_policies.facts import AuthResult, Encoding, SignatureState
from mailgov_policies.ruleset import MODES
from mailgov_policies.stored import NOT_REPLAYED, keep, restore

TODAY = date(2026, 11, 21)


def _facts(direction: str = "submission", **content: object) -> Facts:
    envelope = Envelope(
        direction=direction,  # type: ignore[arg-type]  # one of the three in every test
        mail_from="an.nv@tinhmau.gov.vn",
        recipients=(RecipientFacts("vanphong@bomau.gov.vn", "bomau.gov.vn"),),
        login="an.nv@tinhmau.gov.vn",
        sender_local=True,
    )
    header = Header(from_=(Person("An", "an.nv@tinhmau.gov.vn"),))
    return Facts(envelope, Content(4096, header=header, **content))  # type: ignore[arg-type]


def _rule(key: str, hits: Sequence[Hit] | Exception) -> Rule:
    def check(facts: Facts, numbers: Settings) -> Iterator[Hit]:
        if isinstance(hits, Exception):
            raise hits
        yield from hits

    return Rule(key=key, id=key, version=1, check=check, evidence=(), cases=("odd",))


def _ruleset(*rows: Row) -> Ruleset:
    return Ruleset("test", "1", rows)


def test_ordinary_mail_passes_and_the_verdict_says_what_was_looked_for() -> None:
    verdict = judge(_facts(), default_ruleset(), TODAY)
    assert (verdict.action, verdict.code, verdict.findings) == (Action.PASS, "", ())
    assert {"secret-mark", "legacy-encoding", "sender-identity"} <= set(verdict.passed)
    assert "lookalike-domain" not in verdict.passed  # judges inbound mail only
    assert verdict.ruleset.startswith("default ")


def test_the_gravest_finding_names_the_verdict_and_comes_first() -> None:
    mild, grave = _rule("mild", [Hit("mild", "body")]), _rule("grave", [Hit("grave", "body")])
    rows = _ruleset(Row("mild", "enforce", Action.WARN), Row("grave", "enforce", Action.REJECT))
    verdict = judge(_facts(), rows, TODAY, [mild, grave])
    assert (verdict.action, verdict.code) == (Action.REJECT, "grave")
    assert [finding.code for finding in verdict.findings] == ["grave", "mild"]


def test_equal_gravity_keeps_the_order_of_rules() -> None:
    marks = (Mark("secrecy", "MẬT", "body", certain=True),)
    texts = (Text("body", "tcvn3", 20, 1.0, True, "göi", "gửi"),)
    verdict = judge(_facts(marks=marks, texts=texts), default_ruleset(), TODAY)
    assert [finding.code for finding in verdict.findings] == ["secret-mark", "legacy-encoding"]
    assert verdict.code == "secret-mark"


def test_a_rule_that_raises_defers_and_keeps_its_words_to_itself() -> None:
    broken = _rule("broken", RuntimeError("an.nv@tinhmau.gov.vn wrote about …"))
    verdict = judge(_facts(), _ruleset(Row("broken", "enforce", Action.WARN)), TODAY, [broken])
    assert (verdict.action, verdict.code) == (Action.DEFER, "rule-failed")
    assert verdict.findings[0].where == "broken"
    assert verdict.findings[0].evidence == {"rule": "broken", "error": "RuntimeError"}


def test_a_rule_that_raises_does_not_hide_what_others_refuse() -> None:
    broken, grave = _rule("broken", ValueError()), _rule("grave", [Hit("grave", "body")])
    rows = _ruleset(Row("broken", "enforce", Action.WARN), Row("grave", "enforce", Action.REJECT))
    assert judge(_facts(), rows, TODAY, [broken, grave]).code == "grave"


def test_a_row_that_only_records_has_no_consequence_even_when_its_rule_breaks() -> None:
    sees, breaks = _rule("sees", [Hit("sees", "body")]), _rule("breaks", ValueError())
    rows = _ruleset(Row("sees", "record", Action.REJECT), Row("breaks", "record", Action.REJECT))
    verdict = judge(_facts(), rows, TODAY, [sees, breaks])
    assert (verdict.action, verdict.code, verdict.labels) == (Action.PASS, "", ())
    assert [finding.code for finding in verdict.findings] == ["sees", "rule-failed"]


def test_a_row_that_is_off_is_not_run() -> None:
    breaks = _rule("breaks", ValueError())
    verdict = judge(_facts(), _ruleset(Row("breaks", "off", Action.REJECT)), TODAY, [breaks])
    assert (verdict.findings, verdict.passed) == ((), ())


def test_a_case_has_the_action_that_the_row_gives_it() -> None:
    rule = _rule("odd", [Hit("odd", "body", {"case": "odd"}), Hit("odd", "subject")])
    row = Row("odd", "enforce", Action.WARN, cases={"odd": Action.REJECT})
    verdict = judge(_facts(), _ruleset(row), TODAY, [rule])
    assert [(f.where, f.action) for f in verdict.findings] == [
        ("body", Action.REJECT),
        ("subject", Action.WARN),
    ]


def test_agencies_that_get_one_message_are_all_heard() -> None:
    rule = _rule("both", [Hit("both", "body")])
    rows = _ruleset(
        Row("both", "enforce", Action.REJECT, agencies=("H99",)),
        Row("both", "off", Action.PASS, agencies=("G90",)),
    )
    to = tuple(RecipientFacts("x@a.test", "a.test", agency=code) for code in ("H99.02", "G90"))
    envelope = Envelope("inbound", "a@b.test", to)
    verdict = judge(Facts(envelope, Content(1)), rows, TODAY, [rule])
    assert [finding.action for finding in verdict.findings] == [Action.REJECT]


def test_a_finding_that_is_excepted_is_only_written_down() -> None:
    rule = _rule("seen", [Hit("seen", "body")])
    exceptions: list[tuple[Callable[[Facts], bool], Action]] = [
        (lambda _: True, Action.PASS),
        (lambda _: False, Action.REJECT),
    ]
    for excepted, action in exceptions:
        row = Row("seen", "enforce", Action.REJECT, is_excepted=excepted)
        verdict = judge(_facts(), _ruleset(row), TODAY, [rule])
        assert [finding.action for finding in verdict.findings] == [action]
        assert verdict.action is action


def test_an_exception_that_raises_defers() -> None:
    def broken(_: Facts) -> bool:
        raise ZeroDivisionError

    row = Row("seen", "enforce", Action.WARN, is_excepted=broken)
    verdict = judge(_facts(), _ruleset(row), TODAY, [_rule("seen", [Hit("seen", "body")])])
    assert (verdict.action, verdict.code) == (Action.DEFER, "rule-failed")


def test_unread_content_is_never_excepted() -> None:
    row = Row("unscannable", "enforce", Action.HOLD, is_excepted=lambda _: True)
    verdict = judge(_facts(unscannable="time limit"), _ruleset(row), TODAY)
    assert "unscannable" in verdict.labels


@pytest.mark.parametrize("mode", MODES)
def test_no_ruleset_lets_unread_content_pass_in_silence(mode: str) -> None:
    row = Row("unscannable", mode, Action.PASS)  # type: ignore[arg-type]  # one of MODES
    for rows in (_ruleset(row), _ruleset()):
        verdict = judge(_facts(unscannable="time limit"), rows, TODAY)
        assert verdict.action >= Action.TAG
        assert "unscannable" in verdict.labels


# Properties -------------------------------------------------------------------------------------


def _holds(_: Facts) -> bool:
    return True


def _does_not_hold(_: Facts) -> bool:
    return False


_names = st.sampled_from(["", "An", "Bộ Công an", "UBND tỉnh Mẫu", "an@tinhmau.gov.vn"])
_addresses = st.sampled_from(
    ["an.nv@tinhmau.gov.vn", "x@bomau.gov.vn", "dan@gmail.com", "a@gov-vn.net", "a@congty.test", ""]
)
_people = st.builds(Person, _names, _addresses)
_documents = st.none() | st.builds(
    Document,
    type=st.sampled_from(["", "thong-bao", "hop-dong", "khac"]),
    category=st.sampled_from(["", "notice", "other"]),
    place=st.sampled_from(["", "body", "part 2"]),
    number=st.sampled_from(["", "5", "12"]),
    symbol=st.sampled_from(["", "TB-UBND"]),
    addressees=st.sampled_from([(), ("Bộ Tài chính",)]),
    is_agency_document=st.booleans(),
)
_texts = st.builds(
    Text,
    place=st.sampled_from(["subject", "body", "part 2 paragraph 1"]),
    encoding=st.sampled_from(get_args(Encoding)),
    words=st.integers(0, 50),
    share=st.floats(0, 1),
    certain=st.booleans(),
    as_read=st.just("göi"),
    converted=st.just("gửi"),
    part=st.sampled_from(["", "2"]),
)
_marks = st.builds(
    Mark,
    kind=st.sampled_from(["secrecy", "urgency", "circulation"]),
    value=st.sampled_from(["MẬT", "KHẨN", "LƯU HÀNH NỘI BỘ"]),
    place=st.sampled_from(["subject", "body"]),
    certain=st.booleans(),
)
_attachments = st.builds(
    Attachment,
    part=st.sampled_from(["2", "3", "2/a.exe"]),
    name=st.sampled_from(["", "a", "a.exe", "tb.docx", "b.doc", ".", "…"]),
    declared_type=st.just("application/octet-stream"),
    kind=st.sampled_from(["exe", "docx", "doc", "zip", "unknown", "text"]),
    size_bytes=st.integers(0, 1 << 30),
    state=st.sampled_from(["read", "encrypted", "unscannable", "bomb"]),
    macros=st.booleans(),
    active=st.sampled_from([(), ("javascript",)]),
    disguised=st.booleans(),
    document=_documents,
    scan=st.none() | st.builds(ScannedPages, st.just("1.3"), st.just(1), st.integers(0, 300)),
    page=st.none() | st.builds(Page, st.sampled_from([0, 210]), st.sampled_from([0, 297, 420])),
    signatures=st.lists(
        st.builds(Signature, st.sampled_from(get_args(SignatureState)), st.just("pdf")), max_size=2
    ).map(tuple),
)
_recipients = st.builds(
    RecipientFacts,
    address=_addresses,
    domain=st.sampled_from(["tinhmau.gov.vn", "gmail.com", ""]),
    freemail=st.booleans(),
    agency=st.sampled_from(["", "H99.02", "G90"]),
    interagency_only=st.booleans(),
    kind=st.sampled_from(["", "person", "office"]),
    agency_names=st.sampled_from([(), ("Sở Nội vụ",)]),
    wrote_days_ago=st.integers(-1, 400),
)
_results = st.sampled_from(get_args(AuthResult))
_all_facts = st.builds(
    Facts,
    st.builds(
        Envelope,
        direction=st.sampled_from(["submission", "inbound", "internal"]),
        mail_from=_addresses,
        recipients=st.lists(_recipients, max_size=3).map(tuple),
        login=_addresses,
        sender_local=st.booleans(),
        agency=st.sampled_from(["", "H99.02"]),
        local_domains=st.sampled_from([(), ("tinhmau.gov.vn",)]),
        public_contact=st.booleans(),
        forwarded_by=_addresses,
        received=st.lists(
            st.builds(Receipt, _addresses, st.just("part 2"), st.just("2026-11-20")), max_size=1
        ).map(tuple),
        scan=st.sampled_from(["", "clean", "infected", "not-scanned"]),
        authentication=st.builds(Authentication, _results, _results, _results),
    ),
    st.builds(
        Content,
        size_bytes=st.integers(0, 1 << 26),
        header=st.builds(
            Header,
            from_=st.lists(_people, max_size=2).map(tuple),
            sender=st.none() | _people,
            reply_to=st.lists(_people, max_size=1).map(tuple),
        ),
        declared=_documents,
        found=_documents,
        texts=st.lists(_texts, max_size=3).map(tuple),
        marks=st.lists(_marks, max_size=3).map(tuple),
        attachments=st.lists(_attachments, max_size=3).map(tuple),
        active=st.sampled_from([(), ("form",)]),
        improper=st.sampled_from([(), ("trade",)]),
        malformed=st.sampled_from([(), ("two From fields",)]),
        unscannable=st.sampled_from(["", "time limit"]),
    ),
)
_actions = st.sampled_from(Action)
_rows = st.sampled_from(RULES).flatmap(
    lambda rule: st.builds(
        Row,
        key=st.just(rule.key),
        mode=st.sampled_from(MODES),
        action=_actions,
        cases=st.fixed_dictionaries({}, optional=dict.fromkeys(rule.cases, _actions)),
        settings=st.just(Settings(rule.settings)),
        is_excepted=st.sampled_from([None, None, None, _holds, _does_not_hold]),
    )
)
_rulesets = st.lists(_rows, max_size=30).map(lambda rows: _ruleset(*rows))


@settings(max_examples=100, deadline=None)
@given(facts=_all_facts, ruleset=_rulesets)
def test_a_verdict_is_the_same_every_time_and_as_grave_as_its_gravest_finding(
    facts: Facts, ruleset: Ruleset
) -> None:
    verdict = judge(facts, ruleset, TODAY)
    assert verdict == judge(facts, ruleset, TODAY)
    assert verdict.action == max((f.action for f in verdict.findings), default=Action.PASS)
    assert [*verdict.findings] == sorted(verdict.findings, key=lambda f: -f.action)
    assert not {finding.code for finding in verdict.findings} & {*verdict.passed}
    assert all(finding.code != "rule-failed" for finding in verdict.findings)


@settings(max_examples=100, deadline=None)
@given(facts=_all_facts, ruleset=_rulesets, more=_actions)
def test_one_more_rule_never_makes_a_verdict_milder(
    facts: Facts, ruleset: Ruleset, more: Action
) -> None:
    extra = _rule("extra", [Hit("extra", "body")])
    longer = _ruleset(*ruleset.rows, Row("extra", "enforce", more))
    before = judge(facts, ruleset, TODAY)
    after = judge(facts, longer, TODAY, [*RULES, extra])
    assert after.action == max(before.action, more)
    broken = judge(facts, longer, TODAY, [*RULES, _rule("extra", KeyError("x"))])
    assert broken.action == max(before.action, Action.DEFER)


@settings(max_examples=100, deadline=None)
@given(facts=_all_facts, ruleset=_rulesets, broken=st.sampled_from(RULES))
def test_whichever_rule_raises_the_message_waits_at_least(
    facts: Facts, ruleset: Ruleset, broken: Rule
) -> None:
    def check(facts: Facts, numbers: Settings) -> Iterator[Hit]:
        raise ArithmeticError

    rules = [replace(rule, check=check) if rule is broken else rule for rule in RULES]
    rows = (*ruleset.rows, Row(broken.key, "enforce", Action.WARN))
    verdict = judge(facts, _ruleset(*rows), TODAY, rules)
    if facts.envelope.direction in broken.directions:
        assert verdict.action >= Action.DEFER
        assert any(finding.code == "rule-failed" for finding in verdict.findings)


@settings(max_examples=100, deadline=None)
@given(facts=_all_facts)
def test_kept_facts_say_the_same_again(facts: Facts) -> None:
    def found(told: Facts) -> set[tuple[str, Action]]:
        findings = judge(told, default_ruleset(), TODAY).findings
        return {(f.code, f.action) for f in findings if f.code not in NOT_REPLAYED}

    assert found(restore(json.loads(json.dumps(keep(facts))))) == found(facts)


@settings(max_examples=100, deadline=None)
@given(actions=st.lists(_actions), more=_actions)
def test_one_more_finding_never_makes_a_verdict_milder(actions: list[Action], more: Action) -> None:
    def finding(action: Action) -> Finding:
        return Finding("x", action, "body", {}, 1)

    before = combine(map(finding, actions), (), "test 1")
    after = combine(map(finding, [*actions, more]), (), "test 1")
    assert after.action == max(before.action, more)


@settings(max_examples=100, deadline=None)
@given(facts=_all_facts)
def test_a_stricter_mode_never_makes_a_verdict_milder(facts: Facts) -> None:
    def in_mode(mode: str) -> Action:
        rows = (
            Row(row.key, mode, row.action, row.cases, row.settings)  # type: ignore[arg-type]  # of MODES
            for row in default_ruleset().rows
        )
        return judge(facts, _ruleset(*rows), TODAY).action

    off, record, enforce = (in_mode(mode) for mode in MODES)
    assert off <= record <= enforce
