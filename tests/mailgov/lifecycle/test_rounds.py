"""What is looked after once a day: old passwords, unused accounts, full mailboxes, reviews."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, Mailbox, RecipientRow, SecondFactor
from mailgov.directory import queries
from mailgov.directory.change import Act
from mailgov.directory.provisioning import get_mailbox, grant_role
from mailgov.lifecycle import planning, reviews, rounds
from mailgov.lifecycle.quotas import tell_of_space
from mailgov.lifecycle.suspension import RESUME, resume, suspend
from mailgov.lifecycle.transfers import TRANSFER
from mailgov.mailstore.users import all_users

from ...support.directory import AN, NOW, fill_directory

DAY = timedelta(days=1)


@pytest.fixture
def filled(database: Database) -> Database:
    """The small directory, An's password set at NOW."""
    with database.write() as session:
        fill_directory(session)
    return database


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Numbers as the rules have them."""
    return Config(data={"path": tmp_path}, site={"hostname": "mail.tinhmau.test"})


def days(database: Database, config: Config, first: int, last: int) -> list[int]:
    """Let the scheduler run on these days after NOW; on which of them letters were sent."""
    return [n for n in range(first, last + 1) if rounds.tend(database, config, NOW + n * DAY)]


def letters(database: Database) -> list[str]:
    """To whom letters wait."""
    with database.read() as session:
        return list(session.exec(select(RecipientRow.address).order_by(col(RecipientRow.id))))


def use(database: Database, at: datetime) -> None:
    """An signs in."""
    with database.write() as session:
        row = session.exec(select(Credential)).one()
        row.last_used_at = at
        session.add(row)


def must_change(database: Database) -> bool:
    with database.read() as session:
        account = queries.account(session, AN, date(2026, 11, 21))
        assert account is not None
        return account.password_due


class TestOldPasswords:
    """Rule password-age: 3 months for users without a second factor, 2 for administrators."""

    @pytest.fixture(autouse=True)
    def _in_use(self, config: Config) -> None:
        object.__setattr__(config.lifecycle, "unused_days", 4000)

    # Set on 21 November: the last day is 20 February, 91 days later.
    def test_told_a_week_before_then_to_be_changed(self, filled: Database, config: Config) -> None:
        assert days(filled, config, 0, 84) == []
        assert days(filled, config, 85, 91) == [85]
        assert letters(filled) == [AN]
        assert not must_change(filled)
        assert days(filled, config, 92, 93) == []
        assert must_change(filled)

    def test_whoever_holds_a_role_earlier(self, filled: Database, config: Config) -> None:
        with filled.write() as session:
            grant_role(session, Act("cli:test", NOW), mailbox=AN, role="auditor", agency="H99")
        days(filled, config, 0, 60)
        assert not must_change(filled)
        days(filled, config, 61, 61)
        assert must_change(filled)

    def test_with_a_second_factor_never(self, filled: Database, config: Config) -> None:
        with filled.write() as session:
            number = get_mailbox(session, AN).id
            session.add(SecondFactor(mailbox_id=number or 0, secret="x", confirmed_at=NOW))
        days(filled, config, 80, 100)
        assert not must_change(filled)


class TestUnusedAccounts:
    """Rule inactive-account: locked after 45 days without a sign-in; mail arrives all the same."""

    def locked(self, database: Database) -> bool:
        with database.read() as session:
            login = queries.login(session, AN, NOW.date())
            opens = {user.address for user in all_users(session, NOW.date()) if user.is_open}
            arrives = queries.mailboxes(session, [AN], NOW.date())[AN].state
            assert login is not None
            assert (login.state == "locked") == (AN not in opens)
            assert arrives == "active"
            return login.state == "locked"

    def test_told_a_week_before_then_locked(self, filled: Database, config: Config) -> None:
        assert days(filled, config, 0, 44) == [38]
        assert letters(filled) == [AN]
        assert not self.locked(filled)
        days(filled, config, 45, 45)
        assert self.locked(filled)

    def test_one_sign_in_keeps_it_open(self, filled: Database, config: Config) -> None:
        use(filled, NOW + 20 * DAY)
        assert days(filled, config, 30, 64) == [58]
        assert not self.locked(filled)
        days(filled, config, 65, 65)
        assert self.locked(filled)

    def test_opened_again_it_has_all_its_days(self, filled: Database, config: Config) -> None:
        days(filled, config, 44, 46)
        with filled.write() as session:
            change = resume(session, Act("cli:test", NOW + 50 * DAY), AN)
        assert list(change.changes) == ["locked"]
        days(filled, config, 50, 94)
        assert not self.locked(filled)
        days(filled, config, 95, 95)
        assert self.locked(filled)

    def test_offices_are_nobodys_account(self, filled: Database, config: Config) -> None:
        days(filled, config, 45, 60)
        with filled.read() as session:
            locked = session.exec(
                select(Mailbox.address).where(col(Mailbox.locked_at).is_not(None))
            )
            assert list(locked) == [AN]


class TestFullMailboxes:
    """Rule quota: told at 80 and 95 percent, once each."""

    def test_each_step_once_and_anew_when_there_was_room(
        self, filled: Database, config: Config
    ) -> None:
        percents = [50, 80, 81, 96, 97, 85, 96, 10, 82]
        told = []
        for n, percent in enumerate(percents):
            used = (5120 << 20) * percent // 100 + 1
            sent = tell_of_space(
                filled,
                config,
                NOW + n * DAY,
                lambda path, used=used: used if "annv" in str(path) else 0,  # type: ignore[misc]
            )
            told.append(sent)
        assert told == [0, 1, 0, 1, 0, 0, 1, 0, 1]
        assert set(letters(filled)) == {AN}

    def test_a_mailbox_that_cannot_be_read_stops_no_other(
        self, filled: Database, config: Config
    ) -> None:
        def used(path: Path) -> int:
            if "annv" not in str(path):
                raise PermissionError
            return 5120 << 20

        assert tell_of_space(filled, config, NOW, used) == 1


class TestReviews:
    """Rule account-review: who administers a branch hears once a month what is due."""

    def test_told_until_it_was_done(self, filled: Database, config: Config) -> None:
        object.__setattr__(config.lifecycle, "unused_days", 4000)
        object.__setattr__(config.lifecycle, "password_months", 99)
        object.__setattr__(config.lifecycle, "admin_password_months", 99)
        act = Act("cli:test", NOW)
        with filled.write() as session:
            grant_role(session, act, mailbox=AN, role="it", agency="H99.02")
        assert days(filled, config, 364, 365) == []
        assert days(filled, config, 366, 380) == [366, 375]  # November, December
        with filled.write() as session:
            change = reviews.note_review(session, act, "H99.02", date(2027, 12, 10))
        assert set(change.changes) == {"H99.02", "H99.02.01"}
        assert days(filled, config, 410, 440) == []

    def test_the_list_says_what_is_due_and_who_answers_for_nothing(self, filled: Database) -> None:
        with filled.read() as session:
            rows = {row["agency"]: row for row in reviews.reviews(session, 12)}
        assert rows.keys() == {"H99.02"}
        assert rows["H99.02"]["mailboxes"] == 2
        assert rows["H99.02"]["without_keeper"] == 1
        assert rows["H99.02"]["due_on"] == date(2027, 11, 21)


class TestPlans:
    """Acts on their day, by the scheduler."""

    def test_a_suspension_ends_by_itself(self, filled: Database, config: Config) -> None:
        with filled.write() as session:
            suspend(session, Act("cli:test", NOW, "nghỉ"), AN, date(2026, 11, 24))
        days(filled, config, 1, 3)
        assert self.state(filled) == "suspended"
        days(filled, config, 4, 4)
        assert self.state(filled) == "active"

    def test_another_day_replaces_the_first(self, filled: Database, config: Config) -> None:
        with filled.write() as session:
            suspend(session, Act("cli:test", NOW, "nghỉ"), AN, date(2026, 11, 24))
            suspend(session, Act("cli:test", NOW, "nghỉ thêm"), AN, date(2026, 11, 28))
        days(filled, config, 1, 7)
        assert self.state(filled) == "suspended"
        days(filled, config, 8, 8)
        assert self.state(filled) == "active"

    def test_resumed_by_hand_it_is_not_resumed_again(
        self, filled: Database, config: Config
    ) -> None:
        act = Act("cli:test", NOW, "nghỉ")
        with filled.write() as session:
            suspend(session, act, AN, date(2026, 11, 24))
            resume(session, act, AN)
            suspend(session, act, AN)
        days(filled, config, 1, 10)
        assert self.state(filled) == "suspended"

    def test_one_that_fails_is_told_and_stops_nothing(
        self, filled: Database, config: Config
    ) -> None:
        with filled.write() as session:
            for kind, subject, arguments in (
                (TRANSFER, AN, {"to": "H77", "new_address": "", "alias_days": 0, "mail": "move",
                                "title": "", "kept_until": None}),
                (RESUME, "khong@sonoivu.tinhmau.test", {}),
            ):  # fmt: skip
                planning.plan(
                    session, kind=kind, subject=subject, on=NOW.date(), arguments=arguments,
                    actor="cli:test", at=NOW,
                )  # fmt: skip
            suspend(session, Act("cli:test", NOW, "nghỉ"), AN, date(2026, 11, 21))
        days(filled, config, 1, 1)
        assert self.state(filled) == "active"
        with filled.read() as session:
            failed = {act.failure for act in planning.failed(session)}
            told = session.exec(select(EventRow.data).where(EventRow.kind == "act.planned"))
            codes = {data["code"] for data in told if data["step"] == "failed"}
        assert failed == codes == {"agency-unknown", "mailbox-unknown"}

    def state(self, database: Database) -> str:
        with database.read() as session:
            return _state(session)


def _state(session: Session) -> str:
    return get_mailbox(session, AN).state
