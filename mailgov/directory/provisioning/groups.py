"""Adding groups and changing who is in them."""

from dataclasses import replace

from sqlmodel import Session, col, select

from mailgov.db.models import Agency, GroupMember, Mailbox
from mailgov.directory import groups
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning.agencies import get_agency
from mailgov.directory.provisioning.mailboxes import NewMailbox, add_mailbox, get_mailbox
from mailgov.errors import InputError, NotFound


def add_group(session: Session, act: Act, *, address: str, agency: str, name: str = "") -> Change:
    """Give a group its address. Only state agencies may write to it (rule interagency-only).

    Raises what `add_mailbox` raises.
    """
    new = NewMailbox(
        address=address, agency=agency, name=name, kind=groups.KIND, interagency_only=True
    )
    return replace(add_mailbox(session, act, new), noun="group")


def remove_group(session: Session, act: Act, address: str) -> Change:
    """End a group: mail to its address is refused from then on; the address stays taken.

    Raises NotFound `group-unknown`.
    """
    group = _group(session, address)
    if group.state == "recalled":
        return Change("group", "remove", group.address)
    for row in _rows(session, group):
        session.delete(row)
    group.state = "recalled"
    session.add(group)
    fields = {"state": ("active", "recalled")}
    return recorded(session, act, _change(session, "remove", group, fields))


def add_member(session: Session, act: Act, group: str, member: str, most: int) -> Change:
    """Add a mailbox or group by its address, or the people of a branch by its agency's code.

    Raises NotFound `group-unknown`, `mailbox-unknown`, `agency-unknown`; InputError
    `group-too-large`, `group-too-deep`, and `group-in-itself` when it would lead to itself.
    """
    into = _group(session, group)
    row = _row(session, into, member)
    if _existing(session, row) is not None:
        return Change("group", "edit", into.address)
    session.add(row)
    session.flush()
    if row.member_id is not None and into.id in _below(session, row.member_id):
        raise InputError("group-in-itself", group=into.address, member=member)
    assert into.id is not None
    groups.members(session, [into.id], most)
    fields = {"member": ("", member.lower() if "@" in member else member)}
    return recorded(session, act, _change(session, "edit", into, fields))


def remove_member(session: Session, act: Act, group: str, member: str) -> Change:
    """Take a member out. Raises NotFound `group-unknown`, `mailbox-unknown`, `agency-unknown`."""
    into = _group(session, group)
    row = _existing(session, _row(session, into, member))
    if row is None:
        return Change("group", "edit", into.address)
    session.delete(row)
    fields = {"member": (member.lower() if "@" in member else member, "")}
    return recorded(session, act, _change(session, "edit", into, fields))


def _group(session: Session, address: str) -> Mailbox:
    try:
        found = get_mailbox(session, address)
    except NotFound:
        raise NotFound("group-unknown", group=address) from None
    if found.kind != groups.KIND:
        raise NotFound("group-unknown", group=address)
    return found


def _row(session: Session, group: Mailbox, member: str) -> GroupMember:
    assert group.id is not None
    if "@" in member:
        return GroupMember(group_id=group.id, member_id=get_mailbox(session, member).id)
    return GroupMember(group_id=group.id, agency_id=get_agency(session, member).id)


def _existing(session: Session, row: GroupMember) -> GroupMember | None:
    query = select(GroupMember).where(
        GroupMember.group_id == row.group_id,
        GroupMember.member_id == row.member_id,
        GroupMember.agency_id == row.agency_id,
        col(GroupMember.id).is_not(None),
    )
    with session.no_autoflush:
        return session.exec(query).first()


def _rows(session: Session, group: Mailbox) -> list[GroupMember]:
    return list(session.exec(select(GroupMember).where(GroupMember.group_id == group.id)))


def _below(session: Session, mailbox_id: int) -> set[int]:
    """The mailbox and every group in it, in those, and so on."""
    seen: set[int] = set()
    level = {mailbox_id}
    while level:
        seen |= level
        found = session.exec(
            select(GroupMember.member_id).where(col(GroupMember.group_id).in_(level))
        )
        level = {one for one in found if one is not None} - seen
    return seen


def _change(
    session: Session, verb: str, group: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    agency_code = session.get_one(Agency, group.agency_id).code
    return Change("group", verb, group.address, fields, agency_code=agency_code)
