"""A small directory to try things on: a province with a department, its unit and a commune."""

from datetime import UTC, datetime

from sqlmodel import Session

from mailgov.directory.provisioning import (
    Act,
    NewMailbox,
    add_agency,
    add_domain,
    add_mailbox,
    set_password,
)

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SUFFIXES = ["gov.vn", "test"]
PASSWORD = "Tre xanh 4 mua la!"
AN = "annv@sonoivu.tinhmau.test"
OFFICE = "vanthu@sonoivu.tinhmau.test"


def act(reason: str = "") -> Act:
    """Somebody acts now."""
    return Act(actor="cli:test", at=NOW, reason=reason)


def fill_directory(session: Session) -> None:
    """H99 with tinhmau.test; H99.02 with sonoivu.tinhmau.test, An and the office; its unit; H99.47."""
    add_agency(session, act(), code="H99", name="Ủy ban nhân dân tỉnh Mẫu", level="province")
    add_agency(
        session, act(), code="H99.02", name="Sở Nội vụ", level="department", short_name="SNV"
    )
    add_agency(
        session,
        act(),
        code="H99.02.01",
        name="Phòng Cải cách hành chính",
        level="department-unit",
        short_name="CCHC",
    )
    add_agency(session, act(), code="H99.47", name="Ủy ban nhân dân xã Hòa Bình", level="commune")
    for name, agency in (
        ("tinhmau.test", "H99"),
        ("sonoivu.tinhmau.test", "H99.02"),
        ("xahoabinh.tinhmau.test", "H99.47"),
    ):
        add_domain(session, act(), name=name, agency=agency, official_suffixes=SUFFIXES)
    add_mailbox(
        session,
        act(),
        NewMailbox(address=AN, agency="H99.02", name="Nguyễn Văn An", staff_no="VC-00417"),
    )
    add_mailbox(session, act(), NewMailbox(address=OFFICE, agency="H99.02", kind="office"))
    set_password(session, act(), AN, PASSWORD)
