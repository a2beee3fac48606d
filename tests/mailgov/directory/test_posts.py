"""Posts with days, mailboxes that pass from holder to holder, keepers of offices."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select

from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import Person, Post
from mailgov.directory import provisioning as p
from mailgov.directory import queries
from mailgov.directory.people import edit_person, people, person
from mailgov.directory.posts import hold_post, leave_post, set_keepers, users_of
from mailgov.errors import Conflict, InputError, NotFound

from ...support.directory import AN, NOW, OFFICE, act

TODAY = local_date(NOW)
CHAIR = "chutich@sonoivu.tinhmau.test"
HOA = "hoalt@sonoivu.tinhmau.test"


@pytest.fixture
def staffed(filled: Database) -> Database:
    """An and Hoa, and the mailbox of a post that nobody holds."""
    with filled.write() as session:
        p.add_mailbox(
            session,
            act(),
            p.NewMailbox(address=HOA, agency="H99.02", name="Lê Thị Hoa", staff_no="VC-9"),
        )
        p.add_mailbox(
            session,
            act(),
            p.NewMailbox(address=CHAIR, agency="H99.02", kind="post", name="Giám đốc"),
        )
    return filled


def hold(database: Database, staff_no: str, first_day: date, **how: object) -> p.Change:
    with database.write() as session:
        return hold_post(
            session,
            act(),
            **{  # type: ignore[arg-type]  # by name
                "staff_no": staff_no,
                "title": "Giám đốc",
                "agency": "H99.02",
                "first_day": first_day,
                "mailbox": CHAIR,
                **how,
            },
        )


def users(database: Database, day: date = TODAY, address: str = CHAIR) -> list[str]:
    with database.read() as session:
        return users_of(session, p.get_mailbox(session, address), day)


def test_the_mailbox_of_a_post_passes_to_the_next_holder(staffed: Database) -> None:
    hold(staffed, "VC-00417", TODAY - timedelta(days=300))
    assert users(staffed) == [AN]
    hold(staffed, "VC-9", TODAY)
    assert users(staffed) == [HOA]
    with staffed.read() as session:
        posts = session.exec(select(Post).order_by("first_day")).all()
        assert [(one.first_day, one.last_day) for one in posts] == [
            (TODAY - timedelta(days=300), TODAY - timedelta(days=1)),
            (TODAY, None),
        ]
        told = person(session, "VC-00417")
        assert told["posts"][0]["last_day"] == TODAY - timedelta(days=1)
        assert told["history"][0]["changes"]["last_day"] == [
            "",
            str(TODAY - timedelta(days=1)),
        ]
        account = queries.account(session, HOA, TODAY)
        assert account is not None
        assert CHAIR in account.may_send_as


def test_a_post_with_a_last_day_ends_by_itself(staffed: Database) -> None:
    hold(staffed, "VC-9", TODAY, last_day=TODAY + timedelta(days=30))
    assert users(staffed, TODAY + timedelta(days=30)) == [HOA]
    assert users(staffed, TODAY + timedelta(days=31)) == []
    with staffed.read() as session:
        account = queries.account(session, HOA, TODAY + timedelta(days=31))
        assert account is not None
        assert CHAIR not in account.may_send_as


def test_a_post_that_ends_leaves_its_mailbox_to_nobody(staffed: Database) -> None:
    hold(staffed, "VC-9", TODAY - timedelta(days=10))
    with staffed.write() as session:
        leave_post(
            session, act(), staff_no="VC-9", title="Giám đốc", last_day=TODAY - timedelta(days=1)
        )
    assert users(staffed) == []
    with staffed.write() as session, pytest.raises(NotFound, match="post-unknown"):
        leave_post(session, act(), staff_no="VC-9", title="Phó Giám đốc", last_day=TODAY)


def test_a_person_may_hold_several_posts(staffed: Database) -> None:
    hold(staffed, "VC-9", TODAY)
    hold(staffed, "VC-9", TODAY, title="Bí thư Đảng ủy", agency="H99", mailbox="")
    assert hold(staffed, "VC-9", TODAY).nothing
    with staffed.read() as session:
        posts = person(session, "vc-9")["posts"]
        assert {(one["title"], one["agency"]) for one in posts} == {
            ("Giám đốc", "H99.02"),
            ("Bí thư Đảng ủy", "H99"),
        }


def test_what_is_no_post(staffed: Database) -> None:
    with pytest.raises(InputError, match="post-mailbox-kind"):
        hold(staffed, "VC-9", TODAY, mailbox=OFFICE)
    with pytest.raises(InputError, match="post-days-not-valid"):
        hold(staffed, "VC-9", TODAY, last_day=TODAY - timedelta(days=1))
    with pytest.raises(InputError, match="post-title-not-valid"):
        hold(staffed, "VC-9", TODAY, title="  ")
    with pytest.raises(NotFound, match="person-unknown"):
        hold(staffed, "VC-404", TODAY)
    with staffed.write() as session:
        row = session.exec(select(Person).where(Person.staff_no == "VC-9")).one()
        row.left_on = TODAY
        session.add(row)
    with pytest.raises(Conflict, match="person-left"):
        hold(staffed, "VC-9", TODAY)


def test_keeper_and_deputy_use_the_office_and_no_one_before_them(staffed: Database) -> None:
    with staffed.write() as session:
        change = set_keepers(session, act(), OFFICE, keeper="VC-00417", deputy="VC-9")
        assert change.changes == {"keeper": ("", "VC-00417"), "deputy": ("", "VC-9")}
    assert users(staffed, address=OFFICE) == [AN, HOA]
    with staffed.write() as session:
        assert set_keepers(session, act(), OFFICE, keeper="VC-00417").nothing
        set_keepers(session, act(), OFFICE, keeper="VC-9", deputy="")
        told = person(session, "VC-9")
        assert told["keeper_of"] == [{"mailbox": OFFICE, "part": "keeper"}]
    assert users(staffed, address=OFFICE) == [HOA]


def test_what_keepers_can_not_be(staffed: Database) -> None:
    with staffed.write() as session:
        with pytest.raises(InputError, match="keeper-of-person"):
            set_keepers(session, act(), AN, keeper="VC-9")
        with pytest.raises(InputError, match="keeper-is-deputy"):
            set_keepers(session, act(), OFFICE, keeper="VC-9", deputy="VC-9")


def test_people_are_found_by_given_name_and_without_marks(staffed: Database) -> None:
    with staffed.write() as session:
        rows = people(session)
        assert [row["name"] for row in rows] == ["Nguyễn Văn An", "Lê Thị Hoa"]
        assert [row["staff_no"] for row in people(session, name="le thi")] == ["VC-9"]
        assert [row["staff_no"] for row in people(session, name="HOÀ")] == ["VC-9"]
        assert people(session, within="H99.47") == []
        assert people(session, left=True) == []
        assert rows[1]["mailbox"] == HOA


def test_a_new_name_shows_in_list_and_mailbox_with_its_history(staffed: Database) -> None:
    with staffed.write() as session:
        change = edit_person(
            session, replace(act("căn cước mới"), actor="cli:hr"), "VC-9", name="Lê Thị Hoà"
        )
        assert change.changes == {"full_name": ("Lê Thị Hoa", "Lê Thị Hoà")}
        assert p.get_mailbox(session, HOA).display_name == "Lê Thị Hoà"
        latest = person(session, "VC-9")["history"][0]
        assert (latest["actor"], latest["reason"]) == ("cli:hr", "căn cước mới")
        assert latest["changes"] == {"full_name": ["Lê Thị Hoa", "Lê Thị Hoà"]}
        with pytest.raises(InputError, match="person-group-not-valid"):
            edit_person(session, act(), "VC-9", group="boss")
