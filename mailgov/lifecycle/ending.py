"""The end of a mailbox: recalled on a day, read-only for a time of grace, kept, then removed.

On the day of the recall whoever had it is out (rule leaver-access): sign-ins, app passwords, rights and
roles end in the same transaction. Until the last day of grace senders are told whom to write to instead,
or what they write goes there. After it the mail is only kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import Absence, Agency, Forward, Mailbox, Person, PlannedAct
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_mailbox
from mailgov.errors import Conflict, InputError
from mailgov.lifecycle import planning
from mailgov.lifecycle.access import end_rights, end_sign_ins, kept_offices
from mailgov.lifecycle.planning import Performer
from mailgov.lifecycle.terms import office_of
from mailgov.texts import LANGUAGES, words

RECALL, RETAIN = "mailbox.recall", "mailbox.retain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How a mailbox is recalled.

    `forward`: what still comes goes to `contact`, which is then a mailbox of ours. `holder_reads`:
    whoever had it may read, and nothing else, until the end of grace. `left`: the person has left.
    """

    readable_until: date
    kept_until: date
    contact: str = ""
    forward: bool = False
    holder_reads: bool = False
    left: bool = True

    def as_arguments(self) -> dict[str, Any]:
        """For a plan."""
        return {
            "readable_until": self.readable_until.isoformat(),
            "kept_until": self.kept_until.isoformat(),
            "contact": self.contact,
            "forward": self.forward,
            "holder_reads": self.holder_reads,
            "left": self.left,
        }

    @classmethod
    def from_arguments(cls, given: Mapping[str, Any]) -> "Recall":
        """As it was planned."""
        days = {name: date.fromisoformat(given[name]) for name in ("readable_until", "kept_until")}
        own = {name: value for name, value in given.items() if name != planning.MAILBOX}
        return cls(**{**own, **days})


def recall(session: Session, act: Act, address: str, how: Recall) -> Change:
    """Take a mailbox back. Recalled already: nothing happens.

    Raises NotFound `mailbox-unknown`; InputError `recall-contact-itself`, `recall-contact-closed`,
    `recall-of-group`.
    """
    mailbox = get_mailbox(session, address)
    if mailbox.state == "recalled":
        return _change(session, mailbox, "recall", {})
    if mailbox.kind == "group":
        raise InputError("recall-of-group", address=mailbox.address)
    target = _contact(session, mailbox, how)
    old = mailbox.state
    mailbox.state, mailbox.recalled_at = "recalled", act.at
    mailbox.suspended_at = mailbox.suspended_until = mailbox.locked_at = None
    mailbox.readable_until, mailbox.kept_until = how.readable_until, how.kept_until
    mailbox.holder_reads, mailbox.contact = how.holder_reads, how.contact
    session.add(mailbox)
    _cancel_plans(session, act, mailbox)
    ended = end_sign_ins(session, act, mailbox, passwords=not how.holder_reads)
    rights = end_rights(session, act, mailbox)
    _pass_on(session, act, mailbox, target, how)
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    offices = kept_offices(session, mailbox.person_id)
    if person is not None and how.left and person.left_on is None:
        _leave(session, act, person)
    fields = {
        "state": (old, "recalled"),
        "readable_until": ("", how.readable_until.isoformat()),
        "kept_until": ("", how.kept_until.isoformat()),
    }
    if how.contact:
        fields["contact"] = ("", how.contact)
    if ended:
        fields["passwords"] = (str(ended), "0")
    change = _change(session, mailbox, "recall", fields, {**rights, "keeper_of": offices})
    recorded(session, act, change)
    planning.plan(
        session,
        kind=RETAIN,
        subject=mailbox.address,
        on=how.readable_until + timedelta(days=1),
        arguments={planning.MAILBOX: mailbox.id},
        actor=act.actor,
        agency_code=change.agency_code,
        at=act.at,
    )
    return change


def retain(session: Session, act: Act, address: str) -> Change:
    """The grace is over: nobody reads, nothing is passed on, the mail is kept.

    Raises NotFound `mailbox-unknown`, Conflict `mailbox-not-recalled`.
    """
    mailbox = get_mailbox(session, address)
    if mailbox.state != "recalled":
        raise Conflict("mailbox-not-recalled", address=mailbox.address)
    end_sign_ins(session, act, mailbox, passwords=True)
    fields = {"stage": ("recalled", "retained")}
    if mailbox.holder_reads:
        mailbox.holder_reads = False
        fields["holder_reads"] = ("True", "False")
    today = local_date(act.at)
    if mailbox.readable_until is None or mailbox.readable_until >= today:
        mailbox.readable_until = today - timedelta(days=1)
    session.add(mailbox)
    _drop_forwards(session, mailbox)
    return recorded(session, act, _change(session, mailbox, "retain", fields))


def restore(session: Session, act: Act, address: str) -> Change:
    """Give a recalled mailbox back to its holder, who sets a new password; rights stay ended.

    Raises NotFound `mailbox-unknown`; Conflict `mailbox-removed`, `one-address-per-holder`.
    """
    mailbox = get_mailbox(session, address)
    if mailbox.removed_at is not None or mailbox.receipt:
        raise Conflict("mailbox-removed", address=mailbox.address, receipt=mailbox.receipt)
    if mailbox.state != "recalled":
        return _change(session, mailbox, "resume", {})
    _require_single(session, mailbox)
    mailbox.state = "active"
    mailbox.recalled_at = mailbox.readable_until = mailbox.kept_until = None
    mailbox.holder_reads, mailbox.contact = False, ""
    mailbox.reopened_at = act.at
    session.add(mailbox)
    end_sign_ins(session, act, mailbox, passwords=True)
    _drop_forwards(session, mailbox)
    _cancel_plans(session, act, mailbox)
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    if person is not None and person.left_on is not None:
        fields = {"left_on": (person.left_on.isoformat(), "")}
        person.left_on = None
        session.add(person)
        _tell_person(session, act, person, fields)
    fields = {"state": ("recalled", "active")}
    return recorded(session, act, _change(session, mailbox, "resume", fields))


def default_contact(session: Session, mailbox: Mailbox) -> str:
    """Whom to write to instead when nobody was named: the office of the agency."""
    office = office_of(session, session.get_one(Agency, mailbox.agency_id))
    return "" if office == mailbox.address else office


def _contact(session: Session, mailbox: Mailbox, how: Recall) -> Mailbox | None:
    """The mailbox that gets what still comes."""
    if not how.contact:
        return None
    key = Address.parse(how.contact).key
    if key == mailbox.address:
        raise InputError("recall-contact-itself", address=mailbox.address)
    if not how.forward:
        return None
    target = get_mailbox(session, key)
    if target.state != "active" or target.kind == "group":
        raise InputError("recall-contact-closed", address=target.address)
    return target


def _pass_on(
    session: Session, act: Act, mailbox: Mailbox, target: Mailbox | None, how: Recall
) -> None:
    """Old forwards and answers end; what still comes goes to the successor, and senders hear so."""
    _drop_forwards(session, mailbox)
    if target is None:
        return
    assert mailbox.id is not None
    session.add(
        Forward(
            mailbox_id=mailbox.id,
            target=target.address,
            keep_copy=False,
            until=how.readable_until,
            created_at=act.at,
        )
    )
    text = "\n\n".join(
        words(language, "notice.recalled.answer", address=mailbox.address, contact=how.contact)
        for language in LANGUAGES
    )
    session.add(
        Absence(mailbox_id=mailbox.id, text=text, last_day=how.readable_until, created_at=act.at)
    )


def _drop_forwards(session: Session, mailbox: Mailbox) -> None:
    for table in (Forward, Absence):
        session.connection().execute(delete(table).where(col(table.mailbox_id) == mailbox.id))


def _cancel_plans(session: Session, act: Act, mailbox: Mailbox) -> None:
    """What was planned for it before: it can't be resumed, transferred or kept any more."""
    for plan in planning.of_mailbox(session, mailbox, ("mailbox.resume", RETAIN)):
        assert plan.id is not None
        planning.cancel(session, plan.id, act)


def _leave(session: Session, act: Act, person: Person) -> None:
    person.left_on = local_date(act.at)
    session.add(person)
    _tell_person(session, act, person, {"left_on": ("", person.left_on.isoformat())})


def _tell_person(
    session: Session, act: Act, person: Person, fields: dict[str, tuple[str, str]]
) -> None:
    code = session.get_one(Agency, person.agency_id).code
    recorded(session, act, Change("person", "edit", person.staff_no, fields, agency_code=code))


def _require_single(session: Session, mailbox: Mailbox) -> None:
    if mailbox.person_id is None or mailbox.kind != "person":
        return
    other = select(Mailbox).where(
        Mailbox.person_id == mailbox.person_id,
        Mailbox.kind == "person",
        Mailbox.state != "recalled",
    )
    if (held := session.exec(other).first()) is not None:
        person = session.get_one(Person, mailbox.person_id)
        raise Conflict(
            "one-address-per-holder",
            name=person.full_name,
            staff_no=person.staff_no,
            address=held.address,
        )


def _change(
    session: Session,
    mailbox: Mailbox,
    verb: str,
    fields: dict[str, tuple[str, str]],
    details: Mapping[str, Any] | None = None,
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    return Change(
        "mailbox",
        verb,
        mailbox.address,
        fields,
        agency_code=code,
        mailbox=mailbox.address,
        details=dict(details or {}),
    )


def _perform_recall(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    how = Recall.from_arguments(planned.arguments)
    act = Act(planned.actor, now, planned.reason)
    change = recall(session, act, planning.address_of(session, planned), how)
    return planning.result_of(change)


def _perform_retain(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    act = Act(planned.actor, now, planned.reason)
    return planning.result_of(retain(session, act, planning.address_of(session, planned)))


PERFORMERS: Mapping[str, Performer] = {RECALL: _perform_recall, RETAIN: _perform_retain}
