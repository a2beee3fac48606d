"""“Kết quả này sai”: whoever was struck by a rule says so to those who keep it.

The same form stands wherever a finding is shown. It changes nothing about the message.
"""

from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailgov.errors import InputError, NotFound
from mailgov.holding import acts, wrong
from mailgov.holding.wrong import Struck
from mailgov.queue.admin import Intervention
from mailgov_policies import RULES_BY_KEY
from mailgov_webmail.pages.login import onward
from mailgov_webmail.visit import Visit, see

MAX_REASON_SIGNS = 300
FACES = ("message", "quarantine", "help")


async def report(visit: Visit) -> Response:
    """Note what the form says of a rule, or of a message that it struck; then back to the page."""
    face = visit.text("face")
    if face not in FACES:
        raise HTTPException(400)
    code, queue_id = visit.text("code"), visit.text("queue_id").strip()
    await require_rule(visit, code)
    by = intervention(visit, visit.text("reason"))

    def work(session: Session) -> None:
        if queue_id:
            _require_known(session, visit, queue_id)
            struck = wrong.on_message(session, queue_id, code)
        else:
            struck = Struck(code, visit.account.agency_code)
        note(session, visit, struck, by, face)

    await visit.services.database.submit(work)
    visit.services.queue.wake()
    back = onward(visit.text("back"))
    return see(f"{back}{'&' if '?' in back else '?'}told=1#told")


async def require_rule(visit: Visit, code: str) -> None:
    """Answer 404 unless it is a rule, of ours or of an agency."""
    if code not in RULES_BY_KEY and await visit.services.rules.own_rule(code) is None:
        raise HTTPException(404)


def intervention(visit: Visit, reason: str) -> Intervention:
    """Who says it, when and why. Raises InputError `decision-without-reason`."""
    reason = " ".join(reason.split())[:MAX_REASON_SIGNS]
    if not reason:
        raise InputError("decision-without-reason")
    return Intervention(visit.account.address, visit.now, reason)


def note(session: Session, visit: Visit, struck: Struck, by: Intervention, face: str) -> None:
    """Write the report down and tell the keepers."""
    config, mailbox = visit.services.config, visit.account.address
    wrong.report(session, config, struck, by, face=face, mailbox=mailbox)


def _require_known(session: Session, visit: Visit, queue_id: str) -> None:
    """Raise NotFound for mail of others: that it is there is none of the visitor's business."""
    account, config = visit.account, visit.services.config
    if wrong.is_of(session, queue_id, account.mailbox_id, account.address):
        return
    if not acts.may_decide(session, config, visit.now, queue_id, account.mailbox_id, account.roles):
        raise NotFound("queue-id-unknown", queue_id=queue_id)
