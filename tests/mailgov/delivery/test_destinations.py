"""How much a destination may have under way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailgov.delivery.destinations import MAX_IDLE, Destinations, is_trouble
from mailgov.errors import DeliveryDeferred, DeliveryRefused

DOWN = DeliveryDeferred("peer-unreachable", host="mx.a.vn", reason="refused")


def known() -> Destinations:
    return Destinations(start=5, most=20, probe_seconds=300)


def rounds(destinations: Destinations, count: int) -> None:
    """So many rounds in which everything that may go goes, and arrives."""
    for _ in range(count):
        room = destinations.room("a.vn", 0)
        for _ in range(room):
            destinations.begin("a.vn")
        for _ in range(room):
            destinations.worked("a.vn")
            destinations.end("a.vn")


def fail(destinations: Destinations, count: int, now: float = 0) -> list[bool]:
    died = []
    for _ in range(count):
        destinations.begin("a.vn")
        died.append(destinations.failed("a.vn", DOWN, now))
        destinations.end("a.vn")
    return died


def test_it_grows_by_about_one_in_a_round_of_success() -> None:
    destinations = known()
    rooms = []
    for _ in range(40):
        rooms.append(destinations.room("a.vn", 0))
        rounds(destinations, 1)
    assert rooms[0] == 5
    assert rooms[5] in (9, 10)
    assert rooms[-1] == 20
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(rooms))


def test_what_is_under_way_takes_room() -> None:
    destinations = known()
    for _ in range(3):
        destinations.begin("a.vn")
    assert destinations.room("a.vn", 0) == 2
    assert destinations.room("b.vn", 0) == 5
    destinations.end("a.vn")
    assert destinations.room("a.vn", 0) == 3


def test_a_whole_round_of_trouble_and_it_is_dead_until_a_probe() -> None:
    destinations = known()
    died = fail(destinations, 5)
    assert died.index(True) == 4 or died.index(True) == 3
    assert destinations.why_dead("a.vn", 299) is DOWN
    assert destinations.why_dead("b.vn", 0) is None
    assert destinations.room("a.vn", 299) == 20  # to hear that it is dead, which takes no time
    assert destinations.why_dead("a.vn", 300) is None
    assert destinations.room("a.vn", 300) == 1


def test_one_failed_probe_is_enough_and_one_success_revives() -> None:
    destinations = known()
    fail(destinations, 5)
    assert fail(destinations, 1, now=300) == [True]
    assert destinations.why_dead("a.vn", 599) is DOWN
    destinations.begin("a.vn")
    destinations.worked("a.vn")
    destinations.end("a.vn")
    assert destinations.why_dead("a.vn", 599) is None
    assert destinations.room("a.vn", 599) == 2


def test_a_success_between_keeps_it_alive() -> None:
    destinations = known()
    for _ in range(10):
        assert not any(fail(destinations, 1))
        rounds(destinations, 1)
    assert destinations.why_dead("a.vn", 0) is None


@given(st.lists(st.booleans(), max_size=200))
def test_there_is_always_room_for_one_and_never_for_more_than_the_most(goes: list[bool]) -> None:
    destinations = known()
    now = 0.0
    for works in goes:
        now += 400
        assert 1 <= destinations.room("a.vn", now) <= 20
        if works:
            rounds(destinations, 1)
        else:
            fail(destinations, 1, now)


def test_only_trouble_with_the_whole_destination_counts() -> None:
    assert is_trouble(DOWN)
    assert not is_trouble(DeliveryDeferred("peer-deferred", reply="450 4.2.0 greylisted"))
    assert not is_trouble(DeliveryRefused("peer-refused", reply="550 5.1.1 no"))


def test_what_is_remembered_is_bounded() -> None:
    destinations = known()
    destinations.begin("busy.vn")
    fail(destinations, 5)
    for number in range(MAX_IDLE + 10):
        destinations.begin(f"d{number}.vn")
        destinations.worked(f"d{number}.vn")
        destinations.end(f"d{number}.vn")
    assert destinations.room("busy.vn", 0) == 4
    assert destinations.why_dead("a.vn", 0) is None  # forgotten: it will be found out again
