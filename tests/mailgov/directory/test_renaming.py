"""Another address for a mailbox: mail finds it by both, its folder stays, nobody gets the old one."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import Credential, Mailbox
from mailgov.directory import Directory
from mailgov.directory import provisioning as p
from mailgov.directory.former import addresses_had, holder_before, home_of
from mailgov.directory.renaming import rename_mailbox
from mailgov.errors import Conflict, NotFound
from mailgov.mailstore.users import all_users, homes_file

from ...support.directory import AN, NOW, OFFICE, act

NEW = "an.nguyen@tinhmau.test"
TODAY = local_date(NOW)


def rename(database: Database, old: str, new: str, **how: object) -> p.Change:
    with database.write() as session:
        return rename_mailbox(session, act(), old, new, **how)  # type: ignore[arg-type]  # by name


async def test_mail_to_both_addresses_comes_into_the_one_mailbox(
    filled: Database, directory: Directory
) -> None:
    before = await directory.find_mailbox(Address.parse(AN))
    assert before is not None
    change = rename(filled, AN, NEW, alias_until=TODAY + timedelta(days=180))
    assert change.changes["address"] == (AN, NEW)
    for address in (AN, NEW):
        found = await directory.find_mailbox(Address.parse(address))
        assert found is not None
        assert (found.mailbox_id, found.address, found.home) == (before.mailbox_id, NEW, AN)


async def test_without_an_alias_the_old_address_is_nobodys(
    filled: Database, directory: Directory
) -> None:
    rename(filled, AN, NEW, keep_alias=False)
    assert await directory.find_mailbox(Address.parse(AN)) is None


def test_the_mail_stays_in_its_folder_through_every_name(filled: Database) -> None:
    rename(filled, AN, NEW)
    rename(filled, NEW, "an.nv2@tinhmau.test")
    with filled.read() as session:
        assert home_of(session, Address.parse("an.nv2@tinhmau.test")).key == AN
        box = session.exec(select(Mailbox).where(Mailbox.home == AN)).one()
        assert box.id is not None
        assert addresses_had(session, box.id) == [NEW, AN]
        users = all_users(session, date(2026, 11, 21))
        line = next(
            line
            for line in homes_file(users, Path("/data")).splitlines()
            if line.startswith("an.nv2@")
        )
    local, _, domain = AN.partition("@")
    assert f":/data/mail/{domain}/{local}:" in line


def test_back_to_the_first_name_everything_is_as_it_was(filled: Database) -> None:
    rename(filled, AN, NEW)
    rename(filled, NEW, AN)
    with filled.read() as session:
        assert home_of(session, Address.parse(AN)).key == AN
        assert session.exec(select(Mailbox.home).where(Mailbox.address == AN)).one() == ""


def test_nobody_else_gets_a_former_address_for_two_years(filled: Database) -> None:
    rename(filled, AN, NEW, keep_alias=False)
    rename(filled, NEW, "an.nv2@tinhmau.test", keep_alias=False)
    new = p.NewMailbox(address=NEW, agency="H99.02", name="Lê Ân", staff_no="VC-9")
    with filled.write() as session, pytest.raises(Conflict) as refused:
        p.add_mailbox(session, act(), new)
    assert refused.value.fields["suggestion"] == "an.nguyen.snv@tinhmau.test"
    with filled.write() as session, pytest.raises(Conflict, match="address-was-used"):
        p.add_alias(session, act(), address=NEW, mailbox=OFFICE)
    with pytest.raises(Conflict, match="address-was-used"):
        rename(filled, OFFICE, NEW)
    later = replace(act(), at=NOW + timedelta(days=760))
    with filled.write() as session:
        assert not p.add_mailbox(session, later, new).nothing


def test_the_address_that_names_a_folder_is_never_given_away(filled: Database) -> None:
    rename(filled, AN, NEW, keep_alias=False)
    with filled.read() as session:
        holder = holder_before(session, AN, date(2050, 1, 1))
        assert holder is not None
        assert holder.address == NEW


def test_what_is_taken_or_not_ours_is_refused(filled: Database) -> None:
    with pytest.raises(Conflict, match="alias-taken"):
        rename(filled, OFFICE, AN)
    with pytest.raises(NotFound, match="domain-unknown"):
        rename(filled, AN, "an@khong.test")
    assert rename(filled, AN, AN).nothing


def test_checks_that_hold_the_old_name_are_forgotten(filled: Database) -> None:
    with filled.write() as session:
        p.add_app_password(session, act(), AN, label="Thunderbird")
    rename(filled, AN, NEW)
    with filled.read() as session:
        app = session.exec(select(Credential).where(Credential.kind == "app")).one()
        assert (app.verifier, app.revoked_at) == ("", None)
        assert app.hash
