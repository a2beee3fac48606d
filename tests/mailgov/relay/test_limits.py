"""Counting: n is let through, n+1 is not, and the tables stay small."""

from ipaddress import ip_address

import pytest

from mailgov.config import Limits
from mailgov.relay.limits import (
    Allowance,
    Doorkeeper,
    SessionCounters,
    host_of,
    network_of,
)

HOME, NEXT_DOOR, FAR = (ip_address(text) for text in ("10.1.2.3", "10.1.2.4", "10.1.3.3"))


def limits(**changes: int) -> Limits:
    return Limits().model_copy(update=changes)


class TestAllowance:
    @pytest.mark.parametrize("count", [1, 3, 10, 300])
    def test_gives_n_at_once_and_then_n_per_span(self, count: int) -> None:
        allowance = Allowance(count, 60.0)
        assert [allowance.spend("a", 5.0) for _ in range(count + 1)] == [True] * count + [False]
        later = [allowance.spend("a", 5.0 + 60.0 / count * step) for step in range(1, 4)]
        assert later == [True] * 3
        assert [allowance.spend("a", 1000.0) for _ in range(count + 1)].count(True) == count

    def test_counts_each_key_alone(self) -> None:
        allowance = Allowance(1, 60.0)
        assert allowance.spend("a", 0.0)
        assert allowance.spend("b", 0.0)
        assert not allowance.spend("a", 0.0)

    def test_takes_back(self) -> None:
        allowance = Allowance(1, 60.0)
        for _ in range(5):
            assert allowance.spend("a", 0.0)
            allowance.give_back("a")
        allowance.give_back("unknown")

    def test_forgets_the_key_unused_for_longest(self) -> None:
        allowance = Allowance(1, 60.0, max_keys=2)
        allowance.spend("a", 0.0)
        allowance.spend("b", 1.0)
        allowance.spend("c", 2.0)
        assert not allowance.spend("b", 2.0)
        assert allowance.spend("a", 2.0)


@pytest.mark.parametrize(
    ("one", "other", "same_host", "same_network"),
    [
        ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.2", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("2001:db8::1", "2001:db8::ffff:1", True, True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False, True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False, False),
    ],
)
def test_places(one: str, other: str, same_host: bool, same_network: bool) -> None:
    a, b = ip_address(one), ip_address(other)
    assert (host_of(a) == host_of(b)) is same_host
    assert (network_of(a) == network_of(b)) is same_network


class TestDoorkeeper:
    def test_counts_the_process(self) -> None:
        door = Doorkeeper(limits(connections=2, reserved_share=0))
        assert door.enter(HOME, 0.0, trusted=True) == ""
        assert door.enter(FAR, 0.0) == ""
        assert door.enter(FAR, 0.0) == "too-many-sessions"
        assert door.enter(HOME, 0.0, trusted=True) == "too-many-sessions"

    def test_counts_address_and_network(self) -> None:
        door = Doorkeeper(limits(connections_per_address=2, connections_per_network=3))
        assert [door.enter(HOME, 0.0) for _ in range(3)] == ["", "", "too-many-from-address"]
        door.leave(HOME)
        assert door.enter(NEXT_DOOR, 0.0) == ""
        assert door.enter(NEXT_DOOR, 0.0) == "too-many-from-network"
        assert door.enter(FAR, 0.0) == ""

    def test_keeps_the_last_places_for_those_it_knows(self) -> None:
        door = Doorkeeper(limits(connections=10))
        door.vouch(HOME)
        assert [door.enter(FAR, 0.0) for _ in range(10)].count("") == 9
        door.leave(FAR)
        assert door.enter(FAR, 0.0) == "too-many-sessions"
        door.leave(FAR)
        assert door.enter(NEXT_DOOR, 0.0) == "too-many-sessions"
        door.leave(NEXT_DOOR)
        assert door.enter(HOME, 0.0) == ""
        assert door.enter(HOME, 0.0) == "too-many-sessions"

    def test_lets_a_trusted_network_stand_for_many(self) -> None:
        door = Doorkeeper(limits(connections_per_address=1, new_connections_per_minute=1))
        assert [door.enter(HOME, 0.0, trusted=True) for _ in range(5)] == [""] * 5

    def test_counts_what_is_new(self) -> None:
        door = Doorkeeper(
            limits(new_connections_per_minute=2, new_connections_per_minute_network=3)
        )

        def visit(ip: str, now: float) -> str:
            address = ip_address(ip)
            answer = door.enter(address, now)
            door.leave(address)
            return answer

        assert [visit("10.1.2.3", 0.0) for _ in range(3)] == ["", "", "sessions-too-fast"]
        assert [visit("10.1.2.4", 0.0) for _ in range(2)] == ["", "sessions-too-fast"]
        assert visit("10.1.2.3", 31.0) == ""

    def test_counts_users(self) -> None:
        door = Doorkeeper(limits(connections_per_user=1))
        assert door.sign_in("a")
        assert not door.sign_in("a")
        assert door.sign_in("b")
        door.sign_out("a")
        assert door.sign_in("a")


def test_a_session_may_fail_n_times() -> None:
    counters = SessionCounters(limits(errors=2, junk_commands=1, unknown_recipients=1))
    assert [counters.error() for _ in range(3)] == [False, False, True]
    assert [counters.junk_command() for _ in range(2)] == [False, True]
    assert [counters.unknown_recipient() for _ in range(2)] == [False, True]
    for _ in range(3):
        assert not counters.logins_spent
        counters.failed_login()
    assert counters.logins_spent
