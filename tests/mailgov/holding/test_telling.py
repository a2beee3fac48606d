"""Who hears of held mail and refused secrets, and what they are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlmodel import col, select

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import EventRow, MessageRow, RecipientRow
from mailgov.directory.provisioning import grant_role
from mailgov.holding.refused_secrets import is_secret, stripped
from mailgov.holding.telling import MOST_IN_AN_HOUR, remind, tell_held, tell_secret
from mailgov.ledger.events import MessageRefused
from mailgov.queue import NewMessage, enqueue
from mailgov_policies.verdict import Action, Finding, Verdict

from ...support.directory import AN, OFFICE, act, fill_directory
from ..queue.samples import message

MORNING = datetime(2026, 11, 23, 1, tzinfo=UTC)  # 8:00 in Vietnam
CONFIG = Config()
HELD = Verdict(Action.HOLD, "encrypted-archive", (), (), "default/1")
SECRET = Verdict(
    Action.REJECT,
    "secret-mark",
    (Finding("secret-mark", Action.REJECT, "part 2", {"mark": "TỐI MẬT"}, 1),),
    (),
    "default/1",
)


@pytest.fixture
def people(any_database: Database) -> Database:
    """An writes; the office of the department keeps its held mail."""
    with any_database.write() as session:
        fill_directory(session)
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")
    return any_database


def held(at: datetime = MORNING) -> NewMessage:
    new = message("binh@example.vn", sender=AN, at=at, held=True)
    return replace(new, verdict=HELD, envelope=replace(new.envelope, login=Address.parse(AN)))


def hold(database: Database, new: NewMessage, subject: str = "Danh sách") -> None:
    with database.write() as session:
        enqueue(session, new)
        tell_held(session, CONFIG, new, ["encrypted-archive"], subject)


def letters(database: Database) -> dict[str, EmailMessage]:
    """Notices by recipient."""
    with database.read() as session:
        rows = session.exec(
            select(RecipientRow.address, MessageRow.content)
            .join(MessageRow, col(MessageRow.id) == col(RecipientRow.message_id))
            .where(MessageRow.mail_from == "")
        ).all()
    return {
        address: message_from_bytes(content or b"", policy=policy.default)
        for address, content in rows
    }


def text(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_sender_and_keeper_hear_of_a_held_message(people: Database) -> None:
    new = held()
    hold(people, new)
    told = letters(people)
    assert set(told) == {AN, OFFICE}
    assert told[AN]["Subject"] == "Thư chờ duyệt: Danh sách / Held for approval"
    assert "trước 08:00 24/11/2026" in text(told[AN])
    assert "awaits approval, due by 08:00 24/11/2026" in text(told[AN])
    for mail in told.values():
        assert mail["Auto-Submitted"] == "auto-generated"
        assert new.queue_id in text(mail)
        assert "binh@example.vn" in text(mail)
        assert "/help/rules/encrypted-archive" in text(mail)
    assert AN in text(told[OFFICE])
    assert "Danh sách" not in told[OFFICE].as_string() + text(told[OFFICE])


def test_mail_of_strangers_is_told_to_keepers_only(people: Database) -> None:
    new = held()
    hold(people, replace(new, envelope=replace(new.envelope, login=None, direction="inbound")))
    assert set(letters(people)) == {OFFICE}


def test_nobody_is_buried_in_letters_and_the_reminder_still_comes(people: Database) -> None:
    for number in range(MOST_IN_AN_HOUR + 5):
        hold(people, held(MORNING + timedelta(minutes=number)))
    with people.read() as session:
        to_office = select(RecipientRow).where(RecipientRow.address == OFFICE)
        assert len(session.exec(to_office).all()) == MOST_IN_AN_HOUR
    assert reminded(people, MORNING + timedelta(hours=1))
    assert events(people)[0].data["messages"] == MOST_IN_AN_HOUR + 5


def test_a_subject_can_not_add_header_fields(people: Database) -> None:
    hold(people, held(), "a\r\nBcc: x@example.org\u2028b")
    mail = letters(people)[AN]
    assert mail["Bcc"] is None
    assert "a Bcc: x@example.org b" in mail["Subject"]


def test_a_refused_secret_is_told_to_the_officer_without_content(people: Database) -> None:
    refused = MessageRefused(
        at=MORNING, message_id="0" * 20, mailbox=AN, agency_code="H99.02.01",
        direction="submission", code="secret-mark", codes=["secret-mark"], category="notice",
        header_message_id="<1@x>", mail_from=AN, recipients=["binh@example.vn"],
    )  # fmt: skip
    assert is_secret(SECRET)
    assert not is_secret(HELD)
    with people.write() as session:
        kept = stripped(session, refused, SECRET, b"\1" * 32)
        again = stripped(session, refused, SECRET, b"\1" * 32)
        other = stripped(session, refused, SECRET, b"\2" * 32)
        tell_secret(session, CONFIG, kept)
    assert kept == again
    assert kept.content_mac != other.content_mac
    assert len(kept.content_mac) == 64
    assert (kept.marks, kept.mail_from, kept.code) == (["TỐI MẬT"], AN, "secret-mark")
    assert (kept.recipients, kept.header_message_id, kept.category) == ([], "", "")
    told = letters(people)
    assert set(told) == {OFFICE}
    assert "TỐI MẬT" in text(told[OFFICE])
    assert AN in text(told[OFFICE])
    assert "binh@example.vn" not in text(told[OFFICE])


def reminded(database: Database, now: datetime) -> bool:
    with database.write() as session:
        return remind(session, CONFIG, now)


def events(database: Database) -> list[EventRow]:
    with database.read() as session:
        return list(session.exec(select(EventRow).where(EventRow.kind == "held.reminded")))


def test_owners_are_reminded_once_a_day_from_the_morning_on(people: Database) -> None:
    new = held(MORNING - timedelta(hours=10))
    hold(people, new)
    assert not reminded(people, MORNING - timedelta(hours=2))
    assert reminded(people, MORNING)
    assert not reminded(people, MORNING + timedelta(hours=5))
    (event,) = events(people)
    assert (event.agency_code, event.data["told"]) == ("H99.02", [OFFICE])
    assert (event.data["messages"], event.data["overdue"]) == (1, 0)
    mail = letters(people)[OFFICE]
    assert mail["Subject"].startswith("1 thư đang chờ bạn duyệt")
    assert f"{new.queue_id} {AN} [encrypted-archive] 22:00 22/11/2026" in text(mail)


def test_what_was_let_lie_is_told_above_and_never_forgotten(people: Database) -> None:
    with people.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    hold(people, held())
    for days in (1, 2, 30):
        assert reminded(people, MORNING + timedelta(days=days))
    assert [(e.agency_code, e.data["role"], e.data["overdue"]) for e in events(people)] == [
        ("H99", "it", 1)
    ] * 3


def test_where_nobody_holds_a_role_the_ledger_says_so(database: Database) -> None:
    hold(database, held())
    assert reminded(database, MORNING + timedelta(hours=1))
    (event,) = events(database)
    assert (event.data["messages"], event.data["told"]) == (1, [])


def test_nothing_held_is_nothing_told(people: Database) -> None:
    assert reminded(people, MORNING)
    assert events(people) == []
