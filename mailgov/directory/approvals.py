"""What needs two persons: one asks, another in the right role says yes, then the first does it, once.

A request is for one act and its very subject: other domains, other messages or another report are
another request. It lapses, every step is in the ledger, and nobody decides on a request of their own:
neither the same person nor the same account of the operating system, unless the second one has
shown a password of theirs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from mailgov.access import LOCAL, Act, Authority, Role, scope
from mailgov.clock import VIETNAM, local_date
from mailgov.db import Database
from mailgov.db.models import Approval
from mailgov.errors import Conflict, ConsentMissing, InputError, NotAllowed, NotFound
from mailgov.ledger import record
from mailgov.ledger.events import ApprovalStep

KINDS: Mapping[str, Act] = {
    "key-export": "keys",
    "bulk-release": "secure",
    "open-names": "open-rows",
}
"""What needs two persons, and the act that whoever approves must be entitled to."""

FIELDS = (
    "approval",
    "kind",
    "subject",
    "agency",
    "state",
    "asked_by",
    "reason",
    "created_at",
    "expires_at",
    "decided_by",
    "decision_reason",
)


@dataclass(frozen=True, slots=True)
class Request:
    """An act that needs a second person's yes."""

    kind: str
    subject: Mapping[str, Any]  # what it is for, ready for JSON
    agency_code: str = ""  # whose officers decide; empty: those of the whole platform

    @property
    def digest(self) -> str:
        """What the request is known by: the same act has the same one."""
        text = json.dumps([self.kind, self.agency_code, self.subject], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Decider:
    """Whoever says yes or no. `proven`: by a sign-in or password of their own, just now."""

    authority: Authority
    proven: bool = False


def require(
    database: Database, who: Authority, now: datetime, reason: str, request: Request, days: int
) -> None:
    """Go on only with the yes of a second person, which is used up by this.

    Without one a request is made, or the open one is named. Raises ConsentMissing
    `approval-needed`, NotAllowed `approval-denied`, InputError `approval-reason-missing`.
    """
    with database.write() as session:
        found = _latest(session, who, now, request)
        if found is not None and found.state == "approved":
            found.state, found.used_at = "used", now
            session.add(found)
            _note(session, found, who.actor, now, "used", reason or found.reason)
            return
        if found is None:
            if not reason.strip():
                raise InputError("approval-reason-missing")
            found = _ask(session, who, now, reason, request, days)
        told = {"approval": found.id, "until": _day(found.expires_at)}
        denied = found.decision_reason if found.state == "denied" else None
    if denied is not None:
        raise NotAllowed("approval-denied", reason=denied, **told)
    raise ConsentMissing("approval-needed", **told)


def _latest(session: Session, who: Authority, now: datetime, request: Request) -> Approval | None:
    query = (
        select(Approval)
        .where(
            Approval.digest == request.digest,
            Approval.person == person_of(who),
            col(Approval.state).in_(("asked", "approved", "denied")),
            Approval.expires_at > now,
        )
        .order_by(col(Approval.created_at).desc(), col(Approval.id).desc())
        .with_for_update()
    )
    return session.exec(query).first()


def _ask(
    session: Session, who: Authority, now: datetime, reason: str, request: Request, days: int
) -> Approval:
    day = f"apr-{local_date(now).isoformat()}-"
    count = session.connection().execute(
        select(func.count()).select_from(Approval).where(col(Approval.id).startswith(day))
    )
    row = Approval(
        id=f"{day}{count.scalar_one() + 1}",
        kind=request.kind,
        subject=dict(request.subject),
        digest=request.digest,
        agency_code=request.agency_code,
        actor=who.actor,
        person=person_of(who),
        reason=reason,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    session.add(row)
    session.flush()
    _note(session, row, who.actor, now, "asked", reason)
    return row


def decide(
    session: Session, by: Decider, now: datetime, approval: str, *, yes: bool, reason: str = ""
) -> dict[str, Any]:
    """Say yes or no to a request; returns it as it is now.

    Raises NotFound `approval-unknown`, also where it is none of their business; Conflict
    `approval-ended`; NotAllowed `approval-by-same-person`.
    """
    row = _open(session, by.authority, now, approval)
    if _same_person(row, by):
        raise NotAllowed("approval-by-same-person", approval=row.id)
    row.state = "approved" if yes else "denied"
    row.decided_by, row.decided_at, row.decision_reason = by.authority.actor, now, reason
    session.add(row)
    _note(session, row, by.authority.actor, now, row.state, reason)
    return shown(row, now)


def withdraw(session: Session, who: Authority, now: datetime, approval: str) -> dict[str, Any]:
    """Take a request of one's own back. Raises NotFound `approval-unknown`, Conflict `approval-ended`."""
    row = session.get(Approval, approval)
    if row is None or row.person != person_of(who):
        raise NotFound("approval-unknown", approval=approval)
    _require_waiting(row, now)
    row.state, row.decided_by, row.decided_at = "withdrawn", who.actor, now
    session.add(row)
    _note(session, row, who.actor, now, "withdrawn", "")
    return shown(row, now)


def listing(
    session: Session, who: Authority, now: datetime, *, every: bool = False, limit: int = 1000
) -> list[dict[str, Any]]:
    """Requests that somebody made or may decide on, latest first; without `every` the open ones."""
    query = select(Approval).order_by(col(Approval.created_at).desc(), col(Approval.id).desc())
    if not every:
        query = query.where(
            col(Approval.state).in_(("asked", "approved")), Approval.expires_at > now
        )
    rows = session.exec(query.limit(limit)).all()
    return [shown(row, now) for row in rows if _concerns(session, who, row)]


def one(session: Session, who: Authority, now: datetime, approval: str) -> dict[str, Any]:
    """One request. Raises NotFound `approval-unknown`."""
    row = session.get(Approval, approval)
    if row is None or not _concerns(session, who, row):
        raise NotFound("approval-unknown", approval=approval)
    return shown(row, now)


def shown(row: Approval, now: datetime) -> dict[str, Any]:
    """A request, ready for tables and JSON."""
    lapsed = row.state in ("asked", "approved") and row.expires_at <= now
    return {
        "approval": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "agency": row.agency_code or "*",
        "state": "lapsed" if lapsed else row.state,
        "asked_by": row.actor,
        "reason": row.reason,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "decided_by": row.decided_by,
        "decision_reason": row.decision_reason,
    }


def may_decide(session: Session, roles: Iterable[Role], kind: str, agency_code: str) -> bool:
    """Whether one of the roles is the right one, over the agency that the request is of."""
    found = scope(session, roles, KINDS[kind])
    return agency_code in found if agency_code else found.everything


def person_of(who: Authority) -> str:
    """Whom a request belongs to: a mailbox's holder, or an account of the operating system."""
    return who.address or who.actor


def _same_person(row: Approval, by: Decider) -> bool:
    if row.person == person_of(by.authority):
        return True
    # Two names typed from one account are one person, unless the second has shown a password.
    account = _account(by.authority.actor)
    return not by.proven and bool(account) and account == _account(row.actor)


def _account(actor: str) -> str:
    """The account of the operating system that an actor works from; empty: none that is known."""
    return actor.removeprefix(LOCAL).split(" ")[0] if actor.startswith(LOCAL) else ""


def _concerns(session: Session, who: Authority, row: Approval) -> bool:
    mine = row.person == person_of(who)
    return mine or may_decide(session, who.roles, row.kind, row.agency_code)


def _open(session: Session, who: Authority, now: datetime, approval: str) -> Approval:
    row = session.get(Approval, approval, with_for_update=True)
    if row is None or not _concerns(session, who, row):
        raise NotFound("approval-unknown", approval=approval)
    if row.person != person_of(who):
        _require_waiting(row, now)
    return row


def _require_waiting(row: Approval, now: datetime) -> None:
    if row.state != "asked" or row.expires_at <= now:
        state = "lapsed" if row.expires_at <= now else row.state
        raise Conflict("approval-ended", approval=row.id, state=state)


def _note(
    session: Session, row: Approval, actor: str, now: datetime, step: str, reason: str
) -> None:
    event = ApprovalStep(
        at=now,
        actor=actor,
        agency_code=row.agency_code,
        approval=row.id,
        step=step,
        what=row.kind,
        subject=row.subject,
        asked_by=row.actor,
        reason=reason,
    )
    record(session, event)


def _day(moment: datetime) -> str:
    return moment.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M")


def subject_of(ids: Sequence[str]) -> dict[str, Any]:
    """A set of messages as the subject of a request: how many, and which, whatever their order."""
    ordered = sorted(set(ids))
    digest = hashlib.sha256("\n".join(ordered).encode()).hexdigest()
    return {"messages": len(ordered), "digest": digest[:16], "first": ordered[:3]}
