"""The board of domains: what others see of mail in our names, and of the way to us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func
from sqlmodel import Session, col, select

from mailgov.db.models import Domain, ReceivedReport, ReceivedRow, SentReport

_PASS = (col(ReceivedRow.dkim) == "pass") | (col(ReceivedRow.spf) == "pass")


@dataclass(frozen=True, slots=True)
class DomainLine:
    """One domain of ours in a span of time."""

    domain: str
    reporters: int = 0
    messages: int = 0
    aligned: int = 0  # messages that passed DMARC
    quarantined: int = 0
    rejected: int = 0
    tls_sessions: int = 0
    tls_failures: int = 0

    @property
    def failing(self) -> int:
        """Messages in our name that were not ours, or not sent as they should."""
        return self.messages - self.aligned


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One host that sends in the name of a domain."""

    source: str
    header_from: str
    messages: int
    aligned: int
    dkim: int
    spf: int


def board(session: Session, since: datetime) -> list[DomainLine]:
    """Every domain of ours; those without reports too."""
    mail = _mail_by_domain(session, since)
    tls = _tls_by_domain(session, since)
    names = session.exec(select(Domain.name).order_by(Domain.name)).all()
    return [DomainLine(name, *mail.get(name, (0,) * 5), *tls.get(name, (0, 0))) for name in names]


def _sum(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, col(ReceivedRow.count)), else_=0)), 0)


def _rows(session: Session, kind: str, since: datetime, *columns: Any) -> Sequence[Any]:
    query = (
        select(ReceivedReport.domain, *columns)
        .join(ReceivedRow, col(ReceivedRow.report_id) == ReceivedReport.id)
        .where(ReceivedReport.kind == kind, ReceivedReport.begins_at >= since)
        .group_by(col(ReceivedReport.domain))
    )
    found: Sequence[Any] = session.exec(query).all()
    return found


def _mail_by_domain(session: Session, since: datetime) -> dict[str, tuple[int, ...]]:
    found = _rows(
        session, "dmarc", since,
        func.count(func.distinct(col(ReceivedReport.organisation))),
        func.coalesce(func.sum(col(ReceivedRow.count)), 0),
        _sum(_PASS),
        _sum(col(ReceivedRow.disposition) == "quarantine"),
        _sum(col(ReceivedRow.disposition) == "reject"),
    )  # fmt: skip
    return {row[0]: tuple(int(value) for value in row[1:]) for row in found}


def _tls_by_domain(session: Session, since: datetime) -> dict[str, tuple[int, ...]]:
    found = _rows(
        session, "tls", since,
        func.coalesce(func.sum(col(ReceivedRow.count)), 0),
        _sum(col(ReceivedRow.result) != "success"),
    )  # fmt: skip
    return {row[0]: tuple(int(value) for value in row[1:]) for row in found}


def sources(session: Session, domain: str, since: datetime, limit: int) -> list[SourceLine]:
    """Hosts that send in the name of a domain, those with most failing messages first."""
    total = func.sum(col(ReceivedRow.count))
    aligned = _sum(_PASS)
    query = (
        select(
            ReceivedRow.source,
            ReceivedRow.header_from,
            total,
            aligned,
            _sum(col(ReceivedRow.dkim) == "pass"),
            _sum(col(ReceivedRow.spf) == "pass"),
        )  # type: ignore[call-overload]  # more columns than it has signatures for
        .join(ReceivedReport, col(ReceivedRow.report_id) == ReceivedReport.id)
        .where(
            ReceivedReport.kind == "dmarc",
            ReceivedReport.domain == domain,
            ReceivedReport.begins_at >= since,
        )
        .group_by(col(ReceivedRow.source), col(ReceivedRow.header_from))
        .order_by((total - aligned).desc(), total.desc())
        .limit(limit)
    )
    return [
        SourceLine(row[0], row[1], *(int(value) for value in row[2:]))
        for row in session.exec(query)
    ]


def received(session: Session, since: datetime, limit: int) -> list[ReceivedReport]:
    """Reports of others, newest first."""
    query = (
        select(ReceivedReport)
        .where(ReceivedReport.received_at >= since)
        .order_by(col(ReceivedReport.received_at).desc(), col(ReceivedReport.id).desc())
        .limit(limit)
    )
    return list(session.exec(query))


def sent(session: Session, since: datetime, limit: int) -> list[SentReport]:
    """Reports that we made, newest first."""
    query = (
        select(SentReport)
        .where(SentReport.made_at >= since)
        .order_by(col(SentReport.made_at).desc(), col(SentReport.id).desc())
        .limit(limit)
    )
    return list(session.exec(query))
