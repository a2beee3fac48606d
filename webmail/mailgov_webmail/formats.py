"""How dates, numbers and sizes are written. Days first, 24 hours, in the time of Vietnam."""

from datetime import datetime, timedelta

from mailgov.clock import VIETNAM
from mailgov.texts import Language

YESTERDAY = "yesterday"  # the one answer of `brief` that is a word

_UNITS = ("KB", "MB", "GB", "TB")


def number(value: int, language: Language) -> str:
    """1.234 in Vietnamese, 1,234 in English."""
    text = f"{value:,}"
    return text.replace(",", ".") if language == "vi" else text


def size(size_bytes: int, language: Language) -> str:
    """A size in units of 1024: `240 KB`, `2,4 MB`; one decimal below ten, none from there on."""
    value = size_bytes / 1024
    unit = _UNITS[0]
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1024
    if unit == "KB" or value >= 10:
        text = str(max(1, round(value))) if size_bytes else "0"
    else:
        text = f"{value:.1f}"
    return f"{text.replace('.', ',') if language == 'vi' else text} {unit}"


def moment(value: datetime) -> str:
    """21/11/2026 08:05."""
    return f"{value.astimezone(VIETNAM):%d/%m/%Y %H:%M}"


def brief(value: datetime, now: datetime) -> str:
    """For lists: the time of today, `YESTERDAY`, the day of this year, else the whole date."""
    local, today = value.astimezone(VIETNAM), now.astimezone(VIETNAM)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.date() == today.date() - timedelta(days=1):
        return YESTERDAY
    if local.year == today.year and local < today:
        return f"{local:%d/%m}"
    return f"{local:%d/%m/%Y}"
