"""Facts from earlier mail and from the tree: who wrote first, what came before, what offices are called."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from mailgov import correspondence
from mailgov.db import Database
from mailgov.db.models import Mailbox, MessageRow, RecipientRow, VerdictRow
from mailgov_policies import Attachment, Content, Document, Envelope, RecipientFacts

from ..support.directory import AN, OFFICE, fill_directory

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
CITIZEN = "dan@gmail.com"
NOTICE = Document(
    type="thong-bao", number="12", symbol="TB-UBND", date="2026-11-20", agency="UBND TỈNH MẪU",
    is_agency_document=True,
)  # fmt: skip
WITH_NOTICE = Content(9, attachments=(Attachment("2", "a.pdf", "", "pdf", 1, document=NOTICE),))


@pytest.fixture
def people(database: Database) -> Database:
    with database.write() as session:
        fill_directory(session)
    return database


def _took(
    database: Database,
    queue_id: str,
    to: str,
    *,
    days: int = 1,
    direction: str = "inbound",
    state: str = "delivered",
    content: Content | None = None,
) -> None:
    """A message of the citizen that we took so many days ago."""
    at = NOW - timedelta(days=days)
    with database.write() as session:
        session.add(
            MessageRow(
                id=queue_id, direction=direction, mail_from=CITIZEN, header_from=CITIZEN,
                accepted_at=at, size_bytes=1, content_sha256=b"", prefix=b"",
            )
        )  # fmt: skip
        session.flush()
        verdict = VerdictRow(message_id=queue_id, action="pass", findings=[], judged_at=at)
        session.add(verdict)
        session.flush()
        assert verdict.id is not None
        box = session.exec(select(Mailbox.id).where(Mailbox.address == to)).first()
        session.add(
            RecipientRow(
                message_id=queue_id, verdict_id=verdict.id, address=to, mailbox_id=box,
                destination="mailbox", state=state,
            )
        )  # fmt: skip
        session.add_all(correspondence.taken(content or Content(1), queue_id, at))


def _reply(to: str = CITIZEN, mail_from: str = AN) -> Envelope:
    return Envelope(
        "submission", mail_from, (RecipientFacts(to, to.rpartition("@")[2], freemail=True),),
        login=AN, may_send_as=(AN, OFFICE),
    )  # fmt: skip


def _mailbox_id(session: Session, address: str) -> int:
    found = session.exec(select(Mailbox.id).where(Mailbox.address == address)).one()
    assert found is not None
    return found


def _received(database: Database, content: Content, queue_id: str = "") -> list[tuple[str, ...]]:
    with database.read() as session:
        to = RecipientFacts(
            OFFICE, "x.test", local=True, mailbox_id=_mailbox_id(session, OFFICE), agency="H99.02"
        )
        envelope = Envelope("inbound", "a@b.test", (to,))
        assert correspondence.is_asked(envelope, content)
        found = correspondence.recalled(session, envelope, content, NOW, queue_id).received
    return [(one.recipient, one.place, one.on) for one in found]


# Who wrote first --------------------------------------------------------------------------------


def _days(database: Database, envelope: Envelope) -> list[int]:
    assert correspondence.is_asked(envelope, Content(1))
    with database.read() as session:
        known = correspondence.recalled(session, envelope, Content(1), NOW)
    return [recipient.wrote_days_ago for recipient in known.recipients]


def test_who_wrote_to_one_of_the_senders_mailboxes_is_known_by_the_last_letter(
    people: Database,
) -> None:
    assert _days(people, _reply()) == [-1]
    _took(people, "1", AN, days=20)
    _took(people, "2", OFFICE, days=3)
    assert _days(people, _reply()) == [3]
    assert _days(people, _reply("khac@gmail.com")) == [-1]


@pytest.mark.parametrize(
    "letter",
    [{"to": "ai@khac.test"}, {"direction": "submission"}, {"days": 400}, {"state": "removed"}],
    ids=["to somebody else", "not from outside", "too long ago", "taken out of the queue"],
)
def test_other_letters_make_nobody_a_correspondent(
    people: Database, letter: dict[str, object]
) -> None:
    _took(people, "1", **{"to": AN, **letter})  # type: ignore[arg-type]  # fields of the letter
    assert _days(people, _reply()) == [-1]


@pytest.mark.parametrize(("mail_from", "public"), [(AN, False), (OFFICE, True)])
def test_the_mailbox_in_whose_name_it_is_sent_may_be_there_for_the_public(
    people: Database, mail_from: str, public: bool
) -> None:
    with people.write() as session:
        session.exec(
            select(Mailbox).where(col(Mailbox.address) == OFFICE)
        ).one().public_contact = True
    with people.read() as session:
        reply = _reply(mail_from=mail_from)
        assert correspondence.recalled(session, reply, Content(1), NOW).public_contact is public


# Documents that came before ---------------------------------------------------------------------


def test_a_document_is_known_again_by_number_notation_agency_and_date(people: Database) -> None:
    _took(people, "1", OFFICE, days=5, content=WITH_NOTICE)
    _took(people, "2", OFFICE, days=2, content=WITH_NOTICE)
    assert _received(people, WITH_NOTICE) == [(OFFICE, "part 2", "2026-11-16")]
    written = replace(NOTICE, number="012", agency="Ubnd  tỉnh Mẫu", place="body")
    assert _received(people, Content(9, found=written)) == [(OFFICE, "body", "2026-11-16")]


@pytest.mark.parametrize(
    "other",
    [{"number": "13"}, {"symbol": "BC-UBND"}, {"date": "2026-11-21"}, {"agency": "SỞ Y TẾ"}],
    ids=["number", "notation", "date", "agency"],
)
def test_one_that_differs_in_one_of_them_is_another(
    people: Database, other: dict[str, str]
) -> None:
    _took(people, "1", OFFICE, content=WITH_NOTICE)
    item = replace(WITH_NOTICE.attachments[0], document=replace(NOTICE, **other))  # type: ignore[arg-type]  # texts
    assert _received(people, replace(WITH_NOTICE, attachments=(item,))) == []


def test_the_same_file_is_the_same_document_when_it_does_not_say_its_date(
    people: Database,
) -> None:
    undated = replace(NOTICE, date="")
    item = replace(WITH_NOTICE.attachments[0], document=undated, sha256="ab" * 32)
    content = replace(WITH_NOTICE, attachments=(item,))
    _took(people, "1", OFFICE, content=content)
    assert _received(people, content) == [(OFFICE, "part 2", "2026-11-20")]
    other = replace(content, attachments=(replace(item, sha256="cd" * 32),))
    assert _received(people, other) == []


@pytest.mark.parametrize(
    ("took", "known"),
    [((OFFICE, "delivered"), True), ((AN, "delivered"), False), ((OFFICE, "held"), False)],
    ids=["got it", "somebody else got it", "has not got it yet"],
)
def test_only_those_who_have_it_are_told(
    people: Database, took: tuple[str, str], known: bool
) -> None:
    _took(people, "1", took[0], state=took[1], content=WITH_NOTICE)
    assert bool(_received(people, WITH_NOTICE)) is known


def test_a_message_is_no_duplicate_of_itself(people: Database) -> None:
    _took(people, "1", OFFICE, content=WITH_NOTICE)
    assert _received(people, WITH_NOTICE, queue_id="1") == []


# What agencies are called -----------------------------------------------------------------------


def test_offices_are_called_by_their_agency_and_those_above(people: Database) -> None:
    document = replace(NOTICE, addressees=("Sở Y tế",))
    content = Content(9, attachments=(Attachment("2", "a", "", "pdf", 1, document=document),))
    to = (RecipientFacts(OFFICE, "x.test", local=True, agency="H99.02"), RecipientFacts("a", "b"))
    envelope = Envelope("inbound", "a@b.test", to)
    assert correspondence.is_asked(envelope, content)
    with people.read() as session:
        office, other = correspondence.recalled(session, envelope, content, NOW).recipients
    assert office.agency_names == ("Ủy ban nhân dân tỉnh Mẫu", "Sở Nội vụ")
    assert other.agency_names == ()


@pytest.mark.parametrize(
    "recipients",
    [(), (RecipientFacts("a@b.gov.vn", "b.gov.vn", official=True),)],
    ids=["nobody", "an official elsewhere"],
)
def test_nothing_is_asked_of_ordinary_mail(recipients: Sequence[RecipientFacts]) -> None:
    envelope = Envelope("submission", AN, tuple(recipients), login=AN)
    assert not correspondence.is_asked(envelope, Content(1))
    assert not correspondence.is_asked(envelope, WITH_NOTICE)
