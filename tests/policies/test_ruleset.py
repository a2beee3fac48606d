"""Which row of a ruleset speaks: the last one in force and in scope."""

from datetime import date

import pytest

from mailgov_policies import (
    DUTIES,
    RULES,
    Action,
    Envelope,
    RecipientFacts,
    Row,
    Ruleset,
    View,
    default_ruleset,
)
from mailgov_policies.ruleset import concerned

DAY = date(2026, 11, 21)
RULE = next(rule for rule in RULES if rule.key == "file-format")


def _speaks(*rows: Row, direction: str = "submission", view: View | None = None) -> Action | None:
    row = Ruleset("test", "1", rows).row("file-format", direction, view or View(), DAY)
    return row.action if row else None


def _row(action: Action, **scope: object) -> Row:
    return Row("file-format", "enforce", action, **scope)  # type: ignore[arg-type]  # fields of Row


def test_the_last_row_speaks() -> None:
    assert _speaks(_row(Action.WARN), _row(Action.HOLD)) is Action.HOLD


@pytest.mark.parametrize(
    ("begins", "ends", "speaks"),
    [
        (None, None, True),
        (DAY, DAY, True),
        (date(2026, 11, 22), None, False),
        (None, date(2026, 11, 20), False),
    ],
    ids=["always", "on this day alone", "from tomorrow", "until yesterday"],
)
def test_a_row_speaks_from_its_first_to_its_last_day(
    begins: date | None, ends: date | None, speaks: bool
) -> None:
    found = _speaks(_row(Action.WARN), _row(Action.HOLD, begins=begins, ends=ends))
    assert found is (Action.HOLD if speaks else Action.WARN)


@pytest.mark.parametrize(
    ("agency", "speaks"),
    [("H99.02", True), ("H99.02.1", True), ("H99.021", False), ("H99", False), ("", False)],
)
def test_a_row_for_a_branch_speaks_for_its_root_and_all_below(agency: str, speaks: bool) -> None:
    found = _speaks(_row(Action.HOLD, agencies=("H99.02",)), view=View(agency))
    assert found is (Action.HOLD if speaks else None)


def test_branches_that_are_excepted_keep_what_stands_below() -> None:
    rows = _row(Action.WARN), _row(Action.HOLD, agencies=("H99",), except_agencies=("H99.02",))
    spoken = {code: _speaks(*rows, view=View(code)) for code in ("H99", "H99.02.1", "H99.03", "G1")}
    assert spoken == {
        "H99": Action.HOLD, "H99.02.1": Action.WARN, "H99.03": Action.HOLD, "G1": Action.WARN,
    }  # fmt: skip


def test_a_row_may_be_for_one_direction_or_one_kind_of_mailbox() -> None:
    assert _speaks(_row(Action.HOLD, directions=("inbound",))) is None
    offices = _row(Action.HOLD, mailbox_kinds=("office",))
    assert _speaks(offices, direction="inbound", view=View(mailbox_kind="office")) is Action.HOLD
    assert _speaks(offices, direction="inbound", view=View(mailbox_kind="person")) is None


def test_submitted_mail_obeys_the_senders_agency_and_inbound_mail_the_recipients() -> None:
    ours, theirs = _row(Action.HOLD, agencies=("H99",)), _row(Action.WARN, agencies=("G90",))
    rules = Ruleset("test", "1", (ours, theirs))
    to = (
        RecipientFacts("x@b.test", "b.test", agency="G90"),
        RecipientFacts("y@b.test", "b.test", agency="G90.01"),
    )
    sent = Envelope("submission", "a@a.test", to, agency="H99.02")
    assert rules.in_force(RULE, "submission", concerned(sent), DAY) == (ours,)
    malformed = next(rule for rule in RULES if rule.key == "malformed")
    rows = tuple(Row("malformed", "enforce", r.action, agencies=r.agencies) for r in rules.rows)
    received = Envelope("inbound", "a@c.test", to)
    assert Ruleset("test", "1", rows).in_force(malformed, "inbound", concerned(received), DAY) == (
        rows[1],
    )


def test_a_rule_is_silent_where_it_has_no_meaning() -> None:
    rules = Ruleset("test", "1", (_row(Action.HOLD),))
    assert rules.in_force(RULE, "inbound", (View(),), DAY) == ()


def test_the_default_pack_has_one_row_with_a_basis_for_every_rule_and_duty() -> None:
    pack = default_ruleset()
    assert sorted(row.key for row in pack.rows) == sorted([*(rule.key for rule in RULES), *DUTIES])
    assert all(row.mode != "off" and row.basis and row.confidence for row in pack.rows)
    assert {row.key for row in pack.rows if row.locked} == {"secret-mark", "secret-no-copy"}
    assert {row.ruleset for row in pack.rows} == {"default"}


def test_every_case_of_a_rule_has_its_action_in_the_default_pack() -> None:
    for rule in RULES:
        (row,) = default_ruleset().of(rule.key)
        expected = {*rule.cases} - {"interagency"}  # refused like the document itself
        assert {*row.cases} == expected, rule.key


def test_settings_in_the_default_pack_are_those_of_the_rules() -> None:
    for rule in RULES:
        (row,) = default_ruleset().of(rule.key)
        assert row.settings.values == rule.settings
