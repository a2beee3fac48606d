"""Letters that wait to leave: called back, hurried, mended."""

from dataclasses import dataclass

from starlette.responses import Response

from mailgov.texts.explanation import Explanation, of_rule
from mailgov_policies.rules import RULES_BY_KEY
from mailgov_webmail.compose.outbox import Outbox, Waiting
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit, see


@dataclass(frozen=True, slots=True)
class Line:
    """A letter as the page shows it, with the rule that struck it."""

    waiting: Waiting
    rule: Explanation | None


async def show(visit: Visit) -> Response:
    """What waits, what failed and why."""
    letters = await outbox_of(visit).letters()
    return await framed_page(
        visit,
        "outbox.html",
        folders=await visit.mailbox().folders(),
        lines=[_line(visit, one) for one in letters],
    )


async def call_back(visit: Visit) -> Response:
    """Make a letter a draft again and open it."""
    draft_id = visit.request.path_params["cid"]
    await outbox_of(visit).call_back(draft_id)
    return see(f"/compose/{draft_id}")


async def hurry(visit: Visit) -> Response:
    """Let a letter leave now."""
    await outbox_of(visit).hurry(visit.request.path_params["cid"])
    visit.parts.postman.wake()
    return see("/outbox")


def outbox_of(visit: Visit) -> Outbox:
    """The outbox of whoever is signed in."""
    return Outbox(visit.services.database, visit.services.clock, visit.account)


def _line(visit: Visit, waiting: Waiting) -> Line:
    known = waiting.why in RULES_BY_KEY
    return Line(waiting, of_rule(visit.language, waiting.why) if known else None)
