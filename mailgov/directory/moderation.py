"""Who may write to a group by themselves, and who decides on what others write to it.

The mode is that of the group written to: what the groups in it ask of others is passed by, since
whoever put them there may. Groups that lead to many mailboxes are moderated whatever their mode is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

from sqlmodel import Session, col, or_, select

from mailgov.config import Limits
from mailgov.db.models import Agency, Delegation, GroupMode, GroupModerator, Mailbox
from mailgov.directory import queries
from mailgov.directory.groups import KIND, Member, members
from mailgov.errors import InputError

Mode = Literal["open", "members", "moderated"]
MODES: tuple[Mode, ...] = ("open", "members", "moderated")
"""open: everybody whose mail we take; members: those in it; moderated: its moderators alone."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A group, as somebody who writes to it finds it."""

    size: int  # mailboxes that it leads to
    mode: Mode  # in force
    may_post: bool  # without waiting for a moderator


@dataclass(frozen=True, slots=True)
class Moderated:
    """A group with those who moderate it."""

    agency_code: str
    moderators: tuple[Member, ...]


def chosen_mode(session: Session, group_id: int) -> Mode:
    """The mode that was set; groups begin open."""
    row = session.get(GroupMode, group_id)
    return cast("Mode", row.mode) if row is not None else "open"


def mode_in_force(chosen: Mode, size: int, limits: Limits) -> Mode:
    """The mode by which mail is taken: large groups are moderated."""
    return "moderated" if size > limits.group_moderated_above else chosen


def standing(
    session: Session, group_id: int, sender_id: int | None, limits: Limits, today: date
) -> Standing:
    """How a sender stands to a group; None is a stranger.

    A group that can't be expanded counts as larger than any.
    """
    try:
        found = members(session, [group_id], limits.group_recipients)
        size = len(found)
    except InputError:
        found, size = [], limits.group_recipients + 1
    mode = mode_in_force(chosen_mode(session, group_id), size, limits)
    if mode == "open":
        return Standing(size, mode, may_post=True)
    if sender_id is None:
        return Standing(size, mode, may_post=False)
    belongs = mode == "members" and any(one.mailbox_id == sender_id for one in found)
    return Standing(
        size, mode, may_post=belongs or group_id in moderated_by(session, sender_id, today)
    )


def standings(
    session: Session,
    mailboxes: Iterable[queries.LocalMailbox],
    sender_id: int | None,
    limits: Limits,
    today: date,
) -> Mapping[int, Standing]:
    """How a sender stands to those of the mailboxes that are groups, by mailbox id."""
    ids = {one.mailbox_id for one in mailboxes if one.kind == KIND}
    return {one: standing(session, one, sender_id, limits, today) for one in ids}


def moderated_by(session: Session, mailbox_id: int, today: date) -> frozenset[int]:
    """Ids of the groups that somebody moderates: by name, or as keeper of the agency's office."""
    kept = (
        select(Delegation.mailbox_id)
        .join(Mailbox, col(Mailbox.id) == col(Delegation.mailbox_id))
        .where(
            Delegation.holder_id == mailbox_id,
            Delegation.rights == "send-as",
            or_(col(Delegation.until).is_(None), col(Delegation.until) >= today),
            Mailbox.kind != "person",
        )
    )
    speaks_for = [mailbox_id, *session.exec(kept)]
    named = select(GroupModerator.group_id).where(col(GroupModerator.mailbox_id).in_(speaks_for))
    offices = select(Mailbox.agency_id).where(
        col(Mailbox.id).in_(speaks_for), Mailbox.kind == "office", Mailbox.state == "active"
    )
    by_office = select(Mailbox.id).where(
        Mailbox.kind == KIND,
        col(Mailbox.agency_id).in_(offices),
        col(Mailbox.id).not_in(select(GroupModerator.group_id)),
    )
    return frozenset(one for one in (*session.exec(named), *session.exec(by_office)) if one)


def named_moderators(session: Session, group_id: int) -> list[Mailbox]:
    """The mailboxes that were named, in the order of addresses."""
    query = (
        select(Mailbox)
        .join(GroupModerator, col(GroupModerator.mailbox_id) == col(Mailbox.id))
        .where(GroupModerator.group_id == group_id)
        .order_by(Mailbox.address)
    )
    return list(session.exec(query))


def moderators(session: Session, group: Mailbox, today: date) -> tuple[Member, ...]:
    """Who moderates a group: those named, else the office mailbox of its agency.

    For a mailbox that is nobody's own, those who may send as it stand in; where there is nobody, it
    speaks for itself.
    """
    assert group.id is not None
    chosen = named_moderators(session, group.id)
    if not chosen:
        offices = select(Mailbox).where(
            Mailbox.agency_id == group.agency_id, Mailbox.kind == "office"
        )
        chosen = list(session.exec(offices))
    found: set[Member] = set()
    for box in chosen:
        if box.state == "active":
            assert box.id is not None
            found |= _keepers(session, box, today) or {Member(box.address, box.id)}
    return tuple(sorted(found))


def _keepers(session: Session, box: Mailbox, today: date) -> set[Member]:
    if box.kind == "person":
        return set()
    query = (
        select(Mailbox.address, Mailbox.id)
        .join(Delegation, col(Delegation.holder_id) == col(Mailbox.id))
        .where(
            Delegation.mailbox_id == box.id,
            Delegation.rights == "send-as",
            or_(col(Delegation.until).is_(None), col(Delegation.until) >= today),
            Mailbox.state == "active",
        )
    )
    return {Member(address, number) for address, number in session.exec(query) if number}


def moderated(session: Session, addresses: Iterable[str], today: date) -> Moderated | None:
    """Who moderates every one of these groups, named by address or alias; None: nobody does."""
    found = queries.mailboxes(session, addresses, today)
    groups = [session.get_one(Mailbox, one.mailbox_id) for one in found.values()]
    if not groups:
        return None
    common = set(moderators(session, groups[0], today))
    for group in groups[1:]:
        common &= set(moderators(session, group, today))
    if not common:
        return None
    code = session.get_one(Agency, groups[0].agency_id).code
    return Moderated(code, tuple(sorted(common)))
