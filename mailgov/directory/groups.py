"""Groups: one address for many mailboxes of ours, members named one by one or by branch.

A group may be in a group. Everybody gets a message once, however many ways lead to them, and circles
end where they began. Members are mailboxes of this platform alone, so a group passes nothing outside.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from mailgov import access
from mailgov.db.models import Agency, GroupMember, Mailbox
from mailgov.errors import InputError

KIND = "group"
_MOST_LEVELS = 20  # of groups in groups


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A mailbox that a group leads to."""

    address: str
    mailbox_id: int


def members(session: Session, group_ids: Iterable[int], most: int) -> list[Member]:
    """Every active mailbox that the groups lead to, in the order of addresses.

    Raises InputError `group-too-large` beyond `most`, `group-too-deep`.
    """
    found: dict[int, Member] = {}
    seen: set[int] = set()
    level = set(group_ids)
    for _ in range(_MOST_LEVELS):
        level -= seen
        if not level:
            return sorted(found.values())
        seen |= level
        deeper = set()
        for mailbox in _direct(session, level):
            assert mailbox.id is not None
            if mailbox.kind == KIND:
                deeper.add(mailbox.id)
            else:
                found[mailbox.id] = Member(mailbox.address, mailbox.id)
        if len(found) > most:
            raise InputError("group-too-large", most=most)
        level = deeper
    raise InputError("group-too-deep", most=_MOST_LEVELS)


def _direct(session: Session, group_ids: set[int]) -> Iterable[Mailbox]:
    """Members of the groups themselves: mailboxes, groups, people of branches; active ones."""
    named = (
        select(Mailbox)
        .join(GroupMember, col(GroupMember.member_id) == col(Mailbox.id))
        .where(col(GroupMember.group_id).in_(group_ids), Mailbox.state == "active")
    )
    yield from session.exec(named)
    branches = (
        select(Agency.code)
        .join(GroupMember, col(GroupMember.agency_id) == col(Agency.id))
        .where(col(GroupMember.group_id).in_(group_ids))
    )
    codes: set[str] = set()
    for code in session.exec(branches).all():
        codes |= access.branch(session, code)
    if codes:
        people = (
            select(Mailbox)
            .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
            .where(col(Agency.code).in_(codes), Mailbox.kind == "person", Mailbox.state == "active")
        )
        yield from session.exec(people)
