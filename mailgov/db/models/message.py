"""Accepted messages, their verdicts and recipients: the queue.

A message that was answered 250 has one row here, one verdict and a row per recipient, all written
in one transaction with its ledger event.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    false,
    text,
)
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


class MessageRow(SQLModel, table=True):
    """What was accepted: envelope, identity of the bytes, and where they are."""

    __tablename__ = "message"
    # What a user has sent of late.
    __table_args__ = (
        Index("ix_message_login", "login", "accepted_at"),
        # Who wrote to whom first is asked of mail from outside alone.
        Index(
            "ix_message_writer",
            "header_from",
            "accepted_at",
            sqlite_where=text("direction = 'inbound'"),
            postgresql_where=text("direction = 'inbound'"),
        ),
    )

    id: str = Field(primary_key=True, max_length=20)  # queue id, sorts by time
    direction: str  # submission, inbound, internal
    mail_from: str  # empty: null sender
    login: str = ""  # Address.key of the mailbox that signed in
    agency_code: str = ""  # of the sender for submissions, of the first recipient for inbound
    client_ip: str = ""
    message_id: str = ""  # Message-ID field
    header_from: str = ""
    smtputf8: bool = False
    envid: str = ""
    ret: str = ""
    # RFC 8689: goes on only to servers whose certificate proves who they are, in TLS.
    require_tls: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    # RFC 6710: -9 to 9, what is higher goes first; from MT-PRIORITY or the document's urgency.
    priority: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    document_category: str = (
        ""  # e-mail category: notice, invitation, …; empty: ordinary correspondence
    )
    document_type: str = ""  # one of the 29 types
    document_number: str = ""
    document_symbol: str = ""
    urgency: str = ""
    size_bytes: int  # prefix and content
    content_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    prefix: bytes = Field(
        sa_column=Column(LargeBinary, nullable=False)
    )  # trace and signature fields, before the content
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))  # up to 256 KiB
    spool_name: str = ""  # larger contents: file below spool/
    # intact; corrupt: the bytes are not those accepted; poison: its deliveries kill their process.
    # What is left of the latter two is held.
    state: str = "intact"
    accepted_at: datetime = Field(default_factory=utc_now, sa_type=Moment, index=True)
    done_at: datetime | None = Field(  # every recipient has an end; the content is gone
        default=None, sa_type=Moment, index=True
    )


class VerdictRow(SQLModel, table=True):
    """What the policy said of a message that we took."""

    __tablename__ = "verdict"

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    message_id: str = Field(foreign_key="message.id", unique=True)
    action: str  # pass, tag, warn, hold, quarantine
    code: str = ""  # gravest finding
    findings: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    ruleset: str = ""  # name and version
    facts: dict[str, Any] | None = Field(  # without the words of the message; None: not judged
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    judged_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class RecipientRow(SQLModel, table=True):
    """One recipient of one message, from acceptance to its end."""

    __tablename__ = "recipient"
    __table_args__ = (
        # When is anything of a rank due next; who is due in a lane; what else of that message is.
        Index("ix_recipient_due", "state", "rank", "next_attempt_at"),
        Index("ix_recipient_lane", "state", "rank", "lane", "next_attempt_at"),
        Index("ix_recipient_message", "message_id", "destination", "state", "next_attempt_at"),
    )

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    message_id: str = Field(foreign_key="message.id")
    verdict_id: int = Field(  # none is deliverable unjudged
        sa_column=Column(BigInteger, ForeignKey("verdict.id"), nullable=False)
    )
    address: str
    original: str = ""  # ORCPT
    notify: str = ""  # RFC 3461, comma-separated; empty: default
    destination: str  # `mailbox` for ours, else the domain
    # Whose turn it is: destination and agency, a space between them; lanes of a rank take turns.
    lane: str = Field(default="", sa_column_kwargs={"server_default": ""})
    rank: int = Field(default=3, sa_column_kwargs={"server_default": "3"})  # 0 goes first, 4 last
    mailbox_id: int | None = Field(default=None, foreign_key="mailbox.id", index=True)
    group_id: int | None = None  # mailbox id of the group written to, or of whose forward led here
    state: str = "queued"  # queued, held, delivered, bounced, removed
    attempts: int = 0  # raised at each claim: the fencing number of the lease
    # Leases in a row that ended with their process: three hold the message as poison.
    crashes: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_attempt_at: datetime | None = Field(default=None, sa_type=Moment)
    lease_until: datetime | None = Field(default=None, sa_type=Moment)
    last_reply: str = ""
    delay_notified_at: datetime | None = Field(default=None, sa_type=Moment)
    queued_at: datetime = Field(default_factory=utc_now, sa_type=Moment)
    done_at: datetime | None = Field(default=None, sa_type=Moment)
