"""Acts with a day: done once, on their day, in order, and told when they could not be done."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from mailgov.db import Database
from mailgov.db.models import Agency, EventRow, PlannedAct
from mailgov.directory.change import Act
from mailgov.directory.provisioning import add_agency
from mailgov.errors import Conflict, InputError, NotFound, Unavailable
from mailgov.lifecycle import planning
from mailgov.lifecycle.planning import Performer

from ...support.directory import NOW

TODAY = date(2026, 11, 21)
TOMORROW = TODAY + timedelta(days=1)


def found(session: Session, act: PlannedAct, now: Any) -> Mapping[str, Any]:
    """Adds an agency under the code of the subject."""
    change = add_agency(
        session,
        Act(act.actor, now, act.reason),
        code=act.subject,
        name=act.arguments["name"],
        level="province",
    )
    return {"code": change.target}


def refuse(session: Session, act: PlannedAct, now: Any) -> Mapping[str, Any]:
    """Does half, then finds that it can't be done."""
    found(session, act, now)
    raise InputError("agency-name-missing", code=act.subject)


def wait(*_: Any) -> Mapping[str, Any]:
    """Can't be done for now."""
    raise Unavailable("too-busy")


def break_down(*_: Any) -> Mapping[str, Any]:
    """A fault of the program."""
    raise ZeroDivisionError


PERFORMERS: dict[str, Performer] = {
    "found": found,
    "refuse": refuse,
    "wait": wait,
    "break": break_down,
}


def planned(session: Session, kind: str, subject: str, on: date, name: str = "Tỉnh") -> int:
    """The number of an act written down."""
    act = planning.plan(
        session,
        kind=kind,
        subject=subject,
        on=on,
        arguments={"name": name},
        actor="cli:test",
        reason="sắp xếp",
        at=NOW,
    )
    assert act.id is not None
    return act.id


def perform(database: Database, today: date = TODAY) -> list[tuple[str, str, str]]:
    """Subject, state and code of what was due."""
    done = planning.perform_due(database, today, NOW, PERFORMERS)
    return [(one.subject, one.state, one.code) for one in done]


def steps(database: Database) -> list[tuple[str, str]]:
    """Subject and step of the ledger's entries about plans."""
    with database.read() as session:
        rows = session.exec(select(EventRow).where(EventRow.kind == "act.planned"))
        return [(row.data["target"], row.data["step"]) for row in rows]


def agencies(database: Database) -> list[str]:
    """Codes of all there are."""
    with database.read() as session:
        return sorted(session.exec(select(Agency.code)))


def test_done_on_its_day_and_once(any_database: Database) -> None:
    with any_database.write() as session:
        planned(session, "found", "H98", TOMORROW)
    assert perform(any_database) == []
    assert agencies(any_database) == []
    assert perform(any_database, TOMORROW) == [("H98", "done", "")]
    assert agencies(any_database) == ["H98"]
    assert perform(any_database, TOMORROW) == []
    assert steps(any_database) == [("H98", "planned"), ("H98", "done")]


def test_in_the_order_of_days_whatever_was_written_first(database: Database) -> None:
    with database.write() as session:
        planned(session, "found", "H98", TODAY)
        planned(session, "found", "H97", TODAY - timedelta(days=2))
        planned(session, "found", "H96", TODAY)
    assert [subject for subject, *_ in perform(database)] == ["H97", "H98", "H96"]


@pytest.mark.parametrize(
    ("kind", "code"), [("refuse", "agency-name-missing"), ("break", planning.UNEXPECTED)]
)
def test_one_that_fails_leaves_nothing_behind_and_stops_no_other(
    any_database: Database, kind: str, code: str
) -> None:
    with any_database.write() as session:
        number = planned(session, kind, "H98", TODAY)
        planned(session, "found", "H97", TODAY)
    assert perform(any_database) == [("H98", "failed", code), ("H97", "done", "")]
    assert agencies(any_database) == ["H97"]
    assert perform(any_database) == []
    assert ("H98", "failed") in steps(any_database)
    with any_database.read() as session:
        assert [act.id for act in planning.failed(session)] == [number]


def test_what_is_not_possible_for_now_stays_planned(database: Database) -> None:
    with database.write() as session:
        planned(session, "wait", "H98", TODAY)
    assert perform(database) == [("H98", "planned", "too-busy")]
    assert perform(database) == [("H98", "planned", "too-busy")]
    assert steps(database) == [("H98", "planned")]


def test_a_failed_one_can_be_tried_again(database: Database) -> None:
    act = Act("cli:test", NOW)
    with database.write() as session:
        number = planned(session, "refuse", "H98", TODAY)
    perform(database)
    with database.write() as session:
        planning.retry(session, number, act)
    done = planning.perform_due(database, TODAY, NOW, {"refuse": found})
    assert [one.state for one in done] == ["done"]
    with database.write() as session, pytest.raises(Conflict, match="act-not-failed"):
        planning.retry(session, number, act)


def test_cancelled_in_time(database: Database) -> None:
    act = Act("cli:test", NOW, "hoãn")
    with database.write() as session:
        number = planned(session, "found", "H98", TODAY)
    for _ in range(2):
        with database.write() as session:
            assert planning.cancel(session, number, act).state == "cancelled"
    assert perform(database) == []
    assert steps(database) == [("H98", "planned"), ("H98", "cancelled")]
    with database.write() as session:
        done = planned(session, "found", "H97", TODAY)
    perform(database)
    with database.write() as session, pytest.raises(Conflict, match="act-done"):
        planning.cancel(session, done, act)
    with database.write() as session, pytest.raises(NotFound, match="act-unknown"):
        planning.cancel(session, 99, act)


def test_the_same_plan_twice_is_one_another_is_refused(database: Database) -> None:
    with database.write() as session:
        first = planned(session, "found", "H98", TOMORROW)
        assert planned(session, "found", "H98", TOMORROW) == first
        with pytest.raises(Conflict, match="act-planned-otherwise"):
            planned(session, "found", "H98", TODAY)
        with pytest.raises(Conflict, match="act-planned-otherwise"):
            planned(session, "found", "H98", TOMORROW, name="Khác")
    assert steps(database) == [("H98", "planned")]


def test_a_rehearsal_keeps_nothing(any_database: Database) -> None:
    with any_database.write() as session:
        planned(session, "found", "H98", TODAY)
        (act,) = planning.due(session, TODAY)
        assert planning.rehearse(session, act, PERFORMERS, NOW) == {"code": "H98"}
        act_2 = session.get_one(PlannedAct, planned(session, "refuse", "H97", TODAY))
        with pytest.raises(InputError):
            planning.rehearse(session, act_2, PERFORMERS, NOW)
    assert agencies(any_database) == []
    assert steps(any_database) == [("H98", "planned"), ("H97", "planned")]
