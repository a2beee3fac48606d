"""Working time of agencies: days of the calendar, hours of the day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.clock import VIETNAM
from mailgov.working_time import WorkingTime, is_working_day

HOURS = WorkingTime.parse(["07:30-11:30", "13:00-17:00"])


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 11, 20), True),  # a Friday
        (date(2026, 11, 21), False),  # a Saturday
        (date(2026, 9, 2), False),  # National Day
        (date(2026, 2, 17), False),  # Tết
    ],
)
def test_days(day: date, *, works: bool) -> None:
    assert is_working_day(day) is works


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-11-23 08:00", 1, "2026-11-23 09:00"),
        ("2026-11-23 11:00", 1, "2026-11-23 13:30"),  # over lunch
        ("2026-11-25 08:00", 8, "2026-11-26 08:00"),
        ("2026-11-23 07:30", 8, "2026-11-23 17:00"),
        ("2026-11-20 16:00", 2, "2026-11-23 08:30"),  # over a weekend
        ("2026-11-21 10:00", 1, "2026-11-23 08:30"),  # begins at a weekend
        ("2026-11-23 22:00", 8, "2026-11-25 17:00"),  # over Culture Day
        ("2026-02-13 16:30", 1, "2026-02-23 08:00"),  # over Tết
    ],
)
def test_when_so_much_has_passed(start: str, hours: float, due: str) -> None:
    assert HOURS.after(local(start), timedelta(hours=hours)) == local(due)


def test_nothing_passes_backwards() -> None:
    assert HOURS.between(local("2026-11-24 09:00"), local("2026-11-23 09:00")) == timedelta(0)


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.timedeltas(timedelta(0), timedelta(hours=300)),
)
def test_after_and_between_agree(start: datetime, span: timedelta) -> None:
    due = HOURS.after(start, span)
    assert HOURS.between(start, due) == span
    assert due >= start


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["8-17"],
        ["08:00-07:00"],
        ["08:00-12:00", "11:00-17:00"],
        ["08:00-24:30"],
        ["08:70-09:00"],
    ],
)
def test_hours_that_are_none_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"hours|written like|within one day"):
        WorkingTime.parse(texts)


def test_a_day_round_the_clock() -> None:
    whole = WorkingTime.parse(["00:00-24:00"])
    friday = local("2026-11-20 22:00")
    assert whole.after(friday, timedelta(hours=24)) == local("2026-11-23 22:00")
