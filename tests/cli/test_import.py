"""Staff lists as clerks send them: read, shown as a diff, written, resumed, taken back."""

import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import load_workbook
from sqlmodel import Session, select

from mailgov.bulk import apply, jobs, sheets
from mailgov.db import Database
from mailgov.db.models import Job, JobRow, Mailbox, Person
from mailgov.ledger.events import DirectoryChanged
from mailgov.ledger.store import of_kinds

from ..support.directory import AN
from .conftest import Run

HEADINGS = ("Số hiệu", "Họ và tên", "Mã cơ quan", "Chức vụ")
BICH = ("VC-01902", "Trần Thị Bích", "H99.02", "Chuyên viên")
CUONG = ("VC-01903", "Lê Văn Cường", "H99.02.01", "")


def workbook(file: Path, *rows: Sequence[Any], headings: Sequence[str] = HEADINGS) -> Path:
    """A sheet with these rows under headings."""
    with xlsxwriter.Workbook(str(file)) as book:
        dates = book.add_format({"num_format": "dd/mm/yyyy"})
        sheet = book.add_worksheet("Danh sách")
        for line, row in enumerate((headings, *rows)):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(line, column, cell, dates)
                else:
                    sheet.write(line, column, cell)
    return file


def cells(file: Path) -> list[list[str]]:
    return [
        [str(cell) for cell in row]
        for row in load_workbook(str(file)).get_sheet_by_index(0).to_python()
    ]


def addresses(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.exec(select(Mailbox.address).order_by(Mailbox.address)))


def test_a_preview_writes_nothing_and_says_what_would_change(
    run: Run, folder: Path, database: Database
) -> None:
    before = addresses(database)
    workbook(folder / "cb.xlsx", BICH, ("VC-00417", "Nguyễn Văn An", "H99.02", "Phó Trưởng phòng"))
    result = run("mailbox", "import", "cb.xlsx", "--dry-run")
    assert result.exit == 0
    assert result.stdout.splitlines() == [
        "+ dòng 2  VC-01902  Trần Thị Bích  bichtt@sonoivu.tinhmau.test",
        "~ dòng 3  VC-00417  Nguyễn Văn An  chức vụ: — → Phó Trưởng phòng",
    ]
    assert "+ thêm 1   ~ sửa 1   = giữ nguyên 0" in result.stderr
    assert addresses(database) == before
    assert run("job", "list", "--json").data == []


def test_an_import_is_written_with_its_events_and_repeated_changes_nothing(
    run: Run, folder: Path, database: Database
) -> None:
    workbook(folder / "cb.xlsx", BICH, CUONG)
    result = run("mailbox", "import", "cb.xlsx", "--yes", "--json", "--reason", "đợt 1")
    assert result.exit == 0
    assert result.data[0]["add"] == 2
    assert {"bichtt@sonoivu.tinhmau.test", "cuonglv@sonoivu.tinhmau.test"} < set(
        addresses(database)
    )
    with database.read() as session:
        events = [
            (row.data["noun"], row.data["verb"], row.data["target"], row.data["reason"])
            for row in of_kinds(session, [DirectoryChanged.kind])
            if row.data["reason"]
        ]
    assert events == [
        ("person", "add", "VC-01902", "đợt 1"),
        ("mailbox", "add", "bichtt@sonoivu.tinhmau.test", "đợt 1"),
        ("person", "add", "VC-01903", "đợt 1"),
        ("mailbox", "add", "cuonglv@sonoivu.tinhmau.test", "đợt 1"),
    ]
    again = run("mailbox", "import", "cb.xlsx", "--yes")
    assert again.exit == 0
    assert "0 thay đổi" in again.stderr
    assert "đã được nhập ngày" in again.stderr
    assert len(run("job", "list", "--json").data) == 1


MESSY = (
    ("", "", "", "", ""),
    ("STT", "MÃ SỐ", "HO VA TEN", "mã đơn vị", "Ngày hiệu lực", "Ghi chú", "Đảng viên"),
    ("", "", "", "", ""),
    (1, 417.0, "  Trần   Thị\u00a0Bích ", "h99.02", date(2020, 2, 1)),
    (2, "VC-01903", "LÊ VĂN CƯỜNG", "H99.02.01", "01/02/2020"),
    (3, "VC-01904", "Pha\u0323m Thi\u0323 Du\u031bo\u031bng", "H99.02", "2020-02-01", "x", "x"),
)


def test_a_messy_sheet_gives_the_right_rows(run: Run, folder: Path, database: Database) -> None:
    title = ("ỦY BAN NHÂN DÂN TỈNH MẪU", "", "", "DANH SÁCH CÁN BỘ", *[""] * 10)
    workbook(folder / "cb.xlsx", *MESSY, headings=title)
    result = run("mailbox", "import", "cb.xlsx", "--yes")
    assert result.exit == 0, result.stderr
    assert "cột không dùng đến: Đảng viên" in result.stderr
    with database.read() as session:
        people = {
            person.staff_no: (person.full_name, person.joined_on)
            for person in session.exec(select(Person).where(Person.staff_no != "VC-00417"))
        }
    day = date(2020, 2, 1)
    assert people == {
        "417": ("Trần Thị Bích", day),
        "VC-01903": ("Lê Văn Cường", day),
        "VC-01904": ("Phạm Thị Dương", day),
    }


WRONG = {
    "agency": (("V1", "Trần Thị Bích", "H99.03"), "cell-agency-unknown"),
    "name": (("V1", "B4ch", "H99.02"), "person-name-not-valid"),
    "number": (("", "Trần Thị Bích", "H99.02"), "cell-empty"),
    "form of the number": (("số 1", "Trần Thị Bích", "H99.02"), "cell-staff-number"),
    "address": (("V1", "Trần Thị Bích", "H99.02", "", "Bích@"), "address-not-valid"),
    "foreign domain": (
        ("V1", "Trần Thị Bích", "H99.02", "", "bich@gmail.com"),
        "cell-domain-unknown",
    ),
    "other agency's domain": (
        ("V1", "Trần Thị Bích", "H99.02", "", "bich@xahoabinh.tinhmau.test"),
        "cell-domain-of-other-agency",
    ),
    "taken address": (("V1", "Trần Thị Bích", "H99.02", "", AN), "cell-address-taken"),
    "quota": (("V1", "Trần Thị Bích", "H99.02", "", "", "nhiều"), "cell-number"),
    "day": (("V1", "Trần Thị Bích", "H99.02", "", "", "", "31/02/2026"), "cell-date"),
    "later": (("V1", "Trần Thị Bích", "H99.02", "", "", "", "31/12/2099"), "cell-later"),
    "kind": (("V1", "Trần Thị Bích", "H99.02", "", "", "", "", "riêng tư"), "cell-word-unknown"),
    "office without address": (
        ("", "", "H99.02", "", "", "", "", "cơ quan"),
        "cell-address-missing",
    ),
    "other person's number": (("VC-00417", "Lê Thị Hoa", "H99.02"), "cell-other-person"),
    "another address": (
        ("VC-00417", "Nguyễn Văn An", "H99.02", "", "nvan@sonoivu.tinhmau.test"),
        "cell-other-address",
    ),
    "private encoding": (("V1", "TrÇn ThÞ BÝch", "H99.02"), "cell-legacy"),
}
WIDE = (*HEADINGS, "Email", "Dung lượng (MB)", "Ngày hiệu lực", "Loại hộp thư")


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_row_is_left_out_with_what_is_wrong(run: Run, folder: Path, case: str) -> None:
    row, code = WRONG[case]
    workbook(folder / "cb.xlsx", row, headings=WIDE)
    result = run("mailbox", "import", "cb.xlsx", "-n", "--json")
    assert result.exit == 0, result.stderr
    [planned] = result.data
    assert planned["verb"] in ("reject", "look")
    assert planned["problems"][0]["code"] == code, planned["problems"]
    assert planned["problems"][0]["text"]
    assert planned["problems"][0]["mend"]


def test_rejected_rows_come_in_a_workbook_that_can_be_corrected_and_imported(
    run: Run, folder: Path, database: Database
) -> None:
    workbook(folder / "cb.xlsx", BICH, ("VC-01903", "Lê Văn Cường", "H99.022", ""))
    result = run("mailbox", "import", "cb.xlsx", "--yes")
    assert result.exit == 7
    rejects = cells(folder / "cb.loi.xlsx")
    assert rejects[0] == [*HEADINGS, "Dòng", "Cột", "Lỗi", "Cách sửa"]
    assert rejects[1][:6] == ["VC-01903", "Lê Văn Cường", "H99.022", "", "3.0", "Mã cơ quan"]
    assert "H99.022" in rejects[1][6]
    assert "H99.02" in rejects[1][7]
    rejects[1][2] = "H99.02"
    workbook(folder / "cb.loi.xlsx", *rejects[1:], headings=rejects[0])
    assert run("mailbox", "import", "cb.loi.xlsx", "--yes").exit == 0
    assert "cuonglv@sonoivu.tinhmau.test" in addresses(database)


def test_all_or_nothing_writes_nothing_while_a_row_is_wrong(
    run: Run, folder: Path, database: Database
) -> None:
    before = addresses(database)
    workbook(folder / "cb.xlsx", BICH, ("VC-01903", "Lê Văn Cường", "H99.022", ""))
    result = run("mailbox", "import", "cb.xlsx", "--yes", "--all-or-nothing")
    assert result.exit == 6
    assert addresses(database) == before


def test_without_consent_nothing_is_written(run: Run, folder: Path, database: Database) -> None:
    before = addresses(database)
    workbook(folder / "cb.xlsx", BICH)
    assert run("mailbox", "import", "cb.xlsx").exit == 10
    assert addresses(database) == before


LEGACY = "Số hiệu;Họ và tên;Mã cơ quan\nV1;Trần Thị Bích;H99.02\nV2;Đỗ Đức Cường;H99.02\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_file_is_read_in_its_own_encoding(run: Run, folder: Path, encoding: str) -> None:
    (folder / "cb.csv").write_bytes(LEGACY.encode(encoding))
    result = run("mailbox", "import", "cb.csv", "-n", "--json")
    assert [row["address"] for row in result.data] == [
        "bichtt@sonoivu.tinhmau.test",
        "cuongdd@sonoivu.tinhmau.test",
    ]


def test_a_list_in_tcvn3_is_refused_and_read_on_demand(run: Run, folder: Path) -> None:
    rows = [f"V{n};TrÇn ThÞ H¹nh;H99.02" for n in range(6)]
    text = "\n".join(["Sè hiÖu;Hä vµ tªn;M· c¬ quan", *rows])
    (folder / "cb.csv").write_bytes(text.encode("cp1252"))
    refused = run("mailbox", "import", "cb.csv", "-n")
    assert refused.exit == 6
    assert "TCVN3" in refused.stderr
    assert "--convert-legacy" in refused.stderr
    result = run("mailbox", "import", "cb.csv", "-n", "--convert-legacy", "--json")
    assert result.exit == 0, result.stderr
    assert result.data[0]["name"] == "Trần Thị Hạnh"


@pytest.mark.parametrize("portion", [0, 1, 2])
def test_an_interrupted_import_goes_on_without_repeating_a_row(
    run: Run,
    folder: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    portion: int,
) -> None:
    rows = [(f"V{n}", "Trần Thị Bích", "H99.02", "") for n in range(7)]
    workbook(folder / "cb.xlsx", *rows)
    monkeypatch.setattr(apply, "in_portions", _portions_of_three)
    left = portion

    def stop(session: Session, planned: list[Any], writing: apply.Writing) -> None:
        nonlocal left
        write(session, planned, writing)
        if left == 0:
            raise KeyboardInterrupt  # in the middle of the transaction
        left -= 1

    write = apply._write
    monkeypatch.setattr(apply, "_write", stop)
    stopped = run("mailbox", "import", "cb.xlsx", "--yes")
    assert stopped.exit == 130
    with database.read() as session:
        job = session.exec(select(Job)).one()
        assert len(session.exec(select(JobRow)).all()) == portion * 3
    assert f"mailgov job resume {job.id}" in stopped.stderr
    (folder / "cb.xlsx").unlink()
    monkeypatch.setattr(apply, "_write", write)
    assert run("job", "resume", job.id).exit == 0
    with database.read() as session:
        people = session.exec(select(Person.staff_no)).all()
        assert sorted(people) == ["V0", "V1", "V2", "V3", "V4", "V5", "V6", "VC-00417"]
        assert len(session.exec(select(JobRow)).all()) == 7
    assert list((folder / "data" / "jobs").iterdir()) == []
    assert run("job", "resume", job.id).exit == 5


def _portions_of_three(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + 3] for start in range(0, len(rows), 3)]


def test_undo_brings_back_what_was_and_tells_what_had_to_stay(
    run: Run, folder: Path, database: Database
) -> None:
    before = addresses(database)
    workbook(
        folder / "cb.xlsx",
        BICH,
        CUONG,
        ("VC-00417", "Nguyễn Văn An", "H99.02.01", "Trưởng phòng"),
    )
    assert run("mailbox", "import", "cb.xlsx", "--yes").exit == 0
    [job] = run("job", "list", "--json").data
    run(
        "mailbox",
        "password",
        "bichtt@sonoivu.tinhmau.test",
        "--password-file",
        "-",
        stdin="Tre xanh 4 mua la!\n",
    )
    result = run("job", "undo", job["job"], "--yes", "--json")
    assert result.exit == 7
    assert [(row["target"], row["code"]) for row in result.data] == [
        ("bichtt@sonoivu.tinhmau.test", "undo-in-use")
    ]
    assert addresses(database) == sorted([*before, "bichtt@sonoivu.tinhmau.test"])
    with database.read() as session:
        person = session.exec(select(Person).where(Person.staff_no == "VC-00417")).one()
        assert (person.title, jobs.find(session, job["job"]).state) == ("", "undone")
    assert run("job", "undo", job["job"], "--yes").exit == 5


def test_people_who_are_missing_are_suspended_within_the_bound(
    run: Run, folder: Path, database: Database
) -> None:
    workbook(folder / "cb.xlsx", BICH)
    refused = run("mailbox", "import", "cb.xlsx", "--yes", "--missing", "suspend")
    assert refused.exit == 5
    assert "--max-missing" in refused.stderr
    options = ("--missing", "suspend", "--max-missing", "100", "--reason", "nghỉ việc")
    result = run("mailbox", "import", "cb.xlsx", "--yes", *options, "--json")
    assert result.data[0]["suspend"] == 1
    assert run("mailbox", "show", AN, "--json").data[0]["state"] == "suspended"
    [job] = run("job", "list", "--json").data
    assert run("job", "undo", job["job"], "--yes").exit == 0
    assert run("mailbox", "show", AN, "--json").data[0]["state"] == "active"


def test_an_export_is_imported_with_nothing_to_change(run: Run, folder: Path) -> None:
    for file in ("ra.xlsx", "ra.csv"):
        assert run("mailbox", "export", "-o", file).exit == 0
        result = run("mailbox", "import", file, "--yes")
        assert result.exit == 0, result.stdout
        assert "0 thay đổi" in result.stderr


def test_the_template_can_be_filled_in_and_imported(run: Run, folder: Path) -> None:
    assert run("mailbox", "template", "mau.xlsx").exit == 0
    headings = cells(folder / "mau.xlsx")[0]
    assert headings[:3] == ["Số hiệu *", "Họ và tên *", "Mã cơ quan *"]
    workbook(folder / "cb.xlsx", BICH[:3], headings=headings)
    assert run("mailbox", "import", "cb.xlsx", "--yes").exit == 0


BAD_FILES = {
    "no such file": ("thieu.xlsx", None, "file-unreadable"),
    "kind": ("cb.pdf", b"%PDF-1.7", "sheet-kind"),
    "not a workbook": ("cb.xlsx", b"Not a workbook", "sheet-damaged"),
    "cut off": ("cb.xlsx", b"PK\x03\x04" + bytes(40), "sheet-damaged"),
    "no headings": ("cb.csv", b"a,b,c\n1,2,3\n", "headings-missing"),
    "a heading is missing": ("cb.csv", "Số hiệu,Họ và tên\n".encode(), "headings-missing"),
    "a heading twice": (
        "cb.csv",
        "Số hiệu,Họ và tên,Mã cơ quan,Mã đơn vị\n".encode(),
        "heading-twice",
    ),
    "empty": ("cb.csv", b"", "headings-missing"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_staff_list_is_refused_plainly(run: Run, folder: Path, case: str) -> None:
    name, data, code = BAD_FILES[case]
    if data is not None:
        (folder / name).write_bytes(data)
    result = run("mailbox", "import", name, "--yes", "--json")
    assert (result.exit, result.error["code"]) == (6, code)
    assert not (folder / "data" / "jobs").exists()


def test_a_workbook_that_unpacks_to_too_much_is_refused_unopened(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MAX_UNPACKED_BYTES", 100_000)
    with zipfile.ZipFile(folder / "cb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(100_001))
    result = run("mailbox", "import", "cb.xlsx", "--yes", "--json")
    assert (result.exit, result.error["code"]) == (6, "file-too-large")


def test_a_row_that_others_take_meanwhile_is_planned_anew(
    run: Run, folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two imports of one list at once: each person is added by one of them."""
    workbook(folder / "cb.xlsx", BICH)
    write = apply._write
    raced = False

    def race(session: Session, planned: list[Any], writing: apply.Writing) -> None:
        nonlocal raced
        if not raced:
            raced = True
            session.add(Person(staff_no="VC-01902", full_name="Trần Thị Bích", agency_id=2))
            session.flush()
        write(session, planned, writing)

    monkeypatch.setattr(apply, "_write", race)
    result = run("mailbox", "import", "cb.xlsx", "--yes")
    assert result.exit == 0, result.stderr
    assert "bichtt@sonoivu.tinhmau.test" in addresses(database)
