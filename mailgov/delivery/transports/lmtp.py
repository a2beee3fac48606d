"""To a mail store over LMTP (RFC 2033): a reply for each recipient, over a socket file or TCP."""

import asyncio
import os
from dataclasses import replace
from itertools import chain

from mailgov import faults
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel
from mailgov.delivery.transports.pool import Pool
from mailgov.delivery.transports.security import Security
from mailgov.delivery.transports.smtp_content import demands
from mailgov.delivery.transports.smtp_session import Server, SmtpSession
from mailgov.errors import DeliveryRefused

DELIVERY_ID = "Mailgov-Delivery-Id"
"""Field that is the same in every delivery of a message, so that the store can drop a repeat."""


class LmtpTransport:
    """Delivers to the mailboxes of ours that a store keeps; `target` is a path or `host:port`."""

    def __init__(self, target: str, hostname: str) -> None:
        address, port = target, 0
        if not target.startswith("/"):
            address, _, digits = target.rpartition(":")
            address, port = address.strip("[]"), int(digits)
        self._server = Server(target, address, port, Security("clear"), protocol="lmtp")
        self._hostname = hostname
        self._pool = Pool()

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """One transaction; every recipient under the address of its mailbox."""
        answers: dict[int, Answer] = {
            item.recipient_id: DeliveryRefused("mailbox-unknown", address=item.address)
            for item in parcel.items
            if item.mailbox is None
        }
        items = tuple(
            replace(item, address=item.mailbox) for item in parcel.items if item.mailbox is not None
        )
        if not items:
            return answers
        top = f"{DELIVERY_ID}: {parcel.message.queue_id}\r\n".encode()
        message = replace(
            parcel.message,
            prefix=top + parcel.message.prefix,
            size_bytes=len(top) + parcel.message.size_bytes,
        )
        sent = replace(parcel, message=message, items=items)
        wanted = await asyncio.to_thread(demands, chain([message.prefix], sent.body.chunks()))
        return answers | dict(await self._pool.send("", self._connect, sent, wanted, fence))

    async def _connect(self) -> SmtpSession:
        faults.point("D2")
        # A name may be longer than a socket's may be, and lead to a shorter one.
        address = self._server.address
        if address.startswith("/"):
            address = await asyncio.to_thread(os.path.realpath, address)
        return await SmtpSession.open(replace(self._server, address=address), self._hostname)

    async def tend(self) -> None:
        """Close connections that had no work for a while."""
        await self._pool.tend()

    async def close(self) -> None:
        """Close every connection that is kept."""
        await self._pool.close()
