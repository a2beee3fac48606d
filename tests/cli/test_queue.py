"""`mailgov queue` and `mailgov trace` on waiting, held and refused mail."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

from mailgov import ledger
from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import MessageRow, RecipientRow, VerdictRow
from mailgov.ledger.events import MessageRefused
from mailgov.queue import NewMessage
from mailgov.queue.results import set_poison

from ..mailgov.queue.samples import accept, message
from .conftest import Run

WHY = ("--reason", "chờ xác minh")


@pytest.fixture
def waiting(database: Database) -> NewMessage:
    """One message to two recipients outside, deferred a while."""
    new = message("binh@example.vn", "chi@example.com", at=utc_now() - timedelta(hours=2))
    accept(database, new)
    with database.write() as session:
        for row in session.exec(select(RecipientRow)):
            row.next_attempt_at = utc_now() + timedelta(hours=1)
            row.last_reply = "451 4.7.1 greylisted"
            session.add(row)
    return new


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return dict(session.exec(select(RecipientRow.address, RecipientRow.state)).all())


def test_list_by_destination_age_and_reply(run: Run, waiting: NewMessage) -> None:
    rows = run("queue", "list", "--json").data
    assert [row["recipient"] for row in rows] == ["binh@example.vn", "chi@example.com"]
    assert rows[0]["queue_id"] == waiting.queue_id
    assert rows[0]["mail_from"] == "an@tinhmau.gov.vn"
    assert (rows[0]["state"], rows[0]["attempts"]) == ("queued", 0)
    assert rows[0]["last_reply"] == "451 4.7.1 greylisted"
    for filters, count in (
        (("--to", "Example.vn"), 1),
        (("--to", "example.org"), 0),
        (("--older", "1h"), 2),
        (("--older", "3h"), 0),
        (("--reply", "GREYLIST"), 2),
        (("--reply", "100%"), 0),
    ):
        assert len(run("queue", "list", *filters, "--json").data) == count, filters
    table = run("queue", "list", "--format", "table", "--lang", "en").stdout
    assert table.splitlines()[0].startswith("message")
    assert "queued" in table
    assert run("queue", "list", "--limit", "1", "--format", "jsonl").stdout.count("\n") == 1


def test_show_tells_everything_but_content(
    run: Run, waiting: NewMessage, database: Database
) -> None:
    with database.write() as session:
        verdict = session.exec(select(VerdictRow)).one()
        verdict.findings = [
            {"code": "legacy-encoding-possible", "action": "warn", "where": "body",
             "evidence": {"as_read": "lời của thư"}}
        ]  # fmt: skip
        session.add(verdict)
    result = run("queue", "show", waiting.queue_id, "--json")
    (record,) = result.data
    assert record["findings"] == [
        {"code": "legacy-encoding-possible", "action": "warn", "where": "body"}
    ]
    assert [entry["recipient"] for entry in record["recipients"]] == [
        "binh@example.vn",
        "chi@example.com",
    ]
    assert "lời của thư" not in result.stdout
    assert "chờ" in run("queue", "show", waiting.queue_id, "--format", "table").stdout


@pytest.mark.parametrize("verb", ["show", "retry", "hold", "release", "remove"])
@pytest.mark.usefixtures("folder")
def test_unknown_ids(run: Run, verb: str) -> None:
    reason = () if verb in ("show", "retry") else WHY
    yes = ("--yes",) if verb == "remove" else ()
    result = run("queue", verb, "0" * 20, *reason, *yes, "--lang", "en", "--json")
    assert result.exit == 3
    assert result.error["code"] == "queue-id-unknown"


def test_stats(run: Run, waiting: NewMessage, database: Database) -> None:
    accept(database, message("x@example.vn", held=True))
    rows = run("queue", "stats", "--json").data
    assert [(row["destination"], row["queued"], row["held"]) for row in rows] == [
        ("example.vn", 1, 1),
        ("example.com", 1, 0),
    ]


def test_retry_makes_mail_due(run: Run, waiting: NewMessage, database: Database) -> None:
    dry = run("queue", "retry", "--to", "example.vn", "-n", "--lang", "en")
    assert dry.stderr == "1 recipients would be due now; nothing was changed\n"
    result = run("queue", "retry", "--to", "example.vn", "--json")
    assert result.data == [{"queue_id": waiting.queue_id, "recipient": "binh@example.vn"}]
    with database.read() as session:
        due = session.exec(
            select(RecipientRow.address).where(col(RecipientRow.next_attempt_at) <= utc_now())
        ).all()
    assert due == ["binh@example.vn"]
    assert run("queue", "retry", waiting.queue_id, "--json").data == [
        {"queue_id": waiting.queue_id, "recipient": "chi@example.com"}
    ]


def test_hold_release_remove(run: Run, waiting: NewMessage, database: Database) -> None:
    held = run("queue", "hold", waiting.queue_id, *WHY)
    assert held.stderr == "đã giữ 2 người nhận\n"
    assert set(states(database).values()) == {"held"}
    assert run("queue", "hold", waiting.queue_id, *WHY, "--json").data == []
    released = run("queue", "release", waiting.queue_id, *WHY, "--lang", "en")
    assert released.stderr == "2 recipients released\n"
    assert set(states(database).values()) == {"queued"}
    removed = run("queue", "remove", waiting.queue_id, *WHY, "--yes")
    assert removed.stdout.splitlines() == [
        "queue_id\trecipient",
        f"{waiting.queue_id}\tbinh@example.vn",
        f"{waiting.queue_id}\tchi@example.com",
    ]
    assert set(states(database).values()) == {"removed"}
    with database.read() as session:
        row = session.exec(select(MessageRow)).one()
        assert row.done_at is not None
        assert row.content is None
    balance = run("audit", "conserve", "--json")
    assert (balance.exit, balance.data[0]["removed"]) == (0, 2)
    steps = run("trace", waiting.queue_id, "--json").data
    assert [step["kind"] for step in steps] == [
        "message.accepted",
        *["recipient.held"] * 2,
        *["recipient.released"] * 2,
        *["recipient.removed"] * 2,
    ]
    assert steps[1]["details"] == {"reason": "chờ xác minh"}


def test_removing_takes_the_file_of_a_large_message(
    run: Run, database: Database, folder: Path
) -> None:
    new = message(spool_name="ab/large")
    accept(database, new)
    body = folder / "data" / "spool" / "ab" / "large"
    body.parent.mkdir(parents=True)
    body.write_bytes(b"x")
    assert run("queue", "remove", new.queue_id, *WHY, "-n").exit == 0
    assert body.exists()
    assert run("queue", "remove", new.queue_id, *WHY, "--yes").exit == 0
    assert not body.exists()


@pytest.mark.parametrize(
    ("verb", "what"),
    [("hold", ("--to", "example.vn")), ("release", ("--older", "1h")), ("remove", ("ID",))],
)
def test_bulk_and_final_acts_need_consent(
    run: Run, waiting: NewMessage, database: Database, verb: str, what: tuple[str, ...]
) -> None:
    before = states(database)
    given = [waiting.queue_id if word == "ID" else word for word in what]
    result = run("queue", verb, *given, *WHY, "--json")
    assert result.exit == 10
    assert result.error["code"] == "consent-missing"
    assert states(database) == before
    assert run("queue", verb, *given, *WHY, "--dry-run").exit == 0
    assert states(database) == before


@pytest.mark.parametrize(("answer", "exit_code", "state"), [("y", 0, "held"), ("n", 10, "queued")])
def test_at_a_terminal_the_question_says_how_many(
    run: Run,
    waiting: NewMessage,
    database: Database,
    answer: str,
    exit_code: int,
    state: str,
) -> None:
    asked = ("queue", "hold", "--to", "example.vn", *WHY, "--lang", "en")
    assert run(*asked, "--no-input", stdin="y\n", at_terminal=True).exit == 10
    result = run(*asked, stdin=f"{answer}\n", at_terminal=True)
    assert result.exit == exit_code
    assert "Hold 1 recipients?" in result.stderr
    assert states(database)["binh@example.vn"] == state


@pytest.mark.usefixtures("folder")
def test_neither_ids_nor_filter_is_a_mistake(run: Run) -> None:
    for verb in ("retry", "hold", "release", "remove"):
        reason = () if verb == "retry" else WHY
        result = run("queue", verb, *reason, *(() if verb == "retry" else ("--yes",)), "--json")
        assert (result.exit, result.error["code"]) == (2, "queue-of-what")


def test_quarantined_and_corrupt_messages_are_not_released(run: Run, database: Database) -> None:
    quarantined, corrupt = message("a@example.vn", held=True), message("b@example.vn", held=True)
    accept(database, quarantined, corrupt)
    with database.write() as session:
        for row in session.exec(select(VerdictRow)):
            if row.message_id == quarantined.queue_id:
                row.action = "quarantine"
                session.add(row)
        message_row = session.get_one(MessageRow, corrupt.queue_id)
        message_row.state = "corrupt"
        session.add(message_row)
    assert run("queue", "release", "--to", "example.vn", *WHY, "--yes", "--json").data == []
    assert set(states(database).values()) == {"held"}


def test_what_is_under_way_is_left_alone(run: Run, waiting: NewMessage, database: Database) -> None:
    with database.write() as session:
        row = session.exec(
            select(RecipientRow).where(RecipientRow.address == "binh@example.vn")
        ).one()
        row.lease_until = utc_now() + timedelta(minutes=15)
        session.add(row)
    for verb in ("hold", "remove"):
        run("queue", verb, waiting.queue_id, *WHY, "--yes")
        assert states(database)["binh@example.vn"] == "queued"
    assert states(database)["chi@example.com"] == "removed"


def test_trace_finds_by_sender_recipient_and_message_id(
    run: Run, waiting: NewMessage, database: Database
) -> None:
    with database.write() as session:
        ledger.record(
            session,
            MessageRefused(
                at=utc_now(),
                message_id="9" * 20,
                mailbox="an@tinhmau.gov.vn",
                direction="submission",
                code="secret-mark",
                codes=["secret-mark"],
                mail_from="an@tinhmau.gov.vn",
                recipients=["dung@example.org"],
                header_message_id="<2@tinhmau.gov.vn>",
            ),
        )
    for asked, found in (
        (("--from", "An@tinhmau.gov.vn"), {waiting.queue_id, "9" * 20}),
        (("--to", "BINH@example.vn"), {waiting.queue_id}),
        (("--to", "dung@example.org"), {"9" * 20}),
        (("--from", "an@tinhmau.gov.vn", "--to", "dung@example.org"), {"9" * 20}),
        (("<1@tinhmau.gov.vn>",), {waiting.queue_id}),
        (("<2@tinhmau.gov.vn>",), {"9" * 20}),
        (("9" * 20,), {"9" * 20}),
    ):
        assert {step["message"] for step in run("trace", *asked, "--json").data} == found, asked
    refused = run("trace", "9" * 20, "--format", "table").stdout
    assert "từ chối" in refused
    assert "secret-mark" in refused
    assert "dung@example.org" in refused
    assert run("trace", "--to", "binh@example.vn", "--since", "1h").exit == 3
    assert run("trace", "--to", "nobody@example.vn").exit == 3


def test_conserve_tells_a_lost_message(run: Run, waiting: NewMessage, database: Database) -> None:
    with database.write() as session:
        session.delete(
            session.exec(
                select(RecipientRow).where(RecipientRow.address == "binh@example.vn")
            ).one()
        )
    result = run("audit", "conserve", "--json")
    assert result.exit == 8
    (record,) = result.data
    assert (record["balanced"], record["accepted"], record["queued"]) == (False, 2, 1)
    assert record["unbalanced"] == [waiting.queue_id]


def test_filters_by_sender_agency_and_state(
    run: Run, waiting: NewMessage, database: Database
) -> None:
    accept(database, message("x@example.vn", sender="", held=True))
    for filters, count in (
        (("--from", "AN@tinhmau.gov.vn"), 2),
        (("--from", "@tinhmau.gov.vn"), 2),
        (("--from", "@example.vn"), 0),
        (("--from", "<>"), 1),
        (("--agency", "H99.02"), 3),
        (("--agency", "H99"), 0),
        (("--state", "held"), 1),
        (("--state", "queued", "--to", "example.vn"), 1),
        (("--state", "poison"), 0),
    ):
        assert len(run("queue", "list", *filters, "--json").data) == count, filters
    wrong = run("queue", "list", "--state", "gone", "--lang", "en", "--json")
    assert (wrong.exit, wrong.error["code"]) == (2, "queue-state")


def test_flush_makes_all_that_waits_due(run: Run, waiting: NewMessage, database: Database) -> None:
    accept(database, message("x@example.vn", held=True))
    flushed = run("queue", "flush", "--json")
    assert [row["recipient"] for row in flushed.data] == ["binh@example.vn", "chi@example.com"]
    with database.read() as session:
        due = session.exec(
            select(RecipientRow.address).where(col(RecipientRow.next_attempt_at) <= utc_now())
        ).all()
    assert sorted(due) == ["binh@example.vn", "chi@example.com"]


def test_release_lets_poison_go(run: Run, waiting: NewMessage, database: Database) -> None:
    with database.write() as session:
        set_poison(session, waiting.queue_id, utc_now())
    (row,) = run("queue", "list", "--state", "poison", "--to", "example.vn", "--json").data
    assert (row["state"], row["message_state"]) == ("held", "poison")
    run("queue", "release", waiting.queue_id, *WHY)
    assert set(states(database).values()) == {"queued"}
    assert run("queue", "show", waiting.queue_id, "--json").data[0]["state"] == "intact"
