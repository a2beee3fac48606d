"""The personnel list and the directory: differences found, looked through, carried out, taken back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import load_workbook
from sqlmodel import select

from mailgov.db import Database
from mailgov.db.models import Mailbox, Person, PlannedAct
from mailgov.directory.provisioning import NewMailbox, add_mailbox

from ..support.directory import act
from . import clerks
from .conftest import Run

HEADINGS = ("Số hiệu", "Họ và tên", "Mã cơ quan", "Chức vụ", "Điện thoại")
PEOPLE = {
    "VC-1": ("Trần Thị Bích", "H99.02", "bichtt@sonoivu.tinhmau.test", "0901000001"),
    "VC-2": ("Lê Văn Cường", "H99.02", "cuonglv@sonoivu.tinhmau.test", "0901000002"),
    "VC-3": ("Phạm Thị Dương", "H99.02", "duongpt@sonoivu.tinhmau.test", "0901000003"),
    "VC-4": ("Đỗ Minh Hải", "H99.02.01", "haidm@sonoivu.tinhmau.test", "0901000004"),
    "VC-5": ("Vũ Thị Hoa", "H99.02", "hoavt@sonoivu.tinhmau.test", ""),
    "VC-6": ("Ngô Văn Khoa", "H99.02", "khoanv@sonoivu.tinhmau.test", "0901000006"),
}
LIST = (
    ("VC-00417", "Nguyễn Văn An", "H99.02", "", ""),
    ("VC-1", "Trần Thị Bích", "H99.02", "Phó Trưởng phòng", "0901000001"),  # changed
    ("VC-2", "Lê Văn Cương", "H99.02", "", "0901000002"),  # renamed
    ("VC-30", "Phạm Thị Dương", "H99.02", "", "0901000003"),  # a new number
    ("VC-4", "Đỗ Minh Hải", "H99.47", "", "0901000004"),  # moved
    ("VC-50", "Vũ Thị Hoa", "H99.02", "", ""),  # likely a new number
    ("VC-9", "Bùi Thị Lan", "H99.02", "Chuyên viên", "0901000009"),  # missing
    ("VC-9", "Bùi Thị Lan", "H99.02", "", ""),  # twice
    ("VC-10", "Hồ Văn Minh", "H99.99", "", ""),  # wrong
)
# VC-6 stands in no row: he has left.
FOUND = [
    ("changed", "do", "VC-1"),
    ("renamed", "do", "VC-2"),
    ("renumbered", "do", "VC-30"),
    ("moved", "do", "VC-4"),
    ("renumbered", "look", "VC-50"),
    ("missing", "do", "VC-9"),
    ("duplicate", "look", "VC-9"),
    ("wrong", "look", "VC-10"),
    ("left", "recall", "VC-6"),
]


@pytest.fixture
def staffed(database: Database) -> Database:
    """Six people in the department."""
    with database.write() as session:
        for number, (name, agency, address, phone) in PEOPLE.items():
            new = NewMailbox(address=address, agency=agency, name=name, staff_no=number)
            add_mailbox(session, act(), new)
            person = session.exec(select(Person).where(Person.staff_no == number)).one()
            person.phone = phone
            session.add(person)
    return database


def listed(folder: Path, rows: Sequence[Sequence[Any]] = LIST) -> str:
    clerks.workbook(
        folder / "ns.xlsx", lambda _book, page: clerks.rows_at(page, 0, [HEADINGS, *rows])
    )
    return "ns.xlsx"


def planned(run: Run, folder: Path, *options: str) -> list[dict[str, Any]]:
    result = run(
        *("reconcile", "plan", listed(folder), "--to", "dc.xlsx", "--max-left", "50", "--json"),
        *options,
    )
    assert result.exit == 0, result.stderr
    data: list[dict[str, Any]] = result.data
    return data


def decide(folder: Path, decisions: dict[str, str]) -> None:
    """What a clerk does: other words in the first column."""
    cells = load_workbook(str(folder / "dc.xlsx")).get_sheet_by_index(0).to_python()
    with xlsxwriter.Workbook(str(folder / "dc.xlsx")) as book:
        page = book.add_worksheet("x")
        for line, row in enumerate(cells):
            word = decisions.get(f"{row[1]} {row[2]}", str(row[0]))
            for column, cell in enumerate([word, *row[1:]]):
                page.write_string(line, column, str(cell))


def people(database: Database) -> dict[str, tuple[str, str, str]]:
    with database.read() as session:
        return {
            one.staff_no: (one.full_name, one.title, one.phone)
            for one in session.exec(select(Person))
        }


@pytest.mark.usefixtures("staffed")
def test_every_kind_of_difference_is_found_with_a_decision(run: Run, folder: Path) -> None:
    data = planned(run, folder)
    assert [(row["kind"], row["decision"], row["staff_no"]) for row in data] == FOUND
    by_number = {(row["kind"], row["staff_no"]): row for row in data}
    assert by_number["renumbered", "VC-30"]["changes"] == {"staff_no": ["VC-3", "VC-30"]}
    assert by_number["renumbered", "VC-30"]["confidence"] == 98
    assert by_number["renumbered", "VC-50"]["confidence"] == 80
    assert by_number["moved", "VC-4"]["changes"] == {"agency_code": ["H99.02.01", "H99.47"]}
    assert "H99.99" in by_number["wrong", "VC-10"]["problem"]


@pytest.mark.usefixtures("staffed")
def test_too_many_leavers_wait_for_a_decision(run: Run, folder: Path) -> None:
    data = planned(run, folder, "--max-left", "5")
    assert [row["decision"] for row in data if row["kind"] == "left"] == ["look"]


def test_a_plan_changes_nothing_and_a_review_decides(
    run: Run, folder: Path, staffed: Database
) -> None:
    before = people(staffed)
    planned(run, folder)
    assert people(staffed) == before
    decide(
        folder,
        {
            "đổi số hiệu VC-50": "Thực hiện",
            "đổi thông tin VC-1": "bỏ qua",
            "không còn trong danh sách VC-6": "tạm khóa",
        },
    )
    dry = run("reconcile", "apply", "dc.xlsx", "--dry-run")
    assert dry.exit == 0
    assert "2 dòng còn để" in dry.stderr
    assert people(staffed) == before
    done = run("reconcile", "apply", "dc.xlsx", "--yes", "--reason", "đối chiếu", "--json")
    assert done.exit == 0, done.stderr
    assert {(row["target"], row["verb"]) for row in done.data} == {
        ("cuonglv@sonoivu.tinhmau.test", "edit"),
        ("duongpt@sonoivu.tinhmau.test", "edit"),
        ("hoavt@sonoivu.tinhmau.test", "edit"),
        ("haidm@sonoivu.tinhmau.test", "plan"),
        ("lanbt@sonoivu.tinhmau.test", "add"),
        ("khoanv@sonoivu.tinhmau.test", "suspend"),
    }
    after = people(staffed)
    assert after["VC-1"][1] == ""
    assert after["VC-2"][0] == "Lê Văn Cương"
    assert {"VC-30", "VC-50", "VC-9"} <= after.keys()
    assert not {"VC-3", "VC-5", "VC-10"} & after.keys()
    assert after["VC-9"] == ("Bùi Thị Lan", "Chuyên viên", "0901000009")
    with staffed.read() as session:
        plans = [(one.kind, one.subject) for one in session.exec(select(PlannedAct))]
        names = dict(session.exec(select(Mailbox.address, Mailbox.display_name)).all())
    assert plans == [("mailbox.transfer", "haidm@sonoivu.tinhmau.test")]
    assert names["cuonglv@sonoivu.tinhmau.test"] == "Lê Văn Cương"

    [job] = run("job", "list", "--json").data
    undone = run("job", "undo", job["job"], "--yes", "--json")
    assert (undone.exit, undone.data) == (0, [])
    assert people(staffed) == before
    with staffed.read() as session:
        assert [one.state for one in session.exec(select(PlannedAct))] == ["cancelled"]
        states = session.exec(select(Mailbox.state)).all()
    assert set(states) == {"active"}


def test_leavers_are_recalled_on_their_day(run: Run, folder: Path, staffed: Database) -> None:
    planned(run, folder)
    done = run("reconcile", "apply", "dc.xlsx", "--yes", "--on", "2099-01-01")
    assert done.exit == 0, done.stderr
    with staffed.read() as session:
        plans = {one.kind: one.on_day.isoformat() for one in session.exec(select(PlannedAct))}
    assert plans == {"mailbox.transfer": "2099-01-01", "mailbox.recall": "2099-01-01"}


def test_who_has_changed_since_is_left_alone(run: Run, folder: Path, staffed: Database) -> None:
    planned(run, folder)
    with staffed.write() as session:
        person = session.exec(select(Person).where(Person.staff_no == "VC-1")).one()
        person.title = "Trưởng phòng"
        session.add(person)
    done = run("reconcile", "apply", "dc.xlsx", "--yes", "--json")
    assert done.exit == 7
    failed = [(row["target"], row["code"]) for row in done.data if row["code"]]
    assert failed == [("bichtt@sonoivu.tinhmau.test", "reconcile-changed")]
    assert people(staffed)["VC-1"][1] == "Trưởng phòng"


def test_after_it_the_list_agrees(run: Run, folder: Path, staffed: Database) -> None:
    assert people(staffed)
    planned(run, folder)
    decide(folder, {"đổi số hiệu VC-50": "thực hiện"})
    assert run("reconcile", "apply", "dc.xlsx", "--yes").exit == 0
    left = [(row["kind"], row["staff_no"]) for row in planned(run, folder)]
    # What has its day is still to come.
    assert left == [
        ("moved", "VC-4"),
        ("duplicate", "VC-9"),
        ("wrong", "VC-10"),
        ("left", "VC-6"),
    ]


@pytest.mark.parametrize(
    ("decisions", "code"),
    [
        ({"đổi tên VC-2": "thu hồi"}, "reconcile-decision"),
        ({"đổi tên VC-2": "có lẽ"}, "reconcile-decision"),
    ],
)
@pytest.mark.usefixtures("staffed")
def test_a_decision_that_cannot_be_is_refused_before_anything_is_done(
    run: Run, folder: Path, decisions: dict[str, str], code: str
) -> None:
    planned(run, folder)
    decide(folder, decisions)
    told = run("reconcile", "apply", "dc.xlsx", "--yes", "--json")
    assert (told.exit, told.error["code"]) == (6, code)
    assert run("job", "list", "--json").data == []


@pytest.mark.usefixtures("staffed")
def test_a_list_that_agrees_says_so(run: Run, folder: Path) -> None:
    rows = [("VC-00417", "Nguyễn Văn An", "H99.02", "", "")]
    rows += [(number, name, code, "", phone) for number, (name, code, _, phone) in PEOPLE.items()]
    told = run("reconcile", "plan", listed(folder, rows))
    assert told.exit == 0
    assert "khớp" in told.stderr
    assert not (folder / "ns.doi-chieu.xlsx").exists()
