"""Lists of agencies: preview, rejects that import once corrected, round trip, undo, interruption."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from mailgov.bulk import agencies, plan
from mailgov.db import Database
from mailgov.directory.agency_past import tree_at
from mailgov.directory.provisioning import get_agency
from mailgov_cli import agency_import

from .conftest import Run

HEADINGS = ("Mã cơ quan", "Tên cơ quan", "Cấp", "Biên chế", "Tên miền", "Mã cơ quan cấp trên")
ROWS = (
    # A unit stands before the department that it belongs to.
    ("H99.03.01", "Phòng Hộ tịch", "đơn vị thuộc sở", "7", "sotuphap.tinhmau.test", ""),
    ("H99.03", "Sở Tư pháp", "sở, ban, ngành", "52", "sotuphap.tinhmau.test", "H99"),
    ("H99.47", "Ủy ban nhân dân xã Hòa Bình", "Xã", "1.021", "", ""),
    ("H99.60", "Đặc khu Mẫu", "đảo", "3", "", "H99"),
    ("H99.61", "Xã Tân Lập", "xã", "", "", "H98"),
    ("snv", "Sở Nội vụ", "sở", "", "", "H99"),
    ("H99.03", "Sở Tư pháp", "sở", "", "", "H99"),
)


def sheet(path: Path, rows: Sequence[Sequence[str]] = ROWS) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet()
        page.write(0, 0, "DANH MỤC CƠ QUAN TỈNH MẪU")
        for line, row in enumerate((HEADINGS, *rows), 2):
            for column, cell in enumerate(row):
                page.write_string(line, column, cell)
    return path


@pytest.mark.usefixtures("folder")
class TestImport:
    def test_the_preview_tells_each_row_and_keeps_nothing(self, run: Run, folder: Path) -> None:
        file = sheet(folder / "co-quan.xlsx")
        result = run("agency", "import", str(file), "-n")
        assert result.exit == 0
        assert "+ thêm 2   ~ sửa 1   = giữ nguyên 0   ! lỗi 4" in result.stderr
        lines = result.stdout.splitlines()
        assert lines[0] == "+ dòng 4  H99.03.01  Phòng Hộ tịch"
        assert lines[2] == ("~ dòng 6  H99.47  Ủy ban nhân dân xã Hòa Bình  số cán bộ: 0 → 1021")
        assert "không có cơ quan `H98`" in lines[4]
        assert run("agency", "show", "H99.03").exit == 3

    def test_what_is_right_is_written_and_the_rest_comes_back(
        self, run: Run, folder: Path, database: Database
    ) -> None:
        file = sheet(folder / "co-quan.xlsx")
        assert run("agency", "import", str(file), "--no-input").exit == 10
        result = run("agency", "import", str(file), "--yes", "--reason", "QĐ 9", "--json")
        assert result.exit == 7
        assert result.data[0] | {"job": ""} == {
            "job": "", "add": 2, "edit": 1, "same": 0, "reject": 4
        }  # fmt: skip
        with database.read() as session:
            assert get_agency(session, "H99.03").headcount == 52
            assert get_agency(session, "H99.47").headcount == 1021
        rows = CalamineWorkbook.from_path(folder / "co-quan.loi.xlsx").get_sheet_by_index(0)
        told = {row[0]: row for row in rows.to_python()}
        assert "đảo" in str(told["H99.60"][-2])
        assert told["H99.61"][7] == "Mã cơ quan cấp trên"
        # Corrected, the rejects are a list of their own.
        mended = [
            ("H99.60", "Đặc khu Mẫu", "đặc khu", "3", "dackhu.tinhmau.test", "H99"),
            ("H99.61", "Xã Tân Lập", "xã", "", "", "H99"),
        ]
        again = run("agency", "import", str(sheet(folder / "sua.xlsx", mended)), "--yes")
        assert again.exit == 0
        assert run("domain", "show", "dackhu.tinhmau.test", "--json").data[0]["agency"] == "H99.60"

    def test_the_second_time_nothing_changes(self, run: Run, folder: Path) -> None:
        file = sheet(folder / "co-quan.xlsx", ROWS[:3])
        assert run("agency", "import", str(file), "--yes").exit == 0
        result = run("agency", "import", str(file), "--yes")
        assert result.exit == 0
        assert "= giữ nguyên 3" in result.stderr
        assert "0 thay đổi" in result.stderr

    @pytest.mark.parametrize("name", ["co-quan.xlsx", "co-quan.csv"])
    def test_what_is_exported_is_found_unchanged(self, run: Run, folder: Path, name: str) -> None:
        run("agency", "edit", "H99.02", "--headcount", "148", "--address-scheme", "full")
        assert run("agency", "export", "-o", name).exit == 0
        result = run("agency", "import", name, "-n", "--json")
        assert {row["verb"] for row in result.data} == {"same"}
        assert len(result.data) == 4

    def test_nothing_is_written_if_all_must_be_right(self, run: Run, folder: Path) -> None:
        file = sheet(folder / "co-quan.xlsx")
        result = run("agency", "import", str(file), "--yes", "--all-or-nothing")
        assert result.exit == 6
        assert run("agency", "show", "H99.03").exit == 3

    def test_an_agency_moves_with_the_day_of_its_row(
        self, run: Run, folder: Path, database: Database
    ) -> None:
        (folder / "chuyen.csv").write_text(
            "code,name,parent,effective_on\nH99.02.01,Phòng Cải cách hành chính,H99.47,01/07/2025\n"
        )
        assert run("agency", "import", "chuyen.csv", "--yes").exit == 0
        with database.read() as session:
            assert tree_at(session, date(2025, 6, 30))["H99.02.01"].parent == "H99.02"
            assert tree_at(session, date(2025, 7, 1))["H99.02.01"].parent == "H99.47"

    def test_it_can_be_taken_back_but_for_what_is_used(self, run: Run, folder: Path) -> None:
        file = sheet(folder / "co-quan.xlsx", ROWS[:3])
        job = run("agency", "import", str(file), "--yes", "--json").data[0]["job"]
        run("agency", "edit", "H99.47", "--headcount", "5")
        result = run("job", "undo", job, "--yes", "--json")
        assert result.exit == 7
        assert [(row["target"], row["code"]) for row in result.data] == [
            ("H99.47", "undo-changed-since")
        ]
        assert run("agency", "show", "H99.03").exit == 3
        assert run("domain", "show", "sotuphap.tinhmau.test").exit == 3

    def test_stopped_between_two_portions_it_goes_on(
        self, run: Run, folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = sheet(folder / "co-quan.xlsx", ROWS[:3])
        real = plan.in_portions

        def one_then_stop(rows: Sequence[object]) -> object:
            yield rows[:2]
            raise KeyboardInterrupt

        monkeypatch.setattr("mailgov.bulk.agencies.in_portions", one_then_stop)
        stopped = run("agency", "import", str(file), "--yes")
        assert stopped.exit == 130
        job = stopped.stderr.split("job resume ")[1].split()[0]
        monkeypatch.setattr("mailgov.bulk.agencies.in_portions", real)
        resumed = run("job", "resume", job, "--json")
        assert resumed.data[0] | {"job": ""} == {
            "job": "", "add": 0, "edit": 1, "same": 2, "reject": 0
        }  # fmt: skip
        rows = run("job", "show", job, "--rows", "--json").data
        assert [row["target"] for row in rows] == ["H99.03.01", "H99.03", "H99.47"]

    def test_the_template_has_every_heading_and_imports_as_it_is(
        self, run: Run, folder: Path
    ) -> None:
        assert run("agency", "template", "mau.xlsx").exit == 0
        assert run("agency", "import", "mau.xlsx").exit == 0
        assert agency_import.FIELDS[0] == "number"


def test_agencies_come_after_those_above_them_even_in_circles(tmp_path: Path) -> None:
    rows = [
        ("H99.01.01", "a", "", "", "", ""),
        ("H99.09", "b", "", "", "", "H99.08"),
        ("H99.08", "c", "", "", "", "H99.09"),
        ("H99.01", "d", "", "", "", ""),
        ("H99", "e", "", "", "", ""),
    ]
    table = agencies.prepare(sheet(tmp_path / "x.xlsx", rows))
    codes = [table.values(row)["code"] for row in agencies.ordered(table)]
    assert sorted(codes) == sorted(row[0] for row in rows)
    assert codes.index("H99") < codes.index("H99.01") < codes.index("H99.01.01")
