"""Agencies by date: names, figures and places as they were, and the tree of a day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from mailgov.db import Database
from mailgov.db.models import Agency, AgencyPast
from mailgov.directory import provisioning as p
from mailgov.directory.agency_past import branch_ids, told, tree_at
from mailgov.directory.agency_tree import agency_tree
from mailgov.directory.change import recorded
from mailgov.directory.provisioning.agencies import move_agency
from mailgov.directory.renaming import rename_mailbox
from mailgov.errors import Conflict, NotFound

from ...support.directory import AN, NOW, act, fill_directory

JUNE, JULY, AUGUST = date(2026, 6, 1), date(2026, 7, 1), date(2026, 8, 1)


def later(days: int) -> p.Act:
    return replace(act(), at=NOW + timedelta(days=days))


def test_names_and_figures_are_kept_until_the_day_they_change(filled: Database) -> None:
    with filled.write() as session:
        p.edit_agency(session, act(), code="H99.02", name="Sở Nội vụ tỉnh", on=JULY)
        p.edit_agency(session, act(), code="H99.02", headcount=148, on=JULY)
        p.edit_agency(session, act(), code="H99.02", headcount=150, regulation="27", on=AUGUST)
    with filled.read() as session:
        before = tree_at(session, date(2026, 6, 30))["H99.02"]
        assert (before.name_vi, before.headcount, before.regulation) == ("Sở Nội vụ", 0, "")
        between = tree_at(session, JULY)["H99.02"]
        assert (between.name_vi, between.headcount) == ("Sở Nội vụ tỉnh", 148)
        after = tree_at(session, AUGUST)["H99.02"]
        assert (after.headcount, after.regulation) == (150, "27")
        assert len(session.exec(select(AgencyPast)).all()) == 2
        agency = p.get_agency(session, "H99.02")
        assert told(session, agency) == [
            {"until": AUGUST, "headcount": 148, "regulation": ""},
            {"until": JULY, "name_vi": "Sở Nội vụ", "headcount": 0},
        ]


def test_what_changes_nothing_dated_leaves_no_past(filled: Database) -> None:
    with filled.write() as session:
        p.edit_agency(session, act(), code="H99.02", name="Sở Nội vụ")
        change = p.edit_agency(session, act(), code="H99.02", address_scheme="full")
        assert change.changes == {"address_scheme": ("", "full")}
        assert session.exec(select(AgencyPast)).all() == []


def test_a_change_before_one_that_is_written_is_refused(filled: Database) -> None:
    with filled.write() as session:
        p.edit_agency(session, act(), code="H99.02", headcount=1, on=AUGUST)
        with pytest.raises(Conflict, match=r"agency-changed-later.*2026-08-01"):
            p.edit_agency(session, act(), code="H99.02", headcount=2, on=JULY)


def test_the_tree_of_a_day_has_who_was_there_where_they_were(filled: Database) -> None:
    with filled.write() as session:
        p.add_agency(
            session,
            act(),
            code="H99.48",
            name="Đặc khu Mẫu",
            level="special-zone",
            valid_from=AUGUST,
        )
        move_agency(session, act(), "H99.02.01", "H99.47", on=JULY)
    with filled.read() as session:
        assert "H99.48" not in tree_at(session, JULY)
        assert tree_at(session, AUGUST)["H99.48"].parent == "H99"
        assert tree_at(session, JUNE)["H99.02.01"].parent == "H99.02"
        assert tree_at(session, JULY)["H99.02.01"].parent == "H99.47"
        unit = p.get_agency(session, "H99.02.01").id
        assert unit in branch_ids(session, "H99.02", JUNE)
        assert unit not in branch_ids(session, "H99.02", JULY)
        with pytest.raises(NotFound, match="agency-unknown"):
            branch_ids(session, "H99.48", JULY)


def test_nothing_moves_below_itself(filled: Database) -> None:
    with filled.write() as session:
        for below in ("H99.02", "H99.02.01"):
            with pytest.raises(Conflict, match="agency-below-itself"):
                move_agency(session, act(), "H99.02", below, on=JULY)
        assert move_agency(session, act(), "H99.02.01", "H99.02", on=JULY).nothing


def test_people_and_mailboxes_stand_where_they_were_then(any_database: Database) -> None:
    with any_database.write() as session:
        fill_directory(session)
    today = NOW.date()
    with any_database.write() as session:
        rename_mailbox(session, later(5), AN, "an@tinhmau.test")
        unit = p.get_agency(session, "H99.02.01")
        box = p.get_mailbox(session, "an@tinhmau.test")
        assert unit.id is not None
        box.agency_id = unit.id
        session.add(box)
        moved = p.Change(
            "mailbox",
            "edit",
            box.address,
            {"agency": ("H99.02", "H99.02.01")},
            agency_code="H99.02.01",
            mailbox=box.address,
        )

        recorded(session, later(7), moved)
    now = NOW + timedelta(days=30)
    with any_database.read() as session:

        def figures(at: date | None) -> dict[str, tuple[int, int]]:
            rows = agency_tree(session, at=at, now=now)
            return {row["code"]: (row["people"], row["mailboxes"]) for row in rows}

        assert figures(None)["H99.02"] == (1, 2)
        assert figures(None)["H99.02.01"] == (0, 1)
        assert figures(today + timedelta(days=7))["H99.02.01"] == (0, 1)
        assert figures(today + timedelta(days=6))["H99.02.01"] == (0, 0)
        assert figures(today + timedelta(days=6))["H99.02"] == (1, 2)
        assert figures(today - timedelta(days=1))["H99"] == (0, 0)


def test_sums_go_up_the_tree_of_the_day(filled: Database) -> None:
    with filled.write() as session:
        p.edit_agency(session, act(), code="H99.02.01", headcount=5, on=JUNE)
        move_agency(session, act(), "H99.02.01", "H99.47", on=JULY)
    with filled.read() as session:
        rows = {r["code"]: r for r in agency_tree(session, "H99", at=JUNE, now=NOW)}
        assert (rows["H99.02"]["headcount"], rows["H99.47"]["headcount"]) == (5, 0)
        rows = {r["code"]: r for r in agency_tree(session, "H99", at=JULY, now=NOW)}
        assert (rows["H99.02"]["headcount"], rows["H99.47"]["headcount"]) == (0, 5)
        assert rows["H99.02.01"]["depth"] == 2


def test_moments_of_the_ledger_are_days_in_vietnam(filled: Database) -> None:
    """23 o'clock UTC is the next day in Vietnam: that day's tree has what was written then."""
    at = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    with filled.write() as session:
        p.edit_agency(session, replace(act(), at=at), code="H99.02", headcount=9)
        assert session.exec(select(AgencyPast)).one().until == date(2026, 12, 1)
        assert session.exec(select(Agency).where(Agency.code == "H99.02")).one().headcount == 9
