"""The queue on both databases: turns, leases, fences, ends."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from mailgov.db import Database
from mailgov.errors import NotFound
from mailgov.queue import NewMessage, QueueItem, listing
from mailgov.queue.admin import Pick
from mailgov.queue.conserve import conserve
from mailgov.queue.item import Notice, Result
from mailgov.queue.spool import MEMORY_BYTES
from mailgov.queue.tables import MESSAGE, RECIPIENT, VERDICT
from mailgov_policies import facts

from .samples import NOON, Bench, accept, bench, delivered, message


@pytest.fixture
def made(any_database: Database, tmp_path: Path) -> Bench:
    return bench(any_database, tmp_path)


def addresses(items: list[QueueItem]) -> list[str]:
    return [str(item.address) for item in items]


async def test_what_was_accepted_comes_out_as_it_went_in(made: Bench) -> None:
    new = message("Bình@example.vn", "chi@example.vn", notify=["FAILURE", "DELAY"])
    accept(made.database, new)
    items = await made.queue.claim(10)
    assert addresses(items) == ["Bình@example.vn", "chi@example.vn"]
    first, second = items
    assert first.message is second.message
    assert first.attempt == 1
    assert first.notify == {"FAILURE", "DELAY"}
    assert first.message.mail_from == new.envelope.mail_from
    assert first.message.accepted_at == NOON
    body = await made.queue.load(first.message)
    assert body is not None
    assert body.read() == new.body.read()


async def test_no_recipient_is_stored_without_a_verdict(made: Bench) -> None:
    accept(made.database, message())
    with made.database.read() as session:
        verdict = session.connection().execute(select(VERDICT)).one()
        assert (verdict.action, verdict.ruleset) == ("pass", "default/1")
    with pytest.raises(IntegrityError), made.database.write() as session:
        session.connection().execute(text("UPDATE recipient SET verdict_id = NULL"))


async def test_held_and_waiting_recipients_are_not_claimed(made: Bench) -> None:
    accept(made.database, message(held=True), message(at=NOON + timedelta(seconds=1)))
    assert await made.queue.claim(10) == []
    assert await made.queue.next_due() == NOON + timedelta(seconds=1)


async def test_a_claim_is_a_lease_that_ends(made: Bench) -> None:
    accept(made.database, message())
    (first,) = await made.queue.claim(10)
    assert await made.queue.claim(10) == []
    assert await made.queue.next_due() == NOON + timedelta(minutes=15)
    made.later(minutes=15)
    (second,) = await made.queue.claim(10)
    assert (first.attempt, second.attempt) == (1, 2)
    assert not await made.queue.are_ours([first])
    assert await made.queue.are_ours([second])


async def test_only_the_holder_of_the_lease_writes_results(made: Bench) -> None:
    accept(made.database, message())
    (stale,) = await made.queue.claim(10)
    made.later(minutes=15)
    (fresh,) = await made.queue.claim(10)
    assert await made.queue.settle([Result(stale, "bounced", "550 no")]) == []
    assert made.recipients() == {"binh@example.vn": ("queued", 2)}
    assert len(await made.queue.settle(delivered([fresh]))) == 1
    assert await made.queue.settle(delivered([fresh])) == []
    assert made.events(fresh.message.queue_id) == ["message.accepted", "recipient.delivered"]


async def test_a_removed_recipient_does_not_spoil_the_results_of_the_others(made: Bench) -> None:
    accept(made.database, message("a@example.vn", "b@example.vn"))
    items = await made.queue.claim(10)
    with made.database.write() as session:
        session.connection().execute(
            text("UPDATE recipient SET state = 'removed' WHERE address = 'a@example.vn'")
        )
    assert not await made.queue.are_ours(items)
    counted = await made.queue.settle(delivered(items))
    assert [str(result.item.address) for result in counted] == ["b@example.vn"]


async def test_destinations_take_turns(made: Bench) -> None:
    many = [message(f"u{i}@a.vn", at=NOON - timedelta(hours=1)) for i in range(8)]
    accept(made.database, *many, message("x@b.vn"), message("y@c.vn"), message("z@c.vn"))

    async def claim(count: int) -> list[str]:
        items = await made.queue.claim(count, lambda _: 2)
        return [item.destination for item in items]

    assert await claim(3) == ["a.vn", "a.vn", "b.vn"]
    assert await claim(3) == ["c.vn", "c.vn", "a.vn"]
    assert await claim(10) == ["a.vn", "a.vn"]


async def test_a_full_destination_stands_in_nobodys_way(made: Bench) -> None:
    accept(made.database, *(message(f"u{i}@a.vn") for i in range(30)), message("x@b.vn"))
    items = await made.queue.claim(10, lambda destination: 0 if destination == "a.vn" else 5)
    assert addresses(items) == ["x@b.vn"]


async def test_many_destinations_that_wait_hide_none_that_is_due(made: Bench) -> None:
    waiting = [message(f"u@d{i:03}.vn", at=NOON + timedelta(hours=1)) for i in range(60)]
    accept(made.database, *waiting, message("x@d042.vn"))
    assert addresses(await made.queue.claim(1)) == ["x@d042.vn"]


async def test_recipients_of_a_message_at_a_destination_come_a_hundred_at_once(
    made: Bench,
) -> None:
    accept(made.database, message(*(f"u{i}@a.vn" for i in range(150)), "x@b.vn"))
    items = await made.queue.claim(1, lambda _: 1)
    assert len(items) == 100
    assert {item.destination for item in items} == {"a.vn"}
    assert addresses(await made.queue.claim(1, lambda _: 1)) == ["x@b.vn"]
    assert len(await made.queue.claim(1, lambda _: 1)) == 50


async def test_agencies_take_turns_at_a_destination(made: Bench) -> None:
    flood = [
        replace(message(f"u{i}@a.vn", at=NOON - timedelta(hours=1)), agency_code="H99.01")
        for i in range(6)
    ]
    few = [replace(message(f"v{i}@a.vn"), agency_code="H99.02") for i in range(2)]
    accept(made.database, *flood, *few)
    claims = [addresses(await made.queue.claim(1)) for _ in range(5)]
    assert claims == [["u0@a.vn"], ["v0@a.vn"], ["u1@a.vn"], ["v1@a.vn"], ["u2@a.vn"]]


async def test_new_mail_does_not_wait_for_a_backlog(made: Bench) -> None:
    backlog = [message(f"u{i}@a.vn", at=NOON - timedelta(hours=1)) for i in range(6)]
    accept(made.database, *backlog, message("new@a.vn"))
    assert addresses(await made.queue.claim(2, fresh=1)) == ["new@a.vn", "u0@a.vn"]


async def test_without_a_backlog_mail_leaves_in_its_order(made: Bench) -> None:
    accept(made.database, *(message(f"u{i}@a.vn") for i in range(3)))
    made.later(seconds=1)
    assert addresses(await made.queue.claim(3, fresh=2)) == ["u0@a.vn", "u1@a.vn", "u2@a.vn"]


async def test_only_what_was_never_tried_is_new(made: Bench) -> None:
    accept(made.database, *(message(f"u{i}@a.vn", at=NOON - timedelta(hours=1)) for i in range(3)))
    items = await made.queue.claim(1)
    await made.queue.settle([Result(item, "queued", "451 later", NOON) for item in items])
    assert addresses(await made.queue.claim(1, fresh=1)) == ["u2@a.vn"]


def urgent(mark: str, address: str, said: int | None = None) -> NewMessage:
    new = message(address)
    document = facts.Document(urgency=mark) if mark else None
    return replace(new, document=document, envelope=replace(new.envelope, priority=said))


async def test_what_is_urgent_goes_first(made: Bench) -> None:
    waiting = [
        urgent("", "bulk@a.vn", said=-4),
        urgent("", "normal@a.vn"),
        urgent("KHẨN", "khan@c.vn"),
        urgent("THƯỢNG KHẨN", "thuong-khan@b.vn"),
        urgent("HỎA TỐC", "hoa-toc@b.vn"),
        urgent("HOẢ TỐC", "hoa-toc-2@c.vn"),
        urgent("HỎA TỐC", "said-no@b.vn", said=0),
    ]
    accept(made.database, *waiting)
    items = [item for _ in waiting for item in await made.queue.claim(1)]
    assert addresses(items) == [
        "hoa-toc@b.vn",
        "hoa-toc-2@c.vn",
        "thuong-khan@b.vn",
        "khan@c.vn",
        "normal@a.vn",
        "said-no@b.vn",
        "bulk@a.vn",
    ]
    assert [item.message.priority for item in items] == [6, 6, 4, 2, 0, 0, -4]


async def died(made: Bench) -> Bench:
    """The process ends with its leases, and another begins after they have run out."""
    made.later(minutes=15)
    again = bench_like(made)
    again.later(seconds=(made.now - NOON).total_seconds())
    await again.queue.recover()
    return again


async def test_three_crashes_hold_a_message_as_poison(made: Bench) -> None:
    new = message("a@a.vn", "b@b.vn")
    accept(made.database, new)
    for crashes in range(3):
        items = await made.queue.claim(10)
        assert {item.crashes for item in items} == {crashes}
        made = await died(made)
    assert await made.queue.claim(10) == []
    assert set(made.recipients().values()) == {("held", 3)}
    assert made.events(new.queue_id) == ["message.accepted", "message.poison"]
    with made.database.read() as session:
        assert listing.show(session, new.queue_id).state == "poison"
        assert conserve(session).holds


async def test_a_result_of_any_kind_clears_a_message_of_suspicion(made: Bench) -> None:
    accept(made.database, message())
    await made.queue.claim(10)
    made = await died(made)
    (item,) = await made.queue.claim(10)
    await made.queue.settle([Result(item, "queued", "451 later", made.now)])
    (item,) = await made.queue.claim(10)
    assert item.crashes == 0


async def test_of_messages_that_may_kill_a_process_few_go_at_once(made: Bench) -> None:
    accept(made.database, *(message(f"u{i}@a.vn") for i in range(4)))
    await made.queue.claim(4)
    made = await died(made)
    accept(made.database, message("x@a.vn", at=made.now))
    items = await made.queue.claim(10, suspects=2)
    assert [item.crashes for item in items] == [1, 1, 0]
    assert addresses(items)[2] == "x@a.vn"
    made = await died(made)
    items = await made.queue.claim(10, suspects=0, grave=1)
    assert [item.crashes for item in items] == [2]
    assert await made.queue.claim(10, suspects=0, grave=0) == []
    items = await made.queue.claim(10, suspects=9, grave=0)
    assert [item.crashes for item in items] == [1, 1, 1]


async def test_leases_do_not_end_when_the_clock_jumps(made: Bench) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    made.jump(days=400)
    assert await made.queue.claim(10) == []
    assert await made.queue.are_ours([item])
    assert len(await made.queue.settle(delivered([item]))) == 1


async def test_a_lease_ends_by_the_timer_even_while_nobody_else_claims(made: Bench) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    made.elapsed += 15 * 60
    assert not await made.queue.are_ours([item])


async def test_after_a_jump_back_nothing_waits_for_the_time_before_it(made: Bench) -> None:
    accept(made.database, message())
    await made.queue.mind_the_clock()
    (item,) = await made.queue.claim(10)
    await made.queue.settle([Result(item, "queued", "451", made.now + timedelta(minutes=5))])
    made.jump(days=-30)
    assert await made.queue.claim(10) == []
    await made.queue.mind_the_clock()
    assert len(await made.queue.claim(10)) == 1


async def test_racing_claims_share_nothing(made: Bench) -> None:
    accept(made.database, *(message(f"u{i}@d{i % 7}.vn") for i in range(100)))
    other = bench_like(made)
    claims = await asyncio.gather(
        *(queue.claim(10, lambda _: 100) for queue in (made.queue, other.queue) for _ in range(5))
    )
    claimed = [item.recipient_id for items in claims for item in items]
    assert len(claimed) == len(set(claimed))


def bench_like(made: Bench) -> Bench:
    return bench(made.database, made.spool.folder.parent)


async def test_a_retry_waits_for_its_time_and_is_in_the_ledger(made: Bench) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    at = NOON + timedelta(minutes=5)
    await made.queue.settle([Result(item, "queued", "451 later", at)])
    assert await made.queue.claim(10) == []
    assert await made.queue.next_due() == at
    made.later(minutes=5)
    (again,) = await made.queue.claim(10)
    assert again.attempt == 2
    assert made.events(item.message.queue_id)[-1] == "recipient.deferred"


async def test_a_message_ends_with_its_last_recipient_and_its_content_goes(made: Bench) -> None:
    accept(made.database, message("a@a.vn", "b@b.vn"))
    first, second = await made.queue.claim(10)
    await made.queue.settle(delivered([first]))
    assert await made.queue.load(second.message) is not None
    await made.queue.settle([Result(second, "bounced", "550 5.1.1 no such user")])
    with made.database.read() as session:
        row = session.connection().execute(select(MESSAGE)).one()
    assert row.done_at == NOON
    assert row.content is None


async def test_the_file_of_a_large_body_goes_with_the_last_recipient(made: Bench) -> None:
    writer = made.spool.writer()
    writer.write(bytes(MEMORY_BYTES + 1))
    body = writer.finish()
    new = message("a@a.vn", "b@b.vn", body=body)
    name = made.spool.keep(body, new.queue_id)
    accept(made.database, replace(new, spool_name=name))
    items = await made.queue.claim(10)
    loaded = await made.queue.load(items[0].message)
    assert loaded is not None
    assert loaded.path == made.spool.folder / name
    await made.queue.settle(delivered(items[:1]))
    assert list(made.spool.names()) == [name]
    await made.queue.settle(delivered(items[1:]))
    assert list(made.spool.names()) == []


async def test_a_body_that_changed_is_set_aside_neither_delivered_nor_bounced(
    made: Bench,
) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    with made.database.write() as session:
        session.connection().execute(MESSAGE.update().values(content=b"forged"))
    assert await made.queue.load(item.message) is None
    assert made.recipients() == {"binh@example.vn": ("held", 1)}
    assert made.events(item.message.queue_id)[-1] == "message.corrupt"
    made.later(days=10)
    assert await made.queue.claim(10) == []
    with made.database.read() as session:
        assert conserve(session).holds


async def test_a_notice_is_queued_with_the_bounce_it_tells_of(made: Bench) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    notice = Notice(message("an@tinhmau.gov.vn", sender=""), {item.recipient_id: "failure"})
    await made.queue.settle([Result(item, "bounced", "550 no")], [notice])
    (told,) = await made.queue.claim(10)
    assert told.message.queue_id == notice.message.queue_id
    assert told.message.mail_from is None
    with made.database.read() as session:
        balance = conserve(session)
    assert balance.holds
    assert (balance.messages, balance.accepted) == (2, 2)
    assert balance.states == {"bounced": 1, "queued": 1}


async def test_a_lost_lease_sends_no_notice(made: Bench) -> None:
    accept(made.database, message())
    (stale,) = await made.queue.claim(10)
    made.later(minutes=15)
    (fresh,) = await made.queue.claim(10)
    notice = Notice(message("an@tinhmau.gov.vn", sender=""), {stale.recipient_id: "failure"})
    await made.queue.settle([Result(stale, "bounced", "550 no")], [notice])
    assert await made.queue.claim(10) == []
    assert await made.queue.are_ours([fresh])


async def test_a_delay_is_told_once(made: Bench) -> None:
    accept(made.database, message())
    (item,) = await made.queue.claim(10)
    assert not item.delay_notified
    notice = Notice(message("an@tinhmau.gov.vn", sender=""), {item.recipient_id: "delay"})
    await made.queue.settle([Result(item, "queued", "451 later", made.now)], [notice])
    items = await made.queue.claim(10)
    assert [item.delay_notified for item in items if item.destination == "example.vn"] == [True]


async def test_leases_given_back_are_due_at_once(made: Bench) -> None:
    accept(made.database, message())
    items = await made.queue.claim(10)
    await made.queue.release(items)
    assert [item.attempt for item in await made.queue.claim(10)] == [2]


async def test_a_restart_takes_up_what_the_dead_process_had(
    database: Database, tmp_path: Path
) -> None:
    made = bench(database, tmp_path)
    accept(database, message())
    await made.queue.claim(10)
    again = bench_like(made)
    await again.queue.recover()
    assert len(await again.queue.claim(10)) == 1


async def test_on_postgresql_another_workers_leases_stay_its_own(
    postgres_database: Database, tmp_path: Path
) -> None:
    made = bench(postgres_database, tmp_path)
    accept(postgres_database, message())
    await made.queue.claim(10)
    await bench_like(made).queue.recover()
    assert await made.queue.claim(10) == []


async def test_what_a_crash_left_open_is_closed_by_the_sweep(made: Bench) -> None:
    accept(made.database, message())
    with made.database.write() as session:
        session.connection().execute(RECIPIENT.update().values(state="delivered"))
    made.later(hours=25)
    await made.queue.sweep_orphans()
    with made.database.read() as session:
        assert session.connection().execute(select(MESSAGE.c.done_at)).scalar_one() == made.now


async def test_a_wake_up_ends_the_wait(made: Bench) -> None:
    waiting = asyncio.create_task(made.queue.wait(60))
    await asyncio.sleep(0)
    made.queue.wake()
    async with asyncio.timeout(5):
        await waiting
    await made.queue.wait(0.01)  # and the next one waits for the next


async def test_the_listing_names_what_waits_and_why(made: Bench) -> None:
    later = message("c@a.vn", held=True, at=NOON + timedelta(seconds=1))
    accept(made.database, message("a@a.vn", "b@b.vn"), later)
    first, second = await made.queue.claim(10)
    await made.queue.settle([Result(first, "queued", "451 4.7.1 Greylisted", NOON)])
    await made.queue.settle(delivered([second]))
    with made.database.read() as session:
        found = [(e.recipient, e.state) for e in listing.waiting(session)]
        assert found == [("a@a.vn", "queued"), ("c@a.vn", "held")]
        (grey,) = listing.waiting(session, Pick(reply_contains="greylisted"))
        assert grey.last_reply == "451 4.7.1 Greylisted"
        assert list(listing.waiting(session, Pick(destination="b.vn"))) == []
        assert list(listing.waiting(session, Pick(queued_before=NOON))) == []
        (held,) = listing.waiting(session, state="held")
        assert held.recipient == "c@a.vn"
        assert list(listing.waiting(session, state="poison")) == []
        shown = listing.show(session, first.message.queue_id)
        assert [entry.state for entry in shown.recipients] == ["queued", "delivered"]
        assert (shown.action, shown.state, shown.done_at) == ("pass", "intact", None)
        with pytest.raises(NotFound, match="queue-id-unknown"):
            listing.show(session, "nothing")


async def test_the_balance_names_the_message_that_does_not_add_up(made: Bench) -> None:
    good, lost, forged = message(), message("a@a.vn", "b@b.vn"), message()
    accept(made.database, good, lost, forged)
    with made.database.write() as session:
        connection = session.connection()
        connection.execute(RECIPIENT.delete().where(RECIPIENT.c.address == "a@a.vn"))
        connection.execute(
            RECIPIENT.update()
            .where(RECIPIENT.c.message_id == forged.queue_id)
            .values(state="delivered")
        )
    with made.database.read() as session:
        balance = conserve(session)
    assert not balance.holds
    named = {d.queue_id: (d.accepted, d.states, d.ends) for d in balance.discrepancies}
    assert named == {
        lost.queue_id: (2, {"queued": 1}, {}),
        forged.queue_id: (1, {"delivered": 1}, {}),
    }


@pytest.mark.parametrize("waiting", [1, 300])
async def test_the_cost_of_a_claim_does_not_grow_with_the_queue(
    database: Database, tmp_path: Path, waiting: int
) -> None:
    made = bench(database, tmp_path)
    many = [f"u{i}@a.vn" for i in range(30)]
    accept(database, *(message(*many) for _ in range(waiting)), message("x@b.vn"))
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(count, 100)
        del raw
    items = await made.queue.claim(10, lambda _: 1)
    assert addresses(items) == [*many, "x@b.vn"]
    assert steps < 60  # six thousand steps of SQLite's machine, with a short queue or a long one
