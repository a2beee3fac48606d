"""Periods: Vietnam's days, and the days on which agencies work."""

from datetime import UTC, date, datetime

import pytest

from mailgov.errors import InputError
from mailgov.reports.period import Period


@pytest.mark.parametrize(
    ("key", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-H2", date(2026, 7, 1), date(2026, 12, 31)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-W47", date(2026, 11, 16), date(2026, 11, 22)),
        ("2026-11-21", date(2026, 11, 21), date(2026, 11, 21)),
    ],
)
def test_a_key_names_whole_days(key: str, first: date, last: date) -> None:
    period = Period.parse(key)
    assert (period.first, period.last) == (first, last)


def test_a_day_begins_at_midnight_in_vietnam() -> None:
    period = Period.parse("2026-11-21")
    assert period.start == datetime(2026, 11, 20, 17, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 21, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ("2026", "2025"),
        ("2026-H1", "2025-H2"),
        ("2026-Q1", "2025-Q4"),
        ("2026-01", "2025-12"),
        ("2026-W01", "2025-W52"),
        ("2026-03-01", "2026-02-28"),
    ],
)
def test_the_period_before_is_of_the_same_kind(key: str, before: str) -> None:
    assert Period.parse(key).previous.key == before


@pytest.mark.parametrize("text", ["", "26", "2026-13", "2026-Q5", "2026-02-30", "tháng 10"])
def test_what_is_no_period_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InputError, match="period-not-valid"):
        Period.parse(text)


def test_working_days_leave_out_weekends_and_holidays() -> None:
    assert len(Period.parse("2026-10").working_days) == 22


def test_only_days_that_have_been_count_in_a_running_period() -> None:
    running = Period.parse("2026-11").elapsed(date(2026, 11, 6))
    assert len(running.working_days) == 5


def test_the_last_three_days_are_provisional() -> None:
    period = Period.parse("2026-10")
    assert period.is_provisional(date(2026, 11, 2))
    assert not period.is_provisional(date(2026, 11, 3))
