"""Forwards at the gate: within the platform, denied outside, passed on where rules let it out."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlmodel import Session, select

from mailgov.addresses import Address
from mailgov.authentication import Authenticated
from mailgov.authentication.passing_on import arc_set
from mailgov.config import Config, load_config
from mailgov.db import Database
from mailgov.db.models import Forward, Instance, Mailbox, MessageRow, RecipientRow
from mailgov.db.models.instance import RETURN_PATH_KEY
from mailgov.delivery.transports import Transport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.delivery.worker import Worker
from mailgov.directory import Directory
from mailgov.directory.provisioning import NewMailbox, add_mailbox, suspend
from mailgov.directory.provisioning.absences import set_absence
from mailgov.directory.provisioning.forwards import add_forward, remove_forward
from mailgov.errors import InputError, NotFound
from mailgov.intake import Intake
from mailgov.message import Body, Envelope, Recipient
from mailgov.queue import MAILBOX, Queue, Spool
from mailgov.rulesets import AgencyRulesets
from mailgov.signing import Signer
from mailgov.signing.dns_records import dkim_value
from mailgov.signing.keyring import KeyRing
from mailgov.signing.keys import create_key
from mailgov_policies import Facts, Ruleset, Verdict, default_ruleset, facts

from ..support.directory import AN, OFFICE, SUFFIXES, act, fill_directory
from ..support.dns import FakeResolver
from ..support.smtp_peer import Peer, serving

NOW = datetime(2024, 11, 25, 2, tzinfo=UTC)  # dkimpy takes no seal from the future
TODAY = date(2024, 11, 25)
US = Config().authserv_id
DAN = "dan@example.vn"
AWAY = "An.Nha@example.org"
BINH = "binhtt@sonoivu.tinhmau.test"
LETTER = (
    b"From: dan@example.vn\r\nTo: annv@sonoivu.tinhmau.test\r\nSubject: Hoi\r\n"
    b"Date: Wed, 25 Nov 2026 08:59:00 +0700\r\nMessage-ID: <1@example.vn>\r\n\r\nXin chao.\r\n"
)


class Reader:
    """Nothing is wrong with any message."""

    async def read(self, body: Body) -> facts.Content:
        person = facts.Person("", DAN)
        header = facts.Header(subject="Hoi", message_id="<1@example.vn>", from_=(person,))
        return facts.Content(body.size_bytes, header=header)


class Checks:
    """SPF passed."""

    async def check(
        self, envelope: Envelope, header: bytes, body: Body, authors: Sequence[str]
    ) -> Authenticated:
        field = f"Authentication-Results: {US}; spf=pass smtp.mailfrom=dan@example.vn\r\n"
        return Authenticated(facts.Authentication(spf="pass", dmarc="pass"), field.encode())


@pytest.fixture
def filled(database: Database) -> Database:
    return fill(database)


def fill(database: Database) -> Database:
    """An, Bình and the office."""
    with database.write() as session:
        fill_directory(session)
        new = NewMailbox(address=BINH, agency="H99.02", name="Trần Thị Bình", staff_no="VC-2")
        add_mailbox(session, act(), new)
        session.add(Instance(key=RETURN_PATH_KEY, value="ab" * 32))
    return database


def gate(database: Database, folder: Path, rules: Ruleset | None = None) -> Intake:
    """The gate with a real directory."""
    spool = Spool(folder / "spool")
    spool.prepare(database)
    config = load_config(None, data={"path": str(folder)})
    signer = Signer(database, KeyRing(folder / "keys"), lambda: NOW)
    resolver = FakeResolver()
    return Intake(
        config=config,
        clock=lambda: NOW,
        database=database,
        directory=Directory(database, lambda: NOW, config.limits, official_suffixes=SUFFIXES),
        readers=Reader(),
        authenticator=Checks(),
        rules=AgencyRulesets(rules or default_ruleset(), None, database),
        signer=signer,
        spool=spool,
        queue=Queue(database, spool, config.delivery, lambda: NOW),
        seal=partial(arc_set, signer, resolver, lambda: NOW, config.authserv_id),
    )


def lenient() -> Ruleset:
    """A ruleset whose agencies may forward outside."""
    rules = default_ruleset()
    rows = tuple(row for row in rules.rows if row.key != "auto-forward-external")
    return replace(rules, rows=rows)


def body(data: bytes = LETTER) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


def letter_to(*to: str, sender: str = DAN) -> Envelope:
    return Envelope(
        direction="inbound",
        mail_from=Address.parse(sender) if sender else None,
        recipients=tuple(Recipient(Address.parse(one)) for one in to),
    )


def forward(database: Database, target: str, of: str = AN, **how: bool | date) -> None:
    with database.write() as session:
        add_forward(session, act(), of, target, **how)  # type: ignore[arg-type]  # as they come


def recipients(database: Database, queue_id: str) -> list[str]:
    with database.read() as session:
        rows = session.exec(select(RecipientRow).where(RecipientRow.message_id == queue_id))
        return sorted(row.address for row in rows)


def others(database: Database, queue_id: str) -> list[tuple[MessageRow, RecipientRow]]:
    """Messages besides this one, and to whom."""
    with database.read() as session:
        query = select(MessageRow, RecipientRow).where(
            RecipientRow.message_id == MessageRow.id, MessageRow.id != queue_id
        )
        return [(message, one) for message, one in session.exec(query)]


@pytest.mark.parametrize(("copy", "expected"), [(True, [AN, OFFICE]), (False, [OFFICE])])
async def test_within_the_platform_it_goes_on_with_or_without_a_copy(
    filled: Database, tmp_path: Path, copy: bool, expected: list[str]
) -> None:
    forward(filled, OFFICE, keep_copy=copy)
    outcome = await gate(filled, tmp_path).receive(letter_to(AN), body())
    assert recipients(filled, outcome.queue_id) == expected
    assert others(filled, outcome.queue_id) == []


async def test_from_one_to_the_next_everybody_once(filled: Database, tmp_path: Path) -> None:
    forward(filled, BINH, keep_copy=False)
    forward(filled, OFFICE, of=BINH)
    outcome = await gate(filled, tmp_path).receive(letter_to(AN, OFFICE), body())
    assert recipients(filled, outcome.queue_id) == [BINH, OFFICE]


async def test_in_a_circle_nothing_is_lost(filled: Database, tmp_path: Path) -> None:
    forward(filled, BINH, keep_copy=False)
    with filled.write() as session:  # made a circle by hand: the door would refuse it
        session.add(Forward(mailbox_id=number(session, BINH), target=AN, keep_copy=False))
    outcome = await gate(filled, tmp_path).receive(letter_to(AN), body())
    assert recipients(filled, outcome.queue_id) == [AN, BINH]


async def test_who_is_suspended_gets_nothing_and_the_copy_stays(
    filled: Database, tmp_path: Path
) -> None:
    forward(filled, BINH, keep_copy=False)
    with filled.write() as session:
        suspend(session, act("nghỉ"), BINH)
    outcome = await gate(filled, tmp_path).receive(letter_to(AN), body())
    assert recipients(filled, outcome.queue_id) == [AN]


@pytest.mark.parametrize(("until", "expected"), [(TODAY, [AN, OFFICE]), (date(2024, 11, 24), [AN])])
async def test_to_the_last_day(
    filled: Database, tmp_path: Path, until: date, expected: list[str]
) -> None:
    forward(filled, OFFICE, until=until)
    outcome = await gate(filled, tmp_path).receive(letter_to(AN), body())
    assert recipients(filled, outcome.queue_id) == expected


async def test_outside_is_denied_by_default_and_told_once(
    any_database: Database, tmp_path: Path
) -> None:
    filled = fill(any_database)
    forward(filled, AWAY)
    we = gate(filled, tmp_path)
    first = await we.receive(letter_to(AN), body())
    assert recipients(filled, first.queue_id) == [AN]
    ((_, told),) = others(filled, first.queue_id)
    assert (told.address, told.destination) == (AN, "mailbox")
    second = await we.receive(letter_to(AN), body())
    assert len(others(filled, second.queue_id)) == 2  # the first message and the letter


async def test_other_authorities_are_no_outside(filled: Database, tmp_path: Path) -> None:
    forward(filled, "an@botaichinh.gov.vn")
    outcome = await gate(filled, tmp_path).receive(letter_to(AN), body())
    assert [one.address for _, one in others(filled, outcome.queue_id)] == ["an@botaichinh.gov.vn"]


def signed(message: bytes) -> tuple[bytes, bytes]:
    """The message with its author's signature, and the record of the key."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    field = dkim.sign(message, b"s", b"example.vn", private)
    return field + message, b"v=DKIM1; k=rsa; p=" + b64encode(public)


@pytest.mark.parametrize("size", [0, 300_000])  # in the database, in the spool
async def test_outside_where_rules_let_it_out(filled: Database, tmp_path: Path, size: int) -> None:
    filling = b"Dong nua.\r\n" * (size // 11)
    message, theirs = signed(LETTER + filling)
    with filled.write() as session:
        key = create_key(
            session, tmp_path / "keys", "sonoivu.tinhmau.test", "k", "rsa2048", clock=lambda: NOW
        )
        ours = dkim_value(key.algorithm, key.public_key).encode()
    forward(filled, AWAY)
    we = gate(filled, tmp_path, lenient())
    writer = we.spool.writer()
    writer.write(message)
    outcome = await we.receive(letter_to(AN), writer.finish())
    assert recipients(filled, outcome.queue_id) == [AN]
    ((row, one),) = others(filled, outcome.queue_id)
    assert (one.address, one.destination) == (AWAY, "example.org")
    directory = we.directory
    assert isinstance(directory, Directory)
    assert await directory.return_path(Address.parse(row.mail_from)) == Address.parse(DAN)
    assert row.mail_from.endswith("@sonoivu.tinhmau.test")

    whole = await sent(we, directory, tmp_path, row.mail_from)
    assert whole.endswith(message)  # not a byte of it is touched
    records = {b"s._domainkey.example.vn.": theirs, b"k._domainkey.sonoivu.tinhmau.test.": ours}
    assert dkim.verify(whole, dnsfunc=lambda name, timeout=5: records.get(name))
    state, _, reason = dkim.arc_verify(whole, dnsfunc=lambda name, timeout=5: records.get(name))
    assert state == b"pass", reason
    assert f"ARC-Authentication-Results: i=1; {US}; spf=pass".encode() in whole


async def sent(we: Intake, directory: Directory, folder: Path, mail_from: str) -> bytes:
    """What a server outside gets, when the queue has delivered everything."""
    peer = Peer()
    resolver = FakeResolver(addresses_of={"example.org": ["127.0.0.1"]})
    settings = we.config.delivery.model_copy(update={"allow_loopback": True})
    async with serving(peer):
        remote = SmtpTransport(settings, "mail.tinhmau.test", resolver, port=peer.port)
        transports: dict[str, Transport] = {MAILBOX: MaildirTransport(folder), "": remote}
        worker = Worker(
            config=we.config, queue=we.queue, directory=directory, clock=we.clock,
            transports=transports,
        )  # fmt: skip
        while await worker.start_due():
            await worker.idle()
        await remote.close()
    (received,) = peer.received
    assert received.recipients == [f"RCPT TO:<{AWAY}>"]
    assert received.mail.startswith(f"MAIL FROM:<{mail_from}>")
    return received.data


@dataclass
class Asked:
    """Judges as asked, and remembers the facts."""

    rules: AgencyRulesets
    seen: list[Facts] = field(default_factory=list)

    async def judge(self, found: Facts, on: date) -> Verdict:
        self.seen.append(found)
        return await self.rules.judge(found, on)


async def test_the_rules_are_those_of_the_mailbox_that_passes_it_on(
    filled: Database, tmp_path: Path
) -> None:
    forward(filled, AWAY)
    we = gate(filled, tmp_path)
    asked = Asked(AgencyRulesets(default_ruleset(), None, filled))
    await replace(we, rules=asked).receive(letter_to(AN), body())
    came, left = (found.envelope for found in asked.seen)
    assert (came.forwarded_by, came.direction) == ("", "inbound")
    assert (left.forwarded_by, left.direction, left.agency) == (AN, "internal", "H99.02")
    assert [(one.address, one.local) for one in left.recipients] == [(AWAY.lower(), False)]


async def test_a_bounce_stays_a_bounce(filled: Database, tmp_path: Path) -> None:
    forward(filled, AWAY)
    outcome = await gate(filled, tmp_path, lenient()).receive(letter_to(AN, sender=""), body())
    ((row, _),) = others(filled, outcome.queue_id)
    assert row.mail_from == ""


async def test_our_own_sender_is_not_rewritten(filled: Database, tmp_path: Path) -> None:
    forward(filled, AWAY)
    we = gate(filled, tmp_path, lenient())
    outcome = await we.receive(letter_to(AN, sender=OFFICE), body())
    ((row, _),) = others(filled, outcome.queue_id)
    assert row.mail_from == OFFICE


async def test_what_comes_round_again_is_not_passed_on(filled: Database, tmp_path: Path) -> None:
    forward(filled, AWAY)
    we = gate(filled, tmp_path, lenient())
    outcome = await we.receive(letter_to(AN), body())
    ((row, _),) = others(filled, outcome.queue_id)
    again = await we.receive(letter_to(AN), body(row.prefix + LETTER))
    assert len(others(filled, again.queue_id)) == 2  # the two from before
    assert recipients(filled, again.queue_id) == [AN]


async def test_a_sender_too_long_to_rewrite_stays_and_is_told(
    filled: Database, tmp_path: Path
) -> None:
    forward(filled, AWAY)
    we = gate(filled, tmp_path, lenient())
    outcome = await we.receive(letter_to(AN, sender=f"{'d' * 60}@example.vn"), body())
    ((_, told),) = others(filled, outcome.queue_id)
    assert told.address == AN


async def test_whoever_is_away_answers_large_mail_too(filled: Database, tmp_path: Path) -> None:
    with filled.write() as session:
        set_absence(session, act(), AN, "Tôi nghỉ phép.")
    we = gate(filled, tmp_path)
    writer = we.spool.writer()
    writer.write(LETTER + b"Dong nua.\r\n" * 30_000)
    outcome = await we.receive(letter_to(AN, sender=OFFICE), writer.finish())
    assert [one.address for _, one in others(filled, outcome.queue_id)] == [OFFICE]


async def test_a_bounce_that_comes_back_is_let_through(filled: Database, tmp_path: Path) -> None:
    outcome = await gate(filled, tmp_path).receive(letter_to(DAN, sender=""), body())
    assert outcome.accepted
    with filled.read() as session:
        row = session.exec(select(RecipientRow)).one()
    assert (row.address, row.destination, row.state) == (DAN, "example.vn", "queued")


async def test_what_is_judged_again_is_judged_for_whom_it_was_written_to(
    filled: Database, tmp_path: Path
) -> None:
    forward(filled, OFFICE, keep_copy=False)
    forward(filled, OFFICE, of=BINH)
    we = gate(filled, tmp_path)
    for to in (AN, BINH):
        outcome = await we.receive(letter_to(to), body())
        known = (await we.rejudge(outcome.queue_id)).facts.envelope
        assert [one.address for one in known.recipients] == [to]


def number(session: Session, address: str) -> int:
    return session.exec(select(Mailbox.id).where(Mailbox.address == address)).one() or 0


@pytest.mark.parametrize(
    ("of", "target", "copy", "error", "code"),
    [
        (AN, AN, True, InputError, "forward-in-circle"),
        (OFFICE, AN, True, InputError, "forward-in-circle"),
        (AN, "khong@sonoivu.tinhmau.test", True, NotFound, "mailbox-unknown"),
        (AN, "x@example.org", False, InputError, "forward-copy-stays"),
        (AN, "khong", True, InputError, "address-not-valid"),
        ("khong@tinhmau.test", AN, True, NotFound, "mailbox-unknown"),
    ],
)
def test_refused_at_the_door(
    filled: Database, of: str, target: str, copy: bool, error: type[Exception], code: str
) -> None:
    forward(filled, OFFICE)
    with pytest.raises(error, match=code), filled.write() as session:
        add_forward(session, act(), of, target, keep_copy=copy)


def test_five_targets_and_no_more(filled: Database) -> None:
    for at in range(5):
        forward(filled, f"x{at}@example.org")
    with pytest.raises(InputError, match="forward-too-many"):
        forward(filled, "x5@example.org")
    with filled.write() as session:
        remove_forward(session, act(), AN, "x0@example.org")
    forward(filled, "x5@example.org")
