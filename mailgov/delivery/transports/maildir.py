"""Into a mailbox of ours: one file for each recipient, safe before anyone says so, never twice.

The name comes from queue id and recipient id, so that an attempt repeated after a crash finds what
the first one left. https://cr.yp.to/proto/maildir.html, with Dovecot's sizes in the name.
"""

import asyncio
import os
from pathlib import Path
from typing import Literal

from mailgov import durable, faults
from mailgov.addresses import Address
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel, Taken
from mailgov.errors import DeliveryDeferred, DeliveryRefused
from mailgov.mailstore import layout
from mailgov.mailstore.space import Space
from mailgov.message import Body
from mailgov.queue import QueueItem

_TAKEN = Taken("250 2.0.0 in the mailbox", "mailbox")


class MaildirTransport:
    """Delivers below `<data>/mail`. `full` is how a full mailbox is answered for."""

    def __init__(self, data: Path, full: Literal["temporary", "permanent"] = "temporary") -> None:
        self._data = data
        self._full = DeliveryDeferred if full == "temporary" else DeliveryRefused
        self._space = Space()

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """Write a file for each recipient; one that fails keeps nobody else from theirs."""
        faults.point("D2")
        await fence()
        return {
            item.recipient_id: await asyncio.to_thread(self._deliver_one, item, parcel.body)
            for item in parcel.items
        }

    async def tend(self) -> None:
        """Nothing is kept for reuse."""

    async def close(self) -> None:
        """Nothing is kept for reuse."""

    def _deliver_one(self, item: QueueItem, body: Body) -> Answer:
        if item.mailbox is None:
            return DeliveryRefused("mailbox-unknown", address=item.address)
        folder = layout.maildir(self._data, item.home or item.mailbox)
        top = _top(item, item.mailbox)
        size_bytes = len(top) + body.size_bytes
        name = f"{item.message.queue_id}.{item.recipient_id},S={size_bytes},W={size_bytes}"
        try:
            _make_folders(folder, self._data)
            if item.attempt > 1 and _is_read_already(folder, name):
                return _TAKEN
            is_new = item.attempt == 1 or not (folder / "new" / name).exists()
            if is_new and self._is_full(folder, item, size_bytes):
                return self._full("mailbox-full")
            _store(folder, name, item.attempt, top, body)
        except OSError as exc:
            code = "disk-full" if exc.errno in durable.FULL else "mailbox-unavailable"
            return DeliveryDeferred(code, reason=exc.strerror or type(exc).__name__)
        return _TAKEN

    def _is_full(self, folder: Path, item: QueueItem, size_bytes: int) -> bool:
        """Whether the message would go beyond the quota (RFC 3463, X.2.2)."""
        quota_bytes = item.quota_mb * 1024 * 1024
        return bool(quota_bytes) and self._space.used_bytes(folder) + size_bytes > quota_bytes


def _top(item: QueueItem, mailbox: Address) -> bytes:
    """RFC 5321, 4.4: Return-Path is the first field, written at final delivery."""
    sender = str(item.message.mail_from) if item.message.mail_from else ""
    fields = f"Return-Path: <{sender}>\r\nDelivered-To: {mailbox}\r\n"
    return fields.encode() + item.message.prefix


def _make_folders(folder: Path, data: Path) -> None:
    """Make the Maildir and everything above it, each name synced into its parent."""
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(data)]
    for path in reversed(missing):
        _make(path)
    for name in ("tmp", "new", "cur"):
        _make(folder / name)


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    durable.sync_path(path.parent)


def _is_read_already(folder: Path, name: str) -> bool:
    """Whether a mail program has moved the file of an earlier attempt to `cur`, with flags."""
    with os.scandir(folder / "cur") as entries:
        return any(entry.name.partition(":")[0] == name for entry in entries)


def _store(folder: Path, name: str, attempt: int, top: bytes, body: Body) -> None:
    """Write, sync, link without overwriting, sync the folder."""
    written = folder / "tmp" / f"{name}.{attempt}"
    handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(top)
        for chunk in body.chunks():
            file.write(chunk)
        file.flush()
        durable.sync(file.fileno())
    faults.point("D4")
    faults.point("D5")
    try:
        (folder / "new" / name).hardlink_to(written)
    except FileExistsError:
        pass  # an earlier attempt got this far; its name may not be synced yet
    durable.sync_path(folder / "new")
    written.unlink()
    faults.point("D6")
