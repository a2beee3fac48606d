"""Postfix as the next hop: a server that nobody here wrote."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Literal

import pytest
import trustme

from mailgov.config import Delivery
from mailgov.delivery.transports import Answers, Parcel, Taken
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.errors import DeliveryDeferred, DeliveryRefused

from ...support import postfix
from ...support.cut import Break, Cut
from ...support.dns import FakeResolver
from ...support.postfix import Postfix
from .parcels import PREFIX, ours, parcel

MX = "mx.example.vn"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Postfix]:
    years = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    leaf = authority.issue_cert(MX, not_before=years[0], not_after=years[1])
    with postfix.running(leaf) as running:
        yield running


@asynccontextmanager
async def to(
    server: Postfix,
    authority: trustme.CA,
    folder: Path,
    *,
    demanded: bool = True,
    port: int | None = None,
) -> AsyncIterator[SmtpTransport]:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    settings = Delivery.model_validate(
        {
            "allow_loopback": True,
            "tls_authorities": [str(path)],
            "enforced_tls": ["example.vn"] if demanded else [],
        }
    )
    dns = FakeResolver(mx_of={"example.vn": [(10, MX)]}, addresses_of={MX: ["127.0.0.1"]})
    transport = SmtpTransport(settings, "mail.tinhmau.gov.vn", dns, port=port or server.port)
    yield transport
    await transport.close()


async def eventually(check: Callable[[], list[bytes]]) -> list[bytes]:
    async with asyncio.timeout(60):
        while not (found := check()):  # noqa: ASYNC110 - another process says nothing
            await asyncio.sleep(0.05)
    return found


def with_subject(server: Postfix, subject: bytes) -> Callable[[], list[bytes]]:
    return lambda: [one for one in server.taken() if b"Subject: " + subject in one]


def letter(subject: bytes, body: bytes = b"noi dung\r\n") -> bytes:
    # Complete, so that Postfix adds nothing of its own below our fields.
    fields = (
        b"From: an@tinhmau.gov.vn\r\nTo: b@example.vn\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
        b"Date: Sun, 22 Nov 2026 09:00:00 +0700\r\nSubject: "
    )
    return fields + subject + b"\r\n\r\n" + body


async def test_it_takes_our_mail_in_verified_tls_byte_for_byte(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    body = b".\r\n..two dots\r\n" + b"dong dai " * 100 + b"\r\n" + "tiếng Việt\r\n".encode()
    data = letter(b"whole", body)
    async with to(server, authority, tmp_path) as transport:
        answers = await transport.deliver(parcel("b@example.vn", "c@example.vn", data=data), ours)
    assert all(isinstance(answer, Taken) for answer in answers.values())
    assert {answer.by for answer in answers.values() if isinstance(answer, Taken)} == {"dsn-relay"}
    taken = await eventually(with_subject(server, b"whole"))
    assert all(one.replace(b"\n", b"\r\n").endswith(PREFIX + data) for one in taken)
    received = message_from_bytes(taken[0]).get_all("Received") or []
    assert any("TLSv1.3" in field for field in received)
    assert any("with ESMTPS" in field for field in received)


async def test_it_says_later_no_and_yes_to_one_message(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    sent = parcel("busy@example.vn", "gone@example.vn", "b@example.vn", data=letter(b"three"))
    async with to(server, authority, tmp_path) as transport:
        answers = await transport.deliver(sent, ours)
        none = await transport.deliver(parcel("gone@example.vn"), ours)
        again = await transport.deliver(parcel("b@example.vn", data=letter(b"after no")), ours)
    busy, gone = answers[1], answers[2]
    assert isinstance(busy, DeliveryDeferred)
    assert busy.reply.startswith("450 4.2.0")
    assert isinstance(gone, DeliveryRefused)
    assert gone.reply.startswith("550 5.1.1")
    assert isinstance(answers[3], Taken)
    assert isinstance(none[1], DeliveryRefused)
    assert isinstance(again[1], Taken)
    assert len(await eventually(with_subject(server, b"three"))) == 1
    assert await eventually(with_subject(server, b"after no"))


async def answers_of(server: Postfix, authority: trustme.CA, folder: Path, sent: Parcel) -> Answers:
    async with to(server, authority, folder) as transport:
        return await transport.deliver(sent, ours)


async def test_a_message_beyond_its_limit_is_not_even_sent(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    sent = parcel("b@example.vn", data=letter(b"large", b"x" * 70 + b"\r\n" * 600_000))
    with pytest.raises(DeliveryRefused, match="peer-takes-less"):
        await answers_of(server, authority, tmp_path, sent)


async def test_an_address_beyond_ascii_goes_under_smtputf8(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    data = "Subject: họp giao ban\r\n\r\nx\r\n".encode()
    answers = await answers_of(server, authority, tmp_path, parcel("bình@example.vn", data=data))
    assert isinstance(answers[1], Taken)
    assert await eventually(with_subject(server, "họp giao ban".encode()))


async def test_a_hundred_recipients_and_fifty_messages_over_few_connections(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    many = parcel(*(f"u{i}@example.vn" for i in range(100)), data=letter(b"many"))
    async with to(server, authority, tmp_path) as transport:
        answers = await transport.deliver(many, ours)
        before = server.log().count(": connect from")
        for number in range(20):
            await transport.deliver(parcel(data=letter(b"row %d" % number)), ours)
        after = server.log().count(": connect from")
    assert len(answers) == 100
    assert all(isinstance(answer, Taken) for answer in answers.values())
    assert after == before


async def test_wishes_for_notices_are_its_own_from_then_on(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    sent = parcel(
        "b@example.vn", data=letter(b"wishes"), notify=["SUCCESS"], envid="Q7", ret="HDRS"
    )
    answers = await answers_of(server, authority, tmp_path, sent)
    assert isinstance(answers[1], Taken)
    assert answers[1].by == "dsn-relay"


async def test_a_certificate_by_another_authority_keeps_the_mail_here(
    server: Postfix, tmp_path: Path
) -> None:
    with pytest.raises(DeliveryDeferred, match="peer-unsafe"):
        await answers_of(server, trustme.CA(), tmp_path, parcel(data=letter(b"never")))
    async with to(server, trustme.CA(), tmp_path, demanded=False) as transport:
        assert isinstance((await transport.deliver(parcel(data=letter(b"any")), ours))[1], Taken)
    assert with_subject(server, b"never")() == []


@contextmanager
def over(server: Postfix, *breaks: Break, delay: float = 0) -> Iterator[Cut]:
    cut = Cut("127.0.0.1", server.port, list(breaks), delay)
    try:
        yield cut
    finally:
        cut.close()


async def test_a_line_that_breaks_within_a_message_costs_an_attempt_and_nothing_else(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    sent = parcel("b@example.vn", data=letter(b"cut within"))
    with over(server, "within") as cut:
        async with to(server, authority, tmp_path, demanded=False, port=cut.own_port) as transport:

            async def fence() -> None:
                await asyncio.to_thread(cut.broken.wait, 60)
                await asyncio.sleep(0.01)  # the loop looks at its sockets first

            with pytest.raises(DeliveryDeferred, match="connection-lost"):
                await transport.deliver(sent, fence)
            answers = await transport.deliver(sent, ours)
    assert isinstance(answers[1], Taken)
    assert len(await eventually(with_subject(server, b"cut within"))) == 1


@pytest.mark.parametrize(("where", "copies"), [("before", 1), ("after", 2)])
async def test_a_line_that_breaks_at_the_dot_leaves_the_outcome_open(
    server: Postfix,
    authority: trustme.CA,
    tmp_path: Path,
    where: Literal["before", "after"],
    copies: int,
) -> None:
    """Only if the dot has arrived, Postfix gets it twice: the one window in which a server does."""
    subject = b"cut " + where.encode()
    sent = parcel("b@example.vn", data=letter(subject))
    with over(server, where) as cut:
        async with to(server, authority, tmp_path, demanded=False, port=cut.own_port) as transport:
            unknown = (await transport.deliver(sent, ours))[1]
            assert isinstance(unknown, DeliveryDeferred)
            assert unknown.code == "outcome-unknown"
            assert isinstance((await transport.deliver(sent, ours))[1], Taken)
    arrived = with_subject(server, subject)
    found = await eventually(lambda: arrived() if len(arrived()) >= copies else [])
    assert len(found) == copies


async def test_a_postfix_that_is_slow_is_waited_for(
    server: Postfix, authority: trustme.CA, tmp_path: Path
) -> None:
    sent = parcel("b@example.vn", data=letter(b"slow"))
    with over(server, delay=0.3) as cut:
        async with to(server, authority, tmp_path, port=cut.own_port) as transport:
            answers = await transport.deliver(sent, ours)
    assert isinstance(answers[1], Taken)
