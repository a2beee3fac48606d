"""Posts that begin on a day to come."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from mailgov.db.models import PlannedAct
from mailgov.directory.change import Act
from mailgov.directory.posts import hold_post
from mailgov.lifecycle import planning
from mailgov.lifecycle.planning import Performer

BEGIN = "person.post"


def _begin(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    given = planned.arguments
    last_day = date.fromisoformat(given["last_day"]) if given["last_day"] else None
    change = hold_post(
        session,
        Act(planned.actor, now, planned.reason),
        staff_no=planned.subject,
        title=given["title"],
        agency=given["agency"],
        first_day=planned.on_day,
        last_day=last_day,
        mailbox=given["mailbox"],
    )
    return planning.result_of(change)


PERFORMERS: Mapping[str, Performer] = {BEGIN: _begin}
