"""Lists and records for administrators, and the sample organisation."""

from datetime import date

import pytest

from mailgov.db import Database
from mailgov.directory import listing
from mailgov.directory.provisioning import add_alias, edit_agency, grant_role, grant_send_as
from mailgov.directory.sample import load_sample, sample_agencies
from mailgov.errors import NotFound

from ...support.directory import AN, NOW, OFFICE, SUFFIXES, act, fill_directory


def test_agencies_of_a_branch_with_figures_of_their_own(filled: Database) -> None:
    with filled.read() as session:
        rows = listing.agencies(session, within="H99.02")
        assert [row["code"] for row in rows] == ["H99.02", "H99.02.01"]
        assert rows[0] == {
            "code": "H99.02",
            "name": "Sở Nội vụ",
            "level": "department",
            "parent": "H99",
            "headcount": 0,
            "mailboxes": 2,
            "domains": ["sonoivu.tinhmau.test"],
        }
        assert [row["code"] for row in listing.agencies(session, level="commune")] == ["H99.47"]
        with pytest.raises(NotFound, match="agency-unknown"):
            listing.agencies(session, within="H98")


def test_the_tree_sums_what_is_below(any_database: Database) -> None:
    with any_database.write() as session:
        fill_directory(session)
        for code, headcount in (("H99.02", 10), ("H99.02.01", 5), ("H99.47", 3)):
            edit_agency(session, act(), code=code, headcount=headcount)
    with any_database.read() as session:
        rows = listing.agency_tree(session)
        assert [
            (row["code"], row["depth"], row["headcount"], row["mailboxes"]) for row in rows
        ] == [
            ("H99", 0, 18, 2),
            ("H99.02", 1, 15, 2),
            ("H99.02.01", 2, 5, 0),
            ("H99.47", 1, 3, 0),
        ]
        top = listing.agency_tree(session, "H99.02")
        assert [(row["code"], row["depth"]) for row in top] == [("H99.02", 0), ("H99.02.01", 1)]


def test_one_agency_with_its_history(filled: Database) -> None:
    with filled.write() as session:
        edit_agency(session, act("rà soát"), code="H99.02", headcount=96)
    with filled.read() as session:
        record = listing.agency(session, "H99.02")
    assert record["below"] == [{"code": "H99.02.01", "name": "Phòng Cải cách hành chính"}]
    assert [(row["verb"], row["reason"]) for row in record["history"]] == [
        ("edit", "rà soát"),
        ("add", ""),
    ]
    assert record["history"][0]["at"] == NOW


def test_domains(filled: Database) -> None:
    with filled.read() as session:
        assert [row["name"] for row in listing.domains(session, within="H99.02")] == [
            "sonoivu.tinhmau.test"
        ]
        record = listing.domain(session, "TinhMau.test")
    assert (record["agency"], record["state"], record["mailboxes"]) == ("H99", "active", 0)


def test_mailboxes_by_branch_state_and_kind(filled: Database) -> None:
    with filled.read() as session:
        everything = listing.mailboxes(session)
        assert [row["address"] for row in everything] == [AN, OFFICE]
        assert listing.mailboxes(session, kind="office") == everything[1:]
        assert listing.mailboxes(session, state="suspended") == []
        assert listing.mailboxes(session, within="H99.47") == []
        assert listing.mailboxes(session, limit=1) == everything[:1]


def test_one_mailbox_with_everything_that_hangs_on_it(filled: Database) -> None:
    until = date(2026, 12, 31)
    with filled.write() as session:
        add_alias(session, act(), address="an.nv@tinhmau.test", mailbox=AN)
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN, until=until)
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    with filled.read() as session:
        record = listing.mailbox(session, AN)
        assert listing.roles(session, within="H99")[0]["mailbox"] == AN
        assert listing.roles(session, within="H99.02") == []
        assert listing.aliases(session) == listing.aliases(session, mailbox=AN)
    assert (record["staff_no"], record["password"]) == ("VC-00417", "set")
    assert record["aliases"] == ["an.nv@tinhmau.test"]
    assert record["send_as"] == [{"mailbox": OFFICE, "rights": "send-as", "until": until}]
    assert record["roles"] == [{"role": "it", "agency": "H99"}]
    assert [*record["history"][-1]["changes"]][:3] == ["address", "kind", "name"]


def test_the_sample_organisation_loads_whole_and_once(any_database: Database) -> None:
    with any_database.write() as session:
        assert load_sample(session, act(), official_suffixes=["gov.vn"]) == 53
    with any_database.write() as session:
        assert load_sample(session, act(), official_suffixes=["gov.vn"]) == 0
    with any_database.read() as session:
        assert len(listing.agencies(session)) == len(sample_agencies()) == 53
        offices = [row["address"] for row in listing.mailboxes(session, kind="office")]
        wards = {row["name"] for row in listing.agencies(session) if "Hòa Bình" in row["name"]}
    assert sorted(offices) == sorted({row.office_mailbox for row in sample_agencies()})
    assert len(wards) == 2  # a ward and a commune of the same name


def test_the_small_directory_uses_official_suffixes(filled: Database) -> None:
    with filled.read() as session:
        assert all(row["name"].endswith(tuple(SUFFIXES)) for row in listing.domains(session))
