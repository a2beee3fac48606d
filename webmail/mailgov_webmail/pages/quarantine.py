"""Held mail: one's own, why it waits and for whom; and, for those who decide, that of their branch.

Whoever decides sees header facts and rules, never content; what they release is judged again first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session
from starlette.responses import Response

from mailgov import access, texts
from mailgov.errors import Conflict, InputError, NotFound
from mailgov.holding import acts, wrong
from mailgov.queue.admin import Intervention
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit, see

LIMIT = 50
_MAX_REASON_SIGNS = 300
_DONE = ("asked", "asked-already", "released", "reported")


@dataclass(frozen=True, slots=True)
class Row:
    """A held message as the page shows it."""

    held: acts.Held
    title: str  # of the rule that holds it
    sender: str
    recipients: str


async def show(visit: Visit) -> Response:
    """One's own held mail, and that of the branch in which one decides."""
    account, config = visit.account, visit.services.config

    def work(session: Session) -> tuple[list[acts.Held], list[acts.Held], bool]:
        own = acts.of_mailbox(
            session, config, visit.now, account.mailbox_id, account.address, limit=LIMIT
        )
        secured = access.scope(session, account.roles, "secure")
        looked_after = access.scope(session, account.roles, "administer")  # IT may stand in
        if not (secured or looked_after):
            return own, [], False
        everywhere = access.Scope(
            secured.everything or looked_after.everything, secured.codes | looked_after.codes
        )
        seen = acts.waiting(session, config, visit.now, of=everywhere, limit=LIMIT)
        theirs = [
            one for one in seen if one.agency_code in secured or account.mailbox_id in one.keepers
        ]
        return own, theirs, bool(secured or theirs)

    own, branch, decides = await visit.services.database.query(work)
    done = visit.query("done")
    return await framed_page(
        visit,
        "quarantine.html",
        own=_rows(visit, own),
        branch=_rows(visit, branch),
        decides=decides,
        done=done if done in _DONE else "",
    )


async def release(visit: Visit) -> Response:
    """Those who decide let the message go; those whose mail it is ask for it."""
    queue_id, by = _asked_for(visit)
    if await visit.services.database.query(lambda session: _decides(session, visit, queue_id)):
        await _release(visit, queue_id, by)
        return see("/quarantine?done=released")
    config = visit.services.config

    def work(session: Session) -> bool:
        _require_own(session, visit, queue_id)
        return acts.ask(session, config, queue_id, by)

    asked = await visit.services.database.submit(work)
    visit.services.queue.wake()
    return see(f"/quarantine?done={'asked' if asked else 'asked-already'}")


async def report(visit: Visit) -> Response:
    """Note that the rule struck wrongly."""
    queue_id, by = _asked_for(visit)

    def work(session: Session) -> None:
        if not _decides(session, visit, queue_id):
            _require_own(session, visit, queue_id)
        struck = wrong.on_message(session, queue_id)
        config, mailbox = visit.services.config, visit.account.address
        wrong.report(session, config, struck, by, face="quarantine", mailbox=mailbox)

    await visit.services.database.submit(work)
    return see("/quarantine?done=reported")


async def _release(visit: Visit, queue_id: str, by: Intervention) -> None:
    """Judge again, then let go. Raises Conflict `release-refused`, and what `pick` raises."""
    judged = await visit.services.intake.rejudge(queue_id)
    if not acts.permits(judged.verdict):
        raise Conflict("release-refused", queue_id=queue_id, code=judged.verdict.code)

    def work(session: Session) -> None:
        acts.release(
            session, visit.services.config, acts.pick(session, queue_id), judged.verdict, by
        )

    await visit.services.database.submit(work)
    visit.services.queue.wake()


def _asked_for(visit: Visit) -> tuple[str, Intervention]:
    reason = " ".join(visit.text("reason").split())[:_MAX_REASON_SIGNS]
    if not reason:
        raise InputError("decision-without-reason")
    queue_id = str(visit.request.path_params["id"])
    return queue_id, Intervention(visit.account.address, visit.now, reason)


def _decides(session: Session, visit: Visit, queue_id: str) -> bool:
    """Whether the visitor decides on mail of the agency that this message belongs to.

    Raises what `pick` raises.
    """
    account, config = visit.account, visit.services.config
    return acts.may_decide(session, config, visit.now, queue_id, account.mailbox_id, account.roles)


def _require_own(session: Session, visit: Visit, queue_id: str) -> None:
    """Raise NotFound for mail of others: that it is there is none of the visitor's business."""
    account = visit.account
    if not acts.is_of(session, queue_id, account.mailbox_id, account.address):
        raise NotFound("queue-id-unknown", queue_id=queue_id)


def _rows(visit: Visit, held: Sequence[acts.Held]) -> list[Row]:
    return [
        Row(
            held=one,
            title=str(texts.entry(visit.language, f"rule.{one.code}").get("title", one.code)),
            sender=one.mail_from or visit.words("quarantine.no-sender"),
            recipients=", ".join(one.recipients),
        )
        for one in held
    ]
