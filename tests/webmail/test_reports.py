"""Report pages: what is asked for, said in words, with and without numbers."""

import pytest

from mailgov.db.models import Instance
from mailgov.db.models.instance import PSEUDONYM_KEY
from tests.support.webmail import Browser, Site


@pytest.fixture(autouse=True)
def _key(site: Site) -> None:
    """What migrations put into a database."""
    with site.services.database.write() as session:
        session.add(Instance(key=PSEUDONYM_KEY, value="00" * 32))


def test_the_overview_has_a_card_for_each_report(an: Browser) -> None:
    an.go("/reports")
    assert len(an.all(".card")) == 4
    assert "Số liệu tạm tính" in an.text(".notice")
    assert an.text(".card .figure") == "dưới 10 dưới 10 0 0"  # the unit has few people


def test_a_report_names_unit_and_period_in_words(an: Browser) -> None:
    an.go("/reports/coverage?period=2026-10")
    assert an.text("#figures") == "Tỷ lệ được cấp hộp thư · Sở Nội vụ · Tháng 10/2026"
    assert an.text(".answer").startswith("Tháng 10/2026: ")
    assert "Cơ quan" in an.text(".figures thead")


def test_a_period_without_anything_says_so(an: Browser) -> None:
    an.go("/reports/violations?period=2020-Q1")
    assert an.text(".answer") == "Quý 1/2020 – Số lỗi: 0."
    assert "Chưa có số liệu để vẽ biểu đồ" in an.text(".empty")


def test_a_file_has_a_name_of_its_own(an: Browser) -> None:
    an.go("/reports/coverage/csv?period=2026-10")
    assert an.status == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/reports/popularity", 404),
        ("/reports/coverage/doc", 404),
        ("/reports/coverage?period=xx", 400),
        ("/reports/coverage?agency=G90", 403),
        ("/reports/coverage?by=colour", 400),
    ],
)
def test_what_is_not_there_is_told(an: Browser, address: str, status: int) -> None:
    assert an.go(address).status == status
