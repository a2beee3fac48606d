"""Who hears of held mail and refused secrets, and what they are told."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlmodel import col, select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import EventRow, Mailbox, MessageRow, RecipientRow
from mailgov.directory.provisioning import add_group, edit_group, grant_role
from mailgov.holding.passing import pass_on, remind
from mailgov.holding.refused_secrets import is_secret, stripped
from mailgov.holding.sending import MOST_IN_AN_HOUR
from mailgov.holding.telling import tell_held, tell_secret
from mailgov.ledger.events import MessageRefused
from mailgov.queue import NewMessage, enqueue
from mailgov.working_time import is_working_day
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
    assert "trước 08:00 25/11/2026" in text(told[AN])
    assert "awaits approval, due by 08:00 25/11/2026" in text(told[AN])
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
    for days in (2, 3, 30):
        assert reminded(people, MORNING + timedelta(days=days))
    assert [(e.agency_code, e.data["role"], e.data["overdue"]) for e in events(people)] == [
        ("H99", "it", 1)
    ] * 3


def owners(database: Database) -> list[tuple[str, str]]:
    """Role and agency of everybody who came to decide, in order."""
    with database.read() as session:
        query = select(EventRow).where(EventRow.kind == "held.assigned").order_by(col(EventRow.id))
        return [(row.data["role"], row.data["desk"]) for row in session.exec(query)]


def passed(database: Database, now: datetime) -> int:
    with database.write() as session:
        return pass_on(session, CONFIG, now)


def test_whoever_comes_to_decide_is_told_when_it_happens(people: Database) -> None:
    with people.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    new = held()
    hold(people, new)
    forget_letters(people)
    due = datetime(2026, 11, 25, 1, tzinfo=UTC)  # 24 November is a day off
    assert passed(people, due - timedelta(seconds=1)) == 0
    assert passed(people, due) == 1
    assert passed(people, due + timedelta(minutes=10)) == 0
    assert owners(people) == [("security-officer", "H99.02"), ("it", "H99")]
    told = letters(people)
    assert set(told) == {AN}
    assert told[AN]["Subject"].startswith("1 thư bị giữ được chuyển đến bạn duyệt")
    assert f"{new.queue_id} {AN} [encrypted-archive]" in text(told[AN])
    assert "→ 08:00 26/11/2026" in text(told[AN])


def forget_letters(database: Database) -> None:
    """Only what is told from now on counts."""
    with database.write() as session:
        for row in session.exec(select(MessageRow).where(MessageRow.mail_from == "")):
            row.mail_from = "told@before.test"


def test_an_owner_who_leaves_is_replaced_at_once(people: Database) -> None:
    with people.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    hold(people, held())
    forget_letters(people)
    with people.write() as session:
        session.exec(select(Mailbox).where(Mailbox.address == OFFICE)).one().state = "suspended"
    assert passed(people, MORNING + timedelta(minutes=10)) == 1
    assert set(letters(people)) == {AN}
    assert owners(people)[-1] == ("it", "H99")


def test_an_agency_without_anybody_passes_to_the_next_one_up(people: Database) -> None:
    hold(people, replace(held(), agency_code="H99.02.01"))
    assert owners(people) == [("security-officer", "H99.02")]


def test_nothing_lapses_whatever_the_clock_says(people: Database) -> None:
    """Seven weeks, Tết among them, look after look: somebody decides and hears of it daily."""
    with people.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    new = held(datetime(2027, 1, 4, 2, tzinfo=UTC))
    hold(people, new)
    days = set()
    for hours in range(0, 24 * 49, 6):
        now = new.accepted_at + timedelta(hours=hours)
        passed(people, now)
        if reminded(people, now):
            days.add(local_date(now))
    working = {d for n in range(49) if is_working_day(d := date(2027, 1, 4) + timedelta(n))}
    assert days >= working - {date(2027, 1, 4)}
    assert owners(people) == [("security-officer", "H99.02"), ("it", "H99")]
    with people.read() as session:
        states = select(RecipientRow.state).where(RecipientRow.message_id == new.queue_id)
        assert set(session.exec(states)) == {"held"}


def test_where_nobody_can_decide_the_ledger_says_so_at_once(database: Database) -> None:
    hold(database, held())
    assert owners(database) == [("", "")]
    assert passed(database, MORNING + timedelta(days=3)) == 0
    with database.write() as session:
        fill_directory(session)
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")
    assert passed(database, MORNING + timedelta(days=3)) == 1
    assert owners(database)[-1] == ("security-officer", "H99.02")
    assert set(letters(database)) == {OFFICE}


def test_no_reminders_on_days_off(people: Database) -> None:
    hold(people, held(datetime(2026, 11, 20, 8, tzinfo=UTC)))
    assert not reminded(people, datetime(2026, 11, 22, 1, tzinfo=UTC))
    assert reminded(people, datetime(2026, 11, 23, 1, tzinfo=UTC))


def test_the_sender_hears_what_was_found_where_and_why(people: Database) -> None:
    finding = Finding(
        "encrypted-archive", Action.HOLD, "part 2", {"place": "part 2", "file": "luong.zip"}, 1
    )
    new = held()
    hold(people, replace(new, verdict=replace(HELD, findings=(finding,))))
    told = letters(people)
    assert 'Ở đâu: tệp "luong.zip".' in text(told[AN])
    assert "Căn cứ: Luật An ninh mạng" in text(told[AN])
    assert "Basis: " in text(told[AN])
    assert "luong.zip" not in text(told[OFFICE])
    assert "Căn cứ: Luật An ninh mạng" in text(told[OFFICE])


def test_where_nobody_holds_a_role_the_ledger_says_so(database: Database) -> None:
    hold(database, held())
    assert reminded(database, MORNING + timedelta(hours=1))
    (event,) = events(database)
    assert (event.data["messages"], event.data["told"]) == (1, [])


def test_nothing_held_is_nothing_told(people: Database) -> None:
    assert reminded(people, MORNING)
    assert events(people) == []


def test_moderators_of_a_group_are_told_first_and_officers_when_they_let_it_lie(
    people: Database,
) -> None:
    group = "toan-so@sonoivu.tinhmau.test"
    with people.write() as session:
        add_group(session, act(), address=group, agency="H99.02")
        edit_group(session, act(), group, mode="moderated", add=[AN])
    waits = Finding(
        "group-moderated", Action.HOLD, f"recipient {group}", {"group": group, "members": "3"}, 1
    )
    stranger = message("binh@example.vn", sender="ai@khac.test", at=MORNING, held=True)
    new = replace(
        stranger,
        envelope=replace(stranger.envelope, login=None, direction="inbound"),
        verdict=Verdict(Action.HOLD, "group-moderated", (waits,), (), "default/1"),
        agency_code="H99.02",
    )
    hold(people, new)
    assert set(letters(people)) == {AN}
    forget_letters(people)
    assert passed(people, datetime(2026, 11, 25, 1, tzinfo=UTC)) == 1
    assert set(letters(people)) == {OFFICE}
    assert owners(people) == [("moderator", "H99.02"), ("security-officer", "H99.02")]
