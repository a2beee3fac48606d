"""Ruleset files: laid over the default pack, locked rows kept, every fault told with its place."""

from datetime import date

import pytest

from mailgov_policies import (
    Action,
    Attachment,
    Content,
    Envelope,
    Facts,
    Ruleset,
    RulesetError,
    default_ruleset,
    judge,
    load_ruleset,
)
from mailgov_policies.ruleset_file import packs, with_pack


def _load(text: str, base: Ruleset | None = None) -> Ruleset:
    return load_ruleset(text, "tinh-mau", base or default_ruleset())


def _faults(text: str, base: Ruleset | None = None) -> list[tuple[int, str, str]]:
    with pytest.raises(RulesetError) as caught:
        _load(text, base)
    return [(p.line, p.code, p.fields.get("field", "")) for p in caught.value.problems]


def test_a_row_changes_what_it_names_and_keeps_the_rest() -> None:
    rules = _load(
        """
schema = 1
name = "tinh-mau"
version = "3"

[[rule]]
key = "file-format"
action = "hold"
settings = { allow = ["pdf"] }
agencies = ["H99.02"]
from = 2026-12-01
until = 2027-06-30
"""
    )
    *_, row = rules.of("file-format")
    default, _ = rules.of("file-format")
    assert (row.action, row.cases, row.basis) == (Action.HOLD, default.cases, default.basis)
    assert row.settings.names("allow") == ("pdf",)
    assert row.settings.names("old_office") == default.settings.names("old_office")
    assert (row.agencies, row.ruleset) == (("H99.02",), "tinh-mau")
    assert (row.begins, row.ends) == (date(2026, 12, 1), date(2027, 6, 30))
    assert rules.label == f"tinh-mau 3, {default_ruleset().label}"


def test_a_file_without_name_or_rows_is_named_after_the_file() -> None:
    assert _load("").label == f"tinh-mau 1, {default_ruleset().label}"
    assert _load("").rows == default_ruleset().rows


def test_cases_may_stand_in_a_table_of_their_own() -> None:
    rules = _load('[[rule]]\nkey = "freemail-outbound"\n[rule.cases]\ndocument = "hold"\n')
    *_, row = rules.of("freemail-outbound")
    assert (row.action, row.cases) == (Action.WARN, {"document": Action.HOLD})


def test_every_fault_is_told_with_its_line() -> None:
    text = """schema = 2
nmae = "tinh-mau"

[[rule]]
key = "legacy-encodings"

[[rule]]
key = "file-format"
action = "stop"
mode = "loud"
agencies = ["SNV", "H99.02"]
directions = ["inbound", "sideways"]
mailbox_kinds = ["office", "robot"]
[rule.cases]
young = "warn"
old-office = 1

[[rule]]
action = "hold"

[[rule]]
key = "message-size"
settings = { bytes = "25M", megabytes = 25 }
from = 2027-01-01
until = 2026-01-01

[[rule]]
key = "file-format"
settings = { allow = "pdf" }
locked = "yes"
"""
    assert _faults(text) == [
        (1, "unknown-schema", "schema"),
        (2, "unknown-field", "nmae"),
        (5, "unknown-rule", "key"),
        (9, "unknown-value", "action"),
        (10, "unknown-value", "mode"),
        (11, "agency-not-valid", "agencies"),
        (12, "unknown-value", "directions"),
        (12, "direction-without-meaning", "directions"),
        (13, "unknown-value", "mailbox_kinds"),
        (15, "unknown-case", "cases.young"),
        (16, "wrong-type", "cases.old-office"),
        (18, "no-key", "key"),
        (23, "wrong-type", "settings.bytes"),
        (23, "unknown-setting", "settings.megabytes"),
        (25, "dates-crossed", "until"),
        (29, "wrong-type", "settings.allow"),
        (30, "wrong-type", "locked"),
    ]


def test_one_fault_of_a_row_hides_no_other() -> None:
    text = """[[rule]]
key = "file-formats"
acton = "hold"
mode = "loud"
agencies = ["SNV"]
locked = "yes"
cases = { young = "warn" }

[[rule]]
key = "anh-lon"
when = "content.nothing"
vi = 3
mode = "loud"
action = "stop"
"""
    assert _faults(text) == [
        (2, "unknown-rule", "key"),
        (3, "unknown-field", "acton"),
        (4, "unknown-value", "mode"),
        (5, "agency-not-valid", "agencies"),
        (6, "wrong-type", "locked"),
        (9, "no-words", "en"),
        (11, "condition-not-valid", "when"),
        (12, "wrong-type", "vi"),
        (13, "unknown-value", "mode"),
        (14, "unknown-value", "action"),
    ]


def test_a_mistyped_rule_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(RulesetError) as caught:
        _load('[[rule]]\nkey = "legacy-encodings"\n')
    (problem,) = caught.value.problems
    assert problem.fields["near"] == "legacy-encoding"
    assert (problem.row, problem.key) == (1, "legacy-encodings")


@pytest.mark.parametrize(
    ("text", "line"),
    [('[[rule]]\nkey = "a', 2), ("a = 1\na = 2\n", 2), ("x", 1)],
    ids=["open string", "key twice", "no TOML at all"],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int) -> None:
    assert _faults(text) == [(line, "not-toml", "")]


@pytest.mark.parametrize(
    "text", ["rule = 1", "[rule]\nkey = 'x'", "rule = ['x']", "rule = [{ key = 'nope' }]"]
)
def test_rows_of_another_form_are_told_and_never_left_out(text: str) -> None:
    assert _faults(text)


def test_rows_written_inline_are_read_like_others() -> None:
    rules = _load('rule = [{ key = "file-format", action = "hold" }]')
    assert rules.of("file-format")[-1].action is Action.HOLD


def test_headings_inside_texts_do_not_shift_the_lines() -> None:
    text = """[[rule]]
key = "file-format"
basis = '''
[[rule]]
key = "x"
'''

[[rule]]
key = "macro"
action = "loud"
"""
    assert _faults(text) == [(10, "unknown-value", "action")]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ('mode = "record"', "mode"),
        ('mode = "off"', "mode"),
        ('action = "warn"', "action"),
        ('cases = { possible = "pass" }', "cases.possible"),
        ("locked = false", "locked"),
    ],
)
def test_a_locked_row_can_not_be_relaxed(row: str, field: str) -> None:
    assert _faults(f'[[rule]]\nkey = "secret-mark"\n{row}\n') == [(3, "locked", field)]


def test_a_locked_row_can_be_tightened_and_stays_locked_below() -> None:
    tighter = _load('[[rule]]\nkey = "secret-mark"\ncases = { possible = "hold" }\n')
    assert tighter.of("secret-mark")[-1].cases == {"possible": Action.HOLD}
    relaxed = '[[rule]]\nkey = "secret-mark"\ncases = { possible = "warn" }\n'
    assert _faults(relaxed, tighter) == [(3, "locked", "cases.possible")]


def test_numbers_of_a_locked_row_stay() -> None:
    locked = _load('[[rule]]\nkey = "message-size"\nlocked = true\n')
    changed = '[[rule]]\nkey = "message-size"\nsettings = { bytes = 99 }\n'
    assert _faults(changed, locked) == [(3, "locked", "settings")]


def test_a_scope_does_not_lift_a_locked_row_elsewhere() -> None:
    rules = _load(
        '[[rule]]\nkey = "secret-mark"\nagencies = ["H99"]\ncases = { possible = "hold" }\n'
    )
    assert len(rules.of("secret-mark")) == 2


def test_exceptions_are_conditions_and_branches() -> None:
    rules = _load(
        '[[rule]]\nkey = "file-format"\naction = "reject"\nexcept_agencies = ["H99.02"]\n'
        "unless = \"envelope.mail_from.endsWith('@doitac.vn')\"\n"
    )
    *_, row = rules.of("file-format")
    assert row.except_agencies == ("H99.02",)
    odd = Attachment("2", "a.bin", "", "raw", 1)
    for sender, action in (("a@doitac.vn", Action.PASS), ("a@khac.vn", Action.REJECT)):
        facts = Facts(
            Envelope(
                "submission", sender, (), login=sender, may_send_as=(sender,), sender_local=True
            ),
            Content(1, attachments=(odd,)),
        )
        found = judge(facts, rules, date(2026, 12, 1)).findings
        assert [f.action for f in found if f.code == "file-format"] == [action]


def test_faults_of_exceptions_are_told() -> None:
    text = '[[rule]]\nkey = "macro"\nunless = "content.nothing"\nexcept_agencies = ["x"]\n'
    assert _faults(text) == [
        (3, "condition-not-valid", "unless"),
        (4, "agency-not-valid", "except_agencies"),
    ]
    locked = '[[rule]]\nkey = "secret-mark"\nunless = "true"\n'
    assert _faults(locked) == [(3, "locked", "unless")]


@pytest.mark.parametrize("row", ['mode = "off"', 'mode = "record"', 'action = "pass"'])
def test_unread_content_can_not_be_let_pass(row: str) -> None:
    ((line, code, _),) = _faults(f'[[rule]]\nkey = "unscannable"\n{row}\n')
    assert (line, code) == (3, "too-mild")


def test_without_a_base_a_row_must_name_its_action() -> None:
    nothing = Ruleset("", "", ())
    assert _faults('[[rule]]\nkey = "macro"\n', nothing) == [(1, "no-action", "")]


@pytest.mark.parametrize("name", packs())
def test_every_pack_can_be_laid_over_the_default_and_names_its_law(name: str) -> None:
    rules = with_pack(name, default_ruleset())
    own = [row for row in rules.rows if row.ruleset == name]
    assert own
    assert all(row.basis and row.confidence for row in own)
    assert rules.label.startswith(f"{name} ")


def test_a_file_takes_packs_in_below_its_rows() -> None:
    rules = _load('packs = ["ha-noi-2017"]\n[[rule]]\nkey = "sender-identity"\nbasis = "X"\n')
    *_, row = rules.of("sender-identity")
    assert (row.basis, row.begins) == ("X", None)
    *_, row = rules.of("freemail-outbound")
    assert (row.ruleset, row.begins) == ("ha-noi-2017", date(2017, 5, 26))
    assert rules.label == f"tinh-mau 1, ha-noi-2017 1, {default_ruleset().label}"


def test_packs_that_can_not_be_laid_are_told() -> None:
    assert _faults('packs = ["ha-noi"]\n') == [(1, "unknown-pack", "packs")]
    locked = _load('[[rule]]\nkey = "freemail-outbound"\naction = "reject"\nlocked = true\n')
    assert _faults('\npacks = ["ha-noi-2017"]\n', locked) == [(2, "pack-not-laid", "")]
