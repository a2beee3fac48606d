"""When to try again, and when to stop."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.config import Delivery
from mailgov.queue.schedule import is_delay_notice_due, longest_wait, next_attempt

from .samples import NOON

SETTINGS = Delivery()


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 120), (7, 120), (60, 120)],
)
def test_waits_double_up_to_two_hours(attempts: int, minutes: int) -> None:
    at = next_attempt(NOON, NOON, attempts, SETTINGS, lambda: 0.5)
    assert at == NOON + timedelta(minutes=minutes)


@given(chance=st.floats(0, 1), attempts=st.integers(1, 100))
def test_waits_vary_by_a_fifth(chance: float, attempts: int) -> None:
    at = next_attempt(NOON, NOON, attempts, SETTINGS, lambda: chance)
    even = next_attempt(NOON, NOON, attempts, SETTINGS, lambda: 0.5)
    assert at is not None
    assert even is not None
    assert 0.8 * (even - NOON) <= at - NOON <= 1.2 * (even - NOON)


def test_the_last_attempt_is_at_five_days_and_none_after() -> None:
    end = NOON + timedelta(days=5)
    late = end - timedelta(minutes=30)
    assert next_attempt(late, NOON, 60, SETTINGS, lambda: 0.5) == end
    assert next_attempt(end, NOON, 61, SETTINGS, lambda: 0.5) is None


@given(chance=st.floats(0, 1))
def test_a_message_is_tried_all_five_days_through(chance: float) -> None:
    at, attempts = NOON, 0
    while True:
        attempts += 1
        following = next_attempt(at, NOON, attempts, SETTINGS, lambda: chance)
        if following is None:
            break
        assert following > at
        at = following
    assert at == NOON + timedelta(days=5)
    assert attempts < 100


def test_the_sender_hears_of_a_delay_after_four_hours() -> None:
    four = NOON + timedelta(hours=4)
    assert not is_delay_notice_due(four - timedelta(seconds=1), NOON, 7, SETTINGS)
    assert is_delay_notice_due(four, NOON, 7, SETTINGS)


@given(attempts=st.integers(1, 40), days=st.integers(6, 4000))
def test_a_clock_that_jumps_ahead_gives_nothing_up(attempts: int, days: int) -> None:
    jumped = NOON + timedelta(days=days)
    assert next_attempt(jumped, NOON, attempts, SETTINGS, lambda: 0.5) is not None


def test_a_clock_that_jumps_ahead_tells_no_delay_to_new_mail() -> None:
    assert not is_delay_notice_due(NOON + timedelta(days=30), NOON, 1, SETTINGS)


@given(chance=st.floats(0, 1), attempts=st.integers(1, 100))
def test_nothing_is_ever_due_later_than_the_longest_wait(chance: float, attempts: int) -> None:
    at = next_attempt(NOON, NOON, attempts, SETTINGS, lambda: chance)
    assert at is not None
    assert at - NOON <= longest_wait(SETTINGS)
