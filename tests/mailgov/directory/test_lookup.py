"""What relay, gate and webmail ask of the directory."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlmodel import Session, col, select

from mailgov.access import Role
from mailgov.addresses import Address
from mailgov.config import Limits
from mailgov.db import Database
from mailgov.db.models import Credential, Domain, EventRow, Mailbox, RoleGrant
from mailgov.directory import Directory
from mailgov.directory.provisioning import (
    add_alias,
    grant_role,
    grant_send_as,
    resume,
    set_password,
    suspend,
)
from mailgov.directory.sign_in import Channel
from mailgov.lifecycle.ending import Recall, recall
from mailgov.message import Client, Direction, Envelope, Recipient
from mailgov_policies import default_ruleset, facts, judge

from ...support.directory import AN, NOW, OFFICE, PASSWORD, SUFFIXES, act, fill_directory

YESTERDAY, TODAY = date(2026, 11, 20), date(2026, 11, 21)


async def test_the_right_password_opens_the_account(directory: Directory) -> None:
    account = await directory.sign_in("AnNV@SoNoiVu.TinhMau.test", PASSWORD)
    assert account is not None
    assert account.address == AN
    assert account.display_name == "Nguyễn Văn An"
    assert (account.kind, account.state) == ("person", "active")
    assert (account.agency_code, account.agency_name) == ("H99.02", "Sở Nội vụ")
    assert account.may_send_as == (AN,)
    assert account.roles == ()


@pytest.mark.parametrize(
    ("address", "password"),
    [
        (AN, "Tre xanh 4 mua la"),
        (AN, ""),
        ("nobody@sonoivu.tinhmau.test", PASSWORD),
        ("not an address", PASSWORD),
        (OFFICE, PASSWORD),
    ],
    ids=["wrong password", "no password", "unknown name", "no address", "no password was ever set"],
)
async def test_anything_else_is_one_and_the_same_no(
    directory: Directory, address: str, password: str
) -> None:
    assert await directory.sign_in(address, password) is None


async def test_a_suspended_mailbox_is_only_read_in_the_webmail_until_resumed(
    directory: Directory, filled: Database
) -> None:
    with filled.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99.02")
        suspend(session, act("nghỉ thai sản"), AN)
    programs: tuple[Channel, ...] = ("smtp", "imap", "dav")
    for channel in programs:
        assert await directory.sign_in(AN, PASSWORD, channel=channel) is None
    account = await directory.sign_in(AN, PASSWORD)
    assert account is not None
    assert (account.state, account.only_reads, account.roles) == ("suspended", True, ())
    with filled.write() as session:
        resume(session, act(), AN)
    account = await directory.sign_in(AN, PASSWORD, channel="smtp")
    assert account is not None
    assert (account.only_reads, account.roles) == (False, (Role("it", "H99.02"),))


@pytest.mark.parametrize(
    ("holder_reads", "open_by"),
    [(True, ["web", "imap"]), (False, [])],
    ids=["its holder may read on", "nobody may"],
)
async def test_a_recalled_mailbox_opens_where_one_reads(
    directory: Directory, filled: Database, holder_reads: bool, open_by: list[Channel]
) -> None:
    how = Recall(readable_until=TODAY, kept_until=date(2027, 11, 21), holder_reads=holder_reads)
    with filled.write() as session:
        recall(session, act("nghỉ hưu"), AN, how)
    channels: tuple[Channel, ...] = ("web", "imap", "smtp", "dav")
    found = [c for c in channels if await directory.sign_in(AN, PASSWORD, channel=c)]
    assert found == open_by


async def test_a_replaced_password_opens_nothing(directory: Directory, filled: Database) -> None:
    with filled.write() as session:
        set_password(session, act(), AN, "Mua dong 7 cay so!")
    assert await directory.sign_in(AN, PASSWORD) is None
    assert await directory.sign_in(AN, "Mua dong 7 cay so!") is not None


async def test_use_is_noted_once_an_hour(filled: Database) -> None:
    now = NOW

    def used() -> tuple[datetime | None, datetime | None]:
        with filled.read() as session:
            mailbox = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
            credential = session.exec(
                select(Credential).where(Credential.mailbox_id == mailbox.id)
            ).one()
            return mailbox.activated_at, credential.last_used_at

    directory = Directory(filled, lambda: now, Limits())
    assert used() == (None, None)
    await directory.sign_in(AN, PASSWORD)
    assert used() == (NOW, NOW)
    now = NOW + timedelta(minutes=59)
    await directory.sign_in(AN, PASSWORD)
    assert used() == (NOW, NOW)
    now = NOW + timedelta(minutes=61)
    await directory.sign_in(AN, PASSWORD)
    assert used() == (NOW, now)


async def test_sign_ins_are_events_and_strangers_names_are_not_kept(
    directory: Directory, filled: Database
) -> None:
    await directory.sign_in(AN, PASSWORD, channel="smtp", ip="10.1.2.3")
    await directory.sign_in("MatKhauGoNham1!", "x", channel="web", ip="10.1.2.3")
    with filled.read() as session:
        rows = session.exec(
            select(EventRow).where(EventRow.kind == "sign-in").order_by(col(EventRow.id))
        ).all()
    assert [(row.mailbox, row.agency_code, row.actor) for row in rows] == [
        (AN, "H99.02", AN),
        ("", "", ""),
    ]
    assert rows[0].data == {"channel": "smtp", "success": True, "ip": "10.1.2.3"}
    assert rows[1].data == {"channel": "web", "success": False, "ip": "10.1.2.3"}


async def test_addresses_one_may_send_from(directory: Directory, filled: Database) -> None:
    with filled.write() as session:
        add_alias(session, act(), address="an.nv@sonoivu.tinhmau.test", mailbox=AN)
        add_alias(session, act(), address="old@tinhmau.test", mailbox=AN, until=YESTERDAY)
        add_alias(session, act(), address="today@tinhmau.test", mailbox=AN, until=TODAY)
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN)
        grant_role(session, act(), mailbox=AN, role="it", agency="H99.02")
        grant_role(session, act(), mailbox=AN, role="auditor", until=TODAY)
        ended = session.exec(select(RoleGrant).where(RoleGrant.role == "auditor")).one()
        ended.until = YESTERDAY  # a day later
    account = await directory.account(AN)
    assert account is not None
    assert account.may_send_as == (AN, "an.nv@sonoivu.tinhmau.test", "today@tinhmau.test", OFFICE)
    assert account.roles == (Role("it", "H99.02"),)


@pytest.mark.parametrize(
    ("rights", "until", "closed"),
    [("read", None, False), ("send-as", YESTERDAY, False), ("send-as", None, True)],
    ids=["right to read only", "right has ended", "mailbox is suspended"],
)
async def test_addresses_one_may_no_longer_send_from(
    directory: Directory, filled: Database, rights: str, until: date | None, closed: bool
) -> None:
    with filled.write() as session:
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN, rights=rights, until=until)
        if closed:
            suspend(session, act("kiểm tra"), OFFICE)
    account = await directory.account(AN)
    assert account is not None
    assert account.may_send_as == (AN,)


async def test_mailboxes_and_aliases_are_found_without_case(
    directory: Directory, filled: Database
) -> None:
    with filled.write() as session:
        add_alias(session, act(), address="an.nv@sonoivu.tinhmau.test", mailbox=AN)
        add_alias(session, act(), address="old@tinhmau.test", mailbox=AN, until=YESTERDAY)
        suspend(session, act("nghỉ"), AN)
    for text in ("annv@sonoivu.tinhmau.test", "An.NV@SONOIVU.tinhmau.test"):
        found = await directory.find_mailbox(Address.parse(text))
        assert found is not None
        assert (found.address, found.state, found.quota_mb) == (AN, "suspended", 5120)
        assert (found.kind, found.agency_code, found.interagency_only) == (
            "person",
            "H99.02",
            False,
        )
    assert await directory.find_mailbox(Address.parse("old@tinhmau.test")) is None
    assert await directory.find_mailbox(Address.parse("nobody@tinhmau.test")) is None


async def test_domains(directory: Directory) -> None:
    assert await directory.is_local_domain("tinhmau.test")
    assert not await directory.is_local_domain("khac.tinhmau.test")


async def test_facts_of_a_submission(directory: Directory, filled: Database) -> None:
    with filled.write() as session:
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN)
    envelope = Envelope(
        direction="submission",
        mail_from=Address.parse(OFFICE),
        recipients=tuple(
            Recipient(Address.parse(text))
            for text in (AN, "Someone@mof.gov.vn", "dan@mail.yahoo.com.vn", "x@example.com")
        ),
        login=Address.parse(AN),
        client=Client(ip="10.1.2.3", helo="pc7"),
    )
    known = await directory.envelope_facts(envelope, facts.Authentication())
    ours, ministry, citizen, foreign = known.recipients
    assert (ours.local, ours.official, ours.kind, ours.agency) == (True, True, "person", "H99.02")
    assert ours.mailbox_id is not None
    assert (ministry.address, ministry.local, ministry.official) == (
        "someone@mof.gov.vn",
        False,
        True,
    )
    assert (citizen.freemail, citizen.official) == (True, False)
    assert (foreign.freemail, foreign.official, foreign.mailbox_id) == (False, False, None)
    assert (known.login, known.agency, known.may_send_as) == (AN, "H99.02", (AN, OFFICE))
    assert (known.mail_from, known.sender_local) == (OFFICE, True)
    assert known.local_domains == ("sonoivu.tinhmau.test",)
    assert known.freemail_domains == ("mail.yahoo.com.vn",)
    assert known.official_suffixes == tuple(SUFFIXES)
    assert (known.client_ip, known.helo) == ("10.1.2.3", "pc7")


async def test_facts_of_what_a_mailbox_passes_on_by_itself(directory: Directory) -> None:
    outside = Recipient(Address.parse("an@gmail.com"))
    envelope = Envelope(
        direction="internal",
        mail_from=Address.parse("ai@khac.test"),
        recipients=(outside,),
        forwarded_by=Address.parse(AN),
    )
    known = await directory.envelope_facts(envelope, facts.Authentication())
    assert known.forwarded_by == AN
    verdict = judge(facts.Facts(known, facts.Content(1)), default_ruleset(), date(2026, 11, 22))
    assert (verdict.action.label, verdict.code) == ("reject", "auto-forward-external")


async def test_facts_of_a_notice_from_outside(directory: Directory) -> None:
    envelope = Envelope(
        direction="inbound", mail_from=None, recipients=(Recipient(Address.parse(AN)),)
    )
    results = facts.Authentication(spf="pass")
    known = await directory.envelope_facts(envelope, results)
    assert (known.mail_from, known.sender_local, known.agency, known.login) == ("", False, "", "")
    assert known.authentication is results


@pytest.mark.parametrize(("direction", "agency"), [("inbound", ""), ("internal", "H99.02")])
async def test_mail_from_outside_in_our_name_belongs_to_no_agency(
    directory: Directory, direction: Direction, agency: str
) -> None:
    envelope = Envelope(
        direction=direction,
        mail_from=Address.parse(AN),
        recipients=(Recipient(Address.parse(OFFICE)),),
    )
    known = await directory.envelope_facts(envelope, facts.Authentication())
    assert (known.agency, known.sender_local, known.login) == (agency, True, "")


async def test_both_engines_answer_alike(any_database: Database) -> None:
    with any_database.write() as session:
        fill_directory(session)
        grant_role(session, act(), mailbox=AN, role="it")
        add_alias(session, act(), address="an.nv@tinhmau.test", mailbox=AN, until=TODAY)
    directory = Directory(any_database, lambda: NOW, Limits())
    account = await directory.sign_in(AN, PASSWORD)
    assert account is not None
    assert account.roles == (Role("it"),)
    assert account.may_send_as == (AN, "an.nv@tinhmau.test")
    found = await directory.find_mailbox(Address.parse("an.nv@tinhmau.test"))
    assert found is not None
    assert found.address == AN


async def test_look_ups_cost_the_same_in_a_large_directory(
    directory: Directory, filled: Database
) -> None:
    """Every statement goes by index: no plan may walk through a table."""
    with filled.write() as session:
        _add_mailboxes(session, 2000)
        add_alias(session, act(), address="an.nv@tinhmau.test", mailbox=AN)
    envelope = Envelope(
        direction="submission",
        mail_from=Address.parse(AN),
        recipients=tuple(
            Recipient(Address.parse(text)) for text in ("p1999@tinhmau.test", "an.nv@tinhmau.test")
        ),
        login=Address.parse(AN),
    )
    asked: list[tuple[str, Any]] = []

    def keep(
        _connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        asked.append((statement, parameters))

    with filled.read() as session:
        engine = session.connection().engine
    event.listen(engine, "before_cursor_execute", keep)
    known = await directory.envelope_facts(envelope, facts.Authentication())
    await directory.is_local_domain("tinhmau.test")
    event.remove(engine, "before_cursor_execute", keep)
    assert [recipient.local for recipient in known.recipients] == [True, True]
    with filled.read() as session:
        cursor = session.connection().connection.cursor()
        for statement, parameters in asked:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            assert not any("SCAN" in row[3] for row in plan), (statement, plan)
    assert len(asked) > 5


def _add_mailboxes(session: Session, count: int) -> None:
    domain = session.exec(select(Domain).where(Domain.name == "tinhmau.test")).one()
    assert domain.id is not None
    session.add_all(
        Mailbox(address=f"p{i}@tinhmau.test", agency_id=domain.agency_id, domain_id=domain.id)
        for i in range(count)
    )
