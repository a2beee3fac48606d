"""Who may read mail, as the directory says, and the file that Dovecot reads."""

import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.db import Database
from mailgov.db.models import (
    Agency,
    Credential,
    Delegation,
    Domain,
    EventRow,
    Mailbox,
    SecondFactor,
)
from mailgov.ledger.events import DirectoryChanged, MessageOpened
from mailgov.mailstore.users import (
    Change,
    Programs,
    User,
    Users,
    all_users,
    apps_file,
    homes_file,
    passwd_file,
    write_whole,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

PROGRAMS: tuple[Programs, ...] = ("password", "until-second-factor", "app-password")


def tell(session: Session) -> None:
    """The event that goes with every change of the directory."""
    ledger.record(session, DirectoryChanged(at=NOW, noun="mailbox", verb="edit", target="x"))


def add(session: Session, address: str, phc: str = "$argon2id$1", state: str = "active") -> None:
    agency = session.exec(select(Agency)).first() or Agency(
        code="H99", name_vi="Tỉnh", level="province"
    )
    session.add(agency)
    session.flush()
    domain = session.exec(select(Domain)).first() or Domain(
        name="vidu.gov.vn", agency_id=agency.id or 0
    )
    session.add(domain)
    session.flush()
    mailbox = Mailbox(
        address=address,
        agency_id=agency.id or 0,
        domain_id=domain.id or 0,
        state=state,
        quota_mb=100,
    )
    session.add(mailbox)
    session.flush()
    if phc:
        session.add(Credential(mailbox_id=mailbox.id or 0, hash=phc))
    tell(session)


@pytest.fixture
def users(database: Database) -> Users:
    with database.write() as session:
        add(session, "an@vidu.gov.vn")
        add(session, "binh@vidu.gov.vn")
        add(session, "dung@vidu.gov.vn", state="suspended")
        add(session, "khong-mat-khau@vidu.gov.vn", phc="")
    return Users(database)


async def test_the_first_look_tells_all_who_may_read(users: Users) -> None:
    assert await users.refresh() == Change(
        (
            User("an@vidu.gov.vn", "$argon2id$1", 100),
            User("binh@vidu.gov.vn", "$argon2id$1", 100),
            User("dung@vidu.gov.vn", "", 100, read_only=True),  # in the webmail
        ),
        closed=(User("khong-mat-khau@vidu.gov.vn", "", 100, is_open=False),),
    )
    assert await users.refresh() is None


async def test_the_suspended_are_out_and_may_be_read_in_the_webmail(
    users: Users, database: Database
) -> None:
    await users.refresh()
    with database.write() as session:
        mailbox = session.exec(select(Mailbox).where(Mailbox.address == "an@vidu.gov.vn")).one()
        mailbox.state = "suspended"
        tell(session)
    change = await users.refresh()
    assert change is not None
    assert change.users[0] == User("an@vidu.gov.vn", "", 100, read_only=True)
    assert change.ended == {"an@vidu.gov.vn"}


async def test_a_new_password_ends_sessions_opened_with_the_old(
    users: Users, database: Database
) -> None:
    await users.refresh()
    with database.write() as session:
        old = session.exec(
            select(Credential)
            .join(Mailbox, col(Mailbox.id) == Credential.mailbox_id)
            .where(Mailbox.address == "an@vidu.gov.vn")
        ).one()
        old.revoked_at = NOW
        session.add(Credential(mailbox_id=old.mailbox_id, hash="$argon2id$2"))
        tell(session)
    change = await users.refresh()
    assert change is not None
    assert change.users[0].password_hash == "$argon2id$2"
    assert change.ended == {"an@vidu.gov.vn"}


async def test_what_else_happens_is_not_asked_about(users: Users, database: Database) -> None:
    await users.refresh()
    with database.write() as session:
        for _ in range(3):
            ledger.record(session, MessageOpened(at=NOW))
        # Without an event the directory did not change: nobody reads all users for nothing.
        session.exec(select(Mailbox)).first().quota_mb = 1  # type: ignore[union-attr]
    assert await users.refresh() is None
    with database.write() as session:
        tell(session)
    assert await users.refresh() is not None
    assert await users.refresh() is None


async def test_an_event_that_shows_late_is_not_missed(users: Users, database: Database) -> None:
    with database.write() as session:
        session.add(EventRow(id=900, at=NOW, kind=MessageOpened.kind, data={}))
    await users.refresh()
    with database.write() as session:
        session.add(EventRow(id=899, at=NOW, kind=DirectoryChanged.kind, data={}))
    assert await users.refresh() is not None
    assert await users.refresh() is None


async def test_newcomers_end_nobodys_session(users: Users, database: Database) -> None:
    await users.refresh()
    with database.write() as session:
        add(session, "chi@vidu.gov.vn")
    change = await users.refresh()
    assert change is not None
    assert len(change.users) == 4
    assert not change.ended


async def test_delegations_are_shared_with_who_may_read(database: Database) -> None:
    with database.write() as session:
        for name in ("an", "binh", "vanthu"):
            add(session, f"{name}@vidu.gov.vn", phc="" if name == "vanthu" else "$argon2id$1")
        ids = dict(session.exec(select(Mailbox.address, Mailbox.id)).all())
        an, binh, office = (ids[f"{name}@vidu.gov.vn"] or 0 for name in ("an", "binh", "vanthu"))
        for holder, rights, until in (
            (an, "read", None), (an, "send-as", None), (binh, "read", date(2026, 11, 21)),
        ):  # fmt: skip
            session.add(Delegation(mailbox_id=office, holder_id=holder, rights=rights, until=until))
    now = NOW
    users = Users(database, clock=lambda: now)
    change = await users.refresh()
    assert change is not None
    (shared,) = change.closed
    assert shared.shared_with == {("an@vidu.gov.vn", True), ("binh@vidu.gov.vn", False)}
    # The last day of the right passes: nothing happened in the directory, and the right is gone.
    now = NOW + timedelta(days=1)
    change = await users.refresh()
    assert change is not None
    assert change.closed[0].shared_with == {("an@vidu.gov.vn", True)}
    assert change.ended == {"binh@vidu.gov.vn"}


async def test_a_recalled_mailbox_is_read_only_in_its_time_of_grace(
    users: Users, database: Database
) -> None:
    await users.refresh()
    with database.write() as session:
        for box in session.exec(select(Mailbox).where(col(Mailbox.state) == "active")):
            box.state, box.readable_until = "recalled", date(2099, 1, 1)
            box.holder_reads = box.address.startswith("an@")
        tell(session)
    change = await users.refresh()
    assert change is not None
    readers = [user for user in change.users if user.password_hash]
    assert [(user.address, user.read_only) for user in readers] == [("an@vidu.gov.vn", True)]
    assert change.ended == {"an@vidu.gov.vn", "binh@vidu.gov.vn"}


async def test_a_locked_mailbox_takes_mail_and_opens_to_nobody(
    users: Users, database: Database
) -> None:
    await users.refresh()
    with database.write() as session:
        box = session.exec(select(Mailbox).where(Mailbox.address == "an@vidu.gov.vn")).one()
        box.locked_at = NOW
        tell(session)
    change = await users.refresh()
    assert change is not None
    assert "an@vidu.gov.vn" in {user.address for user in change.closed}
    assert change.ended == {"an@vidu.gov.vn"}


def test_the_file_of_dovecot() -> None:
    users = tuple(
        User(address, "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", 5120)
        for address in (
            "an@vidu.gov.vn",
            "o'brien@vidu.gov.vn",
            '"a:b"@vidu.gov.vn',
            "a*b@vidu.gov.vn",
        )
    )
    assert passwd_file(users).splitlines() == [
        "an@vidu.gov.vn:{ARGON2ID}$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA",
        r"o\'brien@vidu.gov.vn:{ARGON2ID}$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA",
    ]
    space = "userdb_quota_rule=*:storage=5120M userdb_quota_storage_size=5120M"
    assert homes_file(users, Path("/srv/mailgov")).splitlines() == [
        f"an@vidu.gov.vn:::::/srv/mailgov/mail/vidu.gov.vn/an::{space}",
        rf"o\'brien@vidu.gov.vn:::::/srv/mailgov/mail/vidu.gov.vn/o%27brien::{space}",
    ]


async def test_app_passwords_for_imap_and_mailboxes_whose_password_opens_no_program(
    users: Users, database: Database
) -> None:
    with database.write() as session:
        ids = dict(session.exec(select(Mailbox.address, Mailbox.id)).all())
        an, dung, office = (
            ids[f"{name}@vidu.gov.vn"] or 0 for name in ("an", "dung", "khong-mat-khau")
        )
        for mailbox, digest, scopes in (
            (an, "aa", "imap smtp"),
            (an, "bb", "smtp"),
            (dung, "cc", "imap"),
            (office, "dd", "imap"),
        ):
            session.add(Credential(mailbox_id=mailbox, kind="app", hash=digest, scopes=scopes))
        session.add(SecondFactor(mailbox_id=an, secret="", confirmed_at=NOW))
    with database.read() as session:
        found = {
            programs: {
                user.address.split("@")[0]: (
                    bool(user.password_hash),
                    sorted(digest for digest, _ in user.apps),
                )
                for user in all_users(session, NOW.date(), programs)
                if user.is_open
            }
            for programs in PROGRAMS
        }
    apps = {"an": ["aa"], "binh": [], "khong-mat-khau": ["dd"], "dung": []}
    expected: dict[Programs, set[str]] = {
        "password": {"an", "binh"},
        "until-second-factor": {"binh"},
        "app-password": set(),
    }
    for programs, with_password in expected.items():
        assert found[programs] == {name: (name in with_password, apps[name]) for name in apps}


async def test_a_revoked_app_password_ends_sessions_and_a_new_one_does_not(
    users: Users, database: Database
) -> None:
    await users.refresh()
    with database.write() as session:
        box = session.exec(select(Mailbox).where(Mailbox.address == "an@vidu.gov.vn")).one()
        row = Credential(mailbox_id=box.id or 0, kind="app", hash="aa", scopes="imap")
        session.add(row)
        session.flush()
        number = row.id
        tell(session)
    change = await users.refresh()
    assert change is not None
    assert (change.users[0].apps, change.ended) == (frozenset({("aa", number)}), frozenset())
    with database.write() as session:
        session.get_one(Credential, number).revoked_at = NOW
        tell(session)
    change = await users.refresh()
    assert change is not None
    assert change.ended == {"an@vidu.gov.vn"}


def test_files_of_dovecot_with_app_passwords() -> None:
    users = (
        User("an@vidu.gov.vn", "", 1, frozenset({("bb", 2), ("aa", 1)})),
        User("a*b@vidu.gov.vn", "", 1, frozenset({("cc", 3)})),
        User("o'brien@vidu.gov.vn", "", 1, frozenset({("dd", 4)})),
    )
    assert apps_file(users).splitlines() == [
        "an@vidu.gov.vn/aa:::::::nopassword=y app=1",
        "an@vidu.gov.vn/bb:::::::nopassword=y app=2",
        r"o\'brien@vidu.gov.vn/dd:::::::nopassword=y app=4",
    ]
    line = passwd_file(users).splitlines()[0]
    assert line.startswith("an@vidu.gov.vn:{SHA256}AAAA")


def test_files_are_replaced_whole_and_their_time_moves_on(tmp_path: Path) -> None:
    file = tmp_path / "users"
    times = []
    for text in ("một", "hai", "ba"):
        write_whole(file, text)
        assert file.read_text("utf-8") == text
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        times.append(int(file.stat().st_mtime))
    assert times == sorted(set(times))
    assert list(tmp_path.iterdir()) == [file]
