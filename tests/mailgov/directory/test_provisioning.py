"""Adding and changing: what is refused, what is recorded, what is already so."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlmodel import Session, col, select

from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, Mailbox, Person, WebSession
from mailgov.directory import provisioning as p
from mailgov.errors import Conflict, InputError, MailgovError, NotFound

from ...support.directory import AN, NOW, OFFICE, PASSWORD, SUFFIXES, act

BICH = {"name": "Trần Thị Bích", "staff_no": "VC-2"}


def person(address: str, **fields: Any) -> p.NewMailbox:
    return p.NewMailbox(**{"address": address, "agency": "H99.02", **BICH, **fields})


def do(database: Database, work: Callable[[Session], p.Change]) -> p.Change:
    with database.write() as session:
        return work(session)


def last_event(database: Database) -> EventRow:
    with database.read() as session:
        return session.exec(select(EventRow).order_by(col(EventRow.id).desc())).first()  # type: ignore[return-value]  # there is one


def count_events(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(EventRow.id)).all())


def test_a_change_is_recorded_with_who_when_what_and_why(filled: Database) -> None:
    change = do(
        filled,
        lambda session: p.edit_agency(
            session,
            act("quyết định 27"),
            code="H99.02",
            headcount=148,
            regulation="27/2023/QĐ-UBND",
        ),
    )
    assert change.changes == {"headcount": ("0", "148"), "regulation": ("", "27/2023/QĐ-UBND")}
    row = last_event(filled)
    assert (row.kind, row.actor, row.agency_code) == ("directory.changed", "cli:test", "H99.02")
    assert row.at == NOW
    assert row.data == {
        "noun": "agency",
        "verb": "edit",
        "target": "H99.02",
        "changes": {"headcount": ["0", "148"], "regulation": ["", "27/2023/QĐ-UBND"]},
        "reason": "quyết định 27",
    }


AGAIN: dict[str, Callable[[Session], p.Change]] = {
    "agency": lambda s: p.add_agency(
        s, act(), code="H99.02", name="Sở Nội vụ", level="department", short_name="SNV"
    ),
    "agency as it is": lambda s: p.edit_agency(s, act(), code="H99.02", name="Sở Nội vụ"),
    "domain": lambda s: p.add_domain(
        s, act(), name="TinhMau.test", agency="H99", official_suffixes=SUFFIXES
    ),
    "mailbox": lambda s: p.add_mailbox(
        s, act(), person(AN, name="Nguyễn Văn  An", staff_no=" VC-00417")
    ),
    "office": lambda s: p.add_mailbox(
        s, act(), p.NewMailbox(address=OFFICE, agency="H99.02", kind="office")
    ),
    "resume": lambda s: p.resume(s, act(), AN),
}


@pytest.mark.parametrize("work", AGAIN.values(), ids=AGAIN.keys())
def test_doing_what_is_done_changes_and_records_nothing(
    filled: Database, work: Callable[[Session], p.Change]
) -> None:
    before = count_events(filled)
    assert do(filled, work).nothing
    assert count_events(filled) == before


def test_repeated_rights_are_the_same_right(filled: Database) -> None:
    for work in (
        lambda s: p.add_alias(s, act(), address="an.nv@tinhmau.test", mailbox=AN),
        lambda s: p.grant_send_as(s, act(), mailbox=OFFICE, holder=AN),
        lambda s: p.grant_role(s, act(), mailbox=AN, role="it", agency="H99"),
        lambda s: p.grant_role(s, act(), mailbox=AN, role="auditor"),
        lambda s: p.suspend(s, act("nghỉ"), AN),
    ):
        assert not do(filled, work).nothing
        assert do(filled, work).nothing


def test_a_new_last_day_is_a_change(filled: Database) -> None:
    do(filled, lambda s: p.grant_role(s, act(), mailbox=AN, role="it"))
    until = date(2026, 12, 31)
    change = do(filled, lambda s: p.grant_role(s, act(), mailbox=AN, role="it", until=until))
    assert change.changes == {"until": ("", "2026-12-31")}


REFUSED: dict[str, tuple[type[MailgovError], str, Callable[[Session], Any]]] = {
    "code of another form": (
        InputError,
        "agency-code-not-valid",
        lambda s: p.add_agency(s, act(), code="SNV", name="Sở", level="department", parent="H99"),
    ),
    "unknown level": (
        InputError,
        "agency-level-not-valid",
        lambda s: p.add_agency(s, act(), code="H99.03", name="Sở", level="district"),
    ),
    "no name": (
        InputError,
        "agency-name-missing",
        lambda s: p.add_agency(s, act(), code="H99.03", name=" ", level="department"),
    ),
    "department on top": (
        InputError,
        "agency-parent-missing",
        lambda s: p.add_agency(s, act(), code="H98", name="Sở", level="department"),
    ),
    "province below something": (
        InputError,
        "agency-parent-too-many",
        lambda s: p.add_agency(s, act(), code="H98", name="Tỉnh", level="province", parent="H99"),
    ),
    "parent that is not there": (
        NotFound,
        "agency-unknown",
        lambda s: p.add_agency(s, act(), code="H98.01", name="Sở", level="department"),
    ),
    "code with another name": (
        Conflict,
        "agency-exists",
        lambda s: p.add_agency(s, act(), code="H99.02", name="Sở Tư pháp", level="department"),
    ),
    "domain that is not official": (
        InputError,
        "domain-not-official",
        lambda s: p.add_domain(s, act(), name="so.com", agency="H99", official_suffixes=["gov.vn"]),
    ),
    "suffix of everybody": (
        InputError,
        "domain-is-suffix",
        lambda s: p.add_domain(s, act(), name="gov.vn", agency="H99", official_suffixes=["gov.vn"]),
    ),
    "domain of another agency": (
        Conflict,
        "domain-taken",
        lambda s: p.add_domain(
            s, act(), name="tinhmau.test", agency="H99.02", official_suffixes=SUFFIXES
        ),
    ),
    "address in no domain of ours": (
        NotFound,
        "domain-unknown",
        lambda s: p.add_mailbox(s, act(), person("bichtt@khac.test")),
    ),
    "address in a domain of another branch": (
        InputError,
        "domain-of-other-agency",
        lambda s: p.add_mailbox(s, act(), person("bichtt@xahoabinh.tinhmau.test")),
    ),
    "no address": (
        InputError,
        "address-not-valid",
        lambda s: p.add_mailbox(s, act(), person("bichtt")),
    ),
    "marks in the address": (
        InputError,
        "local-part-not-valid",
        lambda s: p.add_mailbox(s, act(), person("bích@sonoivu.tinhmau.test")),
    ),
    "reserved name": (
        InputError,
        "name-reserved",
        lambda s: p.add_mailbox(s, act(), person("postmaster@sonoivu.tinhmau.test")),
    ),
    "unknown kind": (
        InputError,
        "mailbox-kind-not-valid",
        lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test", kind="robot")),
    ),
    "nobody on the staff list": (
        InputError,
        "staff-number-missing",
        lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test", staff_no=" ")),
    ),
    "quota of nothing": (
        InputError,
        "quota-not-valid",
        lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test", quota_mb=0)),
    ),
    "second mailbox of one person": (
        Conflict,
        "one-address-per-holder",
        lambda s: p.add_mailbox(
            s, act(), person("an2@tinhmau.test", name="Nguyễn Văn An", staff_no="VC-00417")
        ),
    ),
    "second office of one agency": (
        Conflict,
        "one-address-per-unit",
        lambda s: p.add_mailbox(
            s,
            act(),
            p.NewMailbox(address="cv@sonoivu.tinhmau.test", agency="H99.02", kind="office"),
        ),
    ),
    "staff number of somebody else": (
        Conflict,
        "staff-number-taken",
        lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test", staff_no="VC-00417")),
    ),
    "suspending without a reason": (
        InputError,
        "reason-missing",
        lambda s: p.suspend(s, act(" "), AN),
    ),
    "weak password": (
        InputError,
        "password-length",
        lambda s: p.set_password(s, act(), AN, "123456"),
    ),
    "password with the name": (
        InputError,
        "password-content",
        lambda s: p.set_password(s, act(), AN, "Nguyen-2026-abcd"),
    ),
    "mailbox that is not there": (
        NotFound,
        "mailbox-unknown",
        lambda s: p.resume(s, act(), "x@tinhmau.test"),
    ),
    "alias that is a mailbox": (
        Conflict,
        "alias-taken",
        lambda s: p.add_alias(s, act(), address=AN, mailbox=OFFICE),
    ),
    "reserved alias for a person": (
        InputError,
        "name-reserved",
        lambda s: p.add_alias(s, act(), address="vanthu@tinhmau.test", mailbox=AN),
    ),
    "alias that is not there": (
        NotFound,
        "alias-unknown",
        lambda s: p.remove_alias(s, act(), "x@tinhmau.test"),
    ),
    "right to oneself": (
        Conflict,
        "delegation-to-self",
        lambda s: p.grant_send_as(s, act(), mailbox=AN, holder=AN),
    ),
    "unknown right": (
        InputError,
        "rights-not-valid",
        lambda s: p.grant_send_as(s, act(), mailbox=OFFICE, holder=AN, rights="all"),
    ),
    "unknown role": (
        InputError,
        "role-not-valid",
        lambda s: p.grant_role(s, act(), mailbox=AN, role="root"),
    ),
}


@pytest.mark.parametrize(("kind", "code", "work"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_and_nothing_is_changed(
    filled: Database, kind: type[MailgovError], code: str, work: Callable[[Session], Any]
) -> None:
    before = count_events(filled)
    with pytest.raises(kind) as caught, filled.write() as session:
        work(session)
    assert caught.value.code == code
    assert count_events(filled) == before


def test_a_person_comes_onto_the_staff_list_with_the_mailbox(filled: Database) -> None:
    new = person("bichtt@sonoivu.tinhmau.test", title="Chuyên viên")
    change = do(filled, lambda s: p.add_mailbox(s, act(), new))
    assert change.changes["quota_mb"] == ("", "5120")
    with filled.read() as session:
        row, box = session.exec(
            select(Person, Mailbox)
            .join(Mailbox, col(Mailbox.person_id) == col(Person.id))
            .where(Person.staff_no == "VC-2")
        ).one()
    assert (row.full_name, row.title) == ("Trần Thị Bích", "Chuyên viên")
    assert (box.display_name, box.kind) == ("Trần Thị Bích", "person")


def test_a_person_on_the_list_is_brought_up_to_date(filled: Database) -> None:
    with filled.write() as session:
        an = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        an.state = "recalled"
        session.add(an)
    new = person(
        "annv2@sonoivu.tinhmau.test",
        name="Nguyễn Văn An",
        staff_no="VC-00417",
        agency="H99.02.01",
        title="Trưởng phòng",
    )
    do(filled, lambda s: p.add_mailbox(s, act(), new))
    with filled.read() as session:
        row = session.exec(select(Person).where(Person.staff_no == "VC-00417")).one()
        assert row.title == "Trưởng phòng"
        assert row.agency_id == p.get_agency(session, "H99.02.01").id


def test_leavers_get_no_mailbox(filled: Database) -> None:
    with filled.write() as session:
        row = session.exec(select(Person)).one()
        row.left_on = date(2026, 11, 21)
        session.add(row)
    with pytest.raises(Conflict, match="person-left"):
        do(
            filled,
            lambda s: p.add_mailbox(
                s, act(), person("an2@tinhmau.test", name="Nguyễn Văn An", staff_no="VC-00417")
            ),
        )


def test_offices_bear_the_name_of_their_agency_and_hold_more(filled: Database) -> None:
    with filled.read() as session:
        office = session.exec(select(Mailbox).where(Mailbox.address == OFFICE)).one()
    assert (office.display_name, office.quota_mb, office.person_id) == ("Sở Nội vụ", 20480, None)


@pytest.mark.parametrize(
    ("address", "kind"),
    [("bichtt@sonoivu.tinhmau.test", "person"), ("vanthu.cchc@tinhmau.test", "office")],
)
def test_units_use_domains_of_the_agencies_above_them(
    filled: Database, address: str, kind: str
) -> None:
    new = person(address, agency="H99.02.01", kind=kind)
    assert not do(filled, lambda s: p.add_mailbox(s, act(), new)).nothing


@pytest.mark.parametrize(
    ("agency", "suggestion"),
    [("H99.02", "annv2@sonoivu.tinhmau.test"), ("H99.02.01", "annv.cchc@sonoivu.tinhmau.test")],
    ids=["own domain: number", "domain of the agency above: unit"],
)
def test_a_taken_address_names_its_holder_and_a_free_one(
    filled: Database, agency: str, suggestion: str
) -> None:
    with pytest.raises(Conflict) as caught, filled.write() as session:
        p.add_mailbox(session, act(), person(AN, agency=agency))
    assert caught.value.code == "mailbox-taken"
    assert caught.value.fields == {
        "address": AN,
        "holder": "Nguyễn Văn An (VC-00417, Sở Nội vụ)",
        "suggestion": suggestion,
    }
    do(filled, lambda s: p.add_mailbox(s, act(), person(suggestion, agency=agency)))


def test_an_alias_is_taken_too(filled: Database) -> None:
    do(filled, lambda s: p.add_alias(s, act(), address="bichtt@tinhmau.test", mailbox=AN))
    with pytest.raises(Conflict, match="mailbox-taken"):
        do(filled, lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test")))
    with pytest.raises(Conflict, match="alias-taken"):
        do(filled, lambda s: p.add_alias(s, act(), address="bichtt@tinhmau.test", mailbox=OFFICE))
    do(filled, lambda s: p.remove_alias(s, act(), "bichtt@tinhmau.test"))
    do(filled, lambda s: p.add_mailbox(s, act(), person("bichtt@tinhmau.test")))


@pytest.mark.parametrize("closing", ["suspend", "password"])
def test_closing_ends_open_sign_ins(filled: Database, closing: str) -> None:
    with filled.write() as session:
        box = p.get_mailbox(session, AN)
        assert box.id is not None
        session.add(WebSession(token_hash="x" * 64, mailbox_id=box.id, csrf="y"))
    if closing == "suspend":
        do(filled, lambda s: p.suspend(s, act("nghi lộ mật khẩu"), AN))
    else:
        do(filled, lambda s: p.set_password(s, act(), AN, "Mua dong 7 cay so!"))
    with filled.read() as session:
        assert session.exec(select(WebSession.ended_at)).one() == NOW


def test_no_trace_of_a_password_but_its_hash(filled: Database) -> None:
    change = do(filled, lambda s: p.set_password(s, act(), AN, PASSWORD, must_change=True))
    assert change.changes == {"password": ("set", "set anew")}
    with filled.read() as session:
        credentials = session.exec(select(Credential).order_by(col(Credential.id))).all()
        events = session.exec(select(EventRow)).all()
    assert [(c.revoked_at is None, c.must_change) for c in credentials] == [
        (False, False),
        (True, True),
    ]
    assert all(c.hash.startswith("$argon2id$") for c in credentials)
    assert not any(PASSWORD in str(event.data) for event in events)


def test_what_fails_later_leaves_nothing(filled: Database) -> None:
    before = count_events(filled)

    def cut_short(session: Session) -> p.Change:
        p.add_mailbox(session, act(), person("bichtt@tinhmau.test"))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        do(filled, cut_short)
    assert count_events(filled) == before
    with filled.read() as session:
        assert session.exec(select(Person).where(Person.staff_no == "VC-2")).first() is None
