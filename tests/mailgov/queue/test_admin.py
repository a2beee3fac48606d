"""Administrators at the queue, on both engines."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailgov.db import Database
from mailgov.queue import admin
from mailgov.queue.admin import Intervention, Pick

from .samples import NOON, accept, bench, message

BY = Intervention("cli:test", NOON, "chờ xác minh")


def picked(database: Database, what: Pick, verb: str) -> list[str]:
    with database.read() as session:
        return [one.address for one in admin.pick(session, what, verb, NOON)]


def test_filters_are_all_to_fit(any_database: Database) -> None:
    old = message("a@example.vn", "b@example.com", at=NOON - timedelta(hours=5))
    new = message("c@example.vn", at=NOON)
    accept(any_database, old, new)
    for what, found in (
        (Pick(queue_ids=(old.queue_id,)), ["a@example.vn", "b@example.com"]),
        (Pick(destination="example.vn"), ["a@example.vn", "c@example.vn"]),
        (Pick(queued_before=NOON - timedelta(hours=1)), ["a@example.vn", "b@example.com"]),
        (Pick((old.queue_id,), "example.vn"), ["a@example.vn"]),
        (Pick((new.queue_id,), "example.com"), []),
    ):
        assert picked(any_database, what, "hold") == found


def test_acts_move_recipients_between_states(any_database: Database) -> None:
    new = message("a@example.vn", "b@example.vn")
    accept(any_database, new)
    everything = Pick((new.queue_id,))
    with any_database.write() as session:
        admin.hold(session, admin.pick(session, everything, "hold", NOON), BY)
    assert picked(any_database, everything, "hold") == []
    with any_database.read() as session:
        (row,) = admin.stats(session)
    assert (row.destination, row.queued, row.held, row.oldest) == ("example.vn", 0, 2, NOON)
    assert row.next_attempt_at is None
    with any_database.write() as session:
        admin.release(session, admin.pick(session, everything, "release", NOON)[:1], BY)
    assert picked(any_database, everything, "hold") == ["a@example.vn"]
    with any_database.write() as session:
        assert admin.remove(session, admin.pick(session, everything, "remove", NOON), BY) == []
    assert picked(any_database, everything, "remove") == []


def test_batches_continue_behind_the_last(any_database: Database) -> None:
    accept(any_database, message(*(f"r{i}@example.vn" for i in range(5))))
    with any_database.read() as session:
        first = admin.pick(session, Pick(destination="example.vn"), "hold", NOON)
        rest = admin.pick(
            session, Pick(destination="example.vn"), "hold", NOON, after=first[2].recipient_id
        )
    assert [one.address for one in rest] == ["r3@example.vn", "r4@example.vn"]


def test_an_act_that_is_none(database: Database) -> None:
    with database.read() as session, pytest.raises(ValueError, match="no such act"):
        admin.pick(session, Pick(), "burn", NOON)


async def test_what_was_held_for_long_is_not_given_up_on_release(
    database: Database, tmp_path: Path
) -> None:
    made = bench(database, tmp_path)
    new = message(held=True)
    accept(database, new)
    later = made.later(days=30)
    with database.write() as session:
        picked_now = admin.pick(session, Pick((new.queue_id,)), "release", later)
        admin.release(session, picked_now, Intervention("cli:test", later))
    (item,) = await made.queue.claim(1)
    assert item.queued_at == later
