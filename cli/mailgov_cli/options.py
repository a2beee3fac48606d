"""Options that several commands share, described once."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailgov.clock import VIETNAM
from mailgov_cli.exits import UsageMistake
from mailgov_cli.output import LIMIT as LIMIT

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", "-n", help="check everything, show what would change, keep nothing"),
]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]
NeededReason = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="file whose first line is the password; - is stdin"),
]
Since = Annotated[
    str, typer.Option("--since", help="from then on: 90m, 12h, 7d, 2026-11-21, 2026-11-21T08:00")
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d", "%d/%m/%Y"], help="last day, such as 2026-12-31"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do it without asking")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="rows at most")]
PageLimit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="rows at most; default: 1000 as table or JSON, else all"),
]
After = Annotated[
    str, typer.Option("--after", help="the next page: `next` of the one before", metavar="CURSOR")
]

_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}

_VIETNAMESE_DAY = re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})")


def parse_moment(text: str, now: datetime) -> datetime | None:
    """A moment as people give it: a span before now, or a day or time in Vietnam's zone.

    Empty text is None. Raises UsageMistake `moment-not-valid`.
    """
    if not text:
        return None
    try:
        if text[-1] in _UNITS and text[:-1].isdigit():
            return now - int(text[:-1]) * _UNITS[text[-1]]
        if day := _VIETNAMESE_DAY.fullmatch(text):
            text = f"{day['y']}-{day['m']:0>2}-{day['d']:0>2}"
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageMistake("moment-not-valid", text=text) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=VIETNAM)


def last_day(until: datetime | None) -> date | None:
    """The day that `--until` names."""
    return until.date() if until else None
