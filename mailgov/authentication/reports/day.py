"""The day that a report covers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day of UTC, as reports are cut; `ends_at` is not of it any more."""

    begins_at: datetime

    @classmethod
    def before(cls, moment: datetime, days: int = 1) -> "Day":
        """The day that was so many days before that of the moment."""
        midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight - timedelta(days=days))

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return self.begins_at + timedelta(days=1)

    @property
    def last_second(self) -> datetime:
        """What reports name as their end."""
        return self.ends_at - timedelta(seconds=1)
