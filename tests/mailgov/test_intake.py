"""The gate: what it lets in, what it writes, what it leaves behind."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from mailgov import faults
from mailgov.addresses import Address
from mailgov.authentication import Authenticated
from mailgov.config import Config, Limits
from mailgov.db import Database
from mailgov.db.models import EventRow, Mailbox, MessageRow, RecipientRow, Refusal, VerdictRow
from mailgov.directory.groups import Member
from mailgov.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from mailgov.intake import Intake
from mailgov.message import Body, Envelope, Recipient
from mailgov.queue import Queue, Spool
from mailgov.rulesets import AgencyRulesets
from mailgov.scanner import Scan
from mailgov_policies import Action, default_ruleset, facts
from mailgov_policies.stored import restore

from ..support.directory import fill_directory

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
AN = "annv@sonoivu.tinhmau.gov.vn"
BINH = "binhtt@sotaichinh.tinhmau.gov.vn"
LETTER = (
    b"From: An <annv@sonoivu.tinhmau.gov.vn>\r\nTo: binhtt@sotaichinh.tinhmau.gov.vn\r\n"
    b"Bcc: khac@sonoivu.tinhmau.gov.vn\r\nSubject: Thu\r\n\r\nXin chao.\r\n"
)

GROUP = "toan-so@sonoivu.tinhmau.gov.vn"

PLAIN = facts.Content(100, header=facts.Header(subject="Thu", from_=(facts.Person("An", AN),)))


@dataclass
class Reader:
    """Facts that a test decides."""

    content: facts.Content = PLAIN
    trouble: Exception | None = None
    read_bodies: list[bytes] = field(default_factory=list)

    async def read(self, body: Body) -> facts.Content:
        self.read_bodies.append(body.read())
        if self.trouble:
            raise self.trouble
        return self.content


class People:
    """An writes, Bình is ours, everybody else is not."""

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        recipients = tuple(
            facts.RecipientFacts(
                str(r.address), r.address.domain, local=str(r.address) == BINH,
                official=r.address.domain.endswith("gov.vn"),
                mailbox_id=None, agency="H99.04" if str(r.address) == BINH else "",
            )
            for r in envelope.recipients
        )  # fmt: skip
        return facts.Envelope(
            direction=envelope.direction, mail_from=str(envelope.mail_from or ""),
            recipients=recipients, login=AN if envelope.login else "", may_send_as=(AN,),
            sender_local=True, agency="H99.02" if envelope.login else "",
            local_domains=("sonoivu.tinhmau.gov.vn", "sotaichinh.tinhmau.gov.vn"),
            authentication=authentication,
        )  # fmt: skip


@dataclass
class PeopleWithGroup(People):
    """And a group, with An and Bình in it."""

    asked: list[int] = field(default_factory=list)

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        known = await super().envelope_facts(envelope, authentication)
        recipients = tuple(
            replace(one, local=True, kind="group", mailbox_id=70) if one.address == GROUP else one
            for one in known.recipients
        )
        return replace(known, recipients=recipients)

    async def members(self, group_ids: Sequence[int]) -> Sequence[Member]:
        self.asked += group_ids
        return [Member(AN, 1), Member(BINH, 2)]


class Stranger:
    """Authentication that found nothing."""

    async def check(
        self, envelope: Envelope, header: bytes, body: Body, authors: Sequence[str]
    ) -> Authenticated:
        return Authenticated(
            facts.Authentication(), b"Authentication-Results: mail.vidu.gov.vn; none\r\n"
        )


@dataclass
class Signing:
    """A signature for whoever has a key."""

    has_key: bool = True

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        return f"DKIM-Signature: d={domain}\r\n".encode() if self.has_key else None


@pytest.fixture
def gate(database: Database, tmp_path: Path) -> Intake:
    spool = Spool(tmp_path / "spool")
    spool.prepare(database)
    config = Config()
    queue = Queue(database, spool, config.delivery, lambda: NOW)
    return Intake(
        config=config, clock=lambda: NOW, database=database, directory=People(), readers=Reader(),
        authenticator=Stranger(), rules=AgencyRulesets(default_ruleset(), None, database), signer=Signing(), spool=spool, queue=queue,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    faults.set_handler(None)


def body(data: bytes = LETTER) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


def envelope(to: str = BINH, *, inbound: bool = False) -> Envelope:
    an = Address.parse(AN)
    return Envelope(
        direction="inbound" if inbound else "submission",
        mail_from=Address.parse("dan@example.org") if inbound else an,
        recipients=(Recipient(Address.parse(to)),),
        login=None if inbound else an,
    )


def rows(database: Database) -> tuple[list[MessageRow], list[RecipientRow], list[str]]:
    with database.read() as session:
        return (
            list(session.exec(select(MessageRow))),
            list(session.exec(select(RecipientRow))),
            [event.kind for event in session.exec(select(EventRow))],
        )


async def test_an_accepted_message_is_stored_with_verdict_recipients_and_event(
    gate: Intake,
) -> None:
    outcome = await gate.receive(envelope(), body())
    assert outcome.accepted
    messages, recipients, events = rows(gate.database)
    assert [m.id for m in messages] == [outcome.queue_id]
    assert [(r.address, r.state, r.destination) for r in recipients] == [
        (BINH, "queued", "mailbox")
    ]
    assert events == ["message.accepted"]
    with gate.database.read() as session:
        verdict = session.exec(select(VerdictRow)).one()
    assert recipients[0].verdict_id == verdict.id


async def test_trace_and_signature_come_before_the_bytes_received(gate: Intake) -> None:
    await gate.receive(envelope(), body())
    message = rows(gate.database)[0][0]
    names = [
        line.partition(b":")[0] for line in message.prefix.split(b"\r\n") if line[:1] not in b"\t "
    ]
    assert names == [b"DKIM-Signature", b"Received", b"Message-ID", b"Date"]
    assert message.content == LETTER.replace(b"Bcc: khac@sonoivu.tinhmau.gov.vn\r\n", b"")


async def test_fields_in_our_name_are_taken_from_strangers_mail(gate: Intake) -> None:
    forged = (
        b"X-Mailgov-Policy: action=accept\r\nAuthentication-Results: mail.vidu.gov.vn; dkim=pass\r\n"
        b"Authentication-Results: elsewhere.example; dkim=fail\r\nReturn-Path: <x@y.vn>\r\n"
    )
    await gate.receive(envelope(inbound=True), body(forged + LETTER))
    content = rows(gate.database)[0][0].content
    assert content == b"Authentication-Results: elsewhere.example; dkim=fail\r\n" + LETTER


@pytest.mark.parametrize(
    "server",
    [
        b"mail.vidu.gov.vn\t1",
        b"mail.vidu.gov.vn\r\n 1",
        b"MAIL.vidu.gov.vn 1",
        b"(c) mail.vidu.gov.vn",
        b"(a;b) mail.vidu.gov.vn",
        b"(a=b) mail.vidu.gov.vn",
        b"mail.vidu.gov.vn(c)",
        b'"mail.vidu.gov.vn"',
        b'"mail.vidu\\.gov.vn"',
        b"mail.vidu.gov.vn.",
        b"\r\n\tmail.vidu.gov.vn",
    ],
)
async def test_results_in_our_name_are_taken_out_however_written(
    gate: Intake, server: bytes
) -> None:
    forged = b"Authentication-Results: " + server + b"; dkim=pass header.d=vidu.gov.vn\r\n"
    await gate.receive(envelope(inbound=True), body(forged + LETTER))
    assert rows(gate.database)[0][0].content == LETTER


@pytest.mark.parametrize(
    "server",
    [
        b"bmail.vidu.gov.vn",
        b"mail.vidu.gov.vn.example",
        b"x.example; spf=pass smtp.helo=mail.vidu.gov.vn",
    ],
)
async def test_results_of_others_stay(gate: Intake, server: bytes) -> None:
    given = b"Authentication-Results: " + server + b"; dkim=pass\r\n" + LETTER
    await gate.receive(envelope(inbound=True), body(given))
    assert rows(gate.database)[0][0].content == given


@pytest.mark.parametrize("line", [b"From x Mon Jan  1 00:00:00 2026\r\n", b">From x\r\n"])
async def test_no_separator_of_a_mail_file_comes_to_stand_within_the_header(
    gate: Intake, line: bytes
) -> None:
    await gate.receive(envelope(inbound=True), body(line + LETTER))
    assert rows(gate.database)[0][0].content == LETTER


async def test_a_large_message_without_bcc_leaves_no_copy_behind(
    gate: Intake, tmp_path: Path
) -> None:
    writer = gate.spool.writer()
    writer.write(LETTER + b"x" * 600_000)
    given = writer.finish()
    await gate.receive(envelope(), given)
    message = rows(gate.database)[0][0]
    kept = tmp_path / "spool" / message.spool_name
    assert (
        kept.read_bytes()
        == LETTER.replace(b"Bcc: khac@sonoivu.tinhmau.gov.vn\r\n", b"") + b"x" * 600_000
    )
    assert [path.name for path in (tmp_path / "spool/tmp").iterdir()] == [
        given.path.name if given.path else ""
    ]


async def test_a_refused_secret_leaves_an_event_and_no_copy(gate: Intake, tmp_path: Path) -> None:
    reader = gate.readers
    assert isinstance(reader, Reader)
    mark = facts.Mark("secrecy", "MẬT", "part 2", certain=True, line="MẬT")
    reader.content = replace(reader.content, marks=(mark,))
    outcome = await gate.receive(envelope(), body())
    assert (outcome.verdict.action, outcome.verdict.code) == (Action.REJECT, "secret-mark")
    messages, recipients, events = rows(gate.database)
    assert (messages, recipients, events) == ([], [], ["message.refused"])
    assert list((tmp_path / "spool/tmp").iterdir()) == []
    with gate.database.read() as session:
        event = session.exec(select(EventRow)).one()
    assert event.data["marks"] == ["MẬT"]
    assert len(event.data["content_mac"]) == 64
    assert hashlib.sha256(LETTER).hexdigest() not in str(event.data)
    assert (event.data["recipients"], event.data["header_message_id"]) == ([], "")


async def test_a_group_gives_way_to_its_members_each_once(gate: Intake) -> None:
    gate = replace(gate, directory=PeopleWithGroup())
    with gate.database.write() as session:
        fill_directory(session)  # mailboxes 1 and 2
    both = (Recipient(Address.parse(BINH)), Recipient(Address.parse(GROUP)))
    outcome = await gate.receive(replace(envelope(), recipients=both), body())
    assert [one.address for one in outcome.facts.envelope.recipients] == [BINH, GROUP]
    _, recipients, _ = rows(gate.database)
    told = [(r.address, r.mailbox_id, r.group_id, r.original) for r in recipients]
    assert told == [(BINH, None, None, ""), (AN, 1, 70, f"rfc822;{GROUP}")]
    assert {r.destination for r in recipients} == {"mailbox"}


async def test_advice_for_another_server_leaves_an_event_alone(
    gate: Intake, tmp_path: Path
) -> None:
    outcome = await gate.advise(envelope(), body(), elsewhere="4XyZ1")
    assert (outcome.verdict.action, outcome.accepted) == (Action.PASS, True)
    assert rows(gate.database) == ([], [], ["message.advised"])
    assert list((tmp_path / "spool/tmp").iterdir()) == []
    with gate.database.read() as session:
        event = session.exec(select(EventRow)).one()
    assert (event.message_id, event.mailbox) == (outcome.queue_id, AN)
    assert (event.data["elsewhere"], event.data["recipients"]) == ("4XyZ1", [BINH])


async def test_advice_refuses_as_the_gate_does(gate: Intake) -> None:
    reader = gate.readers
    assert isinstance(reader, Reader)
    mark = facts.Mark("secrecy", "MẬT", "part 2", certain=True, line="MẬT")
    reader.content = replace(reader.content, marks=(mark,))
    outcome = await gate.advise(envelope(), body())
    assert outcome.verdict.code == "secret-mark"
    with gate.database.read() as session:
        event = session.exec(select(EventRow)).one()
    assert (event.kind, event.data["channel"]) == ("message.refused", "milter")
    assert (event.data["recipients"], event.data["marks"]) == ([], ["MẬT"])


@dataclass
class Scanner:
    """A scanner that says what a test decides."""

    found: Scan = field(default_factory=lambda: Scan("clean"))
    trouble: Exception | None = None

    async def scan(self, body: Body) -> Scan:
        if self.trouble:
            raise self.trouble
        return self.found


@pytest.mark.parametrize(
    ("found", "action", "code"),
    [
        (Scan("clean"), Action.PASS, ""),
        (Scan("infected", ("Win.Trojan.Mau-2",)), Action.REJECT, "malware"),
        (Scan("not-scanned"), Action.HOLD, "malware"),
    ],
)
async def test_what_the_scanner_finds_decides(
    gate: Intake, found: Scan, action: Action, code: str
) -> None:
    scanned = replace(gate, scanner=Scanner(found))
    outcome = await scanned.receive(envelope(), body())
    assert (outcome.verdict.action, outcome.verdict.code) == (action, code)
    assert (await scanned.check(envelope(), body())).verdict.action is action


async def test_without_the_scanner_mail_waits_with_its_sender(gate: Intake) -> None:
    down = replace(gate, scanner=Scanner(trouble=Unavailable("scanner-unavailable")))
    with pytest.raises(Unavailable, match="scanner-unavailable"):
        await down.receive(envelope(), body())
    assert rows(gate.database) == ([], [], [])


async def test_trouble_of_the_reader_does_not_leave_the_scanner_alone(gate: Intake) -> None:
    reader = gate.readers
    assert isinstance(reader, Reader)
    reader.trouble = Unavailable("readers-unavailable")
    both = replace(gate, scanner=Scanner(trouble=Unavailable("scanner-unavailable")))
    with pytest.raises(Unavailable, match="readers-unavailable"):
        await both.receive(envelope(), body())


async def test_a_held_message_is_judged_again_by_the_rules_in_force_now(gate: Intake) -> None:
    reader = gate.readers
    assert isinstance(reader, Reader)
    locked = facts.Attachment("2", "a.zip", "application/zip", "zip", 9, state="encrypted")
    reader.content = replace(reader.content, attachments=(locked,))
    outcome = await gate.receive(envelope(), body())
    assert outcome.verdict.action is Action.HOLD
    first = outcome.facts.envelope
    again = await gate.rejudge(outcome.queue_id)
    assert again.verdict == outcome.verdict
    assert again.facts.envelope == first
    assert reader.read_bodies[0] == reader.read_bodies[1]
    reader.content = replace(reader.content, attachments=())
    assert (await gate.rejudge(outcome.queue_id)).verdict.action < Action.HOLD


async def test_what_is_not_there_or_spoilt_is_not_judged_again(gate: Intake) -> None:
    with pytest.raises(NotFound, match="queue-id-unknown"):
        await gate.rejudge("0" * 20)
    outcome = await gate.receive(envelope(), body())
    with gate.database.write() as session:
        session.get_one(MessageRow, outcome.queue_id).content = b"other"
    with pytest.raises(Conflict, match="message-corrupt"):
        await gate.rejudge(outcome.queue_id)
    with gate.database.write() as session:
        session.get_one(MessageRow, outcome.queue_id).done_at = NOW
    with pytest.raises(Conflict, match="message-gone"):
        await gate.rejudge(outcome.queue_id)


async def test_without_a_key_nothing_leaves_the_province(gate: Intake) -> None:
    unsigned = replace(gate, signer=Signing(has_key=False))
    await unsigned.receive(envelope(BINH), body())
    with pytest.raises(Unavailable, match="signing-key-absent"):
        await unsigned.receive(envelope("ban@example.org"), body())
    assert len(rows(gate.database)[0]) == 1


async def test_trouble_of_our_own_is_neither_a_yes_nor_a_no(gate: Intake) -> None:
    reader = gate.readers
    assert isinstance(reader, Reader)
    reader.trouble = Unavailable("readers-unavailable")
    with pytest.raises(Unavailable):
        await gate.receive(envelope(), body())
    assert rows(gate.database) == ([], [], [])


@pytest.mark.parametrize("point", ["A6", "A7", "A11"])
async def test_a_fault_before_the_commit_leaves_nothing(gate: Intake, point: str) -> None:
    def fail(name: str) -> None:
        if name == point:
            raise OSError("the machine trips")

    faults.set_handler(fail)
    with pytest.raises(OSError, match="trips"):
        await gate.receive(envelope(), body())
    assert rows(gate.database) == ([], [], [])


async def test_a_judgement_that_takes_too_long_is_trouble_of_our_own(gate: Intake) -> None:
    class Sleeper:
        async def read(self, body: Body) -> facts.Content:
            import asyncio

            await asyncio.Event().wait()
            raise AssertionError

    limits = Limits(decision_seconds=5).model_copy(update={"decision_seconds": 0.01})
    config = gate.config.model_copy(update={"limits": limits})
    with pytest.raises(Unavailable, match="decision-late"):
        await replace(gate, readers=Sleeper(), config=config).receive(envelope(), body())


async def test_the_live_check_says_the_same_and_writes_nothing(gate: Intake) -> None:
    judgement = await gate.check(envelope(), body())
    assert judgement.verdict == (await gate.receive(envelope(), body())).verdict
    assert len(rows(gate.database)[0]) == 1


async def test_the_reason_of_the_writer_is_kept_with_the_event(gate: Intake) -> None:
    await gate.receive(envelope(), body(), channel="web", reason="đã gửi bản giấy")

    def find(session: Session) -> EventRow:
        return session.exec(select(EventRow)).one()

    event = await gate.database.query(find)
    assert event.data["reason"] == "đã gửi bản giấy"
    assert event.data["channel"] == "web"


async def test_what_the_verdict_rests_on_is_kept_without_the_words_of_the_message(
    gate: Intake,
) -> None:
    outcome = await gate.receive(envelope(), body())
    with gate.database.read() as session:
        row = session.exec(
            select(VerdictRow).where(VerdictRow.message_id == outcome.queue_id)
        ).one()
    assert row.facts is not None
    kept = restore(row.facts)
    assert kept.envelope.recipients == outcome.facts.envelope.recipients
    assert kept.content.size_bytes == outcome.facts.content.size_bytes
    assert set(kept.content.header.subject) <= {"…"}


# What earlier mail says -------------------------------------------------------------------------


class OfficeAndCitizen(People):
    """Bình has a mailbox of ours, the citizen a free one."""

    def __init__(self, mailbox_id: int) -> None:
        self._mailbox_id = mailbox_id

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        known = await super().envelope_facts(envelope, authentication)
        return replace(
            known,
            recipients=tuple(
                replace(r, mailbox_id=self._mailbox_id if r.local else None, freemail=not r.local)
                for r in known.recipients
            ),
        )


@pytest.fixture
def with_history(gate: Intake) -> Intake:
    with gate.database.write() as session:
        fill_directory(session)
        mailbox_id = session.exec(select(Mailbox.id)).first()
    assert mailbox_id is not None
    return replace(gate, directory=OfficeAndCitizen(mailbox_id))


def _document(**more: str) -> facts.Content:
    document = facts.Document(
        number="12", symbol="TB-SNV", date="2026-11-20", agency="SỞ NỘI VỤ",
        is_agency_document=True, place="body",
    )  # fmt: skip
    header = facts.Header(subject="Thông báo", from_=(facts.Person("An", AN),))
    return facts.Content(100, header=header, found=replace(document, **more))  # type: ignore[arg-type]  # texts


async def test_a_document_that_comes_again_is_marked(with_history: Intake) -> None:
    gate = replace(with_history, readers=Reader(_document()))
    first = await gate.receive(envelope(), body())
    again = await gate.receive(envelope(), body())
    assert (first.verdict.action, again.verdict.action) == (Action.PASS, Action.TAG)
    assert again.verdict.code == "duplicate-document"
    assert again.verdict.findings[0].evidence["date"] == "2026-11-21"
    other = replace(gate, readers=Reader(_document(number="13")))
    assert (await other.receive(envelope(), body())).verdict.action is Action.PASS


async def test_a_held_document_is_no_duplicate_of_itself(with_history: Intake) -> None:
    encrypted = facts.Attachment("2", "a.zip", "", "zip", 1, state="encrypted")
    content = replace(_document(), attachments=(encrypted,))
    gate = replace(with_history, readers=Reader(content))
    held = await gate.receive(envelope(), body())
    assert held.verdict.action is Action.HOLD
    again = await gate.rejudge(held.queue_id)
    assert "duplicate-document" not in again.verdict.labels


async def test_a_document_goes_to_a_free_mailbox_only_as_an_answer(with_history: Intake) -> None:
    gate = replace(with_history, readers=Reader(_document()))
    refused = await gate.receive(envelope("dan@gmail.com"), body())
    assert (refused.verdict.action, refused.verdict.code) == (Action.REJECT, "freemail-outbound")
    citizen = facts.Header(subject="Hỏi", from_=(facts.Person("Dân", "dan@gmail.com"),))
    asks = replace(gate, readers=Reader(facts.Content(100, header=citizen)))
    await asks.receive(replace(envelope(AN), direction="inbound", login=None), body())
    answer = await gate.receive(envelope("dan@gmail.com"), body())
    assert answer.verdict.action is Action.WARN
    assert answer.verdict.code == "freemail-citizen-exception"


# What is kept of refused mail -------------------------------------------------------------------


def _refusals(gate: Intake) -> list[Refusal]:
    with gate.database.read() as session:
        return list(session.exec(select(Refusal)))


async def test_of_refused_mail_the_facts_are_kept_without_its_words(gate: Intake) -> None:
    program = facts.Attachment("2", "riêng.exe", "", "exe", 1)
    content = replace(PLAIN, attachments=(program,))
    refused = await replace(gate, readers=Reader(content)).receive(envelope(), body())
    (kept,) = _refusals(gate)
    assert (kept.message_id, kept.agency_code) == (refused.queue_id, "H99.02")
    assert restore(kept.facts).content.attachments[0].kind == "exe"
    assert "riêng" not in str(kept.facts)


async def test_of_refused_secrets_and_of_accepted_mail_there_is_no_such_row(gate: Intake) -> None:
    secret = replace(PLAIN, marks=(facts.Mark("secrecy", "MẬT", "body", certain=True),))
    refused = await replace(gate, readers=Reader(secret)).receive(envelope(), body())
    assert refused.verdict.action is Action.REJECT
    await gate.receive(envelope(), body())
    assert _refusals(gate) == []


@dataclass
class BrokenAtCommit:
    """A database whose connection breaks at the commit, before or after it was done."""

    database: Database
    done: bool
    answers: bool = True

    async def submit(self, work: Callable[[Session], object]) -> object:
        if self.done:
            await self.database.submit(work)
        raise OutcomeUnknown("database-unavailable", reason="connection lost")

    async def query(self, work: Callable[[Session], object]) -> object:
        if not self.answers:
            raise Unavailable("database-unavailable", reason="connection refused")
        return await self.database.query(work)


@pytest.mark.parametrize(
    ("done", "answers", "accepted"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
async def test_a_commit_without_an_answer_is_looked_up_before_anyone_says_yes(
    gate: Intake, monkeypatch: pytest.MonkeyPatch, done: bool, answers: bool, accepted: bool
) -> None:
    monkeypatch.setattr("mailgov.intake.LOOK_UP_SECONDS", (0.0, 0.0))
    broken: Any = BrokenAtCommit(gate.database, done, answers)
    rules = replace(gate, database=broken)
    if accepted:
        assert (await rules.receive(envelope(), body())).accepted
    else:
        with pytest.raises(Unavailable, match="database-unavailable"):
            await rules.receive(envelope(), body())
    assert len(rows(gate.database)[0]) == int(done)
