"""Finding messages by envelope and time, on both engines."""

from datetime import timedelta

from mailgov import ledger
from mailgov.db import Database
from mailgov.ledger import trace
from mailgov.ledger.events import MessageRefused, RecipientDelivered

from ..queue.samples import NOON, accept, message


def test_steps_tell_what_happened_and_to_whom(any_database: Database) -> None:
    new = message("binh@example.vn")
    accept(any_database, new)
    delivered = RecipientDelivered(
        at=NOON + timedelta(seconds=3),
        message_id=new.queue_id,
        recipient="binh@example.vn",
        local=False,
        reply="250 2.0.0 ok",
        seconds=3.0,
    )
    with any_database.write() as session:
        ledger.record(session, delivered)
    with any_database.read() as session:
        accepted, last = trace.steps(session, new.queue_id)
        assert trace.steps(session, "0" * 20) == []
    assert (accepted["kind"], accepted["action"]) == ("message.accepted", "pass")
    assert last == {
        "at": NOON + timedelta(seconds=3),
        "message": new.queue_id,
        "kind": "recipient.delivered",
        "actor": "",
        "recipient": "binh@example.vn",
        "reply": "250 2.0.0 ok",
    }


def test_latest_first_and_no_more_than_asked_for(any_database: Database) -> None:
    old = message("binh@example.vn", at=NOON - timedelta(days=8))
    new = [message("Binh@example.vn", at=NOON + timedelta(seconds=i)) for i in range(3)]
    accept(any_database, old, *new)
    since = NOON - timedelta(days=7)
    with any_database.read() as session:
        found = trace.find(session, recipient="BINH@example.vn", since=since, limit=10)
        assert found == [one.queue_id for one in reversed(new)]
        few = trace.find(session, recipient="binh@example.vn", since=since, limit=2)
        assert few == found[:2]
        by_id = trace.find(
            session,
            header_message_id="<1@tinhmau.gov.vn>",
            since=NOON - timedelta(days=9),
            limit=10,
        )
        assert by_id == [*found, old.queue_id]


def test_refused_messages_are_found_in_the_ledger(any_database: Database) -> None:
    refused = MessageRefused(
        at=NOON,
        message_id="9" * 20,
        direction="inbound",
        code="freemail-inbound-document",
        mail_from="Dan@gmail.com",
        recipients=["VanThu@tinhmau.gov.vn"],
        header_message_id="<x@gmail.com>",
    )
    with any_database.write() as session:
        ledger.record(session, refused)
    since = NOON - timedelta(hours=1)
    with any_database.read() as session:
        for asked in (
            {"sender": "dan@gmail.com"},
            {"recipient": "vanthu@tinhmau.gov.vn"},
            {"header_message_id": "<x@gmail.com>"},
            {"sender": "dan@gmail.com", "recipient": "vanthu@tinhmau.gov.vn"},
        ):
            assert trace.find(session, **asked, since=since, limit=5) == ["9" * 20], asked
        for asked in ({"sender": "x@gmail.com"}, {"header_message_id": "<y@gmail.com>"}):
            assert trace.find(session, **asked, since=since, limit=5) == [], asked
