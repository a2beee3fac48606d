"""When state agencies work: days of Vietnam's calendar, and hours within them.

Weekends and public holidays (Labour Code 2019, Article 112) are days off, unless a decision makes
them days worked instead; hours are those of `site.working_hours`, in the time of Vietnam.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

from mailgov.clock import VIETNAM

if TYPE_CHECKING:
    from holidays import HolidayBase

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = timedelta(days=1)


def is_working_day(day: date) -> bool:
    """Whether agencies work on that day."""
    return _calendar().is_working_day(day)


@cache
def _calendar() -> "HolidayBase":
    from holidays import country_holidays  # its data is large, and most commands need none of it

    return country_holidays("VN")


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """The hours of a working day: spans from midnight, in order, none over another."""

    spans: tuple[tuple[timedelta, timedelta], ...]

    @classmethod
    def parse(cls, texts: list[str]) -> "WorkingTime":
        """Read `07:30-11:30` and its like. Raises ValueError when they are no hours of one day."""
        spans = tuple(_span(text) for text in texts)
        ends = [timedelta(0), *(end for _, end in spans)]
        if not spans or any(
            begin < before or end <= begin
            for before, (begin, end) in zip(ends, spans, strict=False)
        ):
            raise ValueError("working hours must be in order and not overlap")
        return cls(spans)

    def after(self, start: datetime, hours: timedelta) -> datetime:
        """The moment by which so much working time has passed since `start`."""
        day, left = start.astimezone(VIETNAM).date(), hours
        while True:
            for begin, end in self._on(day):
                begin = max(begin, start)
                if begin < end and left <= end - begin:
                    return (begin + left).astimezone(UTC)
                left -= max(timedelta(0), end - begin)
            day += _DAY

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two moments; none when `end` is the earlier."""
        total, day = timedelta(0), start.astimezone(VIETNAM).date()
        while day <= end.astimezone(VIETNAM).date():
            for begin, until in self._on(day):
                total += max(timedelta(0), min(until, end) - max(begin, start))
            day += _DAY
        return total

    def _on(self, day: date) -> list[tuple[datetime, datetime]]:
        if not is_working_day(day):
            return []
        midnight = datetime.combine(day, time(), VIETNAM)  # no summer time: sums are exact
        return [(midnight + begin, midnight + end) for begin, end in self.spans]


def _span(text: str) -> tuple[timedelta, timedelta]:
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"`{text}` is not written like 07:30-11:30")
    hours = [int(part) for part in found.groups()]
    begin = timedelta(hours=hours[0], minutes=hours[1])
    end = timedelta(hours=hours[2], minutes=hours[3])
    if hours[1] > 59 or hours[3] > 59 or end > _DAY:
        raise ValueError(f"`{text}` is not within one day")
    return begin, end
