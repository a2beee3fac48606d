"""Held mail: one's own, why it waits and for whom; and, for those who decide, that of their branch.

Whoever decides sees header facts and rules, never content; what they release is judged again first.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session
from starlette.responses import Response

from mailgov import access
from mailgov.errors import NotFound
from mailgov.holding import acts
from mailgov.queue.admin import Intervention
from mailgov.texts.explanation import Explanation, of_rule, of_stored
from mailgov_policies import Action, Verdict
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.pages.wrong import intervention
from mailgov_webmail.visit import Visit, see

LIMIT = 50
NOTHING = access.Scope()
_DONE = ("asked", "asked-already", "released", "removed")


@dataclass(frozen=True, slots=True)
class Row:
    """A held message as the page shows it."""

    held: acts.Held
    told: tuple[Explanation, ...]  # why it is held, the gravest first
    sender: str
    recipients: str
    may_overrule: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """What the rules in force now say against a release."""

    queue_id: str
    reason: str
    told: tuple[Explanation, ...]
    is_final: bool  # nobody may overrule it


async def show(visit: Visit) -> Response:
    """One's own held mail, and that of the branch in which one decides."""
    return await _page(visit)


async def _page(visit: Visit, refused: Refused | None = None) -> Response:
    account, config = visit.account, visit.services.config

    def work(session: Session) -> tuple[list[acts.Held], list[acts.Held], bool, access.Scope]:
        own = acts.of_mailbox(
            session, config, visit.now, account.mailbox_id, account.address, limit=LIMIT
        )
        secured = access.scope(session, account.roles, "secure")
        looked_after = access.scope(session, account.roles, "administer")  # IT may stand in
        moderated = acts.of_groups(session, config, visit.now, account.mailbox_id, limit=LIMIT)
        if not (secured or looked_after):
            return own, moderated, bool(moderated), secured
        everywhere = access.Scope(
            secured.everything or looked_after.everything, secured.codes | looked_after.codes
        )
        seen = acts.waiting(session, config, visit.now, of=everywhere, limit=LIMIT)
        theirs = [
            one for one in seen if one.agency_code in secured or account.mailbox_id in one.keepers
        ]
        known = {one.queue_id for one in theirs}
        theirs += [one for one in moderated if one.queue_id not in known]
        return own, theirs, bool(secured or theirs), secured

    own, branch, decides, secured = await visit.services.database.query(work)
    done = visit.query("done")
    return await framed_page(
        visit,
        "quarantine.html",
        status=409 if refused else 200,
        own=_rows(visit, own),
        branch=_rows(visit, branch, discreet=True, secured=secured),
        decides=decides,
        refused=refused,
        done=done if done in _DONE else "",
    )


async def release(visit: Visit) -> Response:
    """Those who decide let the message go; those whose mail it is ask for it."""
    queue_id, by = _asked_for(visit)
    if await visit.services.database.query(lambda session: _decides(session, visit, queue_id)):
        forbids = await _release(visit, queue_id, by)
        if forbids is None:
            return see("/quarantine?done=released")
        return await _page(visit, _refused(visit, queue_id, by, forbids))
    config = visit.services.config

    def work(session: Session) -> bool:
        _require_own(session, visit, queue_id)
        return acts.ask(session, config, queue_id, by)

    asked = await visit.services.database.submit(work)
    visit.services.queue.wake()
    return see(f"/quarantine?done={'asked' if asked else 'asked-already'}")


async def remove(visit: Visit) -> Response:
    """Those who decide take the message out for good; a sender of ours is told why."""
    queue_id, by = _asked_for(visit)
    services = visit.services

    def work(session: Session) -> list[str]:
        if not _decides(session, visit, queue_id):
            raise NotFound("queue-id-unknown", queue_id=queue_id)
        return acts.remove(session, services.config, acts.pick(session, queue_id), by)

    files = await services.database.submit(work)
    for name in files:
        await asyncio.to_thread(services.spool.remove, name)
    services.queue.wake()
    return see("/quarantine?done=removed")


async def _release(visit: Visit, queue_id: str, by: Intervention) -> Verdict | None:
    """Judge again, then let go; the verdict that forbids it, where one does.

    Whoever secures the branch may overrule it, once told, but for what is marked secret. Raises
    Conflict `release-forbidden`, and what `pick` raises.
    """
    services = visit.services
    verdict = (await services.intake.rejudge(queue_id)).verdict
    if not acts.permits(verdict):
        overrules = bool(visit.text("anyway")) and await _may_overrule(visit, queue_id)
        if not overrules:
            return verdict

    def work(session: Session) -> None:
        acts.release(session, services.config, acts.pick(session, queue_id), verdict, by)

    await services.database.submit(work)
    services.queue.wake()
    return None


async def _may_overrule(visit: Visit, queue_id: str) -> bool:
    def work(session: Session) -> bool:
        agency_code = acts.pick(session, queue_id)[0].agency_code
        return agency_code in access.scope(session, visit.account.roles, "secure")

    return await visit.services.database.query(work)


def _asked_for(visit: Visit) -> tuple[str, Intervention]:
    return str(visit.request.path_params["id"]), intervention(visit, visit.text("reason"))


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


def _refused(visit: Visit, queue_id: str, by: Intervention, verdict: Verdict) -> Refused:
    deciding = [f for f in verdict.findings if f.action >= Action.DEFER]
    found = {
        f.code: of_stored(
            visit.language,
            {"code": f.code, "where": f.where, "evidence": f.evidence, "basis": f.basis},
            discreet=True,
        )
        for f in deciding
    }
    final = not acts.may_be_overruled(verdict)
    return Refused(queue_id, by.reason, tuple(found.values()), is_final=final)


def _rows(
    visit: Visit,
    held: Sequence[acts.Held],
    *,
    discreet: bool = False,
    secured: access.Scope = NOTHING,
) -> list[Row]:
    return [
        Row(
            held=one,
            told=tuple(of_stored(visit.language, f, discreet=discreet) for f in one.findings)
            or (of_rule(visit.language, one.code),),
            sender=one.mail_from or visit.words("quarantine.no-sender"),
            recipients=", ".join(one.recipients),
            may_overrule=one.agency_code in secured,
        )
        for one in held
    ]
