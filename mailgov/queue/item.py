"""What goes into the queue, and what an attempt to deliver needs of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mailgov.addresses import Address
from mailgov.message import Body, Envelope
from mailgov_policies import facts
from mailgov_policies.verdict import Verdict

MAILBOX = "mailbox"
"""The destination of recipients whose mailbox is ours; all others bear their domain."""

BY_HAND = datetime(1970, 1, 1, tzinfo=UTC)
"""When a recipient is due that somebody wants tried now: before all others of its lane."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One recipient of a message that is being accepted."""

    address: str
    destination: str  # MAILBOX, or the domain
    mailbox_id: int | None = None  # of ours, aliases resolved
    original: str = ""  # ORCPT, as given
    notify: frozenset[str] = frozenset()  # RFC 3461; empty: default
    state: Literal["queued", "held"] = "queued"
    group_id: int | None = None  # mailbox id of the group written to, or of whose forward led here


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A judged and signed message, ready to be stored."""

    queue_id: str
    envelope: Envelope
    body: Body
    spool_name: str  # from `Spool.keep`
    prefix: bytes  # trace and signature fields that go before the body
    verdict: Verdict
    document: facts.Document | None
    agency_code: str
    message_id: str
    header_from: str
    recipients: tuple[NewRecipient, ...]
    accepted_at: datetime
    judged: facts.Facts | None = None  # what the verdict rests on; None for our own notices

    @property
    def size_bytes(self) -> int:
        """What recipients get: prefix and body."""
        return len(self.prefix) + self.body.size_bytes


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A stored message, without its content; shared by its items."""

    queue_id: str
    mail_from: Address | None  # None: null sender
    agency_code: str
    message_id: str
    envid: str
    ret: str
    prefix: bytes
    size_bytes: int
    accepted_at: datetime
    require_tls: bool = False  # RFC 8689
    priority: int = 0  # RFC 6710, -9 to 9
    direction: str = ""  # submission, inbound, internal: our own


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One recipient, claimed for one attempt."""

    recipient_id: int
    attempt: int  # the fencing number: results count only while the row still has it
    message: QueuedMessage
    address: Address
    destination: str
    mailbox: Address | None  # ours: the mailbox's own address, aliases resolved
    original: str
    notify: frozenset[str]
    queued_at: datetime
    delay_notified: bool
    by_hand: bool = False  # somebody wants it tried now, even at a destination that seems dead
    crashes: int = 0  # processes that died with it under way, one after another
    home: Address | None = None  # whose folder holds the mailbox, where it was renamed
    quota_mb: int = 0  # of the mailbox; 0: no limit


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one attempt for one recipient.

    `state` is the recipient's from now on; `queued` needs `next_attempt_at`.
    """

    item: QueueItem
    state: Literal["delivered", "queued", "bounced"]
    reply: str
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A delivery status notification to be queued with the results it tells of."""

    message: NewMessage
    about: Mapping[int, Literal["failure", "delay", "success"]]  # by recipient id
