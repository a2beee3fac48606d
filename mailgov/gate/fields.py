"""Fields of a header that are taken out at the gate, and those that are put before it."""

import re
from datetime import datetime
from email.utils import format_datetime

from mailgov.content.header_block import HeaderBlock, split_header
from mailgov.message import Body, Envelope
from mailgov.queue import Spool
from mailgov_policies import Action, Verdict


def read_header(body: Body, limit_bytes: int) -> HeaderBlock:
    """The header of a body, as far as the limit lets us read."""
    with body.open() as stream:
        return split_header(stream.read(limit_bytes))


def with_header(spool: Spool, body: Body, old: HeaderBlock, new: HeaderBlock) -> Body:
    """The same body under another header; large ones are written to the spool."""
    writer = spool.writer()
    writer.write(new.raw)
    with body.open() as stream:
        stream.seek(len(old.raw))
        while chunk := stream.read(1 << 18):
            writer.write(chunk)
    return writer.finish()


def unwanted_fields(header: HeaderBlock, envelope: Envelope, authserv_id: str) -> frozenset[int]:
    """Positions of fields to drop.

    Bcc of submissions (RFC 5322, 3.6.3), Return-Path (RFC 5321, 4.4: ours to write at delivery),
    our own marks, and Authentication-Results in our name (RFC 8601, 5). Nor the separator of mbox
    files: behind our trace fields it would stand within the header.
    """
    drop = {b"return-path", b"x-mailgov-policy"}
    if envelope.direction != "inbound":
        drop |= {b"bcc", b"resent-bcc"}
    ours = authserv_id.lower().encode()
    return frozenset(
        position
        for position, (name, value) in enumerate(header.fields)
        if name in drop
        or (name == b"authentication-results" and _names(value, ours))
        or (position == 0 and not name and value.startswith((b"From ", b">From ")))
    )


def _names(results: bytes, authserv_id: bytes) -> bool:
    """Whether results may claim to be this server's, whatever comments, quotes and version they have.

    Our name counts wherever it stands but as the value of a property: a foreign field that speaks of
    us in a comment is no loss.
    """
    ours = rb"(?<![a-z0-9._@=-])%b(?![a-z0-9_-]|\.[a-z0-9])" % re.escape(authserv_id)
    return re.search(ours, results.lower().replace(b"\\", b"")) is not None


def missing_fields(header: HeaderBlock, queue_id: str, hostname: str, now: datetime) -> bytes:
    """Date and Message-ID for clients that left them to us (RFC 6409, 8.2 and 8.3)."""
    names = {name for name, _ in header.fields}
    fields = b""
    if b"message-id" not in names:
        fields += f"Message-ID: <{queue_id}@{hostname}>\r\n".encode()
    if b"date" not in names:
        fields += f"Date: {format_datetime(now)}\r\n".encode()
    return fields


def policy_field(verdict: Verdict) -> bytes:
    """What the policy says of a message that passes with a mark; empty when it says nothing."""
    if verdict.action is Action.PASS:
        return b""
    return f"X-Mailgov-Policy: action={verdict.action.label}; reason={verdict.code}\r\n".encode()
