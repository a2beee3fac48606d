"""Parcels to hand to transports."""

from collections.abc import Iterable

from mailgov.addresses import Address
from mailgov.delivery.transports import LeaseLost, Parcel
from mailgov.message import Body
from mailgov.queue import MAILBOX, QueuedMessage, QueueItem

from ..queue.samples import NOON, TEXT, body_of

QUEUE_ID = "01kd6zw7k0abcdefghxy"
PREFIX = b"DKIM-Signature: v=1\r\nReceived: from here\r\n"


def parcel(
    *recipients: str,
    sender: str = "an@tinhmau.gov.vn",
    data: bytes = TEXT,
    body: Body | None = None,
    destination: str = "",
    notify: Iterable[str] = (),
    original: str = "",
    attempt: int = 1,
    envid: str = "",
    ret: str = "",
) -> Parcel:
    """One message for recipients at one destination; those of tinhmau.gov.vn are ours."""
    content = body or body_of(data)
    message = QueuedMessage(
        queue_id=QUEUE_ID,
        mail_from=Address.parse(sender) if sender else None,
        agency_code="H99.02",
        message_id="<1@tinhmau.gov.vn>",
        envid=envid,
        ret=ret,
        prefix=PREFIX,
        size_bytes=len(PREFIX) + content.size_bytes,
        accepted_at=NOON,
    )
    addresses = [Address.parse(text) for text in recipients or ("binh@example.vn",)]
    items = tuple(
        QueueItem(
            recipient_id=number,
            attempt=attempt,
            message=message,
            address=address,
            destination=destination or _destination(address),
            mailbox=address if _destination(address) == MAILBOX else None,
            original=original,
            notify=frozenset(notify),
            queued_at=NOON,
            delay_notified=False,
        )
        for number, address in enumerate(addresses, 1)
    )
    return Parcel(message, items[0].destination, items, content)


def _destination(address: Address) -> str:
    return MAILBOX if address.domain == "tinhmau.gov.vn" else address.domain


async def ours() -> None:
    """A fence that lets everything pass."""


async def lost() -> None:
    """A fence that lets nothing pass."""
    raise LeaseLost
