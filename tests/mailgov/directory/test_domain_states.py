"""Domains go out of use when nobody needs them, come back, or go for good."""

from datetime import date, timedelta

import pytest

from mailgov.db import Database
from mailgov.db.models import DkimKey, Domain, DomainSuccession
from mailgov.directory.provisioning import (
    NewMailbox,
    add_alias,
    add_mailbox,
    disable_domain,
    enable_domain,
    get_domain,
    remove_domain,
)
from mailgov.errors import Conflict, NotFound

from ...support.directory import AN, NOW, act, fill_directory

OLD = "tinhmau.test"


@pytest.fixture
def database(any_database: Database) -> Database:
    with any_database.write() as session:
        fill_directory(session)
    return any_database


def test_a_domain_that_mailboxes_or_aliases_need_stays(database: Database) -> None:
    with database.write() as session:
        with pytest.raises(Conflict, match="domain-in-use") as told:
            disable_domain(session, act(), "sonoivu.tinhmau.test")
        assert told.value.fields["mailboxes"] == 2
        add_alias(session, act(), address=f"an@{OLD}", mailbox=AN, until=NOW.date())
        with pytest.raises(Conflict, match="domain-in-use"):
            disable_domain(session, act(), OLD)
        later = act()
        object.__setattr__(later, "at", NOW + timedelta(days=2))
        assert disable_domain(session, later, OLD).changes == {"state": ("active", "disabled")}


def test_a_domain_whose_mail_a_successor_takes_stays_until_the_day(database: Database) -> None:
    with database.write() as session:
        old, new = get_domain(session, OLD), get_domain(session, "xahoabinh.tinhmau.test")
        assert old.id is not None
        assert new.id is not None
        row = DomainSuccession(
            domain_id=old.id, successor_id=new.id, since=date(2026, 1, 1), accepted_until=NOW.date()
        )
        session.add(row)
        session.flush()
        with pytest.raises(Conflict, match="domain-in-use"):
            disable_domain(session, act(), OLD)
        row.accepted_until = NOW.date() - timedelta(days=1)
        session.add(row)
        session.flush()
        assert not disable_domain(session, act(), OLD).nothing


def test_no_new_address_in_a_disabled_domain_until_it_is_enabled(database: Database) -> None:
    new = NewMailbox(address=f"vanthu@{OLD}", agency="H99", kind="office")
    with database.write() as session:
        disable_domain(session, act(), OLD)
        assert disable_domain(session, act(), OLD).nothing
        with pytest.raises(Conflict, match="domain-disabled"):
            add_mailbox(session, act(), new)
        enable_domain(session, act(), OLD)
        assert not add_mailbox(session, act(), new).nothing


def test_what_is_removed_is_gone_with_its_keys(database: Database) -> None:
    with database.write() as session:
        with pytest.raises(Conflict, match="domain-not-disabled"):
            remove_domain(session, act(), OLD)
        domain = get_domain(session, OLD)
        assert domain.id is not None
        session.add(DkimKey(domain_id=domain.id, selector="a", public_key="x", file_name="a.pem"))
        disable_domain(session, act(), OLD)
        change, files = remove_domain(session, act(), OLD)
        assert (change.verb, files) == ("remove", ["a.pem"])
        with pytest.raises(NotFound):
            get_domain(session, OLD)
        assert session.get(Domain, domain.id) is None
