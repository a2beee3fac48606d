"""Authentication where mail is taken: verdicts by DMARC, order of fields, events and rows for reports."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import col, select

from mailgov import faults
from mailgov.addresses import Address
from mailgov.authentication import InboundAuthentication
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import DmarcResult, Domain, EventRow, MessageRow, ReceivedReport
from mailgov.errors import Unavailable
from mailgov.intake import Intake
from mailgov.message import Client, Envelope, Recipient
from mailgov.queue import Queue, Spool
from mailgov.rulesets import AgencyRulesets
from mailgov_policies import Action, default_ruleset, facts

from ...support.directory import fill_directory
from ...support.dns import FakeResolver
from ...support.relay import Authority, running_relay
from ..queue.samples import body_of
from ..test_intake import BINH, NOW, People, Reader, Signing

AUTHOR = "dan@congty.test"
LETTER = (
    b"From: Dan <dan@congty.test>\r\nTo: binhtt@sotaichinh.tinhmau.gov.vn\r\n"
    b"Subject: Thu\r\n\r\nXin chao.\r\n"
)
ID = "mail.vidu.gov.vn"


def texts(policy: str) -> dict[str, list[bytes]]:
    record = f"v=DMARC1; p={policy}; rua=mailto:r@congty.test"
    return {
        "_dmarc.congty.test": [record.encode()],
        "congty.test": [b"v=spf1 ip4:192.0.2.7 -all"],
    }


class Known(People):
    """Authentication comes to the rules; nobody's domain is ours."""

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        known = await super().envelope_facts(envelope, authentication)
        return replace(known, sender_local=False, local_domains=())


def gate(
    database: Database,
    folder: Path,
    policy: str = "reject",
    broken: Sequence[str] = (),
    overridden: tuple[str, ...] = (),
) -> Intake:
    spool = Spool(folder / "spool")
    spool.prepare(database)
    config = Config()
    person = facts.Person("Dan", AUTHOR)
    content = facts.Content(100, header=facts.Header(subject="Thu", from_=(person,)))
    return Intake(
        config=config, clock=lambda: NOW, database=database, directory=Known(),
        readers=Reader(content),
        authenticator=InboundAuthentication(
            ID, FakeResolver(txt_of=texts(policy), broken=frozenset(broken)), lambda: NOW,
            chance=lambda: 0.0, overridden=overridden,
        ),
        rules=AgencyRulesets(default_ruleset(), None, database), signer=Signing(), spool=spool,
        queue=Queue(database, spool, config.delivery, lambda: NOW),
    )  # fmt: skip


def envelope(ip: str = "203.0.113.9") -> Envelope:
    return Envelope(
        direction="inbound",
        mail_from=Address.parse(AUTHOR),
        recipients=(Recipient(Address.parse(BINH)),),
        client=Client(ip=ip, helo="mail.congty.test"),
    )


@pytest.mark.parametrize(
    ("policy", "action", "disposition"),
    [
        ("reject", Action.REJECT, "reject"),
        ("quarantine", Action.HOLD, "quarantine"),
        ("none", Action.TAG, "none"),
    ],
)
async def test_what_the_owner_asks_for_is_done_and_reported(
    database: Database, tmp_path: Path, policy: str, action: Action, disposition: str
) -> None:
    outcome = await gate(database, tmp_path, policy).receive(envelope(), body_of(LETTER))
    assert (outcome.verdict.action, outcome.verdict.code) == (action, "authentication-failed")
    with database.read() as session:
        row = session.exec(select(DmarcResult)).one()
        mine = col(EventRow.kind).in_(("message.accepted", "message.refused"))
        event = session.exec(select(EventRow).where(mine, EventRow.message_id != "")).first()
    assert (row.message_id, row.at) == (outcome.queue_id, NOW)
    assert (row.disposition, row.dkim, row.spf) == (disposition, "fail", "fail")
    assert (row.policy_domain, row.source_ip) == ("congty.test", "203.0.113.9")
    assert event is not None
    assert event.data["authentication"] == {
        "spf": "fail", "dkim": "none", "dmarc": "fail", "arc": "none"
    }  # fmt: skip


async def test_the_operator_s_list_lets_mail_pass(database: Database, tmp_path: Path) -> None:
    made = gate(database, tmp_path, overridden=("congty.test",))
    outcome = await made.receive(envelope(), body_of(LETTER))
    assert outcome.verdict.action is Action.PASS
    with database.read() as session:
        row = session.exec(select(DmarcResult)).one()
    assert (row.disposition, row.reasons) == ("none", [["local_policy", ""]])


async def test_results_stand_above_received_and_that_above_what_came(
    database: Database, tmp_path: Path
) -> None:
    outcome = await gate(database, tmp_path).receive(envelope("192.0.2.7"), body_of(LETTER))
    with database.read() as session:
        message = session.get(MessageRow, outcome.queue_id)
    assert message is not None
    names = [line.partition(b":")[0] for line in message.prefix.splitlines() if line[:1] != b"\t"]
    assert names == [b"Authentication-Results", b"Received-SPF", b"Received"]
    assert message.content == LETTER


@pytest.mark.parametrize("name", ["_dmarc.congty.test", "congty.test"])
async def test_trouble_with_dns_keeps_nothing(
    database: Database, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Unavailable, match="resolver-unavailable"):
        await gate(database, tmp_path, broken=[name]).receive(envelope(), body_of(LETTER))
    with database.read() as session:
        assert session.exec(select(MessageRow)).all() == []
        assert session.exec(select(DmarcResult)).all() == []


async def test_a_row_is_kept_with_its_message_or_not_at_all(
    database: Database, tmp_path: Path
) -> None:
    def fail(point: str) -> None:
        if point == "A11":
            raise RuntimeError(point)

    faults.set_handler(fail)
    try:
        with pytest.raises(RuntimeError):
            await gate(database, tmp_path, "none").receive(envelope(), body_of(LETTER))
    finally:
        faults.set_handler(None)
    with database.read() as session:
        assert session.exec(select(DmarcResult)).all() == []


@pytest.mark.corpus
async def test_published_results_are_stripped_only_where_they_are_in_our_name(
    database: Database, tmp_path: Path, corpus: Path
) -> None:
    path = corpus / "third-party/auth/transcribed/authentication-results.json"
    vectors = [one for one in json.loads(path.read_text("utf-8"))["vectors"] if one["valid"]]
    assert len(vectors) == 6
    for vector in vectors:
        field = vector["header"].replace("\r\n", "\n").replace("\n\n", "\n").replace("\n", "\r\n")
        header = f"{field}\r\n".encode()
        server = vector["authserv_id"].encode()
        for given, kept in ((header, header), (header.replace(server, ID.encode(), 1), b"")):
            made = gate(database, tmp_path, "none")
            outcome = await made.receive(envelope(), body_of(given + LETTER))
            with database.read() as session:
                message = session.get(MessageRow, outcome.queue_id)
            assert message is not None
            assert message.content == kept + LETTER


REPORT = """<feedback><report_metadata><org_name>X</org_name><report_id>7</report_id>
<date_range><begin>1795219200</begin><end>1795305599</end></date_range></report_metadata>
<policy_published><domain>sotaichinh.tinhmau.gov.vn</domain><p>reject</p></policy_published>
<record><row><source_ip>192.0.2.7</source_ip><count>5</count></row><identifiers/></record>
</feedback>"""


@pytest.mark.parametrize(("ip", "kept"), [("192.0.2.7", 1), ("203.0.113.9", 0)])
async def test_a_report_is_read_from_mail_of_proven_authors(
    database: Database, tmp_path: Path, ip: str, kept: int
) -> None:
    with database.write() as session:
        fill_directory(session)
        session.add(Domain(name="sotaichinh.tinhmau.gov.vn", agency_id=1))
    header = LETTER.partition(b"\r\n\r\n")[0] + b"\r\nContent-Type: text/xml\r\n\r\n"
    message = header + REPORT.replace("\n", "\r\n").encode()
    to_us = Recipient(Address.parse("postmaster@sotaichinh.tinhmau.gov.vn"))
    made = gate(database, tmp_path, "none")
    outcome = await made.receive(replace(envelope(ip), recipients=(to_us,)), body_of(message))
    assert outcome.accepted
    with database.read() as session:
        reports = session.exec(select(ReceivedReport)).all()
    assert len(reports) == kept
    if kept:
        # Who sent it is what DMARC proved, not what the report says of itself.
        assert (reports[0].organisation, reports[0].message_id) == ("congty.test", outcome.queue_id)


async def test_on_the_wire_the_sender_hears_that_names_can_t_be_looked_up(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with running_relay(tmp_path, authority) as relay:
        relay.intake.trouble = Unavailable("resolver-unavailable", name="a.test", type="TXT")
        client = await relay.connect()
        await client.envelope(AUTHOR)
        reply = await client.data(LETTER + b".\r\n")
        assert reply.startswith("451 4.4.3 [trouble-dns]")
        await client.close()
