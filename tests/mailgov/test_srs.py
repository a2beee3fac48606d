"""Rewritten senders: by vectors, there and back, forged, old, folded, too long."""

import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailgov.addresses import MAX_LOCAL_OCTETS, Address
from mailgov.errors import InputError
from mailgov.srs import DAYS, Rewriter, is_rewritten

OURS = "sonoivu.tinhmau.test"
TODAY = date(2024, 11, 25)
WE = Rewriter(bytes.fromhex("ab" * 32))
VECTORS = tomllib.loads(Path(__file__).with_name("srs.toml").read_text("utf-8"))["vector"]

SIGNS = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
locals_ = st.lists(st.text(SIGNS, min_size=1, max_size=6), min_size=1, max_size=3).map(".".join)
domains = st.sampled_from(["example.vn", "x.test", "thu.vi-du.example"])
senders = st.builds(Address, locals_, domains)
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    sender = Address.parse(vector["sender"])
    rewritten = WE.rewrite(sender, OURS, TODAY)
    assert str(rewritten) == vector["rewritten"]
    assert is_rewritten(rewritten)
    assert str(WE.reverse(rewritten, TODAY)) == vector.get("back", vector["sender"])


@given(senders, days, st.integers(0, DAYS))
@settings(max_examples=60)
def test_there_and_back(sender: Address, day: date, age: int) -> None:
    rewritten = WE.rewrite(sender, OURS, day)
    assert len(rewritten.local.encode()) <= MAX_LOCAL_OCTETS
    assert WE.reverse(rewritten, day + timedelta(days=age)) == sender


@given(senders, days)
@settings(max_examples=60)
def test_a_server_that_folds_case_does_no_harm(sender: Address, day: date) -> None:
    rewritten = WE.rewrite(sender, OURS, day)
    for folded in (rewritten.local.lower(), rewritten.local.upper()):
        back = WE.reverse(Address(folded, OURS), day)
        assert back.key == sender.key


@given(senders, st.integers(0, 200), st.sampled_from(SIGNS))
@settings(max_examples=100)
def test_one_other_sign_anywhere_is_forged(sender: Address, at: int, sign: str) -> None:
    local = WE.rewrite(sender, OURS, TODAY).local
    at = 5 + at % (len(local) - 5)
    assume(local[at].lower() != sign.lower())
    forged = Address(local[:at] + sign + local[at + 1 :], OURS)
    with pytest.raises(InputError, match="return-path-forged"):
        WE.reverse(forged, TODAY)


def test_of_another_domain_or_installation_it_is_forged() -> None:
    rewritten = WE.rewrite(Address.parse("dan@example.vn"), OURS, TODAY)
    with pytest.raises(InputError, match="return-path-forged"):
        WE.reverse(Address(rewritten.local, "xahoabinh.tinhmau.test"), TODAY)
    with pytest.raises(InputError, match="return-path-forged"):
        Rewriter(b"x" * 32).reverse(rewritten, TODAY)


@pytest.mark.parametrize("local", ["SRS0=", "SRS0=abc", "srs1=aaaaaaaa==", "SRS2=aaaaaaaa=x", "an"])
def test_what_is_no_rewritten_sender_is_forged(local: str) -> None:
    with pytest.raises(InputError, match="return-path-forged"):
        WE.reverse(Address(local, OURS), TODAY)


@pytest.mark.parametrize(("age", "old"), [(-1, False), (21, False), (22, True), (1000, True)])
def test_after_21_days_nobody_needs_it(age: int, old: bool) -> None:
    sender = Address.parse("dan@example.vn")
    rewritten = WE.rewrite(sender, OURS, TODAY)
    then = TODAY + timedelta(days=age)
    if not old:
        assert WE.reverse(rewritten, then) == sender
        return
    with pytest.raises(InputError, match="return-path-old"):
        WE.reverse(rewritten, then)


@pytest.mark.parametrize("sender", [f"{'d' * 37}@example.vn", '"a b"@example.vn'])
def test_what_can_not_be_rewritten(sender: str) -> None:
    with pytest.raises(InputError, match="sender-not-rewritable"):
        WE.rewrite(Address.parse(sender), OURS, TODAY)


def test_the_longest_that_can_be() -> None:
    rewritten = WE.rewrite(Address.parse(f"{'d' * 36}@example.vn"), OURS, TODAY)
    assert len(rewritten.local) == MAX_LOCAL_OCTETS
