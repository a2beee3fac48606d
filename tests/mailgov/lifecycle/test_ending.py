"""The end of a mailbox: who is out at once, what senders hear, who gets what still comes, and the receipt."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, select

from mailgov.addresses import Address
from mailgov.config import Lifecycle
from mailgov.db import Database
from mailgov.db.models import (
    Absence,
    Credential,
    Draft,
    EventRow,
    Mailbox,
    Person,
    PlannedAct,
    RoleGrant,
    WebSession,
)
from mailgov.directory import forwards, queries
from mailgov.directory.change import Act
from mailgov.directory.provisioning import (
    NewMailbox,
    add_app_password,
    add_mailbox,
    get_agency,
    get_mailbox,
    grant_role,
    grant_send_as,
    set_password,
)
from mailgov.directory.provisioning.forwards import add_forward
from mailgov.directory.renaming import rename_mailbox
from mailgov.errors import Conflict, InputError
from mailgov.lifecycle import planning, removal
from mailgov.lifecycle.ending import Recall, default_contact, recall, restore, retain
from mailgov.lifecycle.performers import PERFORMERS
from mailgov.lifecycle.terms import add_months, is_leader, terms
from mailgov.lifecycle.transfers import Transfer, transfer
from mailgov.mailstore import layout
from mailgov.mailstore.users import all_users

from ...support.directory import AN, NOW, OFFICE, PASSWORD, fill_directory

TODAY = NOW.date()
DAY = timedelta(days=1)
BINH = "binhtt@sonoivu.tinhmau.test"
ACT = Act("cli:test", NOW, "thôi việc")


@pytest.fixture
def filled(database: Database) -> Database:
    """The small directory with a second person."""
    return fill(database)


@pytest.fixture
def filled_anywhere(any_database: Database) -> Database:
    """The same on each engine, for what is left to its SQL."""
    return fill(any_database)


def fill(database: Database) -> Database:
    """The small directory with a second person, put into a database."""
    with database.write() as session:
        fill_directory(session)
        new = NewMailbox(address=BINH, agency="H99.02", name="Trần Thị Bình", staff_no="VC-9")
        add_mailbox(session, ACT, new)
    return database


def how(days: int = 180, **more: object) -> Recall:
    """Six months of grace, more or less."""
    return Recall(
        readable_until=TODAY + days * DAY,
        kept_until=TODAY + 2 * days * DAY,
        **more,  # type: ignore[arg-type]
    )


def at_the_door(session: Session, address: str, on: date = TODAY) -> tuple[str, str]:
    """State as senders find it, and whom they are told."""
    box = queries.mailboxes(session, [address], on)[address]
    return box.state, box.contact


def test_whoever_leaves_is_out_at_once(filled_anywhere: Database) -> None:
    with filled_anywhere.write() as session:
        add_app_password(session, ACT, AN, label="máy", scopes=("imap", "smtp"), most=9)
        grant_send_as(session, ACT, mailbox=OFFICE, holder=AN)
        grant_role(session, ACT, mailbox=AN, role="it", agency="H99.02")
        box = get_mailbox(session, AN)
        session.add(WebSession(token_hash="x", mailbox_id=box.id or 0, csrf="x", created_at=NOW))
    with filled_anywhere.write() as session:
        change = recall(session, ACT, AN, how())
    assert change.details["rights"] == [f"{OFFICE} send-as"]
    assert change.details["roles"] == ["it H99.02"]
    with filled_anywhere.read() as session:
        login, account = queries.login(session, AN, TODAY), queries.account(session, AN, TODAY)
        assert login is not None
        assert account is not None
        assert (login.state, login.stored) == ("recalled", None)
        assert (account.state, account.may_send_as, account.roles) == ("recalled", (AN,), ())
        assert account.credentials_ended_at == NOW  # the relay ends what is signed in
        assert AN not in {user.address for user in all_users(session, TODAY) if user.is_open}
        assert all(row.revoked_at for row in session.exec(select(Credential)))
        assert session.exec(select(WebSession)).one().ended_at == NOW
        assert session.exec(select(RoleGrant)).first() is None
        person = session.exec(select(Person).where(Person.staff_no == "VC-00417")).one()
        assert person.left_on == TODAY


def test_senders_are_told_whom_to_write_to_until_the_grace_ends(filled: Database) -> None:
    with filled.write() as session:
        contact = default_contact(session, get_mailbox(session, AN))
        recall(session, ACT, AN, how(contact=contact))
    assert contact == OFFICE
    with filled.read() as session:
        assert at_the_door(session, AN) == ("recalled", OFFICE)
        assert at_the_door(session, AN, TODAY + 180 * DAY) == ("recalled", OFFICE)
        assert at_the_door(session, AN, TODAY + 181 * DAY) == ("recalled", "")


def test_a_successor_gets_what_still_comes_and_nobody_else_does(filled_anywhere: Database) -> None:
    with filled_anywhere.write() as session:
        add_forward(session, ACT, AN, OFFICE)
        recall(session, ACT, AN, how(contact=BINH, forward=True))
    with filled_anywhere.read() as session:
        number = get_mailbox(session, AN).id or 0
        spread = forwards.spread(session, [number], TODAY)
        assert [(step.address, step.keep_copy) for step in spread.steps] == [(BINH, False)]
        assert spread.leaves() == {number}
        assert at_the_door(session, AN) == ("passing", BINH)
        assert at_the_door(session, AN, TODAY + 181 * DAY) == ("recalled", "")
        answer = session.exec(select(Absence)).one()
        assert BINH in answer.text
        assert answer.last_day == TODAY + 180 * DAY
    with filled_anywhere.write() as session:  # the successor gets another name, and that is told
        rename_mailbox(session, ACT, BINH, "binh@sonoivu.tinhmau.test", keep_alias=False)
    with filled_anywhere.read() as session:
        assert at_the_door(session, AN) == ("passing", "binh@sonoivu.tinhmau.test")
        spread = forwards.spread(session, [number], TODAY)
        assert [step.address for step in spread.steps] == ["binh@sonoivu.tinhmau.test"]


def test_after_the_grace_it_is_only_kept(filled_anywhere: Database) -> None:
    with filled_anywhere.write() as session:
        recall(session, ACT, AN, how(contact=BINH, forward=True, holder_reads=True))
        login = queries.login(session, AN, TODAY)
        assert login is not None
        assert login.state == "reading"
        day_after = queries.login(session, AN, TODAY + 181 * DAY)
        assert day_after is not None
        assert day_after.state == "recalled"  # also before anybody has tidied up
        users = {user.address: user for user in all_users(session, TODAY)}
        assert (users[AN].is_open, users[AN].read_only) == (True, True)
    later = NOW + 181 * DAY
    done = planning.perform_due(filled_anywhere, later.date(), later, PERFORMERS)
    assert [(one.kind, one.state) for one in done] == [("mailbox.retain", "done")]
    with filled_anywhere.read() as session:
        login = queries.login(session, AN, later.date())
        assert login is not None
        assert (login.state, login.stored) == ("recalled", None)
        assert session.exec(select(Absence)).first() is None
        assert at_the_door(session, AN, later.date()) == ("recalled", "")


@pytest.mark.parametrize(
    ("contact", "code"),
    [(AN, "recall-contact-itself"), ("khong@sonoivu.tinhmau.test", "mailbox-unknown")],
)
def test_no_successor_that_cannot_be(filled: Database, contact: str, code: str) -> None:
    with filled.write() as session, pytest.raises(Exception, match=code):
        recall(session, ACT, AN, how(contact=contact, forward=True))


def test_a_closed_mailbox_is_no_successor(filled: Database) -> None:
    with filled.write() as session:
        recall(session, ACT, BINH, how())
        with pytest.raises(InputError, match="recall-contact-closed"):
            recall(session, ACT, AN, how(contact=BINH, forward=True))


def test_given_back_the_holder_begins_anew(filled: Database) -> None:
    with filled.write() as session:
        recall(session, ACT, AN, how(contact=BINH, forward=True))
        assert restore(session, ACT, AN).changes == {"state": ("recalled", "active")}
        assert restore(session, ACT, AN).nothing
        set_password(session, ACT, AN, PASSWORD)
    with filled.read() as session:
        assert at_the_door(session, AN) == ("active", "")
        person = session.exec(select(Person).where(Person.staff_no == "VC-00417")).one()
        assert person.left_on is None
        plans = session.exec(select(PlannedAct.state)).all()
        assert list(plans) == ["cancelled"]


class TestTerms:
    """Decision 652/QĐ-BTTTT: 6 months for heads of division and below, 12 for leaders above."""

    @pytest.mark.parametrize(
        ("group", "title", "leads"),
        [
            ("lanh-dao", "Giám đốc", True),
            ("lanh-dao", "Phó Vụ trưởng", True),
            ("lanh-dao", "Trưởng phòng", False),
            ("lanh-dao", "Phó Trưởng phòng", False),
            ("cong-chuc", "Chuyên viên", False),
        ],
    )
    def test_by_rank(self, group: str, title: str, leads: bool) -> None:
        person = Person(staff_no="1", full_name="A", agency_id=1, title=title, staff_group=group)
        assert is_leader(person) is leads

    def test_the_agency_or_the_one_above_may_say_otherwise(self, filled: Database) -> None:
        settings, stop = Lifecycle(), date(2026, 8, 31)
        with filled.write() as session:
            box = get_mailbox(session, AN)
            found = terms(session, box, stop, settings)
            assert found.readable_until == date(2027, 2, 28)
            assert found.kept_until == date(2028, 2, 28)
            province = get_agency(session, "H99")
            province.grace_months, province.retention_months = 3, 24
            session.add(province)
            session.flush()
            found = terms(session, box, stop, settings)
            assert found.readable_until == date(2026, 11, 30)
            assert found.kept_until == date(2028, 11, 30)
            assert terms(session, box, stop, settings, 1).readable_until == date(2026, 9, 30)

    @pytest.mark.parametrize(
        ("day", "months", "then"),
        [
            (date(2024, 1, 31), 1, date(2024, 2, 29)),
            (date(2026, 11, 30), 3, date(2027, 2, 28)),
            (date(2026, 12, 15), 12, date(2027, 12, 15)),
            (date(2026, 3, 31), -1, date(2026, 2, 28)),
        ],
    )
    def test_months_are_those_of_the_calendar(self, day: date, months: int, then: date) -> None:
        assert add_months(day, months) == then


class TestRemoval:
    """Only what was recalled and is kept no longer; the files are gone, the receipt stays."""

    def mail(self, data: Path, address: str) -> Path:
        folder = layout.maildir(data, Address.parse(address)) / "cur"
        folder.mkdir(parents=True)
        for n in range(3):
            (folder / f"{n},S=5,W=5").write_bytes(b"hello")
        return folder.parent.parent

    def kept_until_yesterday(self, database: Database) -> None:
        with database.write() as session:
            recall(session, ACT, AN, how())
            retain(session, ACT, AN)
            box = get_mailbox(session, AN)
            box.kept_until = TODAY - DAY
            session.add(box)
            session.add(Draft(id="d", mailbox_id=box.id or 0, fields={}, created_at=NOW))

    def test_the_files_are_gone_and_others_stay(
        self, filled_anywhere: Database, tmp_path: Path
    ) -> None:
        mine, other = self.mail(tmp_path, AN), self.mail(tmp_path, BINH)
        self.kept_until_yesterday(filled_anywhere)
        with filled_anywhere.read() as session:
            assert removal.preview(session, ACT, tmp_path, AN).files == 3
        receipt = removal.remove(filled_anywhere, ACT, tmp_path, AN)
        assert (receipt.number, receipt.files, receipt.size_bytes) == ("xoa-2026-11-21-1", 3, 15)
        assert not mine.exists()
        assert list(mine.parent.iterdir()) == [other]
        assert len(list((other / "Maildir" / "cur").iterdir())) == 3
        with filled_anywhere.read() as session:
            assert session.exec(select(Draft)).first() is None
            rows = session.exec(select(EventRow).where(EventRow.kind == "mailbox.removed")).all()
            assert [(row.data["step"], row.data["files"]) for row in rows] == [
                ("begun", 3),
                ("done", 3),
            ]
            assert {row.data["receipt"] for row in rows} == {receipt.number}
            assert AN not in {user.address for user in all_users(session, TODAY)}
        again = removal.remove(filled_anywhere, ACT, tmp_path, AN)
        assert (again.number, again.done) == (receipt.number, True)
        with filled_anywhere.write() as session, pytest.raises(Conflict, match="mailbox-removed"):
            restore(session, ACT, AN)
        new = NewMailbox(address=AN, agency="H99.02", name="Ngô Ân", staff_no="VC-77")
        with filled_anywhere.write() as session, pytest.raises(Conflict, match="mailbox-taken"):
            add_mailbox(session, ACT, new)

    def test_what_a_crash_leaves_is_finished_under_the_same_receipt(
        self, filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = self.mail(tmp_path, AN)
        self.kept_until_yesterday(filled)

        def fail(_: Path) -> None:
            raise PermissionError

        with monkeypatch.context() as broken:
            broken.setattr("mailgov.lifecycle.removal.shutil.rmtree", fail)
            with pytest.raises(PermissionError):
                removal.remove(filled, ACT, tmp_path, AN)
        with filled.read() as session:
            assert removal.unfinished(session) == [AN]
        assert removal.remove(filled, ACT, tmp_path, AN).number == "xoa-2026-11-21-1"
        assert not list(home.parent.iterdir())
        with filled.read() as session:
            assert removal.unfinished(session) == []

    @pytest.mark.parametrize("stage", ["active", "grace", "kept"])
    def test_nothing_is_removed_before_its_time(
        self, filled: Database, tmp_path: Path, stage: str
    ) -> None:
        home = self.mail(tmp_path, AN)
        with filled.write() as session:
            if stage != "active":
                recall(session, ACT, AN, how())
            if stage == "kept":
                retain(session, ACT, AN)
        with pytest.raises(Conflict, match=r"mailbox-kept|mailbox-not-recalled"):
            removal.remove(filled, ACT, tmp_path, AN)
        assert home.exists()


class TestTransfer:
    """What goes along and what stays."""

    def test_what_stays_is_the_agencys_and_the_person_begins_empty(
        self, filled_anywhere: Database
    ) -> None:
        to = Transfer(
            to="H99.47", new_address="annv@xahoabinh.tinhmau.test", alias_days=30, mail="stay"
        )
        with filled_anywhere.write() as session:
            number = get_mailbox(session, AN).id
            transfer(session, ACT, AN, to)
        with filled_anywhere.read() as session:
            mine = get_mailbox(session, "annv@xahoabinh.tinhmau.test")
            kept = get_mailbox(session, AN)
            assert (mine.id, mine.home, mine.state) == (number, "", "active")
            assert (kept.home, kept.state, kept.person_id) == ("", "recalled", None)
            assert at_the_door(session, AN, TODAY + 29 * DAY)[0] == "passing"
            assert at_the_door(session, AN, TODAY + 30 * DAY)[0] == "recalled"
            login = queries.login(session, mine.address, TODAY)
            assert login is not None
            assert login.stored is not None  # the same key

    def test_what_goes_along_stays_in_its_folder(self, filled: Database) -> None:
        to = Transfer(to="H99.47", new_address="annv@xahoabinh.tinhmau.test", alias_days=30)
        with filled.write() as session:
            transfer(session, ACT, AN, to)
        with filled.read() as session:
            mine = get_mailbox(session, "annv@xahoabinh.tinhmau.test")
            assert mine.home == AN
            found = queries.mailboxes(session, [AN], TODAY + 29 * DAY)
            assert found[AN].address == mine.address
            assert queries.mailboxes(session, [AN], TODAY + 30 * DAY) == {}

    def test_rights_of_the_old_agency_end_those_of_the_new_one_stay(
        self, filled_anywhere: Database
    ) -> None:
        with filled_anywhere.write() as session:
            other = NewMailbox(
                address="vanthu@xahoabinh.tinhmau.test", agency="H99.47", kind="office"
            )
            add_mailbox(session, ACT, other)
            for office in (OFFICE, other.address):
                grant_send_as(session, ACT, mailbox=office, holder=AN)
            grant_role(session, ACT, mailbox=AN, role="auditor", agency="H99.02")
            grant_role(session, ACT, mailbox=AN, role="it", agency="H99")
            to = Transfer(to="H99.47", new_address="annv@xahoabinh.tinhmau.test")
            change = transfer(session, ACT, AN, to)
        assert change.details["rights"] == [f"{OFFICE} send-as"]
        assert change.details["roles"] == ["auditor H99.02"]

    @pytest.mark.parametrize(
        ("how", "code"),
        [
            (Transfer(to="H99.47"), "transfer-needs-address"),
            (Transfer(to="H99.02.01", mail="stay"), "transfer-stay-needs-address"),
            (
                Transfer(to="H99.47", new_address="an@sonoivu.tinhmau.test"),
                "domain-of-other-agency",
            ),
            (Transfer(to="H77"), "agency-unknown"),
        ],
    )
    def test_what_cannot_be(self, filled: Database, how: Transfer, code: str) -> None:
        with filled.write() as session, pytest.raises(Exception, match=code):
            transfer(session, ACT, AN, how)
        with filled.read() as session:
            assert session.exec(select(Mailbox.agency_id).where(Mailbox.address == AN)).one()
