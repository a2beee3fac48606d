"""Guessing: n is let through, n+1 is not, and strangers lock nobody out."""

from datetime import UTC, datetime, timedelta

import pytest

from mailgov.config import Limits
from mailgov.directory import guard as module
from mailgov.directory.guard import Guard, Try, network_of

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HOME, FAR = "10.1.2.0/24", "203.0.113.0/24"


def guard(**limits: int) -> Guard:
    return Guard(Limits().model_copy(update=limits))


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_networks(ip: str, network: str) -> None:
    assert network_of(ip) == network


@pytest.mark.parametrize("count", [1, 3, 10])
def test_a_minute_holds_so_many_guesses_at_an_account_from_one_place(count: int) -> None:
    counters = guard(failed_logins_per_minute=count)
    bounds = [counters.begin(Try("an", HOME), NOW) for _ in range(count + 1)]
    assert bounds == [""] * count + ["place-minute"]
    assert counters.begin(Try("an", FAR), NOW) == ""  # the owner, elsewhere
    assert counters.begin(Try("binh", HOME), NOW) == ""
    assert counters.begin(Try("an", HOME), NOW + timedelta(seconds=59)) == "place-minute"
    assert counters.begin(Try("an", HOME), NOW + timedelta(minutes=1)) == ""


def test_a_minute_holds_so_many_guesses_from_one_network() -> None:
    counters = guard(failed_logins_per_minute_network=3)
    bounds = [counters.begin(Try(f"a{n}", HOME), NOW) for n in range(5)]
    assert bounds == [""] * 3 + ["network-minute"] * 2
    assert counters.begin(Try("a9", FAR), NOW) == ""


def test_right_guesses_cost_nothing() -> None:
    counters = guard(failed_logins_per_minute=1, failed_logins_per_minute_network=1)
    for _ in range(10):
        assert counters.begin(Try("an", HOME), NOW) == ""
        counters.forgive(Try("an", HOME))


@pytest.mark.parametrize(("before", "bound"), [(49, ""), (50, "place-day"), (51, "place-day")])
def test_a_day_holds_so_many_from_one_place(before: int, bound: str) -> None:
    assert guard().begin(Try("an", HOME, failures={HOME: before}), NOW) == bound


@pytest.mark.parametrize(("before", "bound"), [(49, ""), (50, "account-day")])
def test_a_day_holds_so_many_from_all_the_world(before: int, bound: str) -> None:
    failures = {f"198.51.{n}.0/24": 1 for n in range(before)}
    assert guard().begin(Try("an", HOME, failures=failures), NOW) == bound


def test_what_strangers_do_elsewhere_does_not_stop_the_owner_at_home() -> None:
    strangers = {f"198.51.{n}.0/24": 40 for n in range(100)}
    known = Try("an", HOME, known_network=True, failures=strangers, known_networks={HOME})
    assert guard().begin(known, NOW) == ""


def test_what_happens_in_the_owners_networks_does_not_stop_her_elsewhere() -> None:
    failures = {HOME: 60}
    abroad = Try("an", FAR, failures=failures, known_networks={HOME})
    assert guard().begin(abroad, NOW) == ""


def test_a_browser_of_the_owner_has_counters_of_its_own_even_beside_the_stranger() -> None:
    counters = guard(failed_logins_per_minute=2)
    stranger = Try("an", HOME, known_network=True, failures={HOME: 50})
    owner = Try("an", HOME, browser="c0ffee", known_network=True, failures={HOME: 50})
    assert counters.begin(stranger, NOW) == "place-day"
    assert [counters.begin(owner, NOW) for _ in range(3)] == ["", "", "place-minute"]


def test_the_table_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEYS", 10)
    counters = guard(failed_logins_per_minute=1)
    for number in range(100):
        counters.begin(Try(f"a{number}", HOME), NOW + timedelta(minutes=number))
    assert len(counters._moments) <= 10
