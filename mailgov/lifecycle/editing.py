"""Changing what is known of a mailbox and its holder."""

from sqlmodel import Session

from mailgov.db.models import Agency, Mailbox, Person
from mailgov.directory.change import Act, Change, edited_fields, recorded
from mailgov.directory.naming import person_name
from mailgov.directory.provisioning import get_mailbox
from mailgov.errors import InputError

_SHORTEST_PHONE, _LONGEST_PHONE = 3, 15


def edit_mailbox(
    session: Session,
    act: Act,
    address: str,
    *,
    name: str | None = None,
    title: str | None = None,
    quota_mb: int | None = None,
    phone: str | None = None,
    interagency_only: bool | None = None,
    public_contact: bool | None = None,
) -> Change:
    """Change these fields; None leaves one as it is. Name, title and phone are the holder's.

    Raises NotFound `mailbox-unknown`; InputError `person-name-not-valid`, `quota-not-valid`,
    `phone-not-valid`, `mailbox-without-holder`.
    """
    mailbox = get_mailbox(session, address)
    person = session.get(Person, mailbox.person_id) if mailbox.person_id else None
    if quota_mb is not None and quota_mb < 1:
        raise InputError("quota-not-valid", quota=quota_mb)
    if person is None and (title or phone):
        raise InputError("mailbox-without-holder", address=mailbox.address)
    if name is not None:
        name = person_name(name) if person else name.strip()
    fields: dict[str, tuple[str, str]] = {}
    if person is not None:
        fields = _edit_person(session, act, person, name, title, _phone(phone))
    own = edited_fields(
        mailbox,
        display_name=name or None,
        quota_mb=quota_mb,
        interagency_only=interagency_only,
        public_contact=public_contact,
    )
    session.add(mailbox)
    if "display_name" in own:
        own = {"name": own.pop("display_name"), **own}
    recorded(session, act, _change(session, mailbox, own))
    return _change(session, mailbox, fields | own)


def _edit_person(
    session: Session,
    act: Act,
    person: Person,
    name: str | None,
    title: str | None,
    phone: str | None,
) -> dict[str, tuple[str, str]]:
    fields = edited_fields(person, full_name=name, title=title, phone=phone)
    session.add(person)
    code = session.get_one(Agency, person.agency_id).code
    change = Change("person", "edit", person.staff_no, fields, agency_code=code)
    recorded(session, act, change)
    return {"name" if key == "full_name" else key: pair for key, pair in fields.items()}


def _phone(text: str | None) -> str | None:
    """Figures only, as the staff list keeps them. Raises InputError `phone-not-valid`."""
    if not text:
        return text
    figures = "".join(sign for sign in text if sign.isdigit())
    others = set(text) - set("0123456789+ .-()")
    if others or not _SHORTEST_PHONE <= len(figures) <= _LONGEST_PHONE:
        raise InputError("phone-not-valid", phone=text)
    return f"+{figures}" if text.strip().startswith("+") else figures


def _change(session: Session, mailbox: Mailbox, fields: dict[str, tuple[str, str]]) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    address = mailbox.address
    return Change("mailbox", "edit", address, fields, agency_code=code, mailbox=address)
