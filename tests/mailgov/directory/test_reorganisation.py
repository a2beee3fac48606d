"""Mergers: who goes where, who is called how, and that nothing is lost on the way."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from mailgov.access import Role, scope
from mailgov.clock import local_date
from mailgov.config import Limits
from mailgov.db import Database
from mailgov.db.models import (
    Agency,
    Alias,
    Domain,
    DomainSuccession,
    EventRow,
    Forward,
    GroupMember,
    Mailbox,
    Person,
    RoleGrant,
)
from mailgov.directory import Directory, groups, queries
from mailgov.directory import provisioning as p
from mailgov.directory.agency_past import tree_at
from mailgov.directory.reorganisation import (
    carry_out,
    closure,
    counts,
    merger,
    missing_keys,
    survey,
    told,
)
from mailgov.errors import Conflict, InputError, NotFound

from ...support.directory import NOW, SUFFIXES, act

TODAY = local_date(NOW)
ON = TODAY
UNTIL = TODAY + timedelta(days=180)


def add(session: Session, address: str, agency: str, name: str = "", **how: Any) -> Mailbox:
    staff_no = f"VC-{address}" if name and "kind" not in how else ""
    p.add_mailbox(
        session,
        act(),
        p.NewMailbox(address=address, agency=agency, name=name, staff_no=staff_no[:40], **how),
    )
    return p.get_mailbox(session, address)


def fill(session: Session) -> None:
    """Two communes that become one, Tân Mẫu, which has a domain and nobody yet."""
    p.add_agency(session, act(), code="H99", name="Tỉnh Mẫu", level="province")
    p.add_domain(session, act(), name="tinhmau.test", agency="H99", official_suffixes=SUFFIXES)
    for code, name, label in (
        ("H99.41", "Xã Hòa Bình", "xahoabinh"),
        ("H99.42", "Xã Tân Lập", "xatanlap"),
        ("H99.50", "Xã Tân Mẫu", "xatanmau"),
    ):
        p.add_agency(session, act(), code=code, name=name, level="commune", short_name="UBND")
        domain = f"{label}.tinhmau.test"
        p.add_domain(session, act(), name=domain, agency=code, official_suffixes=SUFFIXES)
    p.add_agency(session, act(), code="H99.41.01", name="Trạm Y tế", level="department-unit")
    for code, label in (("H99.41", "xahoabinh"), ("H99.42", "xatanlap")):
        domain = f"{label}.tinhmau.test"
        add(session, f"vanthu@{domain}", code, kind="office")
        add(session, f"annv@{domain}", code, "Nguyễn Văn An")
        add(session, f"chutich@{domain}", code, kind="post", name="Chủ tịch")
    add(session, "hoalt@xatanlap.tinhmau.test", "H99.42", "Lê Thị Hoa")
    add(session, "tramtt@xahoabinh.tinhmau.test", "H99.41.01", "Trần Thị Trâm")
    add(session, "ubnd@tinhmau.test", "H99.42", kind="shared")
    p.grant_send_as(
        session,
        act(),
        mailbox="vanthu@xatanlap.tinhmau.test",
        holder="hoalt@xatanlap.tinhmau.test",
    )


@pytest.fixture
def communes(database: Database) -> Database:
    with database.write() as session:
        fill(session)
    return database


def merged(database: Database, **how: Any) -> dict[str, int]:
    asked = merger(
        ("H99.41", "H99.42"), "H99.50", ON, **{"addresses": "alias", "alias_until": UNTIL, **how}
    )
    with database.write() as session:
        return carry_out(session, act("NQ 15"), survey(session, asked, TODAY))


def found(database: Database, address: str, day: date = TODAY) -> queries.LocalMailbox | None:
    with database.read() as session:
        return queries.mailboxes(session, [address], day).get(address)


def test_the_plan_tells_everything_and_writes_nothing(communes: Database) -> None:
    asked = merger(("H99.41", "H99.42"), "H99.50", ON, addresses="alias")
    with communes.read() as session:
        before = len(session.exec(select(EventRow.id)).all())
        plan = survey(session, asked, TODAY)
        rows = {(row["what"], row["target"]): row for row in told(plan)}
        assert counts(plan) == {
            "agencies": 2, "units": 1, "people": 3, "mailboxes": 8, "addresses": 8, "clashes": 2,
            "domains": 2, "groups": 0, "delegations": 1, "roles": 0, "posts": 0,
        }  # fmt: skip
        assert len(session.exec(select(EventRow.id)).all()) == before
        assert missing_keys(plan) == ["xatanmau.tinhmau.test"]
    clash = rows["person", "annv@xatanlap.tinhmau.test"]
    assert clash["new"] == "annv2@xatanmau.tinhmau.test"
    assert clash["clash"] == "Nguyễn Văn An (Xã Hòa Bình)"
    assert rows["unit", "H99.41.01"]["new"] == "H99.50"
    assert rows["former-office", "vanthu@xatanlap.tinhmau.test"]["new"] == (
        "vanthu.xatanlap@xatanmau.tinhmau.test"
    )
    assert rows["shared", "ubnd@tinhmau.test"]["new"] == ""
    assert rows["domain", "xahoabinh.tinhmau.test"]["new"] == "xatanmau.tinhmau.test"


def test_old_addresses_lead_to_the_same_people_until_the_day(any_database: Database) -> None:
    with any_database.write() as session:
        fill(session)
    names = ("annv@xahoabinh", "annv@xatanlap", "hoalt@xatanlap", "tramtt@xahoabinh")
    old = [f"{name}.tinhmau.test" for name in names]
    before = {address: found(any_database, address) for address in old}
    result = merged(any_database)
    assert (result["addresses"], result["clashes"]) == (8, 2)
    for address in old:
        now, then = found(any_database, address, UNTIL), before[address]
        assert now is not None
        assert then is not None
        assert now.mailbox_id == then.mailbox_id
        assert now.address.endswith("@xatanmau.tinhmau.test")
        assert now.home == address
        assert found(any_database, address, UNTIL + timedelta(days=1)) is None
        new = found(any_database, now.address, UNTIL + timedelta(days=1))
        assert new is not None
        assert new.mailbox_id == then.mailbox_id


def test_people_rights_and_groups_go_along(communes: Database) -> None:
    with communes.write() as session:
        group = add(session, "xa@tinhmau.test", "H99", kind="group", name="Hai xã")
        p.add_member(session, act(), "xa@tinhmau.test", "H99.41", 1000)
        p.add_member(session, act(), "xa@tinhmau.test", "H99.42", 1000)
        for holder, role in (("hoalt@xatanlap", "it"), ("annv@xatanlap", "auditor")):
            p.grant_role(
                session, act(), mailbox=f"{holder}.tinhmau.test", role=role, agency="H99.42"
            )
        p.grant_role(
            session,
            act(),
            mailbox="hoalt@xatanlap.tinhmau.test",
            role="it",
            agency="H99.41",
            until=UNTIL,
        )
        number = group.id
        assert number is not None
        before = [one.mailbox_id for one in groups.members(session, [number], 100)]
    merged(communes)
    with communes.read() as session:
        into = p.get_agency(session, "H99.50")
        people = session.exec(select(Person).where(Person.agency_id == into.id)).all()
        assert len(people) == 3
        # The branch of the merged agency holds the health station too, so the group reaches it.
        after = [one.mailbox_id for one in groups.members(session, [number], 100)]
        assert sorted(after) == sorted(before)
        members = session.exec(select(GroupMember)).all()
        assert [one.agency_id for one in members] == [into.id]
        grants = session.exec(select(RoleGrant).order_by(col(RoleGrant.id))).all()
        assert [(one.role, one.agency_id, one.until) for one in grants] == [
            ("it", into.id, None),
            ("auditor", into.id, None),
        ]
        assert "H99.41.01" in scope(session, [Role("it", "H99.50")], "administer")
        hoa = queries.account(session, "hoalt@xatanmau.tinhmau.test", TODAY)
        assert hoa is not None
        assert "vanthu.xatanlap@xatanmau.tinhmau.test" in hoa.may_send_as
        assert "hoalt@xatanlap.tinhmau.test" in hoa.may_send_as


def test_there_is_one_office_and_mail_to_every_old_one_reaches_it(communes: Database) -> None:
    merged(communes)
    office = "vanthu@xatanmau.tinhmau.test"
    for old in ("vanthu@xahoabinh.tinhmau.test", "vanthu@xatanlap.tinhmau.test"):
        box = found(communes, old)
        assert box is not None
        assert box.address == office
    with communes.read() as session:
        kinds = session.exec(select(Mailbox).where(Mailbox.kind == "office")).all()
        assert [one.address for one in kinds] == [office]
        kept = p.get_mailbox(session, "vanthu.xatanlap@xatanmau.tinhmau.test")
        assert (kept.kind, kept.home) == ("shared", "vanthu@xatanlap.tinhmau.test")


def test_an_office_that_is_there_already_stays_the_office(communes: Database) -> None:
    with communes.write() as session:
        add(session, "vanthu@xatanmau.tinhmau.test", "H99.50", kind="office")
    merged(communes)
    box = found(communes, "vanthu@xahoabinh.tinhmau.test")
    assert box is not None
    assert box.address == "vanthu@xatanmau.tinhmau.test"
    kept = found(communes, "vanthu.xahoabinh@xatanmau.tinhmau.test")
    assert kept is not None
    assert kept.kind == "shared"


def test_the_old_agencies_are_history_with_a_successor(communes: Database) -> None:
    merged(communes)
    with communes.read() as session:
        old, into = p.get_agency(session, "H99.41"), p.get_agency(session, "H99.50")
        assert (old.valid_to, old.successor_id) == (ON - timedelta(days=1), into.id)
        assert {"H99.41", "H99.42"} <= tree_at(session, ON - timedelta(days=1)).keys()
        assert not {"H99.41", "H99.42"} & tree_at(session, ON).keys()
        assert tree_at(session, ON)["H99.41.01"].parent == "H99.50"
        assert tree_at(session, ON - timedelta(days=1))["H99.41.01"].parent == "H99.41"
    with communes.write() as session, pytest.raises(Conflict, match="agency-exists"):
        p.add_agency(session, act(), code="H99.41", name="Xã khác", level="commune")


def test_every_change_is_in_the_ledger_with_its_reason(communes: Database) -> None:
    merged(communes)
    with communes.read() as session:
        rows = session.exec(select(EventRow).where(EventRow.agency_code == "H99.50")).all()
        told_of = {(row.data["noun"], row.data["target"]): row for row in rows}
        hoa = told_of["mailbox", "hoalt@xatanmau.tinhmau.test"]
        assert hoa.data["changes"] == {
            "agency": ["H99.42", "H99.50"],
            "address": ["hoalt@xatanlap.tinhmau.test", "hoalt@xatanmau.tinhmau.test"],
            "alias": ["", f"hoalt@xatanlap.tinhmau.test, {UNTIL}"],
        }
        assert hoa.data["reason"] == "NQ 15"
        assert told_of["agency", "H99.50"].data["changes"] == {"taken_over": ["", "H99.41, H99.42"]}
        source = session.exec(
            select(EventRow).where(EventRow.agency_code == "H99.41").order_by(col(EventRow.id))
        ).all()[-1]
        assert (source.data["verb"], source.data["changes"]["successor"]) == (
            "merge",
            ["", "H99.50"],
        )


def test_kept_addresses_stay_where_they_are(communes: Database) -> None:
    result = merged(communes, addresses="keep", alias_until=None)
    assert (result["addresses"], result["domains"], result["mailboxes"]) == (0, 0, 8)
    box = found(communes, "annv@xatanlap.tinhmau.test")
    assert box is not None
    assert (box.address, box.agency_code) == ("annv@xatanlap.tinhmau.test", "H99.50")
    with communes.read() as session:
        owners = session.exec(select(Domain.agency_id).where(col(Domain.name).like("xa%"))).all()
        assert set(owners) == {p.get_agency(session, "H99.50").id}
        offices = session.exec(select(Mailbox.address).where(Mailbox.kind == "office")).all()
        assert offices == ["vanthu@xahoabinh.tinhmau.test"]


def test_renamed_addresses_end_at_once(communes: Database) -> None:
    with communes.write() as session:
        p.add_alias(
            session,
            act(),
            address="an@xatanlap.tinhmau.test",
            mailbox="annv@xatanlap.tinhmau.test",
        )
    merged(communes, addresses="rename", alias_until=None)
    for old in ("annv@xatanlap.tinhmau.test", "an@xatanlap.tinhmau.test"):
        assert found(communes, old) is None
    assert found(communes, "annv2@xatanmau.tinhmau.test") is not None


def test_forwards_follow_their_targets(communes: Database) -> None:
    with communes.write() as session:
        box = p.get_mailbox(session, "ubnd@tinhmau.test")
        assert box.id is not None
        session.add(Forward(mailbox_id=box.id, target="hoalt@xatanlap.tinhmau.test"))
    merged(communes)
    with communes.read() as session:
        assert session.exec(select(Forward.target)).one() == "hoalt@xatanmau.tinhmau.test"


def test_aliases_in_the_old_domain_end_with_it(communes: Database) -> None:
    with communes.write() as session:
        p.add_alias(
            session,
            act(),
            address="hoa@xatanlap.tinhmau.test",
            mailbox="hoalt@xatanlap.tinhmau.test",
        )
        p.add_alias(
            session,
            act(),
            address="hoalt@xatanmau.tinhmau.test",
            mailbox="hoalt@xatanlap.tinhmau.test",
        )
    merged(communes)
    with communes.read() as session:
        alias = session.exec(
            select(Alias).where(Alias.address == "hoa@xatanlap.tinhmau.test")
        ).one()
        assert alias.valid_until == UNTIL
        # An alias that is the new address is the address now.
        box = p.get_mailbox(session, "hoalt@xatanmau.tinhmau.test")
        assert box.home == "hoalt@xatanlap.tinhmau.test"


def test_the_old_domain_knows_its_successor_and_its_last_day(communes: Database) -> None:
    merged(communes)
    with communes.read() as session:
        names = dict(session.exec(select(Domain.id, Domain.name)).all())
        rows = session.exec(select(DomainSuccession)).all()
        assert {
            (names[row.domain_id], names[row.successor_id], row.since, row.accepted_until)
            for row in rows
        } == {
            ("xahoabinh.tinhmau.test", "xatanmau.tinhmau.test", ON, UNTIL),
            ("xatanlap.tinhmau.test", "xatanmau.tinhmau.test", ON, UNTIL),
        }


def test_a_closed_agency_leaves_its_mailboxes_and_units_to_another(communes: Database) -> None:
    with communes.write() as session:
        asked = closure("H99.41", "H99", TODAY - timedelta(days=1))
        carry_out(session, act(), survey(session, asked, TODAY))
    box = found(communes, "annv@xahoabinh.tinhmau.test")
    assert box is not None
    assert box.agency_code == "H99"
    with communes.read() as session:
        tree = tree_at(session, TODAY)
        assert "H99.41" not in tree
        assert tree["H99.41.01"].parent == "H99"


# A province that goes into another ----------------------------------------------------------------


def fill_provinces(session: Session) -> None:
    """Yên Mẫu (H98) with two departments goes into Mẫu (H99), which has one of them already."""
    for top, name, domain in (("H98", "Yên Mẫu", "yenmau.test"), ("H99", "Mẫu", "tinhmau.test")):
        p.add_agency(session, act(), code=top, name=f"UBND tỉnh {name}", level="province")
        p.add_domain(session, act(), name=domain, agency=top, official_suffixes=SUFFIXES)
        add(session, f"vanthu@{domain}", top, kind="office")
    for code, label, domain in (
        ("H98.02", "sonoivu", "yenmau.test"),
        ("H98.03", "soyte", "yenmau.test"),
        ("H99.02", "sonoivu", "tinhmau.test"),
    ):
        p.add_agency(session, act(), code=code, name=f"{label} {code}", level="department")
        name = f"{label}.{domain}"
        p.add_domain(session, act(), name=name, agency=code, official_suffixes=SUFFIXES)
        add(session, f"annv@{name}", code, "Nguyễn Văn An")
        add(session, f"vanthu@{name}", code, kind="office")


def provinces(session: Session, *pairs: str, sources: tuple[str, ...] = ("H98",)) -> Any:
    asked = merger(sources, "H99", ON, addresses="alias", domains=pairs, alias_until=UNTIL)
    return survey(session, asked, TODAY)


def test_a_pair_of_domains_holds_for_those_below_it(database: Database) -> None:
    with database.write() as session:
        fill_provinces(session)
        # The department that both have is merged first.
        first = merger(
            ("H98.02",), "H99.02", ON, addresses="alias", alias_until=UNTIL,
            domains=("sonoivu.yenmau.test=sonoivu.tinhmau.test",),
        )  # fmt: skip
        carry_out(session, act(), survey(session, first, TODAY))
        plan = provinces(session, "yenmau.test=tinhmau.test")
        assert {(one.old, one.new, one.is_made) for one in plan.domains} == {
            ("yenmau.test", "tinhmau.test", False),
            ("soyte.yenmau.test", "soyte.tinhmau.test", True),
        }
        carry_out(session, act(), plan)
    wanted = {
        "annv@sonoivu.yenmau.test": "annv2@sonoivu.tinhmau.test",
        "annv@sonoivu.tinhmau.test": "annv@sonoivu.tinhmau.test",
        "annv@soyte.yenmau.test": "annv@soyte.tinhmau.test",
        "vanthu@soyte.yenmau.test": "vanthu@soyte.tinhmau.test",
        "vanthu@yenmau.test": "vanthu@tinhmau.test",
        "vanthu@sonoivu.yenmau.test": "vanthu@sonoivu.tinhmau.test",
    }
    for old, new in wanted.items():
        box = found(database, old)
        assert box is not None, old
        assert box.address == new
    with database.read() as session:
        made = session.exec(select(Domain).where(Domain.name == "soyte.tinhmau.test")).one()
        owner = session.get_one(Agency, made.agency_id)
        assert owner.code == "H98.03"
        assert tree_at(session, TODAY)["H98.03"].parent == "H99"


def test_a_domain_of_another_unit_is_not_taken_over(database: Database) -> None:
    with database.write() as session:
        fill_provinces(session)
        with pytest.raises(Conflict, match=r"merge-domain-of-other.*H99.02"):
            provinces(session, "yenmau.test=tinhmau.test")


@pytest.mark.parametrize(
    ("pairs", "sources", "code"),
    [
        (("la.test=tinhmau.test",), ("H98",), "merge-domain-not-theirs"),
        (("yenmau.test=la.test",), ("H98",), "domain-unknown"),
        ((), ("H99",), "merge-into-itself"),
        ((), ("H97",), "agency-unknown"),
    ],
)
def test_what_can_not_be_merged(
    database: Database, pairs: tuple[str, ...], sources: tuple[str, ...], code: str
) -> None:
    with database.write() as session:
        fill_provinces(session)
    with database.read() as session, pytest.raises((InputError, NotFound), match=code):
        provinces(session, *pairs, sources=sources)


def test_an_agency_does_not_go_into_what_is_below_it(database: Database) -> None:
    with database.write() as session:
        fill_provinces(session)
    asked = merger(("H99",), "H99.02", ON, addresses="keep")
    with database.read() as session, pytest.raises(Conflict, match="agency-below-itself"):
        survey(session, asked, TODAY)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"addresses": "lose"}, "merge-addresses"),
        ({"addresses": "keep", "domains": ("a.test=b.test",)}, "merge-domains-kept"),
        ({"addresses": "alias", "domains": ("a.test",)}, "merge-domain-pair"),
        ({"addresses": "keep", "alias_until": UNTIL}, "merge-until"),
        ({"addresses": "alias", "alias_until": ON - timedelta(days=1)}, "merge-until"),
    ],
)
def test_what_can_not_be_asked_for(how: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError, match=code):
        merger(("H98",), "H99", ON, **how)


async def test_people_sign_in_by_their_new_address(communes: Database) -> None:
    merged(communes)
    directory = Directory(communes, lambda: NOW, Limits(), official_suffixes=SUFFIXES)
    try:
        account = await directory.account("annv2@xatanmau.tinhmau.test")
        assert account is not None
        assert account.agency_code == "H99.50"
        assert await directory.account("annv@xatanlap.tinhmau.test") is None
    finally:
        directory.close()
