"""Adding groups, changing who is in them and who may write to them."""

from collections.abc import Sequence
from dataclasses import replace

from sqlmodel import Session, col, select

from mailgov.db.models import Agency, GroupMember, GroupMode, GroupModerator, Mailbox
from mailgov.directory import groups, moderation
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning.agencies import get_agency
from mailgov.directory.provisioning.mailboxes import NewMailbox, add_mailbox, get_mailbox
from mailgov.errors import InputError, MailgovError, NotFound


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
    for row in (*_rows(session, group), *_moderation(session, group)):
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
    (outcome,) = add_members(session, act, group, [member], most)
    if isinstance(outcome, MailgovError):
        raise outcome
    return outcome


def add_members(
    session: Session, act: Act, group: str, members: Sequence[str], most: int
) -> list[Change | MailgovError]:
    """Add several, each as `add_member` does; what became of each, or why it can't be.

    When together they make the group too large or too deep, none is added. Raises NotFound
    `group-unknown`.
    """
    into = _group(session, group)
    outcomes: list[Change | MailgovError] = []
    added: list[tuple[int, GroupMember]] = []
    for member in members:
        try:
            row = _addable(session, into, member)
        except MailgovError as error:
            outcomes.append(error)
            continue
        if row is not None:
            session.add(row)
            session.flush()
            added.append((len(outcomes), row))
        outcomes.append(Change("group", "edit", into.address))
    if not added:
        return outcomes
    assert into.id is not None
    try:
        groups.members(session, [into.id], most)
    except InputError as error:
        for at, row in added:
            session.delete(row)
            outcomes[at] = error
        session.flush()
        return outcomes
    for at, _ in added:
        name = members[at]
        fields = {"member": ("", name.lower() if "@" in name else name)}
        outcomes[at] = recorded(session, act, _change(session, "edit", into, fields))
    return outcomes


def _addable(session: Session, into: Mailbox, member: str) -> GroupMember | None:
    """The row that puts a member in; None when it is in already."""
    row = _row(session, into, member)
    if _existing(session, row) is not None:
        return None
    if row.member_id is not None and into.id in _below(session, row.member_id):
        raise InputError("group-in-itself", group=into.address, member=member)
    return row


def remove_member(session: Session, act: Act, group: str, member: str) -> Change:
    """Take a member out. Raises NotFound `group-unknown`, `mailbox-unknown`, `agency-unknown`."""
    into = _group(session, group)
    row = _existing(session, _row(session, into, member))
    if row is None:
        return Change("group", "edit", into.address)
    session.delete(row)
    fields = {"member": (member.lower() if "@" in member else member, "")}
    return recorded(session, act, _change(session, "edit", into, fields))


def edit_group(
    session: Session,
    act: Act,
    address: str,
    *,
    mode: str = "",
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> Change:
    """Change who may write to a group: its mode, and the mailboxes that moderate it.

    What is empty stays. Without a moderator of its own the office mailbox of its agency moderates.
    Raises NotFound `group-unknown`, `mailbox-unknown`; InputError `group-mode-not-valid`,
    `moderator-not-valid` for groups.
    """
    group = _group(session, address)
    assert group.id is not None
    fields: dict[str, tuple[str, str]] = {}
    if mode:
        fields |= _set_mode(session, group.id, mode)
    before = {box.address for box in moderation.named_moderators(session, group.id)}
    for name in add:
        _add_moderator(session, act, group.id, name)
    for name in remove:
        row = session.get(GroupModerator, (group.id, get_mailbox(session, name).id))
        if row is not None:
            session.delete(row)
            session.flush()
    after = {box.address for box in moderation.named_moderators(session, group.id)}
    if before != after:
        fields["moderator"] = (", ".join(sorted(before)), ", ".join(sorted(after)))
    if not fields:
        return Change("group", "edit", group.address)
    return recorded(session, act, _change(session, "edit", group, fields))


def _set_mode(session: Session, group_id: int, mode: str) -> dict[str, tuple[str, str]]:
    if mode not in moderation.MODES:
        raise InputError("group-mode-not-valid", mode=mode, known=", ".join(moderation.MODES))
    before = moderation.chosen_mode(session, group_id)
    if before == mode:
        return {}
    row = session.get(GroupMode, group_id) or GroupMode(group_id=group_id, mode=mode)
    row.mode = mode
    session.add(row)
    return {"mode": (before, mode)}


def _add_moderator(session: Session, act: Act, group_id: int, name: str) -> None:
    box = get_mailbox(session, name)
    if box.kind == groups.KIND:
        raise InputError("moderator-not-valid", mailbox=box.address)
    if session.get(GroupModerator, (group_id, box.id)) is None:
        assert box.id is not None
        session.add(GroupModerator(group_id=group_id, mailbox_id=box.id, created_at=act.at))
        session.flush()


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


def _moderation(session: Session, group: Mailbox) -> list[GroupMode | GroupModerator]:
    modes = session.exec(select(GroupMode).where(GroupMode.group_id == group.id))
    named = session.exec(select(GroupModerator).where(GroupModerator.group_id == group.id))
    return [*modes, *named]


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
