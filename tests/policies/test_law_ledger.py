"""The law ledger: every rule that is known, its law, where it is enforced, and the test that holds it."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from mailgov_policies import RULES, default_ruleset

pytestmark = pytest.mark.source

ROOT = Path(__file__).resolve().parents[2]
LAW = {
    row["id"]: row
    for row in csv.DictReader((Path(__file__).parent / "law.csv").read_text("utf-8").splitlines())
}
_ROW = re.compile(r'\| <a id="([a-z]\d\d)"></a>([A-Z]\d\d) \| (.+) \|$')
_TO_BE_CONFIRMED = ("general", "implementation")


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docs" / "basis.md").read_text("utf-8")


@pytest.fixture(scope="module")
def rows(text: str) -> Mapping[str, list[str]]:
    """Cells by number: code, rule, basis, confidence, where, test."""
    found = [match for line in text.splitlines() if (match := _ROW.match(line))]
    assert all(match[1] == match[2].lower() for match in found)
    numbers = [match[2] for match in found]
    assert len(set(numbers)) == len(numbers)
    return {match[2]: [cell.strip() for cell in match[3].split(" | ")] for match in found}


def test_it_has_every_rule_of_the_facts_and_no_other(rows: Mapping[str, list[str]]) -> None:
    assert len(LAW) == 67
    assert list(rows) == list(LAW)
    for number, cells in rows.items():
        assert f"`{LAW[number]['code']}`" in cells[0], number


@pytest.mark.parametrize("number", LAW)
def test_each_row_says_where_and_by_which_test_or_what_is_to_come(
    number: str, rows: Mapping[str, list[str]]
) -> None:
    _, rule, basis, _, where, test = rows[number]
    assert rule
    assert basis
    is_open = "to come:" in where or "people:" in where
    assert is_open or re.match(r"`(?:mailgov|policies|webmail|cli)/", where)
    assert test.startswith("`tests/") or (test == "–" and is_open)


@pytest.mark.parametrize("number", LAW)
def test_what_the_customer_must_confirm_is_marked_so(
    number: str, rows: Mapping[str, list[str]]
) -> None:
    confidence = rows[number][3]
    unsure = LAW[number]["confidence"] in _TO_BE_CONFIRMED
    assert ("to be confirmed" in confidence) is unsure
    if not unsure:
        assert confidence == LAW[number]["confidence"]


def test_what_rests_on_a_text_is_led_to_from_that_text(text: str) -> None:
    table = text.partition("## From the law to the rules")[2].partition("## Rules")[0]
    led_to = set(re.findall(r"\[([A-E]\d\d)\]", table))
    for group, first, last in re.findall(r"\[([A-E])(\d\d)\]\(#\w+\) to \[[A-E](\d\d)\]", table):
        led_to |= {f"{group}{number:02}" for number in range(int(first), int(last) + 1)}
    sourced = {number for number, row in LAW.items() if row["confidence"] == "sourced"}
    assert sourced - led_to == set()


def test_confidence_in_the_default_pack_is_never_more_than_that_of_the_facts() -> None:
    order = ("general", "implementation", "derived", "sourced")
    known = {row["code"]: row["confidence"] for row in LAW.values()}
    for rule in RULES:
        if rule.key in known:
            (row,) = default_ruleset().of(rule.key)
            assert order.index(row.confidence) <= order.index(known[rule.key]), rule.key
