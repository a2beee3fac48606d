"""What one's mailbox answers by itself while one is away."""

import re
from datetime import date, datetime

from sqlmodel import Session, select
from starlette.responses import Response

from mailgov.clock import local_date
from mailgov.db.models import Absence
from mailgov.directory.change import Act
from mailgov.directory.provisioning.absences import MOST_LETTERS, clear_absence, set_absence
from mailgov.errors import InputError
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit, see

_FORMS = (
    "%Y-%m-%d",
    "%d/%m/%Y",
)  # what browsers send, and what people type where they have no calendar


async def show(visit: Visit) -> Response:
    """The answer as it is, and the form to change it."""
    return await _page(visit)


async def _page(visit: Visit, *, problem: str = "") -> Response:
    mailbox_id = visit.account.mailbox_id

    def read(session: Session) -> Absence | None:
        return session.exec(select(Absence).where(Absence.mailbox_id == mailbox_id)).first()

    kept = await visit.services.database.query(read)
    given = {name: visit.text(name) for name in ("text", "first_day", "last_day")}
    if not problem:
        given = _fields(kept)
    return await framed_page(
        visit,
        "absence.html",
        status=400 if problem else 200,
        state=_state(kept, local_date(visit.now)),
        kept=kept,
        given=given,
        most=MOST_LETTERS,
        problem=problem,
        done=visit.query("done"),
    )


def _fields(kept: Absence | None) -> dict[str, str]:
    if kept is None:
        return {"text": "", "first_day": "", "last_day": ""}
    return {
        "text": kept.text,
        "first_day": kept.first_day.isoformat() if kept.first_day else "",
        "last_day": kept.last_day.isoformat() if kept.last_day else "",
    }


def _state(kept: Absence | None, today: date) -> str:
    """off, later, on or over."""
    if kept is None:
        return "off"
    if kept.first_day and today < kept.first_day:
        return "later"
    return "over" if kept.last_day and today > kept.last_day else "on"


async def save(visit: Visit) -> Response:
    """Answer by oneself from now on, or between the days named."""
    try:
        first, last = _day(visit.text("first_day")), _day(visit.text("last_day"))
    except ValueError:
        return await _page(visit, problem=visit.words("absence.day-wrong"))
    if first and last and last < first:
        return await _page(visit, problem=visit.words("absence.days-wrong"))
    text = re.sub(r"\r\n?", "\n", visit.text("text"))
    act = Act(actor=visit.account.address, at=visit.now)
    try:
        await visit.services.database.submit(
            lambda session: set_absence(
                session, act, visit.account.address, text, first_day=first, last_day=last
            )
        )
    except InputError as error:
        return await _page(visit, problem=visit.words.error(error))
    return see("/settings/absence?done=saved")


async def turn_off(visit: Visit) -> Response:
    """Answer no longer."""
    act = Act(actor=visit.account.address, at=visit.now)
    await visit.services.database.submit(
        lambda session: clear_absence(session, act, visit.account.address)
    )
    return see("/settings/absence?done=off")


def _day(typed: str) -> date | None:
    """The day; None when none was given. Raises ValueError."""
    typed = typed.strip()
    if not typed:
        return None
    for form in _FORMS:
        try:
            return datetime.strptime(typed, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise ValueError(typed)
