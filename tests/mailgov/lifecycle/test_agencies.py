"""Agencies on their day: planned weeks ahead, surveyed anew when the day comes."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from sqlmodel import Session, select

from mailgov.clock import VIETNAM, local_date
from mailgov.db import Database
from mailgov.db.models import Mailbox, PlannedAct
from mailgov.directory import provisioning as p
from mailgov.directory.agency_past import tree_at
from mailgov.directory.posts import users_of
from mailgov.directory.reorganisation import Merger, closure, merger
from mailgov.errors import Conflict
from mailgov.lifecycle import agencies, planning
from mailgov.lifecycle.performers import PERFORMERS
from mailgov.lifecycle.posts import BEGIN

from ...support.directory import NOW, SUFFIXES, act, fill_directory

TODAY = local_date(NOW)
ON = TODAY + timedelta(days=30)


@pytest.fixture
def database(database: Database) -> Database:
    with database.write() as session:
        fill_directory(session)
        p.add_agency(session, act(), code="H99.50", name="Xã Tân Mẫu", level="commune")
        name = "xatanmau.tinhmau.test"
        p.add_domain(session, act(), name=name, agency="H99.50", official_suffixes=SUFFIXES)
        add(session, "hoalt@xahoabinh.tinhmau.test", "H99.47", "Lê Thị Hoa", "VC-9")
    return database


def add(session: Session, address: str, agency: str, name: str, staff_no: str) -> None:
    new = p.NewMailbox(address=address, agency=agency, name=name, staff_no=staff_no)
    p.add_mailbox(session, act(), new)


def communes(**how: object) -> Merger:
    return merger(("H99.47",), "H99.50", ON, **{"addresses": "alias", **how})  # type: ignore[arg-type]


def at(day: date) -> datetime:
    return datetime.combine(day, time(0, 5), VIETNAM)


def work(database: Database, day: date) -> list[planning.Outcome]:
    return planning.perform_due(database, day, at(day), PERFORMERS)


def addresses(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.exec(select(Mailbox.address)).all())


def test_a_merger_waits_for_its_day(database: Database) -> None:
    with database.write() as session:
        agencies.plan_merger(session, act("NQ 15"), communes())
    assert work(database, ON - timedelta(days=1)) == []
    assert "hoalt@xahoabinh.tinhmau.test" in addresses(database)
    [outcome] = work(database, ON)
    assert (outcome.kind, outcome.state) == ("agency.merge", "done")
    assert "hoalt@xatanmau.tinhmau.test" in addresses(database)
    assert work(database, ON + timedelta(days=1)) == []
    with database.read() as session:
        done = session.exec(select(PlannedAct)).one()
        assert done.result["people"] == 1
        assert done.result["target"] == "H99.47"


def test_on_its_day_it_is_surveyed_anew(database: Database) -> None:
    """Who came since goes along; who took the address since keeps it."""
    with database.write() as session:
        agencies.plan_merger(session, act(), communes())
        add(session, "annv@xahoabinh.tinhmau.test", "H99.47", "Nguyễn Văn An", "VC-10")
        add(session, "hoalt@xatanmau.tinhmau.test", "H99.50", "Lê Thế Hoa", "VC-11")
    work(database, ON)
    assert {
        "annv@xatanmau.tinhmau.test",
        "hoalt@xatanmau.tinhmau.test",
        "hoalt2@xatanmau.tinhmau.test",
    } <= addresses(database)


def test_a_scheduler_that_was_down_does_it_with_the_day_that_was_planned(
    database: Database,
) -> None:
    with database.write() as session:
        agencies.plan_merger(session, act(), communes())
    work(database, ON + timedelta(days=5))
    with database.read() as session:
        assert "H99.47" in tree_at(session, ON - timedelta(days=1))
        assert "H99.47" not in tree_at(session, ON)


def test_what_has_become_impossible_is_told_and_can_be_tried_again(database: Database) -> None:
    with database.write() as session:
        agencies.plan_merger(session, act(), communes())
        into = p.get_agency(session, "H99.50")
        into.valid_to = ON - timedelta(days=2)
        session.add(into)
    [outcome] = work(database, ON)
    assert (outcome.state, outcome.code) == ("failed", "agency-closed")
    assert "hoalt@xahoabinh.tinhmau.test" in addresses(database)
    with database.write() as session:
        into = p.get_agency(session, "H99.50")
        into.valid_to = None
        session.add(into)
        planning.retry(session, outcome.id, act())
    [outcome] = work(database, ON)
    assert outcome.state == "done"


def test_an_agency_ends_once(database: Database) -> None:
    with database.write() as session:
        agencies.plan_merger(session, act(), communes())
        with pytest.raises(Conflict, match="agency-ends-already"):
            agencies.plan_merger(session, act(), closure("H99.47", "H99", ON))
        with pytest.raises(Conflict, match="agency-ends-already"):
            agencies.plan_move(session, act(), "H99.02.01", "H99.47", ON)
        with pytest.raises(Conflict, match="act-planned-otherwise"):
            agencies.plan_merger(session, act(), communes(addresses="keep"))
        # The very same plan is the same plan.
        first = session.exec(select(PlannedAct.id)).one()
        assert agencies.plan_merger(session, act(), communes()).id == first


def test_units_move_and_agencies_close_on_their_day(database: Database) -> None:
    with database.write() as session:
        agencies.plan_move(session, act(), "H99.02.01", "H99.50", ON)
        agencies.plan_merger(session, act(), closure("H99.47", "H99", ON))
    assert [one.kind for one in work(database, ON)] == ["agency.move"]
    assert [one.kind for one in work(database, ON + timedelta(days=1))] == ["agency.close"]
    with database.read() as session:
        tree = tree_at(session, ON)
        assert tree["H99.02.01"].parent == "H99.50"
        assert "H99.47" in tree  # the last day is one of its days
        assert "H99.47" not in tree_at(session, ON + timedelta(days=1))


def test_a_post_begins_on_its_day(database: Database) -> None:
    box = "chutich@xahoabinh.tinhmau.test"
    with database.write() as session:
        p.add_mailbox(session, act(), p.NewMailbox(address=box, agency="H99.47", kind="post"))
        planning.plan(
            session,
            kind=BEGIN,
            subject="VC-9",
            on=ON,
            arguments={"title": "Chủ tịch", "agency": "H99.47", "last_day": "", "mailbox": box},
            actor="cli:test",
            agency_code="H99.47",
            at=replace(act(), at=NOW).at,
        )
    work(database, ON - timedelta(days=1))
    with database.read() as session:
        assert users_of(session, p.get_mailbox(session, box), ON) == []
    work(database, ON)
    with database.read() as session:
        mailbox = p.get_mailbox(session, box)
        assert users_of(session, mailbox, ON) == ["hoalt@xahoabinh.tinhmau.test"]
