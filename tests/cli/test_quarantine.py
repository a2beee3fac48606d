"""`mailgov quarantine` on mail that the policy holds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import EventRow, MessageRow, RecipientRow
from mailgov.directory.provisioning import grant_role
from mailgov.queue import NewMessage
from mailgov_policies.verdict import Action, Finding, Verdict

from ..mailgov.queue.samples import accept, body_of, message
from ..support.directory import AN, OFFICE, act
from .conftest import Run

WHY = ("--reason", "thư mời họp")
LETTER = (
    f"From: An <{AN}>\r\nTo: binh@example.vn\r\nSubject: =?utf-8?b?R2nhuqV5IG3hu51p?=\r\n\r\n%s\r\n"
)
Hold = Callable[..., NewMessage]


@pytest.fixture
def hold(database: Database) -> Hold:
    """Keep a message as the gate does when a rule says so."""
    with database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")

    def keep(
        text: str = "Moi hop.", code: str = "encrypted-archive", action: Action = Action.HOLD
    ) -> NewMessage:
        new = message(
            "binh@example.vn", "chi@example.vn", sender=AN, held=True,
            at=utc_now() - timedelta(hours=2), body=body_of((LETTER % text).encode()),
        )  # fmt: skip
        finding = Finding(code, action, "part 2", {"file": "bi-mat.zip"}, 1)
        verdict = Verdict(action, code, (finding,), (), "default/1")
        new = replace(new, verdict=verdict, envelope=replace(new.envelope, login=Address.parse(AN)))
        accept(database, new)
        return new

    return keep


def states(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.exec(select(RecipientRow.state)))


def kinds(database: Database, queue_id: str) -> list[str]:
    with database.read() as session:
        query = select(EventRow.kind).where(EventRow.message_id == queue_id)
        return list(session.exec(query))


def test_list_says_why_and_who_decides(run: Run, hold: Hold) -> None:
    new = hold()
    (row,) = run("quarantine", "list", "--json").data
    assert (row["queue_id"], row["action"], row["code"]) == (
        new.queue_id, "hold", "encrypted-archive",
    )  # fmt: skip
    assert row["recipients"] == ["binh@example.vn", "chi@example.vn"]
    assert row["owner"] == "security-officer H99.02"
    for filters, count in (
        (("--since", "1h"), 0),
        (("--since", "1d"), 1),
        (("--rule", "macro"), 0),
        (("--rule", "encrypted-archive"), 1),
    ):
        assert len(run("quarantine", "list", *filters, "--json").data) == count, filters
    assert run("quarantine", "list", "--format", "table").stdout.startswith("mã thư")


def test_what_an_administrator_held_is_none_of_it(run: Run, database: Database) -> None:
    new = message(held=True)
    accept(database, new)
    assert run("quarantine", "list", "--json").data == []
    result = run("quarantine", "remove", new.queue_id, *WHY, "--yes", "--json")
    assert (result.exit, result.error["code"]) == (5, "not-held")
    assert run("queue", "release", new.queue_id, *WHY).exit == 0


def test_show_tells_headers_and_no_content(run: Run, hold: Hold) -> None:
    new = hold("Noi dung rieng.")
    result = run("quarantine", "show", new.queue_id, "--json")
    (record,) = result.data
    assert ["subject", "Giấy mời"] in record["headers"]
    (finding,) = record["findings"]
    assert (finding["code"], finding["action"], finding["where"]) == (
        "encrypted-archive", "hold", "phần 2",
    )  # fmt: skip
    assert finding["basis"].startswith("Luật An ninh mạng")
    assert set(finding["steps"]) == {"webmail", "thunderbird", "outlook", "phone"}
    assert "Noi dung rieng" not in result.stdout
    assert "bi-mat.zip" not in result.stdout


def test_release_judges_again_and_lets_go(run: Run, hold: Hold, database: Database) -> None:
    new = hold()
    dry = run("quarantine", "release", new.queue_id, *WHY, "-n", "--lang", "en")
    assert dry.stderr == "1 messages would be released; nothing was changed\n"
    assert states(database) == {"held"}
    result = run("quarantine", "release", new.queue_id, *WHY, "--json")
    assert result.exit == 0
    (row,) = result.data
    assert (row["queue_id"], row["state"]) == (new.queue_id, "released")
    assert states(database) == {"queued"}  # the sender's letter too
    assert kinds(database, new.queue_id) == [
        "message.accepted", "message.rejudged", *["recipient.released"] * 2, "held.told",
    ]  # fmt: skip
    again = run("quarantine", "release", new.queue_id, *WHY, "--json")
    assert (again.exit, again.error["code"]) == (5, "not-held")


def test_what_would_be_refused_now_goes_only_anyway(
    run: Run, hold: Hold, database: Database
) -> None:
    forged = hold()
    with database.write() as session:
        session.get_one(MessageRow, forged.queue_id).login = "khac@sonoivu.tinhmau.test"
    result = run("quarantine", "release", forged.queue_id, *WHY, "--lang", "en")
    assert result.exit == 7
    assert "1 messages stay held" in result.stderr
    assert "sender-identity" in result.stdout
    assert states(database) == {"held"}
    assert run("quarantine", "release", forged.queue_id, *WHY, "--anyway").exit == 0
    with database.read() as session:
        event = session.exec(select(EventRow).where(EventRow.kind == "message.rejudged")).one()
    assert (event.data["overruled"], event.data["action"]) == (True, "reject")
    assert event.data["reason"] == "thư mời họp"


def test_corrupt_bytes_are_never_released(run: Run, hold: Hold, database: Database) -> None:
    new = hold()
    with database.write() as session:
        session.get_one(MessageRow, new.queue_id).content = b"x" * new.body.size_bytes
    result = run("quarantine", "release", new.queue_id, *WHY, "--anyway", "--json")
    assert (result.exit, result.error["code"]) == (5, "message-corrupt")
    assert states(database) == {"held"}


def test_remove_needs_consent_and_ends_recipients(run: Run, hold: Hold, database: Database) -> None:
    new = hold(action=Action.QUARANTINE)
    assert run("quarantine", "remove", new.queue_id, *WHY).exit == 10
    assert run("quarantine", "remove", new.queue_id, *WHY, "-n").exit == 0
    assert states(database) == {"held"}
    result = run("quarantine", "remove", new.queue_id, *WHY, "--yes")
    assert result.stderr == "đã gỡ 2 người nhận\n"
    assert states(database) == {"removed", "queued"}  # and the letter to the sender
    assert run("audit", "conserve").exit == 0
    assert run("quarantine", "list", "--json").data == []


def test_wrong_is_noted_and_changes_nothing(run: Run, hold: Hold, database: Database) -> None:
    new = hold()
    result = run("quarantine", "wrong", new.queue_id, *WHY, "--json")
    assert result.data == [{"queue_id": new.queue_id, "code": "encrypted-archive", "noted": True}]
    assert run("quarantine", "wrong", new.queue_id, *WHY, "--json").data[0]["noted"] is False
    assert kinds(database, new.queue_id) == ["message.accepted", "hit.wrong", "held.told"]
    steps = run("trace", new.queue_id, "--format", "table").stdout
    assert "báo bắt nhầm" in steps


@pytest.mark.parametrize("verb", ["show", "release", "remove", "wrong"])
@pytest.mark.usefixtures("folder")
def test_unknown_ids(run: Run, verb: str) -> None:
    reason = () if verb == "show" else WHY
    result = run("quarantine", verb, "0" * 20, *reason, "--json")
    assert (result.exit, result.error["code"]) == (3, "queue-id-unknown")
