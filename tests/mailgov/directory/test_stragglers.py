"""Who still uses old addresses: from the ledger, by domain; by name for a reason."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from mailgov.db import Database
from mailgov.db.models import EventRow, MessageRow
from mailgov.directory.renaming import rename_mailbox
from mailgov.directory.reorganisation.stragglers import stragglers
from mailgov.errors import InputError
from mailgov.ledger import record
from mailgov.ledger.events import MessageAccepted, RecipientDelivered

from ...support.directory import AN, NOW, act, fill_directory

NEW = "an.nguyen@tinhmau.test"
SINCE = NOW - timedelta(days=30)


def wrote(session: Session, number: int, sender: str, recipient: str, days_ago: int = 1) -> None:
    at = NOW - timedelta(days=days_ago)
    record(
        session,
        MessageAccepted(
            at=at, message_id=f"m{number}", actor=sender, direction="inbound", action="pass"
        ),
        RecipientDelivered(
            at=at, message_id=f"m{number}", agency_code="H99.02", recipient=recipient, local=True
        ),
    )


def sent(session: Session, number: int, header_from: str, login: str) -> None:
    session.add(
        MessageRow(
            id=f"s{number}", direction="submission", mail_from=header_from, login=login,
            header_from=header_from, size_bytes=1, content_sha256=b"", prefix=b"",
            accepted_at=NOW - timedelta(days=2),
        )
    )  # fmt: skip


@pytest.fixture
def used(any_database: Database) -> Database:
    with any_database.write() as session:
        fill_directory(session)
        rename_mailbox(session, act(), AN, NEW)
        wrote(session, 1, "dan@gmail.test", AN)
        wrote(session, 2, "hoi@gmail.test", "AnNV@sonoivu.tinhmau.test")
        wrote(session, 3, "so@bo.gov.vn", AN, days_ago=3)
        wrote(session, 4, "so@bo.gov.vn", NEW)
        wrote(session, 5, "cu@bo.gov.vn", AN, days_ago=60)
        wrote(session, 6, "la@la.test", "khac@sonoivu.tinhmau.test")
        sent(session, 1, AN, NEW)
        sent(session, 2, NEW, NEW)
    return any_database


def test_by_domain_nobody_is_named(used: Database) -> None:
    with used.write() as session:
        rows = stragglers(session, act(), "H99.02", SINCE)
        assert [(row["way"], row["old"], row["who"], row["messages"]) for row in rows] == [
            ("to", "sonoivu.tinhmau.test", "gmail.test", 2),
            ("from", "sonoivu.tinhmau.test", "tinhmau.test", 1),
            ("to", "sonoivu.tinhmau.test", "bo.gov.vn", 1),
        ]
        assert rows[0]["last_at"] == NOW - timedelta(days=1)
        kinds = session.exec(select(EventRow.kind)).all()
        assert "report.run" not in kinds


def test_names_need_a_reason_that_is_kept(used: Database) -> None:
    with used.write() as session:
        with pytest.raises(InputError, match="names-reason-missing"):
            stragglers(session, act(), "H99.02", SINCE, names=True)
        rows = stragglers(session, act("nhắc đổi địa chỉ"), "H99", SINCE, names=True)
        assert {(row["way"], row["old"], row["who"]) for row in rows} == {
            ("to", AN, "dan@gmail.test"),
            ("to", AN, "hoi@gmail.test"),
            ("to", AN, "so@bo.gov.vn"),
            ("from", AN, NEW),
        }
        event = session.exec(select(EventRow).where(EventRow.kind == "report.run")).one()
        assert event.data["reason"] == "nhắc đổi địa chỉ"


def test_of_another_branch_there_is_nothing(used: Database) -> None:
    with used.write() as session:
        assert stragglers(session, act(), "H99.47", SINCE) == []
