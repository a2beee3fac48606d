"""What every transport owes the worker; a new one joins the list at the end of `TRANSPORTS`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailgov.config import Delivery
from mailgov.delivery.transports import LeaseLost, Taken, Transport
from mailgov.delivery.transports.lmtp import LmtpTransport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.transports.smtp import SmtpTransport

from ...support.dns import FakeResolver
from ...support.smtp_peer import Peer, serving
from ..queue.samples import TEXT
from .parcels import PREFIX, lost, ours, parcel


@dataclass
class Subject:
    """A transport, recipients it can reach, and what has arrived."""

    transport: Transport
    recipients: tuple[str, str]
    arrived: Callable[[], list[bytes]]


@asynccontextmanager
async def maildir(folder: Path) -> AsyncIterator[Subject]:
    """Into mailboxes on disk."""

    def arrived() -> list[bytes]:
        return [path.read_bytes() for path in folder.glob("mail/*/*/Maildir/new/*")]

    recipients = ("binh@tinhmau.gov.vn", "chi@tinhmau.gov.vn")
    yield Subject(MaildirTransport(folder), recipients, arrived)


@asynccontextmanager
async def smtp(_folder: Path) -> AsyncIterator[Subject]:
    """To a server on loopback."""
    peer = Peer()

    def arrived() -> list[bytes]:
        return [received.data for received in peer.received for _ in received.recipients]

    async with serving(peer):
        resolver = FakeResolver(addresses_of={"example.vn": ["127.0.0.1"]})
        settings = Delivery(allow_loopback=True)
        transport = SmtpTransport(settings, "mail.tinhmau.gov.vn", resolver, port=peer.port)
        yield Subject(transport, ("binh@example.vn", "chi@example.vn"), arrived)


@asynccontextmanager
async def lmtp(_folder: Path) -> AsyncIterator[Subject]:
    """To a mail store on loopback."""
    peer = Peer()

    def arrived() -> list[bytes]:
        return [received.data for received in peer.received for _ in received.recipients]

    async with serving(peer):
        transport = LmtpTransport(f"127.0.0.1:{peer.port}", "mail.tinhmau.gov.vn")
        yield Subject(transport, ("binh@tinhmau.gov.vn", "chi@tinhmau.gov.vn"), arrived)


TRANSPORTS: list[Callable[[Path], AbstractAsyncContextManager[Subject]]] = [maildir, smtp, lmtp]


@pytest.fixture(params=TRANSPORTS, ids=lambda kind: kind.__name__)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with request.param(tmp_path) as made:
        yield made
        await made.transport.close()


async def test_every_recipient_gets_the_bytes_and_has_an_answer(subject: Subject) -> None:
    answers = await subject.transport.deliver(parcel(*subject.recipients), ours)
    assert set(answers) == {1, 2}
    assert all(isinstance(answer, Taken) for answer in answers.values())
    arrived = subject.arrived()
    assert len(arrived) == 2
    assert all(message.endswith(PREFIX + TEXT) for message in arrived)


async def test_bytes_are_not_changed(subject: Subject) -> None:
    data = b"X: 1\r\n\r\n.\r\n..\r\n\xe1\xbb\x87 \t \r\n" + b"long" * 5000 + b"\r\n"
    await subject.transport.deliver(parcel(subject.recipients[0], data=data), ours)
    (message,) = subject.arrived()
    assert message.endswith(PREFIX + data)


async def test_without_the_lease_nothing_arrives(subject: Subject) -> None:
    with pytest.raises(LeaseLost):
        await subject.transport.deliver(parcel(*subject.recipients), lost)
    assert subject.arrived() == []
