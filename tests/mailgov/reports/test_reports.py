"""Each number is the count of its rows; the worked examples of the definitions hold."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from mailgov import ledger
from mailgov.db import Database
from mailgov.db.models import Agency, Domain, Instance, Mailbox, Person
from mailgov.db.models.instance import PSEUDONYM_KEY
from mailgov.errors import InputError, NotFound
from mailgov.ledger.events import (
    DirectoryChanged,
    HitWrong,
    MessageAccepted,
    MessageOpened,
    MessageRefused,
)
from mailgov.reports import REPORTS, Result, render, run_report
from mailgov.reports.chart import ranked_bars
from mailgov.reports.engine import Question, percent
from mailgov.reports.period import Period
from mailgov.reports.tree import Tree

NOW = datetime(2026, 11, 10, 3, tzinfo=UTC)
OCTOBER = Period.parse("2026-10")


@pytest.fixture
def province(database: Database) -> Database:
    """A province with two departments: 12 and 20 people, 10 and 15 of them with a mailbox."""
    with database.write() as session:
        session.add(Instance(key=PSEUDONYM_KEY, value="00" * 32))
        top = Agency(code="H99", name_vi="UBND tỉnh Mẫu", level="province")
        session.add(top)
        session.flush()
        for code, name, people, boxes in (
            ("H99.02", "Sở Nội vụ", 12, 10),
            ("H99.04", "Sở Tài chính", 20, 15),
        ):
            add_unit(session, top, code, name, people, boxes)
        session.add(
            Agency(code="H99.41", name_vi="Phường A", level="ward", parent_id=top.id, headcount=30)
        )
    return database


def add_unit(session: Session, top: Agency, code: str, name: str, people: int, boxes: int) -> None:
    unit = Agency(code=code, name_vi=name, level="department", parent_id=top.id, headcount=99)
    session.add(unit)
    session.flush()
    assert unit.id is not None
    domain = Domain(name=f"{code[-2:]}.tinhmau.gov.vn", agency_id=unit.id)
    session.add(domain)
    session.flush()
    assert domain.id is not None
    for number in range(people):
        made = datetime(2026, 9, 1, tzinfo=UTC)
        person = Person(
            staff_no=f"{code}-{number}",
            full_name="Nguyễn Văn A",
            agency_id=unit.id,
            created_at=made,
        )
        session.add(person)
        session.flush()
        if number < boxes:
            session.add(
                Mailbox(
                    address=f"u{number}@{domain.name}", person_id=person.id, agency_id=unit.id,
                    domain_id=domain.id, created_at=made,
                )
            )  # fmt: skip


def use(session: Session, mailbox: str, days: int) -> None:
    """Open a message on the first working days of October, twice a day."""
    for day in sorted(OCTOBER.working_days)[:days]:
        at = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
        for hour in (0, 3):
            ledger.record(session, MessageOpened(at=at + timedelta(hours=hour), mailbox=mailbox))


def run(database: Database, key: str, **options: Any) -> Result:
    with database.read() as session:
        return run_report(session, REPORTS[key], OCTOBER, now=NOW, **options)


def values(result: Result, line: str) -> dict[str, Any]:
    return dict(next(found for found in result.lines if found.key == line).values)


def test_coverage_sums_people_and_mailboxes_and_marks_what_is_declared(province: Database) -> None:
    result = run(province, "coverage")
    top = values(result, "H99")
    assert (top["people"], top["provided"], top["declared"]) == (62, 25, 30)
    inside = run(province, "coverage", agency="H99")
    assert values(inside, "H99.02")["coverage"] == Decimal("83.3")
    assert values(inside, "H99.04")["coverage"] == Decimal("75.0")
    assert inside.total.values["coverage"] == Decimal("40.3")


def test_a_mailbox_suspended_before_the_end_is_not_provided(province: Database) -> None:
    def change(verb: str, day: int) -> DirectoryChanged:
        at = datetime(2026, 10, day, tzinfo=UTC)
        box = "u0@02.tinhmau.gov.vn"
        return DirectoryChanged(at=at, noun="mailbox", verb=verb, target=box, mailbox=box)

    with province.write() as session:
        ledger.record(session, change("suspend", 5))
    assert values(run(province, "coverage", agency="H99"), "H99.02")["provided"] == 9
    with province.write() as session:
        ledger.record(session, change("resume", 20))
    assert values(run(province, "coverage", agency="H99"), "H99.02")["provided"] == 10


def test_regular_use_is_half_of_the_working_days_of_the_staff_list(province: Database) -> None:
    with province.write() as session:
        use(session, "u0@02.tinhmau.gov.vn", 22)
        use(session, "u1@02.tinhmau.gov.vn", 11)  # exactly half
        use(session, "u2@02.tinhmau.gov.vn", 10)
    found = values(run(province, "active-use", agency="H99"), "H99.02")
    assert (found["regular"], found["some"], found["none"], found["people"]) == (2, 1, 9, 12)
    assert found["active_use"] == Decimal("16.7")
    assert (found["open_all_period"], found["active_use_of_issued"]) == (10, Decimal("20.0"))


def test_mail_that_arrives_is_nobodys_act(province: Database) -> None:
    box = "u0@02.tinhmau.gov.vn"
    with province.write() as session:
        for day in OCTOBER.working_days:
            at = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
            ledger.record(
                session, MessageAccepted(at=at, mailbox=box, direction="inbound", action="pass")
            )
    assert values(run(province, "active-use", agency="H99"), "H99.02")["regular"] == 0


def accepted(n: int, code: str, **more: Any) -> MessageAccepted:
    fields = {"direction": "submission", "action": "pass", **more}
    at = datetime(2026, 10, 5, 2, tzinfo=UTC)
    return MessageAccepted(at=at, message_id=f"m{n}", agency_code=code, **fields)


def test_documents_count_messages_by_kind_and_leave_letters_out(province: Database) -> None:
    with province.write() as session:
        ledger.record(
            session,
            accepted(1, "H99.02", category="invitation", number="12", recipients=14),
            accepted(2, "H99.02", category="invitation", urgency="khan"),
            accepted(3, "H99.04", category="notice", direction="inbound"),
            accepted(4, "H99.04"),
        )
    result = run(province, "documents", by="category")
    assert [(line.key, line.values["documents"]) for line in result.lines] == [
        ("invitation", 2),
        ("notice", 1),
    ]
    assert result.total.values == {
        "documents": 3, "sent": 2, "received": 1, "urgent": 1, "numbered": 1,
    }  # fmt: skip


def test_violations_count_each_code_of_each_message(province: Database) -> None:
    at = datetime(2026, 10, 6, tzinfo=UTC)
    refused = MessageRefused(
        at=at, agency_code="H99.02", direction="submission",
        code="legacy-encoding", codes=["legacy-encoding", "secret-mark"],
    )  # fmt: skip
    with province.write() as session:
        ledger.record(
            session,
            refused,
            accepted(1, "H99.04", action="warn", codes=["legacy-encoding"]),
            accepted(2, "H99.04", action="hold", codes=["macro"]),
            HitWrong(at=at, agency_code="H99.04", code="macro", codes=["macro", "executable"]),
        )
    result = run(province, "violations")
    assert values(result, "legacy-encoding") == {
        "findings": 2, "refused": 1, "held": 0, "sent_with_warning": 1, "told_before_sending": 0,
        "reported_wrong": 0,
    }  # fmt: skip
    assert values(result, "macro")["held"] == 1
    assert values(result, "macro")["reported_wrong"] == 1
    assert result.total.values["findings"] == 4


@pytest.mark.parametrize("key", sorted(REPORTS))
def test_every_count_is_the_number_of_its_rows(province: Database, key: str) -> None:
    with province.write() as session:
        use(session, "u3@04.tinhmau.gov.vn", 15)
        ledger.record(session, accepted(1, "H99.02", category="notice", codes=["secret-mark"]))
    result = run(province, key)
    with province.read() as session:
        question = Question(OCTOBER, Tree.read(session), NOW.date())
        rows = list(REPORTS[key].rows(session, question))
    for column in result.definition.columns:
        if column.kind == "count":
            expected = sum(column.key in row.columns for row in rows)
            assert result.total.values[column.key] == expected


def test_small_groups_are_hidden_and_so_is_what_would_give_them_away(database: Database) -> None:
    with database.write() as session:
        session.add(Instance(key=PSEUDONYM_KEY, value="00" * 32))
        top = Agency(code="H99", name_vi="Tỉnh", level="province")
        session.add(top)
        session.flush()
        for code, people in (("H99.02", 4), ("H99.03", 15), ("H99.04", 40)):
            add_unit(session, top, code, code, people, people)
    result = run(database, "active-use", agency="H99")
    assert {line.key: line.hidden for line in result.lines} == {
        "H99.02": True,
        "H99.03": True,  # else total minus the others gives H99.02
        "H99.04": False,
    }
    assert result.total.values["people"] == 59
    assert "dưới 10" in render.as_csv(result, "vi").decode("utf-8-sig")
    alone = run(database, "active-use", agency="H99.02")
    assert alone.total.hidden
    assert set(alone.total.values.values()) == {None}


def test_nothing_over_nothing_is_a_dash_and_never_zero() -> None:
    assert percent(0, 0) is None
    assert render.value_text(None, "vi") == "–"


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_rates_are_rounded_half_up_to_one_decimal(part: int, whole: int) -> None:
    rate = percent(min(part, whole), whole)
    assert rate is not None
    assert abs(rate - Decimal(100 * min(part, whole)) / whole) <= Decimal("0.05")


def test_numbers_are_written_as_the_reader_writes_them() -> None:
    assert render.value_text(18204, "vi") == "18.204"
    assert render.value_text(Decimal("96.2"), "vi") == "96,2 %"
    assert render.value_text(Decimal("96.2"), "en") == "96.2 %"


def test_unknown_agencies_and_cuts_are_told(province: Database) -> None:
    with pytest.raises(NotFound, match="agency-unknown"):
        run(province, "coverage", agency="H99.99")
    with pytest.raises(InputError, match="report-cut-unknown"):
        run(province, "coverage", by="rule")


def test_csv_has_a_mark_one_header_and_no_formulas(province: Database) -> None:
    with province.write() as session:
        bad = session.get(Agency, 2)
        assert bad is not None
        bad.name_vi = "=cmd|' /C calc'!A0"
    text = render.as_csv(run(province, "coverage", agency="H99"), "vi")
    assert text.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))
    assert table[0][:3] == ["Cơ quan", "Tên", "Số người"]
    assert "'=cmd|' /C calc'!A0" in [row[1] for row in table]


def test_xlsx_has_its_four_sheets_and_numbers_as_numbers(province: Database) -> None:
    book = render.as_xlsx(run(province, "coverage"), "vi")
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        names = archive.read("xl/workbook.xml").decode()
        figures = archive.read("xl/worksheets/sheet2.xml").decode()
    assert [
        names.find(f'name="{name}"') > 0 for name in ("Tóm tắt", "Số liệu", "Định nghĩa", "Nguồn")
    ]
    assert "<v>62</v>" in figures


def test_the_fingerprint_changes_with_a_number_and_not_with_the_time(province: Database) -> None:
    before = run(province, "coverage")
    assert before.sha256 == run(province, "coverage").sha256
    with province.write() as session:
        person = session.get(Person, 1)
        assert person is not None
        person.left_on = OCTOBER.first
    assert run(province, "coverage").sha256 != before.sha256


def test_the_chart_ranks_names_and_escapes(province: Database) -> None:
    with province.write() as session:
        unit = session.get(Agency, 2)
        assert unit is not None
        unit.name_vi = "Sở <Nội> vụ"
    chart = ranked_bars(run(province, "coverage", agency="H99"), "vi", target=95)
    assert chart.index("Sở &lt;Nội&gt; vụ") < chart.index("Sở Tài chính")
    assert "<script" not in chart
    assert 'class="target"' in chart
    assert "Mục tiêu 95 %" in chart


def test_only_rates_have_a_target(province: Database) -> None:
    refused = MessageRefused(
        at=datetime(2026, 10, 6, tzinfo=UTC), agency_code="H99.02", direction="submission",
        code="macro", codes=["macro"],
    )  # fmt: skip
    with province.write() as session:
        ledger.record(session, refused)
    chart = ranked_bars(run(province, "violations"), "vi", target=95)
    assert chart.count("<rect") == chart.count("<li>") > 0
    assert "target" not in chart
