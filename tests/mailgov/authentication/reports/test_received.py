"""Reports of others: those published are read, hostile ones cost little and do nothing."""

import gzip
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from mailgov.authentication.reports.arriving import may_bring_report, read_arriving
from mailgov.authentication.reports.board import board, received, sources
from mailgov.authentication.reports.destinations import tls_uris
from mailgov.authentication.reports.received import (
    MAX_IN_A_DAY,
    Report,
    forget_reports,
    keep_report,
    read_file,
)
from mailgov.authentication.reports.unpack import MAX_BYTES
from mailgov.config import Authentication
from mailgov.db import Database
from mailgov.db.models import ReceivedReport, ReceivedRow
from mailgov.errors import InputError
from mailgov.message import Envelope, Recipient
from mailgov_policies import facts

from ...queue.samples import NOON, Address, body_of
from ...signing.samples import DOMAIN, add_domain

XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
<report_metadata><org_name>Nơi khác</org_name><email>r@x.test</email><report_id>1</report_id>
<date_range><begin>1795219200</begin><end>1795305599</end></date_range></report_metadata>
<policy_published><domain>{DOMAIN}</domain><p>reject</p></policy_published>
<record><row><source_ip>192.0.2.7</source_ip><count>5</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
</row><identifiers><header_from>{DOMAIN}</header_from></identifiers><auth_results/></record>
<record><row><source_ip>203.0.113.9</source_ip><count>3</count>
<policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated>
</row><identifiers><header_from>{DOMAIN}</header_from></identifiers><auth_results/></record>
</feedback>""".encode()

TLS: dict[str, Any] = {
    "organization-name": "Nơi khác",
    "date-range": {
        "start-datetime": "2026-11-22T00:00:00Z",
        "end-datetime": "2026-11-22T23:59:59Z",
    },
    "contact-info": "r@x.test",
    "report-id": "t1",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-domain": DOMAIN},
            "summary": {"total-successful-session-count": 10, "total-failure-session-count": 3},
            "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 2}],
        }
    ],
}


def mail(data: bytes, kind: str = "gzip") -> bytes:
    message = EmailMessage()
    message["From"] = "r@x.test"
    message.set_content("a report")
    message.add_attachment(data, "application", kind, filename="r.xml.gz")
    return message.as_bytes()


def zipped(*files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.xml", data)
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [XML, gzip.compress(XML), zipped(XML), mail(gzip.compress(XML)), mail(XML, "xml"), mail(zipped(XML), "zip")],
    ids=["plain", "gzip", "zip", "mail", "mail-xml", "mail-zip"],
)  # fmt: skip
def test_a_report_is_found_however_packed(data: bytes) -> None:
    (report,) = read_file(data)
    assert (report.organisation, report.domain, report.policy) == (
        "Nơi khác",
        DOMAIN,
        {"p": "reject"},
    )
    assert [(row.source, row.count, row.dkim) for row in report.rows] == [
        ("192.0.2.7", 5, "pass"), ("203.0.113.9", 3, "fail")
    ]  # fmt: skip


@pytest.mark.corpus
def test_published_aggregate_reports(corpus: Path) -> None:
    auth = corpus / "third-party/auth"
    paths = [
        *sorted((auth / "dmarc-reports").glob("*.xml")),
        *sorted((auth / "parsedmarc/aggregate").iterdir()),
        *sorted((auth / "parsedmarc/aggregate_invalid").iterdir()),
        *sorted((auth / "parsedmarc/extract_report").iterdir()),
    ]
    assert len(paths) == 20
    for path in paths:
        (report,) = read_file(path.read_bytes())
        assert report.kind == "dmarc"
        assert report.rows, path.name
        wanted = path.with_suffix(".json")
        if wanted.exists():
            told = json.loads(wanted.read_text("utf-8"))
            assert report.domain == told["policy_published"]["domain"]
            assert len(report.rows) == len(told["record"])


@pytest.mark.corpus
def test_published_tls_reports(corpus: Path) -> None:
    auth = corpus / "third-party/auth"
    mails = {
        one: read_file((auth / f"tlsrpt/{one}.eml").read_bytes()) for one in ("rpt01", "rpt02")
    }
    for name, reports in mails.items():
        assert reports == read_file((auth / f"tlsrpt/{name}.json").read_bytes())
    (first,) = mails["rpt01"]
    assert [(row.result, row.count) for row in first.rows] == [
        ("success", 5326), ("certificate-expired", 100),
        ("starttls-not-supported", 200), ("validation-failure", 3),
    ]  # fmt: skip
    for path in (auth / "parsedmarc/smtp_tls").iterdir():
        assert [report.kind for report in read_file(path.read_bytes())] == ["tls"]
    # One that names no domain says nothing of anybody.
    with pytest.raises(InputError, match="report-not-valid"):
        read_file((auth / "tlsrpt/rpt03.json").read_bytes())


@pytest.mark.corpus
def test_published_failure_reports_are_no_aggregate_reports(corpus: Path) -> None:
    for folder in ("parsedmarc/failure", "arf"):
        for path in (corpus / "third-party/auth" / folder).glob("*.eml"):
            assert read_file(path.read_bytes()) == [], path.name


@pytest.mark.corpus
def test_published_tls_records(corpus: Path) -> None:
    path = corpus / "third-party/auth/transcribed/tlsrpt-record.json"
    vectors = json.loads(path.read_text("utf-8"))["vectors"]
    wrong = [one["input"] for one in vectors if bool(tls_uris(one["input"])) != one["valid"]]
    assert wrong == []


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE f [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>
<feedback><report_metadata><report_id>&b;</report_id></report_metadata></feedback>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE f [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<feedback><report_metadata><org_name>&a;</org_name></report_metadata></feedback>"""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("entities", LAUGHS),
        ("a file of ours", FILE),
        # But for one thing these are whole reports.
        (
            "a document type",
            XML.replace(b"<feedback", b"<!DOCTYPE feedback [<!ENTITY a 'x'>]><feedback"),
        ),
        ("deep", b"<feedback>" + b"<a>" * 100_000),
        ("bomb", gzip.compress(XML + b" " * MAX_BYTES)),
        ("bomb in a zip", zipped(XML + b" " * MAX_BYTES)),
        ("cut off", gzip.compress(XML)[:-20]),
        ("broken zip", b"PK\x03\x04" + b"x" * 100),
        ("another root", b"<html/>"),
        ("no moment", XML.replace(b"1795219200", b"soon")),
        ("no domain", XML.replace(f"<domain>{DOMAIN}".encode(), b"<domain>-x-")),
        ("no id", XML.replace(b"<report_id>1", b"<report_id>")),
        ("endless count", XML.replace(b"<count>5", b"<count>" + b"9" * 30)),
        ("negative count", XML.replace(b"<count>5", b"<count>-5")),
        ("other JSON", b"{}"),
        ("deep JSON", b'{"a":' + b"[" * 100_000),
        ("counts of another kind", json.dumps(TLS).replace("10", '"x"').encode()),
        ("too large a mail", b"x" * (11 << 20)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_report_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(InputError, match="report-not-valid"):
        read_file(data)


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"<feedback>", b"{", b"\x1f\x8b", b"PK\x03\x04"])
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    try:
        read_file(start + data)
    except InputError as error:
        if error.code != "report-not-valid":
            raise


def test_texts_of_strangers_are_short_and_plain() -> None:
    long = "x" * 5000
    hostile = XML.replace("Nơi khác".encode(), f"a&#10;b{long}".encode())
    (report,) = read_file(hostile)
    assert report.organisation.startswith("abxxx")
    assert len(report.organisation) == 255


# Arriving by mail -------------------------------------------------------------------------------


def envelope(to: str, direction: Any = "inbound") -> Envelope:
    recipients = (Recipient(Address.parse(to)),)
    return Envelope(direction=direction, mail_from=None, recipients=recipients)


@pytest.mark.parametrize(
    ("to", "dmarc", "direction", "wanted"),
    [
        (f"postmaster@{DOMAIN}", "pass", "inbound", True),
        (f"Postmaster@{DOMAIN}", "pass", "inbound", True),
        (f"an@{DOMAIN}", "pass", "inbound", False),
        (f"postmaster@{DOMAIN}", "fail", "inbound", False),
        (f"postmaster@{DOMAIN}", "none", "inbound", False),
        (f"postmaster@{DOMAIN}", "pass", "submission", False),
    ],
)
def test_reports_are_taken_from_proven_authors_only(
    to: str, dmarc: Any, direction: str, wanted: bool
) -> None:
    results = facts.Authentication(dmarc=dmarc)
    assert may_bring_report(Authentication(), envelope(to, direction), results) is wanted


def test_mail_without_a_report_is_just_mail() -> None:
    assert read_arriving(body_of(b"Subject: hi\r\n\r\nhello\r\n")) == []
    assert read_arriving(body_of(mail(gzip.compress(XML)[:-9]))) == []


# The board --------------------------------------------------------------------------------------


@pytest.fixture
def domain(database: Database) -> Database:
    add_domain(database)
    return database


def keep(database: Database, *reports: Report, organisation: str = "") -> list[bool]:
    with database.write() as session:
        return [keep_report(session, one, NOON, organisation=organisation) for one in reports]


def test_a_report_is_kept_once_and_only_about_domains_of_ours(domain: Database) -> None:
    (report,) = read_file(XML)
    (foreign,) = read_file(XML.replace(DOMAIN.encode(), b"other.test"))
    assert keep(domain, report, report, foreign) == [True, False, False]
    assert keep(domain, report, organisation="x.test") == [True]  # who was proven to have sent it
    with domain.read() as session:
        assert len(session.exec(select(ReceivedReport)).all()) == 2
        assert len(session.exec(select(ReceivedRow)).all()) == 4


def test_nobody_fills_the_board_with_reports(domain: Database) -> None:
    (report,) = read_file(XML)
    many = [replace(report, report_id=str(number)) for number in range(MAX_IN_A_DAY + 3)]
    with domain.write() as session:
        kept = [
            keep_report(session, one, NOON, organisation="x.test", message_id="q") for one in many
        ]
        assert keep_report(session, report, NOON, organisation="y.test", message_id="q")
        later = NOON + timedelta(days=1)
        assert keep_report(session, many[-1], later, organisation="x.test", message_id="q")
    assert kept == [True] * MAX_IN_A_DAY + [False] * 3


def test_reports_are_forgotten_with_their_rows(domain: Database) -> None:
    (report,) = read_file(XML)
    keep(domain, report)
    for moment, left in ((NOON, 1), (NOON + timedelta(seconds=1), 0)):
        with domain.write() as session:
            forget_reports(session, moment)
        with domain.read() as session:
            assert len(session.exec(select(ReceivedReport)).all()) == left
            assert len(session.exec(select(ReceivedRow)).all()) == 2 * left


def test_the_board_adds_up(domain: Database) -> None:
    (mail_report,) = read_file(XML)
    (tls_report,) = read_file(json.dumps(TLS).encode())
    keep(domain, mail_report, tls_report)
    since = NOON - timedelta(days=30)
    with domain.read() as session:
        (line,) = board(session, since)
        hosts = sources(session, DOMAIN, since, 10)
        assert [one.kind for one in received(session, since, 10)] == ["tls", "dmarc"]
        assert board(session, NOON + timedelta(days=900))[0].messages == 0
    assert (line.domain, line.reporters, line.messages) == (DOMAIN, 1, 8)
    assert (line.aligned, line.failing, line.rejected, line.quarantined) == (5, 3, 3, 0)
    assert (line.tls_sessions, line.tls_failures) == (13, 3)
    assert [(one.source, one.messages, one.aligned) for one in hosts] == [
        ("203.0.113.9", 3, 0), ("192.0.2.7", 5, 5)
    ]  # fmt: skip
