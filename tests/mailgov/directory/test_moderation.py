"""Groups: who may write to them by themselves, and who decides on the rest."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlmodel import Session

from mailgov.addresses import Address
from mailgov.config import Limits
from mailgov.db import Database
from mailgov.directory import Directory
from mailgov.directory.moderation import moderated, moderated_by, moderators, standing
from mailgov.directory.provisioning import (
    NewMailbox,
    add_alias,
    add_group,
    add_mailbox,
    add_member,
    edit_group,
    get_mailbox,
    grant_send_as,
    remove_group,
    suspend,
)
from mailgov.errors import InputError, MailgovError, NotFound
from mailgov.message import Direction, Envelope, Recipient
from mailgov_policies import Facts, Verdict, default_ruleset, facts, judge

from ...support.directory import AN, NOW, OFFICE, SUFFIXES, act, fill_directory

TODAY = date(2026, 11, 21)
ALL, SOME = "toan-so@sonoivu.tinhmau.test", "cac-phong@sonoivu.tinhmau.test"
BINH, CHI = "binhtt@sonoivu.tinhmau.test", "chilt@sonoivu.tinhmau.test"
LIMITS = Limits(group_moderated_above=2)


def people_and_groups(session: Session) -> None:
    """The department with An, Bình and Chi, the office, and two groups that nobody is in."""
    fill_directory(session)
    for address, name in ((BINH, "Trần Thị Bình"), (CHI, "Lê Thị Chi")):
        new = NewMailbox(address=address, agency="H99.02", name=name, staff_no=f"VC-{address[:4]}")
        add_mailbox(session, act(), new)
    for address in (ALL, SOME):
        add_group(session, act(), address=address, agency="H99.02")


@pytest.fixture
def session(database: Database) -> Any:
    with database.write() as session:
        people_and_groups(session)
        yield session


def number(session: Session, address: str) -> int:
    return get_mailbox(session, address).id or 0


def stands(session: Session, sender: str, group: str = ALL) -> tuple[str, bool]:
    sender_id = number(session, sender) if sender else None
    found = standing(session, number(session, group), sender_id, LIMITS, TODAY)
    return found.mode, found.may_post


def names(session: Session, group: str = ALL) -> list[str]:
    return [one.address for one in moderators(session, get_mailbox(session, group), TODAY)]


def test_groups_begin_open_to_everybody(session: Session) -> None:
    assert stands(session, "") == ("open", True)
    assert stands(session, CHI) == ("open", True)


def test_a_moderated_group_takes_what_its_moderators_write(session: Session) -> None:
    change = edit_group(session, act(), ALL, mode="moderated", add=[BINH.upper()])
    assert change.changes == {"mode": ("open", "moderated"), "moderator": ("", BINH)}
    add_member(session, act(), ALL, AN, 10)
    assert [stands(session, who)[1] for who in (BINH, AN, CHI, OFFICE, "")] == [
        True, False, False, False, False,
    ]  # fmt: skip
    assert names(session) == [BINH]


def test_members_may_where_the_mode_says_so(session: Session) -> None:
    edit_group(session, act(), ALL, mode="members", add=[BINH])
    edit_group(session, act(), SOME, mode="open")
    add_member(session, act(), ALL, SOME, 10)
    add_member(session, act(), SOME, AN, 10)  # a member by the group within
    assert [stands(session, who)[1] for who in (BINH, AN, CHI, "")] == [True, True, False, False]


@pytest.mark.parametrize(("count", "mode"), [(1, "open"), (2, "open"), (3, "moderated")])
@pytest.mark.parametrize("chosen", ["open", "members"])
def test_large_groups_are_moderated(session: Session, count: int, mode: str, chosen: str) -> None:
    edit_group(session, act(), ALL, mode=chosen, add=[OFFICE])
    for member in (AN, BINH, CHI)[:count]:
        add_member(session, act(), ALL, member, 10)
    assert stands(session, AN) == (chosen if mode == "open" else mode, mode == "open")


def test_a_group_that_can_not_be_expanded_counts_as_large(session: Session) -> None:
    for member in (AN, BINH):
        add_member(session, act(), ALL, member, 10)
    small = Limits(group_recipients=1, group_moderated_above=1)
    found = standing(session, number(session, ALL), number(session, AN), small, TODAY)
    assert (found.size, found.mode, found.may_post) == (2, "moderated", False)


def test_without_moderators_the_keepers_of_the_office_are(session: Session) -> None:
    edit_group(session, act(), ALL, mode="moderated")
    assert names(session) == [OFFICE]
    grant_send_as(session, act(), mailbox=OFFICE, holder=CHI)
    grant_send_as(session, act(), mailbox=OFFICE, holder=AN, until=date(2026, 11, 20))
    assert names(session) == [CHI]
    assert [stands(session, who)[1] for who in (CHI, OFFICE, AN)] == [True, True, False]
    edit_group(session, act(), ALL, add=[BINH])
    assert names(session) == [BINH]
    assert [stands(session, who)[1] for who in (CHI, OFFICE, BINH)] == [False, False, True]
    edit_group(session, act(), ALL, remove=[BINH])
    assert names(session) == [CHI]


def test_deputies_of_a_person_do_not_moderate_for_them(session: Session) -> None:
    edit_group(session, act(), ALL, mode="moderated", add=[BINH])
    grant_send_as(session, act(), mailbox=BINH, holder=CHI)
    assert names(session) == [BINH]
    assert not stands(session, CHI)[1]


def test_whoever_is_suspended_decides_nothing(session: Session) -> None:
    edit_group(session, act(), ALL, add=[BINH])
    suspend(session, act("nghỉ"), BINH)
    assert names(session) == []
    assert moderated(session, [ALL], TODAY) is None


def test_several_groups_are_decided_on_by_those_who_moderate_all(session: Session) -> None:
    edit_group(session, act(), ALL, add=[AN, BINH])
    edit_group(session, act(), SOME, add=[BINH, CHI])
    add_alias(session, act(), address="tat-ca@tinhmau.test", mailbox=ALL)
    found = moderated(session, ["tat-ca@tinhmau.test", SOME], TODAY)
    assert found is not None
    assert (found.agency_code, [one.address for one in found.moderators]) == ("H99.02", [BINH])
    edit_group(session, act(), SOME, remove=[BINH])
    assert moderated(session, [ALL, SOME], TODAY) is None
    assert moderated_by(session, number(session, BINH), TODAY) == {number(session, ALL)}


def test_what_is_so_already_changes_nothing(session: Session) -> None:
    edit_group(session, act(), ALL, mode="members", add=[AN])
    assert edit_group(session, act(), ALL, mode="members", add=[AN], remove=[CHI]).nothing
    assert edit_group(session, act(), ALL).nothing


def test_a_removed_group_forgets_who_moderated_it(session: Session) -> None:
    edit_group(session, act(), ALL, mode="moderated", add=[AN])
    remove_group(session, act(), ALL)
    assert moderated_by(session, number(session, AN), TODAY) == frozenset()


@pytest.mark.parametrize(
    ("work", "kind", "code"),
    [
        (lambda s: edit_group(s, act(), ALL, mode="closed"), InputError, "group-mode-not-valid"),
        (lambda s: edit_group(s, act(), ALL, add=[SOME]), InputError, "moderator-not-valid"),
        (lambda s: edit_group(s, act(), ALL, add=["x@a.vn"]), NotFound, "mailbox-unknown"),
        (lambda s: edit_group(s, act(), AN, mode="open"), NotFound, "group-unknown"),
    ],
)
def test_refused(
    session: Session, work: Callable[[Session], Any], kind: type[MailgovError], code: str
) -> None:
    with pytest.raises(kind, match=code):
        work(session)


async def judged(
    database: Database, sender: str, to: str, direction: Direction, login: str = ""
) -> Verdict:
    directory = Directory(database, lambda: NOW, LIMITS, official_suffixes=SUFFIXES)
    envelope = Envelope(
        direction=direction,
        mail_from=Address.parse(sender),
        recipients=(Recipient(Address.parse(to)),),
        login=Address.parse(login) if login else None,
    )
    known = await directory.envelope_facts(envelope, facts.Authentication(spf="pass"))
    person = facts.Person("", sender)
    content = facts.Content(1, header=facts.Header("Lịch họp", (person,)))
    return judge(Facts(known, content), default_ruleset(), TODAY)


async def test_at_the_gate_the_login_counts_and_no_stranger_is_believed(
    any_database: Database,
) -> None:
    with any_database.write() as session:
        people_and_groups(session)
        edit_group(session, act(), ALL, mode="moderated", add=[AN])
        add_alias(session, act(), address="tat-ca@tinhmau.test", mailbox=ALL)
        grant_send_as(session, act(), mailbox=OFFICE, holder=CHI)
        assert (names(session, ALL), names(session, SOME)) == ([AN], [CHI])
        assert moderated_by(session, number(session, CHI), TODAY) == {number(session, SOME)}
    by_moderator = await judged(any_database, AN, ALL, "submission", login=AN)
    by_other = await judged(any_database, BINH, "tat-ca@tinhmau.test", "submission", login=BINH)
    forged = await judged(any_database, AN, ALL, "inbound")
    to_open = await judged(any_database, BINH, SOME, "submission", login=BINH)
    assert "group-moderated" not in [f.code for f in (*by_moderator.findings, *to_open.findings)]
    assert (by_other.action.label, by_other.code) == ("hold", "group-moderated")
    (finding,) = (f for f in by_other.findings if f.code == "group-moderated")
    assert finding.evidence == {"group": "tat-ca@tinhmau.test", "members": "0"}
    assert "group-moderated" in [f.code for f in forged.findings]
