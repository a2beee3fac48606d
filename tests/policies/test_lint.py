"""What lint has to say of a ruleset file."""

from datetime import date

import pytest

from mailgov_policies import default_ruleset
from mailgov_policies.lint import lint

TODAY = date(2026, 11, 22)
HEAD = 'schema = 1\nname = "x"\n'


def _row(more: str = "", key: str = "macro", basis: str = "Quy chế của tỉnh") -> str:
    return f'[[rule]]\nkey = "{key}"\nbasis = "{basis}"\n{more}\n'


def _doubts(text: str) -> list[tuple[int, str]]:
    report = lint(HEAD + text, "x", default_ruleset(), TODAY)
    assert report.faults == ()
    return [(problem.line, problem.code) for problem in report.doubts]


def test_nothing_against_the_default_pack() -> None:
    assert _doubts("") == []
    assert _doubts(_row()) == []


def test_faults_come_before_doubts() -> None:
    report = lint(_row(key="marco") + _row('mode = "on"'), "x", default_ruleset(), TODAY)
    assert [(p.line, p.code) for p in report.faults] == [(2, "unknown-rule"), (8, "unknown-value")]
    assert report.doubts == ()


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        (_row("until = 2026-11-21"), [(3, "expired")]),
        (_row("until = 2026-11-22"), []),
        (_row(basis=""), [(3, "no-basis")]),
        (_row(basis="Nghị định 64/2007/NĐ-CP"), [(3, "basis-repealed")]),
        (_row(basis="Nghị định 85/2016/NĐ-CP"), []),
        (_row() + _row(), [(3, "unreachable")]),
        (_row() + _row('agencies = ["H99"]'), []),
        (_row('agencies = ["H99"]') + _row(), [(3, "unreachable")]),
        (_row() + _row("from = 2027-01-01"), []),
        (_row("from = 2027-02-01") + _row("from = 2027-01-01"), [(3, "unreachable")]),
        (_row() + _row('directions = ["inbound"]'), []),
        (_row() + _row(key="executable"), []),
    ],
)
def test_doubts(text: str, doubts: list[tuple[int, str]]) -> None:
    assert _doubts(text) == doubts
