"""Posts (chức vụ) of persons, the mailboxes of posts, and who answers for those of offices.

A person may hold several posts at a time. The mailbox of a post passes to whoever holds it: the next
holder may use it from the first day on, the one before no longer. Mail stays in it.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlmodel import Session, col, or_, select

from mailgov.clock import local_date
from mailgov.db.models import Agency, Delegation, Mailbox, OfficeKeepers, Person, Post
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_agency, get_mailbox, grant_send_as, revoke_delegation
from mailgov.errors import Conflict, InputError, NotFound

_RIGHTS = ("read", "send-as")  # what the holder of a post may do with its mailbox
_MOST_TITLE = 120


def get_person(session: Session, staff_no: str) -> Person:
    """The person of that staff number. Raises NotFound `person-unknown`."""
    query = select(Person).where(Person.staff_no == staff_no.strip().upper())
    found = session.exec(query).first()
    if found is None:
        found = session.exec(select(Person).where(Person.staff_no == staff_no.strip())).first()
    if found is None:
        raise NotFound("person-unknown", staff_no=staff_no)
    return found


def hold_post(
    session: Session,
    act: Act,
    *,
    staff_no: str,
    title: str,
    agency: str,
    first_day: date,
    last_day: date | None = None,
    mailbox: str = "",
) -> Change:
    """Give a person a post, and its mailbox with it; whoever had the mailbox has it no longer.

    Raises NotFound `person-unknown`, `agency-unknown`, `mailbox-unknown`; InputError
    `post-title-not-valid`, `post-days-not-valid`, `post-mailbox-kind`; Conflict `person-left`.
    """
    person, unit = get_person(session, staff_no), get_agency(session, agency)
    title = " ".join(title.split())
    if not 0 < len(title) <= _MOST_TITLE:
        raise InputError("post-title-not-valid", most=_MOST_TITLE)
    if last_day is not None and last_day < first_day:
        raise InputError("post-days-not-valid", first=first_day, last=last_day)
    if person.left_on is not None and person.left_on <= first_day:
        raise Conflict(
            "person-left", staff_no=person.staff_no, name=person.full_name, left_on=person.left_on
        )
    box = _post_mailbox(session, mailbox) if mailbox else None
    same = select(Post).where(
        Post.person_id == person.id,
        Post.agency_id == unit.id,
        Post.title == title,
        Post.first_day == first_day,
    )
    if session.exec(same).first() is not None:
        return _told(session, act, person, {})
    if box is not None:
        _hand_over(session, act, box, person, first_day)
    assert person.id is not None
    assert unit.id is not None
    session.add(
        Post(
            person_id=person.id,
            agency_id=unit.id,
            title=title,
            mailbox_id=box.id if box else None,
            first_day=first_day,
            last_day=last_day,
            created_at=act.at,
        )
    )
    session.flush()
    if box is not None:
        _let_use(session, act, box, person, last_day)
    fields = {
        "post": ("", f"{title}, {agency}"),
        "first_day": ("", str(first_day)),
        "last_day": ("", str(last_day or "")),
        "mailbox": ("", box.address if box else ""),
    }
    return _told(session, act, person, {k: pair for k, pair in fields.items() if pair[1]})


def leave_post(session: Session, act: Act, *, staff_no: str, title: str, last_day: date) -> Change:
    """Let a post end with a day; then its mailbox is nobody's until somebody holds the post.

    Raises NotFound `person-unknown`, `post-unknown`; InputError `post-days-not-valid`.
    """
    person = get_person(session, staff_no)
    held = select(Post).where(Post.person_id == person.id, Post.title == title.strip())
    post = session.exec(held.order_by(col(Post.first_day).desc())).first()
    if post is None:
        raise NotFound("post-unknown", staff_no=person.staff_no, title=title)
    if last_day < post.first_day:
        raise InputError("post-days-not-valid", first=post.first_day, last=last_day)
    if post.last_day == last_day:
        return _told(session, act, person, {})
    before = f"{post.title}, {post.last_day}" if post.last_day else post.title
    fields = {"post": (before, f"{post.title}, {last_day}")}
    post.last_day = last_day
    session.add(post)
    if post.mailbox_id is not None:
        _let_use(session, act, session.get_one(Mailbox, post.mailbox_id), person, last_day)
    return _told(session, act, person, fields)


def _post_mailbox(session: Session, address: str) -> Mailbox:
    box = get_mailbox(session, address)
    if box.kind != "post":
        raise InputError("post-mailbox-kind", address=box.address, kind=box.kind)
    return box


def _hand_over(session: Session, act: Act, box: Mailbox, to: Person, first_day: date) -> None:
    """End the post of whoever has the mailbox, on the day before."""
    held = select(Post).where(
        Post.mailbox_id == box.id,
        or_(col(Post.last_day).is_(None), col(Post.last_day) >= first_day),
    )
    for post in session.exec(held).all():
        if post.person_id == to.id:
            continue
        before = session.get_one(Person, post.person_id)
        last_day = max(first_day - timedelta(days=1), post.first_day)
        fields = {"post": (post.title, ""), "last_day": (str(post.last_day or ""), str(last_day))}
        post.last_day = last_day
        session.add(post)
        _told(session, act, before, fields)
        for own in _own_mailboxes(session, before):
            for rights in _RIGHTS:
                revoke_delegation(
                    session, act, mailbox=box.address, holder=own.address, rights=rights
                )


def _let_use(session: Session, act: Act, box: Mailbox, person: Person, until: date | None) -> None:
    for own in _own_mailboxes(session, person):
        for rights in _RIGHTS:
            if until is not None and until < local_date(act.at):
                revoke_delegation(
                    session, act, mailbox=box.address, holder=own.address, rights=rights
                )
            else:
                grant_send_as(
                    session,
                    act,
                    mailbox=box.address,
                    holder=own.address,
                    rights=rights,
                    until=until,
                )


def _own_mailboxes(session: Session, person: Person) -> Sequence[Mailbox]:
    query = select(Mailbox).where(
        Mailbox.person_id == person.id, Mailbox.kind == "person", Mailbox.state != "recalled"
    )
    return session.exec(query).all()


def set_keepers(
    session: Session,
    act: Act,
    address: str,
    *,
    keeper: str | None = None,
    deputy: str | None = None,
) -> Change:
    """Say who answers for a mailbox that is nobody's own (rule office-mailbox-owner), and who stands in.

    Staff numbers; empty takes somebody off, None leaves it as it is. Both may then use the mailbox, and
    whoever was it before may not. Raises NotFound `mailbox-unknown`, `person-unknown`; InputError
    `keeper-of-person`, `keeper-is-deputy`.
    """
    box = get_mailbox(session, address)
    if box.kind == "person":
        raise InputError("keeper-of-person", address=box.address)
    assert box.id is not None
    row = session.get(OfficeKeepers, box.id) or OfficeKeepers(mailbox_id=box.id, created_at=act.at)
    before = (row.keeper_id, row.deputy_id)
    fields: dict[str, tuple[str, str]] = {}
    for name, wanted in (("keeper", keeper), ("deputy", deputy)):
        if wanted is None:
            continue
        person = get_person(session, wanted) if wanted else None
        old = getattr(row, f"{name}_id")
        new = person.id if person else None
        if old != new:
            fields[name] = (_staff_no(session, old), person.staff_no if person else "")
            setattr(row, f"{name}_id", new)
    if row.keeper_id is not None and row.keeper_id == row.deputy_id:
        raise InputError("keeper-is-deputy", address=box.address)
    session.add(row)
    session.flush()
    now = (row.keeper_id, row.deputy_id)
    for number in before:
        if number is not None and number not in now:
            _take_from(session, act, box, session.get_one(Person, number))
    for number in now:
        if number is not None and number not in before:
            _let_use(session, act, box, session.get_one(Person, number), None)
    code = session.get_one(Agency, box.agency_id).code
    change = Change("mailbox", "edit", box.address, fields, agency_code=code, mailbox=box.address)
    return recorded(session, act, change)


def _take_from(session: Session, act: Act, box: Mailbox, person: Person) -> None:
    for own in _own_mailboxes(session, person):
        for rights in _RIGHTS:
            revoke_delegation(session, act, mailbox=box.address, holder=own.address, rights=rights)


def _staff_no(session: Session, number: int | None) -> str:
    return session.get_one(Person, number).staff_no if number is not None else ""


def _told(session: Session, act: Act, person: Person, fields: dict[str, tuple[str, str]]) -> Change:
    code = session.get_one(Agency, person.agency_id).code
    return recorded(
        session, act, Change("person", "edit", person.staff_no, fields, agency_code=code)
    )


def users_of(session: Session, box: Mailbox, day: date) -> list[str]:
    """Mailboxes of those who may use a mailbox on a day, in alphabetical order."""
    query = (
        select(Mailbox.address)
        .join(Delegation, col(Delegation.holder_id) == col(Mailbox.id))
        .where(
            Delegation.mailbox_id == box.id,
            or_(col(Delegation.until).is_(None), col(Delegation.until) >= day),
        )
        .distinct()
        .order_by(Mailbox.address)
    )
    return list(session.exec(query))
