"""Our aggregate report to a domain: the rows of a day, counted, as XML (RFC 7489, Appendix C)."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree
from sqlmodel import Session, select

from mailgov.authentication.reports.day import Day
from mailgov.db.models import DmarcResult

MAX_ROWS = 20_000
"""Different rows of one report; those of the fewest messages are left out beyond it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who makes reports: name, address, and the domain in report ids."""

    organisation: str
    address: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Made:
    """A report, ready to be sent."""

    report_id: str
    content: bytes  # XML or JSON, not yet compressed
    messages: int


def report_id(day: Day, domain: str, sender: Sender) -> str:
    """The same for the same report, whoever makes it again."""
    return f"{day.begins_at:%Y%m%d}.{domain}@{sender.hostname}"


def make_dmarc(session: Session, domain: str, day: Day, sender: Sender) -> Made | None:
    """The report of a day; None when the domain had no mail."""
    rows: Counter[str] = Counter()
    policy: Mapping[str, str] = {}
    for result in session.exec(_of_day(domain, day)):
        rows[_as_row(result)] += 1
        policy = result.policy  # the latest: one report tells one policy
    if not rows:
        return None
    name = report_id(day, domain, sender)
    counted = [(json.loads(row), count) for row, count in rows.most_common(MAX_ROWS)]
    content = _document(name, domain, day, sender, policy, counted)
    return Made(name, content, sum(count for _, count in counted))


def _of_day(domain: str, day: Day) -> Any:
    return (
        select(DmarcResult)
        .where(
            DmarcResult.policy_domain == domain,
            DmarcResult.at >= day.begins_at,
            DmarcResult.at < day.ends_at,
        )
        .order_by(DmarcResult.id)  # type: ignore[arg-type]  # a column, once it is mapped
        .execution_options(yield_per=1000)
    )


def _as_row(result: DmarcResult) -> str:
    """What must be equal for messages to share a row."""
    row = {
        "ip": result.source_ip,
        "disposition": result.disposition,
        "dkim": result.dkim,
        "spf": result.spf,
        "reasons": result.reasons,
        "from": result.header_from,
        "envelope": result.envelope_from,
        "auth": result.auth,
    }
    return json.dumps(row, sort_keys=True)


def _document(
    name: str,
    domain: str,
    day: Day,
    sender: Sender,
    policy: Mapping[str, str],
    rows: Iterable[tuple[dict[str, Any], int]],
) -> bytes:
    root = etree.Element("feedback")
    _add(root, "version", "1.0")
    about = etree.SubElement(root, "report_metadata")
    _add(about, "org_name", sender.organisation)
    _add(about, "email", sender.address)
    _add(about, "report_id", name)
    span = etree.SubElement(about, "date_range")
    _add(span, "begin", str(int(day.begins_at.timestamp())))
    _add(span, "end", str(int(day.last_second.timestamp())))
    published = etree.SubElement(root, "policy_published")
    _add(published, "domain", domain)
    for tag, default in (
        ("adkim", "r"), ("aspf", "r"), ("p", "none"), ("sp", "none"), ("pct", "100"), ("fo", "0"),
    ):  # fmt: skip
        _add(published, tag, policy.get(tag, default))
    for row, count in rows:
        _add_record(root, row, count)
    document: bytes = etree.tostring(
        root, xml_declaration=True, encoding="UTF-8", pretty_print=True
    )
    return document


def _add_record(root: Any, row: Mapping[str, Any], count: int) -> None:
    record = etree.SubElement(root, "record")
    seen = etree.SubElement(record, "row")
    _add(seen, "source_ip", row["ip"])
    _add(seen, "count", str(count))
    evaluated = etree.SubElement(seen, "policy_evaluated")
    for tag in ("disposition", "dkim", "spf"):
        _add(evaluated, tag, row[tag])
    for kind, comment in row["reasons"]:
        reason = etree.SubElement(evaluated, "reason")
        _add(reason, "type", kind)
        _add(reason, "comment", comment)
    names = etree.SubElement(record, "identifiers")
    _add(names, "envelope_from", row["envelope"])
    _add(names, "header_from", row["from"])
    results = etree.SubElement(record, "auth_results")
    for one in row["auth"].get("dkim", ()):
        signature = etree.SubElement(results, "dkim")
        for tag in ("domain", "selector", "result"):
            _add(signature, tag, one[tag])
    spf = etree.SubElement(results, "spf")
    for tag in ("domain", "scope", "result"):
        _add(spf, tag, row["auth"]["spf"][tag])


def _add(parent: Any, tag: str, text: str) -> None:
    """An element with a text; signs that XML can't hold become question marks."""
    clean = "".join(sign if sign.isprintable() else "?" for sign in text)
    etree.SubElement(parent, tag).text = clean
