"""The mail that carries a report (RFC 7489, 7.2.1.1; RFC 8460, 5.3)."""

import gzip
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from mailgov.authentication.reports.day import Day
from mailgov.authentication.reports.dmarc_made import Made, Sender

ReportKind = Literal["dmarc", "tls"]


def pack(made: Made) -> bytes:
    """The report, compressed; the same bytes for the same report."""
    return gzip.compress(made.content, mtime=0)


def compose(
    kind: ReportKind,
    made: Made,
    packed: bytes,
    domain: str,
    day: Day,
    sender: Sender,
    to: Sequence[str],
    queue_id: str,
    now: datetime,
) -> bytes:
    """The mail. Pure."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender.address
    mail["To"] = ", ".join(to)
    mail["Subject"] = (
        f"Report Domain: {domain} Submitter: {sender.hostname} Report-ID: <{made.report_id}>"
    )
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{queue_id}@{sender.hostname}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5
    begin, end = int(day.begins_at.timestamp()), int(day.last_second.timestamp())
    ending = "xml" if kind == "dmarc" else "json"
    name = f"{sender.hostname}!{domain}!{begin}!{end}.{ending}.gz"
    what = "DMARC aggregate" if kind == "dmarc" else "TLS"
    mail.set_content(
        f"This is a {what} report from {sender.hostname} about {domain}, {day.begins_at:%Y-%m-%d}.\n"
    )
    if kind == "tls":
        mail["TLS-Report-Domain"] = domain
        mail["TLS-Report-Submitter"] = sender.hostname
        mail.add_attachment(packed, "application", "tlsrpt+gzip", filename=name)
        mail.set_type("multipart/report")
        mail.set_param("report-type", "tlsrpt")
    else:
        mail.add_attachment(packed, "application", "gzip", filename=name)
    return mail.as_bytes()
