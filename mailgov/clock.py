"""Time as an argument: moments are aware and in UTC, spans are timedeltas."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]

# Vietnam has one zone and no summer time; periods and working days are cut in it.
VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


def utc_now() -> datetime:
    """The present moment; the default `Clock`."""
    return datetime.now(UTC)


def local_date(moment: datetime) -> date:
    """The calendar day of a moment in Vietnam."""
    return moment.astimezone(VIETNAM).date()
