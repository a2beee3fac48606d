"""Reports of ours: whole, valid, signed, once, and only to those who agreed."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlmodel import select

from mailgov.authentication.reports.daily import Reporting, send_due
from mailgov.authentication.reports.received import read_mail
from mailgov.config import Config, load_config
from mailgov.db import Database
from mailgov.db.models import (
    DmarcResult,
    EventRow,
    Mailbox,
    MessageRow,
    RecipientRow,
    SentReport,
    TlsResult,
)
from mailgov.signing import Signer
from mailgov.signing.keyring import KeyRing
from mailgov.signing.verify import verify

from ....support.dns import FakeResolver
from ...queue.samples import NOON, body_of
from ...signing.samples import DOMAIN, THEN, add_domain, add_key

YESTERDAY = NOON - timedelta(days=1)
SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "rfc7489.xsd"))


@dataclass
class World:
    """A platform with a domain and a key, mail of yesterday, and a zone."""

    database: Database
    folder: Path
    key_record: bytes
    texts: dict[str, list[bytes]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    now: datetime = NOON
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> Config:
        return load_config(
            None, site={"organisation": "Tỉnh Mẫu"}, authentication=dict(self.settings)
        )

    async def send(self) -> int:
        resolver = FakeResolver(txt_of=self.texts, broken=frozenset(self.broken))
        signer = Signer(self.database, KeyRing(self.folder), lambda: THEN)
        reporting = Reporting(self.config(), self.database, resolver, signer, lambda: self.now)
        return await send_due(reporting)

    def add(self, *rows: Any) -> None:
        with self.database.write() as session:
            session.add_all(rows)

    def all(self, table: Any) -> list[Any]:
        with self.database.read() as session:
            return list(session.exec(select(table)))

    def mails(self) -> list[bytes]:
        return [row.prefix + (row.content or b"") for row in self.all(MessageRow)]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    add_domain(database)
    record = add_key(database, tmp_path / "keys", "k", "ed25519")
    return World(database, tmp_path / "keys", record.encode())


def result(**changes: Any) -> DmarcResult:
    values: dict[str, Any] = {
        "at": YESTERDAY,
        "policy_domain": "a.test",
        "policy": {"p": "reject", "sp": "none", "adkim": "r", "aspf": "s", "pct": "50", "fo": "1"},
        "source_ip": "192.0.2.7",
        "header_from": "a.test",
        "envelope_from": "b.test",
        "disposition": "reject",
        "reasons": [],
        "auth": {
            "dkim": [{"domain": "a.test", "selector": "s1", "result": "fail"}],
            "spf": {"domain": "b.test", "scope": "mfrom", "result": "pass"},
        },
    }
    return DmarcResult(**{**values, **changes})


def document(mail: bytes) -> tuple[Message, bytes]:
    message = message_from_bytes(mail)
    *_, part = message.walk()
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return message, gzip.decompress(payload)


async def test_a_report_is_valid_signed_and_says_what_happened(world: World) -> None:
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=reject; rua=mailto:r@a.test"]
    world.add(
        *(result() for _ in range(3)),
        result(source_ip="2001:db8::1", dkim="pass", disposition="none",
               reasons=[["local_policy", ""], ["sampled_out", "x\x00<y>"]]),
        result(at=YESTERDAY - timedelta(days=10)),
        result(at=NOON),
        result(policy_domain="other.test"),
    )  # fmt: skip
    assert await world.send() == 1
    (mail,) = world.mails()
    message, xml = document(mail)
    root = etree.fromstring(xml)
    SCHEMA.assertValid(root)
    assert [int(count) for count in root.xpath("record/row/count/text()")] == [3, 1]
    assert root.xpath("string(policy_published/pct)") == "50"
    assert root.xpath("string(report_metadata/org_name)") == "Tỉnh Mẫu"
    assert root.xpath("record[2]//reason/type/text()") == ["local_policy", "sampled_out"]
    begin, end = root.xpath("//date_range/*/text()")
    assert int(end) - int(begin) == 86_399
    subject = " ".join(str(message["Subject"]).split())
    assert subject == (
        "Report Domain: a.test Submitter: mail.vidu.gov.vn"
        " Report-ID: <20261122.a.test@mail.vidu.gov.vn>"
    )
    *_, part = message.walk()
    assert part.get_filename() == f"mail.vidu.gov.vn!a.test!{begin}!{end}.xml.gz"
    header = mail.partition(b"\r\n\r\n")[0] + b"\r\n"
    resolver = FakeResolver(txt_of={f"k._domainkey.{DOMAIN}": [world.key_record]})
    (signature,) = await verify(header, body_of(mail), resolver, lambda: THEN)
    assert (signature.result, signature.domain) == ("pass", DOMAIN)
    (row,) = world.all(RecipientRow)
    assert (row.address, row.destination, row.notify) == ("r@a.test", "a.test", "NEVER")
    (report,) = read_mail(mail)
    assert (report.domain, sum(one.count for one in report.rows)) == ("a.test", 4)


async def test_each_report_is_sent_once(world: World) -> None:
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=none; rua=mailto:r@a.test"]
    world.add(result())
    assert [await world.send() for _ in range(3)] == [1, 0, 0]
    world.now += timedelta(days=1)
    world.add(result(at=NOON))
    assert await world.send() == 1
    assert [row.state for row in world.all(SentReport)] == ["sent", "sent"]
    accepted = [row for row in world.all(EventRow) if row.kind == "message.accepted"]
    assert [row.data["channel"] for row in accepted] == ["notice", "notice"]


async def test_a_day_is_reported_when_it_is_over_and_half_an_hour(world: World) -> None:
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=none; rua=mailto:r@a.test"]
    world.add(result())
    midnight = NOON.replace(hour=0, minute=0)
    for minutes, wanted in ((-1, 0), (29, 0), (31, 1)):
        world.now = midnight + timedelta(minutes=minutes)
        assert await world.send() == wanted


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ({"_dmarc.a.test": [b"v=DMARC1; p=none; rua=mailto:r@c.test"]}, []),
        (
            {
                "_dmarc.a.test": [b"v=DMARC1; p=none; rua=mailto:r@c.test,mailto:s@mail.a.test"],
                "a.test._report._dmarc.c.test": [b"v=DMARC1"],
            },
            ["r@c.test", "s@mail.a.test"],
        ),
        (
            {
                "_dmarc.a.test": [b"v=DMARC1; p=none; rua=mailto:r@c.test"],
                "a.test._report._dmarc.c.test": [b"v=DMARC10"],
            },
            [],
        ),
        ({"_dmarc.a.test": [b"v=DMARC1; p=none; rua=mailto:r@a.test!10"]}, []),
        ({"_dmarc.a.test": [b"v=DMARC1; p=none; rua=mailto:r@a.test!1m"]}, ["r@a.test"]),
        ({"_dmarc.a.test": [b"v=DMARC1; p=none; rua=https://a.test/"]}, []),
        ({}, []),
    ],
)
async def test_nobody_gets_reports_who_did_not_agree(
    world: World, texts: dict[str, list[bytes]], wanted: list[str]
) -> None:
    world.texts.update(texts)
    world.add(result())
    assert await world.send() == (1 if wanted else 0)
    assert [row.address for row in world.all(RecipientRow)] == wanted
    (sent,) = world.all(SentReport)
    assert (sent.state, sent.recipients) == ("sent" if wanted else "unwanted", wanted)


async def test_a_domain_in_trouble_is_tried_again_and_holds_up_nobody(world: World) -> None:
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=none; rua=mailto:r@a.test"]
    world.texts["_dmarc.b.test"] = [b"v=DMARC1; p=none; rua=mailto:r@b.test"]
    world.add(result(), result(policy_domain="b.test"))
    world.broken = {"_dmarc.a.test"}
    assert await world.send() == 1
    world.broken = set()
    world.now += timedelta(days=1)
    assert await world.send() == 1
    assert sorted(row.address for row in world.all(RecipientRow)) == ["r@a.test", "r@b.test"]


async def test_without_a_key_or_when_switched_off_nothing_leaves(
    world: World, tmp_path: Path
) -> None:
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=none; rua=mailto:r@a.test"]
    world.add(result())
    world.settings = {"send_reports": False}
    assert await world.send() == 0
    world.settings = {"report_sender": "dmarc@khongkhoa.test"}
    assert await world.send() == 0
    assert world.all(SentReport) == []
    world.settings = {"report_sender": f"bao-cao@{DOMAIN}"}
    assert await world.send() == 1
    assert b"\r\nFrom: bao-cao@" in world.mails()[0]


async def test_a_report_about_ourselves_goes_to_our_mailbox(world: World) -> None:
    world.texts[f"_dmarc.{DOMAIN}"] = [f"v=DMARC1; p=none; rua=mailto:x@{DOMAIN}".encode()]
    world.add(result(policy_domain=DOMAIN))
    assert await world.send() == 0  # there is no such mailbox, and no loop through our own MX
    world.add(Mailbox(address=f"x@{DOMAIN}", domain_id=1, agency_id=1))
    world.add(result(policy_domain=DOMAIN, at=NOON))
    world.now += timedelta(days=1)
    assert await world.send() == 1
    (row,) = world.all(RecipientRow)
    assert (row.destination, row.mailbox_id) == ("mailbox", 1)


async def test_single_results_are_forgotten_after_their_time(world: World) -> None:
    world.add(result(at=NOON - timedelta(days=40)), result(at=NOON - timedelta(days=30)))
    world.add(TlsResult(at=NOON - timedelta(days=40), policy_domain="a.test"))
    await world.send()
    assert len(world.all(DmarcResult)) == 1
    assert world.all(TlsResult) == []


async def test_sessions_with_other_servers_are_reported(world: World) -> None:
    world.texts["_smtp._tls.a.test"] = [b"v=TLSRPTv1; rua=mailto:t@c.test,https://a.test/t"]
    sts = {
        "at": YESTERDAY, "policy_domain": "a.test", "policy_type": "sts",
        "policy_strings": ["version: STSv1", "mode: enforce"], "mx_hosts": ["*.a.test"],
    }  # fmt: skip
    failure = {
        "receiving_host": "mx.a.test",
        "receiving_ip": "192.0.2.9",
        "sending_ip": "192.0.2.1",
    }
    world.add(
        *(TlsResult(**sts) for _ in range(4)),
        TlsResult(**sts, **failure, result="certificate-expired", sessions=2),
        TlsResult(at=YESTERDAY, policy_domain="a.test"),
        TlsResult(at=YESTERDAY, policy_domain="silent.test"),
    )
    assert await world.send() == 1
    (mail,) = world.mails()
    message, text = document(mail)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "a.test"
    told = json.loads(text)
    first, second = told["policies"]
    assert first["policy"]["policy-string"] == ["version: STSv1", "mode: enforce"]
    assert first["summary"] == {
        "total-successful-session-count": 4, "total-failure-session-count": 2
    }  # fmt: skip
    assert first["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.1",
            "receiving-mx-hostname": "mx.a.test",
            "receiving-ip": "192.0.2.9",
            "failed-session-count": 2,
        }
    ]
    assert second["policy"] == {"policy-type": "no-policy-found", "policy-domain": "a.test"}
    (report,) = read_mail(mail)
    assert [(row.result, row.count) for row in report.rows] == [
        ("success", 4), ("certificate-expired", 2), ("success", 1)
    ]  # fmt: skip
