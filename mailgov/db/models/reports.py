"""What is told to other domains about their mail, and what they tell us: DMARC and TLS reports."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from mailgov.clock import utc_now
from mailgov.db.types import Moment


def _big_key() -> Any:
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


class TlsResult(SQLModel, table=True):
    """How sessions with another domain's servers were secured (RFC 8460, 4.3).

    Written by delivery, read by the daily report. `result` is empty for success, else a result type
    of RFC 8460, 4.3: starttls-not-supported, certificate-expired, certificate-host-mismatch,
    certificate-not-trusted, validation-failure, tlsa-invalid, dnssec-invalid, dane-required,
    sts-policy-fetch-error, sts-policy-invalid, sts-webpki-invalid.
    """

    __tablename__ = "tls_result"
    __table_args__ = (Index("ix_tls_result_domain_at", "policy_domain", "at"),)

    id: int | None = Field(default=None, sa_column=_big_key())
    at: datetime = Field(default_factory=utc_now, sa_type=Moment, index=True)
    policy_domain: str = Field(max_length=255)  # the domain of the recipients
    policy_type: str = "no-policy-found"  # tlsa, sts, no-policy-found
    policy_strings: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    mx_hosts: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    result: str = ""
    sending_ip: str = ""
    receiving_host: str = ""
    receiving_ip: str = ""
    reason: str = ""  # words for people, never of the peer
    sessions: int = 1


class DmarcResult(SQLModel, table=True):
    """One inbound message for the aggregate report of the domain in From (RFC 7489, 7.2)."""

    __tablename__ = "dmarc_result"
    __table_args__ = (Index("ix_dmarc_result_domain_at", "policy_domain", "at"),)

    id: int | None = Field(default=None, sa_column=_big_key())
    at: datetime = Field(default_factory=utc_now, sa_type=Moment, index=True)
    message_id: str = ""  # queue id
    policy_domain: str = Field(max_length=255)  # where the record was found
    policy: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))  # p, sp, np, adkim, …
    source_ip: str
    header_from: str
    envelope_from: str = ""
    disposition: str = "none"  # none, quarantine, reject
    dkim: str = "fail"  # pass, fail: aligned with From
    spf: str = "fail"
    reasons: list[list[str]] = Field(sa_column=Column(JSON, nullable=False))  # [type, comment]
    auth: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))  # what was checked


class SentReport(SQLModel, table=True):
    """A report of a day that we made for another domain, or why there was none."""

    __tablename__ = "sent_report"
    __table_args__ = (UniqueConstraint("kind", "domain", "begins_at"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str  # dmarc, tls
    domain: str = Field(max_length=255)
    begins_at: datetime = Field(sa_type=Moment)
    ends_at: datetime = Field(sa_type=Moment)
    report_id: str = ""
    state: str = "sent"  # sent, unwanted: nobody asked for it
    recipients: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    queue_id: str = ""
    messages: int = 0
    made_at: datetime = Field(default_factory=utc_now, sa_type=Moment, index=True)


class ReceivedReport(SQLModel, table=True):
    """A report that another organisation sent about one of our domains."""

    __tablename__ = "received_report"
    __table_args__ = (
        UniqueConstraint("kind", "organisation", "report_id", "domain"),
        Index("ix_received_report_domain", "domain", "begins_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str  # dmarc, tls
    organisation: str = Field(max_length=255)
    contact: str = ""
    report_id: str = Field(max_length=255)
    domain: str = Field(max_length=255)
    begins_at: datetime = Field(sa_type=Moment)
    ends_at: datetime = Field(sa_type=Moment)
    policy: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    message_id: str = ""  # queue id it came with; empty: imported from a file
    received_at: datetime = Field(default_factory=utc_now, sa_type=Moment)


class ReceivedRow(SQLModel, table=True):
    """One line of a received report: a source of mail, or a kind of trouble with TLS."""

    __tablename__ = "received_row"

    id: int | None = Field(default=None, sa_column=_big_key())
    report_id: int = Field(
        sa_column=Column(Integer, ForeignKey("received_report.id"), nullable=False, index=True)
    )
    source: str = ""  # address of the sending host
    count: int = 0  # messages, or sessions
    disposition: str = ""  # DMARC: none, quarantine, reject
    dkim: str = ""  # DMARC: pass, fail
    spf: str = ""
    header_from: str = ""
    envelope_from: str = ""
    policy_type: str = ""  # TLS: tlsa, sts, no-policy-found
    result: str = ""  # TLS: success, or a result type of RFC 8460
    receiving_host: str = ""
    auth: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
