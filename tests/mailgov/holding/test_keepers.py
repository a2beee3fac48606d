"""Who decides on held mail: nearest first, the next one up when time has passed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.db import Database
from mailgov.directory.provisioning import add_group, edit_group, grant_role
from mailgov.holding.keepers import (
    Deadline,
    Desk,
    Grant,
    Keeper,
    awaiting_moderators,
    desks,
    desks_for,
    owner,
)
from mailgov.working_time import WorkingTime

from ...support.directory import AN, OFFICE, act, fill_directory

MONDAY = datetime(2026, 11, 30, 2, tzinfo=UTC)  # 9:00 in Vietnam
HOURS = WorkingTime.parse(["07:30-11:30", "13:00-17:00"])
DAY = Deadline(timedelta(hours=8), HOURS)
HOA, LAN, MAI, TU = (Keeper(f"{name}@tinhmau.test", at) for at, name in enumerate("hlmt", 1))
LINEAGE = ("H99.02.01", "H99.02", "H99")
GRANTS = (
    Grant("security-officer", "H99.02", HOA),
    Grant("it", "H99.02", LAN),
    Grant("it", "H99", MAI),
    Grant("auditor", "H99", LAN),
    Grant("security-officer", "", TU),
    Grant("security-officer", "H99.47", LAN),
)


def test_the_nearest_agency_with_somebody_comes_first_and_it_stands_in() -> None:
    assert desks(LINEAGE, GRANTS, "security-officer") == (
        Desk("H99.02", "security-officer", (HOA,)),
        Desk("H99", "it", (MAI,)),
        Desk("", "security-officer", (TU,)),
    )


@pytest.mark.parametrize(
    ("hours", "agency"),
    [(0, "H99.02"), (23.9, "H99.02"), (24, "H99"), (47, "H99"), (48, ""), (24 * 200, "")],
)
def test_mail_passes_up_with_every_deadline_and_stays_at_the_top(hours: float, agency: str) -> None:
    on_the_way = desks(LINEAGE, GRANTS, "security-officer")
    desk = owner(on_the_way, MONDAY, MONDAY + timedelta(hours=hours), DAY)
    assert desk is not None
    assert desk.agency_code == agency


def test_nothing_passes_at_the_weekend_or_at_tet() -> None:
    on_the_way = desks(LINEAGE, GRANTS, "security-officer")
    held_at = datetime(2027, 2, 3, 9, tzinfo=UTC)  # 16:00 on the last day before Tết
    for day, agency in ((4, "H99.02"), (10, "H99.02"), (11, "H99"), (14, "")):
        desk = owner(on_the_way, held_at, datetime(2027, 2, day, 9, 30, tzinfo=UTC), DAY)
        assert desk is not None
        assert desk.agency_code == agency, day


def test_nobody_on_the_way_is_said() -> None:
    assert owner(desks(LINEAGE, GRANTS[5:], "security-officer"), MONDAY, MONDAY, DAY) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(-100, 10**6), st.floats(0.1, 1000))
def test_somebody_has_it_at_every_moment(minutes: int, deadline_hours: float) -> None:
    now = MONDAY + timedelta(minutes=minutes)
    deadline = Deadline(timedelta(hours=deadline_hours), HOURS)
    assert owner(desks(LINEAGE, GRANTS, "it"), MONDAY, now, deadline) is not None
    assert deadline.of(MONDAY, now) > now


def test_the_directory_says_who_holds_roles(database: Database) -> None:
    with database.write() as session:
        fill_directory(session)
        grant_role(session, act(), mailbox=AN, role="security-officer", agency="H99.02")
        grant_role(session, act(), mailbox=OFFICE, role="it", agency="H99")
    with database.read() as session:
        found = desks_for(session, "H99.02.01", "security-officer", date(2026, 11, 23))
        elsewhere = desks_for(session, "H99.47", "security-officer", date(2026, 11, 23))
    assert [(d.agency_code, d.role, [k.address for k in d.keepers]) for d in found] == [
        ("H99.02", "security-officer", [AN]),
        ("H99", "it", [OFFICE]),
    ]
    assert [d.agency_code for d in elsewhere] == ["H99"]


GROUP = "toan-so@sonoivu.tinhmau.test"


def finding(code: str, action: str = "hold", group: str = GROUP) -> dict[str, object]:
    return {"code": code, "action": action, "evidence": {"group": group}}


@pytest.mark.parametrize(
    ("findings", "groups"),
    [
        ([], ()),
        ([finding("group-moderated")], (GROUP,)),
        ([finding("group-moderated"), finding("diacritics", "warn")], (GROUP,)),
        ([finding("group-moderated"), finding("group-moderated", group="a@x")], ("a@x", GROUP)),
        ([finding("group-moderated"), finding("macro")], ()),
        ([finding("lookalike-domain", "quarantine"), finding("group-moderated")], ()),
        ([finding("group-moderated", "warn")], ()),
    ],
)
def test_moderators_decide_where_nothing_else_holds_a_message(
    findings: list[dict[str, object]], groups: tuple[str, ...]
) -> None:
    assert awaiting_moderators(findings) == groups


def test_moderators_come_before_those_with_roles(database: Database) -> None:
    with database.write() as session:
        fill_directory(session)
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")
        add_group(session, act(), address=GROUP, agency="H99.02")
        edit_group(session, act(), GROUP, mode="moderated", add=[AN])
        found = desks_for(session, "H99.02", "security-officer", date(2026, 11, 23), [GROUP])
        gone = desks_for(session, "H99.02", "security-officer", date(2026, 11, 23), ["x@y.vn"])
    assert [(d.agency_code, d.role, [k.address for k in d.keepers]) for d in found] == [
        ("H99.02", "moderator", [AN]),
        ("H99.02", "security-officer", [OFFICE]),
    ]
    assert list(gone) == list(found[1:])
