"""Automatic answers: to whom, when, how often, and what they look like (RFC 3834)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from mailgov import absence
from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock
from mailgov.db import Database
from mailgov.directory.provisioning import get_mailbox
from mailgov.directory.provisioning.absences import clear_absence, set_absence
from mailgov.errors import InputError
from mailgov.message import Body, Envelope, Recipient
from mailgov_policies import facts

from ..support.directory import AN, OFFICE, act, fill_directory

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
STRANGER = "dan@example.vn"
TEXT = "Tôi nghỉ phép đến hết 05/12; việc gấp xin gọi văn phòng."
HEADER = f"From: dan@example.vn\r\nTo: An <{AN}>\r\nSubject: Hoi\r\nMessage-ID: <1@example.vn>\r\n"


class Signer:
    """A key for every domain, or for none."""

    key = True

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        return f"DKIM-Signature: d={domain}\r\n".encode() if self.key else None


def leave(database: Database) -> Database:
    """An is away until 5 December."""
    with database.write() as session:
        fill_directory(session)
        last = date(2026, 12, 5)
        set_absence(session, act(), AN, TEXT, first_day=date(2026, 11, 24), last_day=last)
    return database


@pytest.fixture
def away(database: Database) -> Database:
    return leave(database)


def asked(
    database: Database, sender: str = STRANGER, header: str = HEADER, spf: str = "pass"
) -> absence.Asked:
    """A message to An."""
    with database.read() as session:
        number = get_mailbox(session, AN).id
    inbound = sender == STRANGER
    envelope = Envelope(
        direction="inbound" if inbound else "submission",
        mail_from=Address.parse(sender) if sender else None,
        recipients=(Recipient(Address.parse(AN)),),
    )
    known = facts.Envelope(
        direction=envelope.direction, mail_from=sender,
        recipients=(facts.RecipientFacts(AN, AN.partition("@")[2], local=True, mailbox_id=number),),
        authentication=facts.Authentication(spf=spf),  # type: ignore[arg-type]  # one of its words
    )  # fmt: skip
    told = facts.Header(subject="Hỏi lịch", message_id="<1@example.vn>")
    content = facts.Content(100, header=told)
    return absence.Asked(envelope, known, content, lambda: HeaderBlock(header.encode()))


async def answers(
    database: Database, message: absence.Asked, now: datetime = NOW, signer: Signer | None = None
) -> list[absence.Answer]:
    """What is answered, and noted as answered."""
    found = await absence.answers(message, database, signer or Signer(), Config(), now)
    with database.write() as session:
        for answer in found:
            absence.record(session, answer)
    return found


def letter(answer: absence.Answer) -> EmailMessage:
    message = message_from_bytes(answer.new.body.read(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def test_a_person_is_answered_in_ones_name(away: Database) -> None:
    (answer,) = await answers(away, asked(away))
    mail, new = letter(answer), answer.new
    assert mail["From"].addresses[0].addr_spec == AN
    assert mail["From"].addresses[0].display_name == "Nguyễn Văn An"
    assert mail["To"] == STRANGER
    assert mail["Subject"] == "Trả lời tự động: Hỏi lịch"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert (mail["In-Reply-To"], mail["References"]) == ("<1@example.vn>", "<1@example.vn>")
    assert mail.get_content().strip() == TEXT
    assert new.envelope.mail_from is None
    assert new.recipients[0].destination == "example.vn"
    assert new.prefix == b"DKIM-Signature: d=sonoivu.tinhmau.test\r\n"


async def test_once_in_seven_days_to_each_sender(any_database: Database) -> None:
    away = leave(any_database)
    assert len(await answers(away, asked(away))) == 1
    assert await answers(away, asked(away), NOW + timedelta(days=6, hours=23)) == []
    assert len(await answers(away, asked(away, OFFICE), NOW)) == 1
    assert len(await answers(away, asked(away), NOW + timedelta(days=7, seconds=1))) == 1


async def test_inside_it_goes_to_the_mailbox_unsigned(away: Database) -> None:
    signer = Signer()
    signer.key = False
    (answer,) = await answers(away, asked(away, OFFICE), signer=signer)
    assert answer.new.recipients[0].destination == "mailbox"
    assert answer.new.prefix == b""
    assert await answers(away, asked(away), signer=signer) == []


@pytest.mark.parametrize(
    ("day", "count"),
    [
        (date(2026, 11, 23), 0),
        (date(2026, 11, 24), 1),
        (date(2026, 12, 5), 1),
        (date(2026, 12, 6), 0),
    ],
)
async def test_from_the_first_to_the_last_day(away: Database, day: date, count: int) -> None:
    now = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
    assert len(await answers(away, asked(away), now)) == count


@pytest.mark.parametrize(
    "sender",
    ["", "owner-ds@example.vn", "ds-request@example.vn", "MAILER-DAEMON@example.vn",
     "no-reply@example.vn", "ds-bounces@example.vn", AN],
)  # fmt: skip
async def test_machines_and_oneself_are_not_answered(away: Database, sender: str) -> None:
    message = asked(away, sender or STRANGER)
    if not sender:
        message = replace(message, envelope=replace(message.envelope, mail_from=None))
    assert await answers(away, message) == []


@pytest.mark.parametrize(
    "field",
    ["Auto-Submitted: auto-generated", "Auto-Submitted: auto-replied", "Precedence: bulk",
     "precedence: List", "List-Id: <ds.example.vn>", "List-Unsubscribe: <mailto:x@example.vn>",
     "X-Auto-Response-Suppress: All"],
)  # fmt: skip
async def test_lists_and_automatic_mail_are_not_answered(away: Database, field: str) -> None:
    assert await answers(away, asked(away, header=f"{HEADER}{field}\r\n")) == []


@pytest.mark.parametrize("field", ["Auto-Submitted: no", "Precedence: first-class"])
async def test_what_says_it_is_not_automatic_is_answered(away: Database, field: str) -> None:
    assert len(await answers(away, asked(away, header=f"{HEADER}{field}\r\n"))) == 1


@pytest.mark.parametrize(
    ("to", "count"),
    [("ai@example.vn", 0), (f"x{AN}", 0), (f"{AN}.vn", 0), (AN.upper(), 1), (f"a@b.vn, <{AN}>", 1)],
)
async def test_only_who_wrote_to_the_mailbox_itself(away: Database, to: str, count: int) -> None:
    header = HEADER.replace(f"An <{AN}>", to)
    assert len(await answers(away, asked(away, header=header))) == count


@pytest.mark.parametrize("spf", ["none", "fail", "softfail", "temperror"])
async def test_a_sender_whose_domain_does_not_stand_for_it_is_not_answered(
    away: Database, spf: str
) -> None:
    assert await answers(away, asked(away, spf=spf)) == []


async def test_a_subject_and_an_id_can_not_add_fields(away: Database) -> None:
    message = asked(away)
    told = facts.Header(subject="a\r\nBcc: x@example.org\u2028b", message_id="<a>\r\nBcc: y@z.vn")
    (answer,) = await answers(away, replace(message, content=facts.Content(1, header=told)))
    assert letter(answer)["Bcc"] is None
    assert letter(answer)["In-Reply-To"] is None


async def test_cleared_is_silent(away: Database) -> None:
    with away.write() as session:
        assert not clear_absence(session, act(), AN).nothing
        assert clear_absence(session, act(), AN).nothing
    assert await answers(away, asked(away)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda s: set_absence(s, act(), AN, " "), "absence-text-not-valid"),
        (lambda s: set_absence(s, act(), AN, "x" * 2001), "absence-text-not-valid"),
        (
            lambda s: set_absence(
                s, act(), AN, "x", first_day=date(2026, 12, 5), last_day=date(2026, 12, 4)
            ),
            "absence-days-not-valid",
        ),
    ],
)
def test_refused(away: Database, change: Callable[[Any], Any], code: str) -> None:
    with pytest.raises(InputError, match=code), away.write() as session:
        change(session)
