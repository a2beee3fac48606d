"""Groups: whom they lead to, however they are nested, and what may not be added."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from mailgov.db import Database
from mailgov.directory.groups import members
from mailgov.directory.provisioning import (
    NewMailbox,
    add_group,
    add_mailbox,
    add_member,
    get_mailbox,
    remove_group,
    remove_member,
    suspend,
)
from mailgov.errors import InputError, MailgovError, NotFound

from ...support.directory import AN, OFFICE, act, fill_directory

ALL, SOME, ODD = (f"{name}@sonoivu.tinhmau.test" for name in ("toan-so", "cac-phong", "le"))
BINH = "binhtt@sonoivu.tinhmau.test"
MOST = 100


@pytest.fixture
def session(any_database: Database) -> Any:
    """The department with An, Bình in its unit, the office, and three groups."""
    with any_database.write() as session:
        fill_directory(session)
        new = NewMailbox(address=BINH, agency="H99.02.01", name="Trần Thị Bình", staff_no="VC-2")
        add_mailbox(session, act(), new)
        for address in (ALL, SOME, ODD):
            add_group(session, act(), address=address, agency="H99.02")
        yield session


def add(session: Session, group: str, *names: str) -> None:
    for name in names:
        add_member(session, act(), group, name, MOST)


def led_to(session: Session, *groups: str, most: int = MOST) -> list[str]:
    ids = [get_mailbox(session, group).id or 0 for group in groups]
    return [one.address for one in members(session, ids, most)]


def test_an_empty_group_leads_nowhere(session: Session) -> None:
    assert led_to(session, ALL) == []


def test_members_by_name_and_by_branch_each_once(session: Session) -> None:
    add(session, ALL, "H99.02", AN, OFFICE)
    assert led_to(session, ALL) == [AN, BINH, OFFICE]
    add(session, SOME, "H99.02.01")
    assert led_to(session, SOME) == [BINH]
    assert led_to(session, ALL, SOME) == [AN, BINH, OFFICE]


def test_groups_in_groups(session: Session) -> None:
    add(session, ODD, AN)
    add(session, SOME, ODD, BINH)
    add(session, ALL, SOME, ODD)
    assert led_to(session, ALL) == [AN, BINH]


def test_whoever_is_suspended_gets_nothing(session: Session) -> None:
    add(session, ALL, "H99.02", SOME)
    add(session, SOME, OFFICE)
    suspend(session, act("nghỉ"), BINH)
    assert led_to(session, ALL) == [AN, OFFICE]


def test_taken_out_again(session: Session) -> None:
    add(session, ALL, AN, "H99.02.01")
    assert remove_member(session, act(), ALL, AN).changes == {"member": (AN, "")}
    assert remove_member(session, act(), ALL, AN).nothing
    assert led_to(session, ALL) == [BINH]


def test_added_twice_is_there_once(session: Session) -> None:
    add(session, ALL, AN)
    assert add_member(session, act(), ALL, AN.upper(), MOST).nothing


def test_a_removed_group_keeps_its_address_and_leads_nowhere(session: Session) -> None:
    add(session, ALL, AN)
    assert remove_group(session, act(), ALL).changes == {"state": ("active", "recalled")}
    assert remove_group(session, act(), ALL).nothing
    assert led_to(session, ALL) == []
    assert get_mailbox(session, ALL).state == "recalled"


@pytest.mark.parametrize("circle", [(ALL,), (SOME, ALL), (SOME, ODD, ALL)])
def test_no_group_is_in_itself(session: Session, circle: tuple[str, ...]) -> None:
    above = ALL
    for below in circle[:-1]:
        add(session, above, below)
        above = below
    with pytest.raises(InputError, match="group-in-itself"):
        add(session, above, circle[-1])


def test_a_circle_that_came_to_be_ends(session: Session) -> None:
    """Two who add at once may close one, each seeing only their own half."""
    from mailgov.db.models import GroupMember

    ids = {name: get_mailbox(session, name).id or 0 for name in (ALL, SOME)}
    session.add(GroupMember(group_id=ids[ALL], member_id=ids[SOME]))
    session.add(GroupMember(group_id=ids[SOME], member_id=ids[ALL]))
    add(session, SOME, AN)
    assert led_to(session, ALL) == [AN]


@pytest.mark.parametrize(("most", "fits"), [(2, False), (3, True), (4, True)])
def test_how_many_it_may_lead_to(session: Session, most: int, *, fits: bool) -> None:
    add(session, ALL, AN, BINH, OFFICE)
    if fits:
        assert len(led_to(session, ALL, most=most)) == 3
        return
    with pytest.raises(InputError, match="group-too-large"):
        led_to(session, ALL, most=most)
    with pytest.raises(InputError, match="group-too-large"):
        add_member(session, act(), ALL, "H99.02.01", most)


@pytest.mark.parametrize(
    ("work", "kind", "code"),
    [
        (lambda s: add(s, AN, BINH), NotFound, "group-unknown"),
        (lambda s: add(s, "khong@tinhmau.test", BINH), NotFound, "group-unknown"),
        (lambda s: add(s, ALL, "ngoai@example.vn"), NotFound, "mailbox-unknown"),
        (lambda s: add(s, ALL, "H98"), NotFound, "agency-unknown"),
        (lambda s: remove_group(s, act(), OFFICE), NotFound, "group-unknown"),
    ],
)
def test_refused(
    session: Session, work: Callable[[Session], Any], kind: type[MailgovError], code: str
) -> None:
    with pytest.raises(kind, match=code):
        work(session)
