"""Where mailboxes pass their mail on."""

from datetime import date

from sqlmodel import Session, col, func, select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import Agency, Forward, Mailbox
from mailgov.directory import forwards, queries
from mailgov.directory.change import Act, Change, edited_fields, new_fields, recorded
from mailgov.directory.groups import KIND
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import InputError, NotFound


def add_forward(
    session: Session,
    act: Act,
    address: str,
    target: str,
    *,
    keep_copy: bool = True,
    until: date | None = None,
) -> Change:
    """Pass mail for a mailbox on to a target, to this day inclusive; or change how.

    A target outside is possible where the rules of the agency allow it (`auto-forward-external`);
    then a copy stays always. Raises InputError `address-not-valid`, `forward-too-many`,
    `forward-in-circle`, `forward-not-possible`, `forward-copy-stays`; NotFound `mailbox-unknown`.
    """
    mailbox = get_mailbox(session, address)
    assert mailbox.id is not None
    wanted = _target(session, act, mailbox, Address.parse(target), keep_copy=keep_copy)
    code = session.get_one(Agency, mailbox.agency_id).code
    row = _row(session, mailbox, wanted)
    if row is None:
        count = select(func.count(col(Forward.id))).where(Forward.mailbox_id == mailbox.id)
        if session.exec(count).one() >= forwards.MOST_TARGETS:
            raise InputError("forward-too-many", most=forwards.MOST_TARGETS)
        row = Forward(
            mailbox_id=mailbox.id,
            target=wanted,
            keep_copy=keep_copy,
            until=until,
            created_at=act.at,
        )
        fields = new_fields(target=wanted, keep_copy=keep_copy, until=until)
        verb = "add"
    else:
        fields = edited_fields(row, keep_copy=keep_copy)
        if row.until != until:
            fields["until"] = (str(row.until or ""), str(until or ""))
            row.until = until
        verb = "edit"
    session.add(row)
    return recorded(session, act, _change(verb, mailbox, code, fields))


def remove_forward(session: Session, act: Act, address: str, target: str) -> Change:
    """Pass nothing on to this target any more. Raises NotFound `mailbox-unknown`, `forward-unknown`."""
    mailbox = get_mailbox(session, address)
    wanted = Address.parse(target)
    row = _row(session, mailbox, wanted.key) or _row(session, mailbox, str(wanted))
    if row is None:
        raise NotFound("forward-unknown", address=mailbox.address, target=target)
    session.delete(row)
    code = session.get_one(Agency, mailbox.agency_id).code
    fields = {"target": (row.target, "")}
    return recorded(session, act, _change("remove", mailbox, code, fields))


def _target(
    session: Session, act: Act, mailbox: Mailbox, target: Address, *, keep_copy: bool
) -> str:
    """The target as it is kept: of a mailbox of ours its own address."""
    assert mailbox.id is not None
    today = local_date(act.at)
    found = queries.mailboxes(session, [target.key], today).get(target.key)
    if found is None:
        if queries.local_domains(session, [target.domain]):
            raise NotFound("mailbox-unknown", address=target.key)
        if mailbox.kind == KIND:
            raise InputError("forward-not-possible", address=mailbox.address)
        if not keep_copy:
            raise InputError("forward-copy-stays", target=str(target))
        return forwards.key_of(target, ours=False)
    for one, kind in ((mailbox.address, mailbox.kind), (found.address, found.kind)):
        if kind == KIND:
            raise InputError("forward-not-possible", address=one)
    onward = forwards.spread(session, [found.mailbox_id], today)
    reached = {found.mailbox_id, *(step.mailbox_id for step in onward.steps)}
    if mailbox.id in reached:
        raise InputError("forward-in-circle", address=mailbox.address, target=str(target))
    return found.address


def _row(session: Session, mailbox: Mailbox, target: str) -> Forward | None:
    query = select(Forward).where(Forward.mailbox_id == mailbox.id, Forward.target == target)
    return session.exec(query).first()


def _change(verb: str, mailbox: Mailbox, code: str, fields: dict[str, tuple[str, str]]) -> Change:
    return Change(
        "forward", verb, mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
