"""Reports of others about our domains: read, and kept for the board of domains."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, insert
from sqlmodel import Session, col, select

from mailgov.addresses import parse_domain
from mailgov.authentication.reports.read_dmarc import read_dmarc
from mailgov.authentication.reports.unpack import reports_in, unpacked
from mailgov.db.models import Domain, ReceivedReport, ReceivedRow
from mailgov.errors import InputError

MAX_SIGNS = 255
MAX_ROWS = 10_000
MAX_IN_A_DAY = 24
"""Reports of one organisation about one domain; the hourly ones of the most eager reporters."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report; the words are those of `ReceivedRow`."""

    count: int
    source: str = ""
    disposition: str = ""
    dkim: str = ""
    spf: str = ""
    header_from: str = ""
    envelope_from: str = ""
    policy_type: str = ""
    result: str = ""
    receiving_host: str = ""
    auth: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says of one domain."""

    kind: Literal["dmarc", "tls"]
    organisation: str
    contact: str
    report_id: str
    domain: str
    begins_at: datetime
    ends_at: datetime
    policy: dict[str, str]
    rows: tuple[Row, ...]


def read_mail(message: bytes) -> list[Report]:
    """The reports in a mail. Raises InputError `report-not-valid`."""
    return [report for data in reports_in(message) for report in read_document(data)]


def read_file(data: bytes) -> list[Report]:
    """The reports in a file: packed or not, or a mail. Raises InputError `report-not-valid`."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"<", b"{")):
        return [report for one in unpacked(data) for report in read_document(one)]
    return read_mail(data)


def read_document(data: bytes) -> list[Report]:
    """The reports in a document; a TLS report may speak of several domains.

    Raises InputError `report-not-valid`.
    """
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return list(_read_tls(data))
    return [_from_dmarc(read_dmarc(data, MAX_ROWS))]


def _from_dmarc(found: Mapping[str, Any]) -> Report:
    rows = tuple(Row(**row) for row in found["rows"])
    return Report("dmarc", rows=rows, **{key: found[key] for key in found if key != "rows"})


def _read_tls(data: bytes) -> Iterator[Report]:
    """RFC 8460, 4.4."""
    try:
        document = json.loads(data)
        span = document["date-range"]
        begins, ends = _moment(span["start-datetime"]), _moment(span["end-datetime"])
        about = (
            _text(document.get("organization-name", "")),
            _text(document.get("contact-info", "")),
            _text(document["report-id"]),
        )
        for domain, policies in _by_domain(document["policies"]).items():
            rows = tuple(row for policy in policies for row in _tls_rows(policy))[:MAX_ROWS]
            yield Report("tls", *about, domain, begins, ends, {}, rows)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as exc:
        raise InputError("report-not-valid", reason=type(exc).__name__) from exc
    except InputError as exc:
        raise InputError("report-not-valid", reason=exc.code) from exc


def _by_domain(policies: Any) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for policy in policies[:MAX_ROWS]:
        domain = parse_domain(_text(policy["policy"]["policy-domain"]))
        found.setdefault(domain, []).append(policy)
    return found


def _tls_rows(policy: Mapping[str, Any]) -> Iterator[Row]:
    kind = _text(policy["policy"].get("policy-type", ""))
    summary = policy.get("summary", {})
    good = _count(summary.get("total-successful-session-count", 0))
    if good:
        yield Row(good, policy_type=kind, result="success")
    told = 0
    for failure in policy.get("failure-details") or ():
        count = _count(failure.get("failed-session-count", 0))
        told += count
        yield Row(
            count,
            source=_text(failure.get("sending-mta-ip", "")),
            policy_type=kind,
            result=_text(failure.get("result-type", "")) or "unknown",
            receiving_host=_text(failure.get("receiving-mx-hostname", "")),
        )
    rest = _count(summary.get("total-failure-session-count", 0)) - told
    if rest > 0:
        yield Row(rest, policy_type=kind, result="unknown")


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(_text(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return "".join(sign for sign in value if sign.isprintable()).strip()[:MAX_SIGNS]


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise ValueError(value)
    return value


def keep_report(
    session: Session,
    report: Report,
    now: datetime,
    *,
    organisation: str = "",
    message_id: str = "",
) -> bool:
    """Keep a report about a domain of ours, in the caller's transaction; False for all others.

    `organisation` is who sent it, as far as that was authenticated; else it says so itself. A report
    that is there already is not kept twice.
    """
    ours = session.exec(select(Domain.id).where(Domain.name == report.domain)).first()
    who = (organisation or report.organisation)[:MAX_SIGNS]
    known = select(ReceivedReport.id).where(
        ReceivedReport.kind == report.kind,
        ReceivedReport.organisation == who,
        ReceivedReport.report_id == report.report_id,
        ReceivedReport.domain == report.domain,
    )
    lately = select(func.count(col(ReceivedReport.id))).where(
        ReceivedReport.kind == report.kind,
        ReceivedReport.organisation == who,
        ReceivedReport.domain == report.domain,
        ReceivedReport.received_at > now - timedelta(days=1),
    )
    if ours is None or session.exec(known).first() is not None:
        return False
    if message_id and session.exec(lately).one() >= MAX_IN_A_DAY:
        return False
    row = ReceivedReport(
        kind=report.kind,
        organisation=who,
        contact=report.contact,
        report_id=report.report_id,
        domain=report.domain,
        begins_at=report.begins_at,
        ends_at=report.ends_at,
        policy=report.policy,
        message_id=message_id,
        received_at=now,
    )
    session.add(row)
    session.flush()
    assert row.id is not None
    if report.rows:
        session.connection().execute(insert(ReceivedRow), list(_as_rows(row.id, report.rows)))
    return True


def _as_rows(report_id: int, rows: Collection[Row]) -> Iterator[dict[str, Any]]:
    for one in rows:
        values = {name: getattr(one, name) for name in Row.__dataclass_fields__}
        yield {"report_id": report_id, **values}


def forget_reports(session: Session, before: datetime) -> None:
    """Remove reports that came before the moment, with their rows."""
    old = select(ReceivedReport.id).where(ReceivedReport.received_at < before)
    connection = session.connection()
    connection.execute(delete(ReceivedRow).where(col(ReceivedRow.report_id).in_(old)))
    connection.execute(delete(ReceivedReport).where(col(ReceivedReport.received_at) < before))
