"""What a mailbox answers while its holder is away."""

from datetime import date

from sqlmodel import Session, select

from mailgov.db.models import Absence, Agency, Mailbox
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import InputError

MOST_LETTERS = 2000


def set_absence(
    session: Session,
    act: Act,
    address: str,
    text: str,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
) -> Change:
    """Let a mailbox answer by itself, between these days where they are named.

    The text stays out of the ledger. Raises NotFound `mailbox-unknown`; InputError
    `absence-text-not-valid`, `absence-days-not-valid`.
    """
    text = text.strip()
    if not 0 < len(text) <= MOST_LETTERS:
        raise InputError("absence-text-not-valid", most=MOST_LETTERS)
    if first_day and last_day and last_day < first_day:
        raise InputError("absence-days-not-valid", first=first_day, last=last_day)
    mailbox = get_mailbox(session, address)
    assert mailbox.id is not None
    found = session.exec(select(Absence).where(Absence.mailbox_id == mailbox.id)).first()
    verb = "edit" if found else "add"
    row = found or Absence(mailbox_id=mailbox.id, text="", created_at=act.at)
    told = {} if row.text == text else {"text": ("", "set")}
    row.text = text
    days = (row.first_day, row.last_day)
    row.first_day, row.last_day = first_day, last_day
    session.add(row)
    for name, old, new in zip(("first_day", "last_day"), days, (first_day, last_day), strict=True):
        if old != new:
            told[name] = (str(old or ""), str(new or ""))
    return _recorded(session, act, verb, mailbox, told)


def clear_absence(session: Session, act: Act, address: str) -> Change:
    """Answer no longer. Raises NotFound `mailbox-unknown`."""
    mailbox = get_mailbox(session, address)
    found = session.exec(select(Absence).where(Absence.mailbox_id == mailbox.id)).first()
    if found is None:
        return _recorded(session, act, "remove", mailbox, {})
    session.delete(found)
    return _recorded(session, act, "remove", mailbox, {"text": ("set", "")})


def _recorded(
    session: Session, act: Act, verb: str, mailbox: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    change = Change(
        "absence", verb, mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    return recorded(session, act, change)
