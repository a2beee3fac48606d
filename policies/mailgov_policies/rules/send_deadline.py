"""A document goes out on the day of signing, on the next working day at the latest.

Signing time is that of its last signature, dispatch the Date of the mail, both in the time of
Vietnam. Case `urgent`: a document with a mark of urgency goes at once, which is `urgent_hours`.
Beyond `copy_days` an old document is sent again, not issued. Working days leave out weekends and
the holidays of `tables/public-holidays.txt`; a ruleset may add `holidays`.
Basis: docs/basis.md#c01.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from mailgov_policies import attached
from mailgov_policies.facts import Attachment, Document, Facts
from mailgov_policies.formal import formal_documents, sound_signatures
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_VIETNAM = timezone(timedelta(hours=7))
_SATURDAY = 5


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each document that goes out too late."""
    sent = _local(facts.content.header.date)
    if sent is None:
        return
    longest = timedelta(days=settings.number("copy_days"))
    for item, document in formal_documents(facts.content):
        signed = _signed_at(item)
        if signed is None or not timedelta(0) < sent - signed <= longest:
            continue
        case = _case(signed, sent, settings, is_urgent=_is_urgent(item, document, facts))
        if case is not None:
            yield Hit(
                RULE.key,
                attached.place(item),
                attached.evidence(item, signed=_shown(signed), sent=_shown(sent), case=case),
            )


def _case(signed: datetime, sent: datetime, settings: Settings, *, is_urgent: bool) -> str | None:
    """The case; None when it is in time."""
    if is_urgent and sent - signed > timedelta(hours=settings.number("urgent_hours")):
        return "urgent"
    holidays = _holidays() | {*settings.names("holidays")}
    return "" if sent.date() > _next_working_day(signed.date(), holidays) else None


def _signed_at(item: Attachment) -> datetime | None:
    times = (_local(one.signed_at) for one in sound_signatures(item))
    return max((time for time in times if time is not None), default=None)


def _local(text: str) -> datetime | None:
    """A moment in the time of Vietnam; None for none, and at the ends of the calendar."""
    try:
        return datetime.fromisoformat(text).astimezone(_VIETNAM)
    except (ValueError, OverflowError):
        return None


def _is_urgent(item: Attachment, document: Document, facts: Facts) -> bool:
    declared = facts.content.declared
    marks = (
        mark.kind == "urgency" and mark.certain and mark.part == item.part
        for mark in facts.content.marks
    )
    return bool(document.urgency or (declared and declared.urgency)) or any(marks)


def _next_working_day(day: date, holidays: set[str] | frozenset[str]) -> date:
    day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day.isoformat() in holidays:
        day += timedelta(days=1)
    return day


@cache
def _holidays() -> frozenset[str]:
    text = files("mailgov_policies").joinpath("tables", "public-holidays.txt").read_text("utf-8")
    return frozenset(line[:10] for line in text.splitlines() if line and not line.startswith("#"))


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


RULE = Rule(
    key="send-deadline",
    id="C01",
    version=1,
    check=check,
    evidence=("place", "file", "signed", "sent", "case"),
    settings={"urgent_hours": 2, "copy_days": 30, "holidays": ()},
    cases=("urgent",),
    directions=("submission",),
)
