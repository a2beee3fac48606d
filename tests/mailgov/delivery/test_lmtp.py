"""To a mail store: a reply for each recipient, an id by which a repeat can be dropped."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.delivery.transports import Answers, Parcel, Taken
from mailgov.delivery.transports.lmtp import LmtpTransport
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused

from ...support import dovecot_lmtp
from ...support.dovecot_lmtp import FULL, KNOWN, Store
from ...support.smtp_peer import Peer, serving
from .parcels import PREFIX, QUEUE_ID, lost, ours, parcel

TO = ("an@tinhmau.gov.vn", "binh@tinhmau.gov.vn", "chi@tinhmau.gov.vn")


@asynccontextmanager
async def store(peer: Peer) -> AsyncIterator[LmtpTransport]:
    async with serving(peer):
        transport = LmtpTransport(f"127.0.0.1:{peer.port}", "mail.tinhmau.gov.vn")
        yield transport
        await transport.close()


async def answers_of(peer: Peer, sent: Parcel) -> Answers:
    async with store(peer) as transport:
        return await transport.deliver(sent, ours)


async def test_each_recipient_has_a_reply_of_its_own() -> None:
    peer = Peer(replies={"DOT": ["250 2.0.0 saved", "452 4.2.2 over quota", "550 5.2.0 no"]})
    answers = await answers_of(peer, parcel(*TO))
    assert answers[1] == Taken("250 2.0.0 saved", "mailbox")
    assert isinstance(answers[2], DeliveryDeferred)
    assert isinstance(answers[3], DeliveryRefused)
    assert peer.commands[0] == "LHLO mail.tinhmau.gov.vn"


async def test_a_store_that_breaks_off_leaves_only_the_rest_unknown() -> None:
    peer = Peer(replies={"DOT": ["250 2.0.0 saved", "DROP"]})
    answers = await answers_of(peer, parcel(*TO))
    assert answers[1] == Taken("250 2.0.0 saved", "mailbox")
    for number in (2, 3):
        answer = answers[number]
        assert isinstance(answer, DeliveryDeferred)
        assert answer.code == "outcome-unknown"


async def test_every_delivery_of_a_message_bears_the_same_id() -> None:
    peer = Peer()
    async with store(peer) as transport:
        for _ in range(2):
            await transport.deliver(parcel(TO[0]), ours)
    lines = {one.data.split(b"\r\n")[0] for one in peer.received}
    assert lines == {f"Mailgov-Delivery-Id: {QUEUE_ID}".encode()}
    assert peer.connections == 1


async def test_recipients_are_named_by_their_mailbox() -> None:
    peer = Peer()
    sent = parcel("alias@tinhmau.gov.vn")
    box = Address.parse("an@tinhmau.gov.vn")
    sent = replace(sent, items=(replace(sent.items[0], mailbox=box),))
    await answers_of(peer, sent)
    assert peer.received[0].recipients == ["RCPT TO:<an@tinhmau.gov.vn>"]


async def test_a_recipient_without_a_mailbox_is_unknown() -> None:
    peer = Peer()
    sent = parcel(TO[0], TO[1])
    sent = replace(sent, items=(replace(sent.items[0], mailbox=None), sent.items[1]))
    answers = await answers_of(peer, sent)
    assert isinstance(answers[1], DeliveryRefused)
    assert answers[1].code == "mailbox-unknown"
    assert isinstance(answers[2], Taken)


async def test_a_socket_file_that_is_not_there_is_trouble_for_a_while(tmp_path: Path) -> None:
    transport = LmtpTransport(str(tmp_path / "lmtp"), "mail.tinhmau.gov.vn")
    with pytest.raises(DeliveryError) as caught:
        await transport.deliver(parcel(TO[0]), lost)
    assert isinstance(caught.value, DeliveryDeferred)
    assert caught.value.code == "peer-unreachable"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Store]:
    with dovecot_lmtp.running() as running:
        yield running


async def test_dovecot_keeps_what_it_is_given_and_says_who_is_full_or_unknown(
    dovecot: Store,
) -> None:
    data = b"Subject: x\r\n\r\n.\r\n..\r\n" + "tiếng Việt\r\n".encode() * 50
    sent = parcel(KNOWN, FULL, "khong-co@tinhmau.gov.vn", data=data)
    transport = LmtpTransport(dovecot.socket, "mail.tinhmau.gov.vn")
    answers = await transport.deliver(sent, ours)
    again = await transport.deliver(parcel(KNOWN, data=data), ours)
    await transport.close()
    assert isinstance(answers[1], Taken)
    assert answers[1].by == "mailbox"
    full, unknown = answers[2], answers[3]
    assert isinstance(full, DeliveryError)
    assert full.reply[4:9] in ("5.2.2", "4.2.2")
    assert isinstance(unknown, DeliveryRefused)
    assert unknown.reply.startswith("550 5.1.1")
    assert isinstance(again[1], Taken)
    for kept in dovecot.inbox(KNOWN):
        assert kept.replace(b"\r\n", b"\n").endswith((PREFIX + data).replace(b"\r\n", b"\n"))
        assert f"Mailgov-Delivery-Id: {QUEUE_ID}".encode() in kept
    assert len(dovecot.inbox(KNOWN)) == 2
