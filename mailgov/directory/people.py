"""Persons on the staff list: looked up, shown with posts and history, changed."""

from typing import Any

from sqlmodel import Session, col, or_, select

from mailgov.access import branch
from mailgov.db.models import Agency, EventRow, Mailbox, OfficeKeepers, Person, Post
from mailgov.directory.change import Act, Change, edited_fields, recorded
from mailgov.directory.naming import person_name
from mailgov.directory.posts import get_person
from mailgov.directory.provisioning import get_agency
from mailgov.errors import InputError
from mailgov.ledger.events import DirectoryChanged
from mailgov.texts import without_marks

Record = dict[str, Any]

FIELDS = ("staff_no", "name", "agency", "title", "group", "mailbox", "joined_on", "left_on")
GROUPS = ("lanh-dao", "cong-chuc", "vien-chuc", "nguoi-lao-dong")
_HISTORY = 50


def people(
    session: Session, *, within: str = "", name: str = "", left: bool = False, limit: int = 1000
) -> list[Record]:
    """People on the staff list by given name, as lists of people are read; `left`: those who are gone.

    `name` is found with and without diacritics, in any part of the name. Raises NotFound
    `agency-unknown`.
    """
    query = (
        select(Person, Agency.code, Mailbox.address)
        .join(Agency, col(Agency.id) == col(Person.agency_id))
        .join(
            Mailbox,
            (col(Mailbox.person_id) == col(Person.id)) & (col(Mailbox.kind) == "person"),
            isouter=True,
        )
        .where(col(Person.left_on).is_not(None) if left else col(Person.left_on).is_(None))
    )
    if within:
        codes = branch(session, get_agency(session, within).code)
        query = query.where(col(Agency.code).in_(codes))
    wanted = without_marks(name).lower()
    found: dict[str, Record] = {}
    for person, code, address in session.exec(query):
        if wanted in without_marks(person.full_name).lower():
            found.setdefault(person.staff_no, _listed(person, code, address or ""))
    ordered = sorted(found.values(), key=lambda row: (_by_given_name(row["name"]), row["staff_no"]))
    return ordered[:limit]


def _by_given_name(name: str) -> list[str]:
    """Given name first, then the others from the left, as people are looked up."""
    words = without_marks(name).lower().split()
    return [*words[-1:], *words[:-1]]


def _listed(person: Person, code: str, address: str) -> Record:
    return {
        "staff_no": person.staff_no,
        "name": person.full_name,
        "agency": code,
        "title": person.title,
        "group": person.staff_group,
        "mailbox": address,
        "joined_on": person.joined_on,
        "left_on": person.left_on,
    }


def person(session: Session, staff_no: str) -> Record:
    """Everything about one person; never a word of mail. Raises NotFound `person-unknown`."""
    row = get_person(session, staff_no)
    code = session.get_one(Agency, row.agency_id).code
    boxes = select(Mailbox).where(Mailbox.person_id == row.id).order_by(Mailbox.address)
    own = session.exec(boxes).all()
    record = _listed(row, code, own[0].address if own else "")
    del record["mailbox"]
    return {
        **record,
        "phone": row.phone,
        "mailboxes": [{"address": box.address, "state": box.state} for box in own],
        "posts": _posts(session, row),
        "keeper_of": _kept(session, row),
        "history": _history(session, row.staff_no),
    }


def _posts(session: Session, row: Person) -> list[Record]:
    query = (
        select(Post, Agency.code, Mailbox.address)
        .join(Agency, col(Agency.id) == col(Post.agency_id))
        .join(Mailbox, col(Mailbox.id) == col(Post.mailbox_id), isouter=True)
        .where(Post.person_id == row.id)
        .order_by(col(Post.first_day).desc(), col(Post.id).desc())
    )
    return [
        {
            "title": post.title,
            "agency": code,
            "mailbox": address or "",
            "first_day": post.first_day,
            "last_day": post.last_day,
        }
        for post, code, address in session.exec(query)
    ]


def _kept(session: Session, row: Person) -> list[Record]:
    query = (
        select(Mailbox.address, OfficeKeepers)
        .join(OfficeKeepers, col(OfficeKeepers.mailbox_id) == col(Mailbox.id))
        .where(or_(OfficeKeepers.keeper_id == row.id, OfficeKeepers.deputy_id == row.id))
        .order_by(Mailbox.address)
    )
    return [
        {"mailbox": address, "part": "keeper" if kept.keeper_id == row.id else "deputy"}
        for address, kept in session.exec(query)
    ]


def _history(session: Session, staff_no: str) -> list[Record]:
    """What was changed of the person, in whatever agency, newest first."""
    told = col(EventRow.data)
    query = (
        select(EventRow)
        .where(
            EventRow.kind == DirectoryChanged.kind,
            EventRow.mailbox == "",
            told["noun"].as_string() == "person",
            told["target"].as_string() == staff_no,
        )
        .order_by(col(EventRow.id).desc())
        .limit(_HISTORY)
    )
    return [
        {
            "at": row.at,
            "actor": row.actor,
            "verb": row.data["verb"],
            "changes": row.data["changes"],
            "reason": row.data["reason"],
        }
        for row in session.exec(query)
    ]


def edit_person(
    session: Session,
    act: Act,
    staff_no: str,
    *,
    name: str | None = None,
    title: str | None = None,
    group: str | None = None,
) -> Change:
    """Change what the staff list says of a person; the mailbox shows the new name.

    Raises NotFound `person-unknown`; InputError `person-name-not-valid`, `person-group-not-valid`.
    """
    row = get_person(session, staff_no)
    if group and group not in GROUPS:
        raise InputError("person-group-not-valid", group=group, known=", ".join(GROUPS))
    full_name = person_name(name) if name is not None else None
    fields = edited_fields(row, full_name=full_name, title=title, staff_group=group)
    session.add(row)
    if full_name is not None and "full_name" in fields:
        boxes = select(Mailbox).where(Mailbox.person_id == row.id, Mailbox.kind == "person")
        for box in session.exec(boxes).all():
            box.display_name = full_name
            session.add(box)
    code = session.get_one(Agency, row.agency_id).code
    return recorded(session, act, Change("person", "edit", row.staff_no, fields, agency_code=code))
