"""Periods in Vietnam's calendar, and their working days."""

import calendar as months
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from mailgov.clock import VIETNAM
from mailgov.errors import InputError
from mailgov.working_time import is_working_day

PROVISIONAL_DAYS = 3  # the last days of data may still change

_FORMS = re.compile(
    r"(?P<year>\d{4})"
    r"(?:-(?:(?P<month>\d{2})(?:-(?P<day>\d{2}))?|Q(?P<quarter>[1-4])|H(?P<half>[12])|W(?P<week>\d{2})))?"
)


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last`, both whole days in Asia/Ho_Chi_Minh."""

    key: str  # 2026-11-21, 2026-W47, 2026-11, 2026-Q4, 2026-H2, 2026
    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Read a period's key. Raises InputError `period-not-valid`."""
        match = _FORMS.fullmatch(text.strip().upper())
        try:
            if match is None:
                raise ValueError
            first, last = _bounds({k: int(v) for k, v in match.groupdict().items() if v})
        except ValueError:
            raise InputError("period-not-valid", period=text) from None
        return cls(text.strip().upper(), first, last)

    @classmethod
    def month_of(cls, day: date) -> "Period":
        """The calendar month of a day."""
        return cls.parse(f"{day:%Y-%m}")

    @property
    def start(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, time(), VIETNAM).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(1), time(), VIETNAM).astimezone(UTC)

    @property
    def previous(self) -> "Period":
        """The period of the same kind just before."""
        day = self.first - timedelta(1)
        match self.key[4:6]:
            case "":
                return Period.parse(f"{day:%Y}")
            case "-Q":
                return Period.parse(f"{day:%Y}-Q{(day.month + 2) // 3}")
            case "-H":
                return Period.parse(f"{day:%Y}-H{(day.month + 5) // 6}")
            case "-W":
                year, week, _ = day.isocalendar()
                return Period.parse(f"{year}-W{week:02}")
        return Period.parse(f"{day:%Y-%m}" if len(self.key) == 7 else f"{day:%Y-%m-%d}")

    def elapsed(self, today: date) -> "Period":
        """The same period up to today, for counting the working days that have been."""
        return Period(self.key, self.first, min(self.last, max(self.first, today)))

    def is_provisional(self, today: date) -> bool:
        """Whether its figures may still change."""
        return self.last > today - timedelta(PROVISIONAL_DAYS)

    @property
    def working_days(self) -> frozenset[date]:
        """Days on which agencies work: no weekends and public holidays, days worked instead too."""
        return frozenset(
            day
            for n in range((self.last - self.first).days + 1)
            if is_working_day(day := self.first + timedelta(n))
        )


def _bounds(part: dict[str, int]) -> tuple[date, date]:
    year = part["year"]
    if "day" in part:
        day = date(year, part["month"], part["day"])
        return day, day
    if "week" in part:
        monday = date.fromisocalendar(year, part["week"], 1)
        return monday, monday + timedelta(6)
    if "month" in part:
        first = last = part["month"]
    elif "quarter" in part:
        first, last = part["quarter"] * 3 - 2, part["quarter"] * 3
    elif "half" in part:
        first, last = part["half"] * 6 - 5, part["half"] * 6
    else:
        first, last = 1, 12
    return date(year, first, 1), date(year, last, months.monthrange(year, last)[1])
