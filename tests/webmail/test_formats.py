"""Dates, numbers and sizes as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from mailgov_webmail import formats
from mailgov_webmail.words import Words

NOW = datetime(2026, 11, 21, 1, 12, tzinfo=UTC)  # 08:12 in Vietnam


@pytest.mark.parametrize(
    ("size_bytes", "vi", "en"),
    [
        (0, "0 KB", "0 KB"),
        (1, "1 KB", "1 KB"),
        (240 << 10, "240 KB", "240 KB"),
        (1_000 << 10, "1,0 MB", "1.0 MB"),
        (2_516_582, "2,4 MB", "2.4 MB"),
        (38 << 20, "38 MB", "38 MB"),
        (5 << 30, "5,0 GB", "5.0 GB"),
        (3000 << 40, "3000 TB", "3000 TB"),
    ],
)
def test_sizes(size_bytes: int, vi: str, en: str) -> None:
    assert formats.size(size_bytes, "vi") == vi
    assert formats.size(size_bytes, "en") == en


def test_numbers_have_the_marks_of_their_language() -> None:
    assert formats.number(1_204_567, "vi") == "1.204.567"
    assert formats.number(1_204_567, "en") == "1,204,567"


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(minutes=7), "08:05"),
        (timedelta(hours=8, minutes=13), "Hôm qua"),  # 23:59 of the day before
        (timedelta(days=6), "15/11"),
        (timedelta(days=400), "17/10/2025"),
        (-timedelta(days=40), "31/12/2026"),  # a clock ahead of ours is named in full
    ],
)
def test_lists_are_as_brief_as_they_stay_clear(ago: timedelta, shown: str) -> None:
    assert Words("vi", NOW).brief(NOW - ago) == shown


def test_moments_name_day_before_month_in_the_time_of_vietnam() -> None:
    assert formats.moment(datetime(2026, 11, 21, 18, 5, tzinfo=UTC)) == "22/11/2026 01:05"
