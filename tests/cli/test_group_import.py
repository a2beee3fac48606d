"""Lists of groups and members: shown, agreed to, written; read again they change nothing."""

from pathlib import Path

import pytest
from python_calamine import load_workbook

from mailgov.db import Database
from mailgov.directory.provisioning import add_group

from ..support.directory import AN, OFFICE, act
from .conftest import Run
from .test_import import workbook

ALL, SOME = "toan-so@sonoivu.tinhmau.test", "cac-phong@sonoivu.tinhmau.test"
LIST = f"""Danh sách nhóm thư,
Nhóm,Thành viên
{ALL},{AN}
{ALL.upper()},{OFFICE}
{SOME},H99.02
{ALL},{SOME}
"""


@pytest.fixture
def groups(database: Database) -> None:
    with database.write() as session:
        for address in (ALL, SOME):
            add_group(session, act(), address=address, agency="H99.02")


def members(run: Run, group: str) -> list[str]:
    rows = run("group", "show", group, "--json").data
    return [row["member"] for row in rows if row["part"] == "member"]


@pytest.mark.usefixtures("groups")
def test_a_preview_writes_nothing(run: Run, folder: Path) -> None:
    (folder / "nhom.csv").write_text(LIST, "utf-8")
    result = run("group", "import", "nhom.csv", "--dry-run")
    assert result.exit == 0
    assert result.stdout.splitlines() == [
        f"+ dòng 3  {ALL}  {AN}",
        f"+ dòng 4  {ALL}  {OFFICE}",
        f"+ dòng 5  {SOME}  H99.02",
        f"+ dòng 6  {ALL}  {SOME}",
    ]
    assert "+ thêm 4   = đã có 0   ! lỗi 0" in result.stderr
    assert members(run, ALL) == []


@pytest.mark.usefixtures("groups")
def test_nothing_is_written_without_consent(run: Run, folder: Path) -> None:
    (folder / "nhom.csv").write_text(LIST, "utf-8")
    assert run("group", "import", "nhom.csv").exit == 10
    assert members(run, ALL) == []


@pytest.mark.usefixtures("groups")
def test_written_once_and_read_again_without_change(run: Run, folder: Path) -> None:
    workbook(
        folder / "nhom.xlsx", (ALL, AN), (ALL, SOME), (SOME, OFFICE), (ALL, AN),
        headings=("Group", "Member"),
    )  # fmt: skip
    result = run("group", "import", "nhom.xlsx", "--yes", "--lang", "en")
    assert result.exit == 0
    assert "Added 3 members; 1 were there already" in result.stderr
    assert (members(run, ALL), members(run, SOME)) == ([AN, SOME], [OFFICE])
    again = run("group", "import", "nhom.xlsx", "--json")
    assert again.exit == 0
    assert {row["verb"] for row in again.data} == {"same"}


@pytest.mark.usefixtures("groups")
def test_wrong_rows_are_told_and_the_others_written(run: Run, folder: Path) -> None:
    rows = [
        (ALL, AN), (ALL, "ngoai@example.vn"), ("khong@tinhmau.test", AN), (ALL, ""),
        ("", AN), (SOME, ALL), (ALL, SOME), (AN, OFFICE),
    ]  # fmt: skip
    workbook(folder / "nhom.xlsx", *rows, headings=("Nhóm", "Thành viên"))
    result = run("group", "import", "nhom.xlsx", "--yes", "--json")
    assert result.exit == run("group", "import", "nhom.xlsx").exit != 0
    assert [(row["number"], row["verb"], row["code"]) for row in result.data] == [
        (2, "add", ""),
        (3, "reject", "mailbox-unknown"),
        (4, "reject", "group-unknown"),
        (5, "reject", "cell-empty"),
        (6, "reject", "cell-empty"),
        (7, "reject", "group-in-itself"),
        (8, "add", ""),
        (9, "reject", "group-unknown"),
    ]
    assert members(run, ALL) == [AN, SOME]
    sheet = load_workbook(str(folder / "nhom.loi.xlsx")).get_sheet_by_index(0).to_python()
    assert [row[2] for row in sheet[1:]] == [3, 4, 5, 6, 7, 9]
    assert "ngoai@example.vn" in str(sheet[1][4])


@pytest.mark.usefixtures("groups")
def test_a_group_that_would_be_too_large_stays_as_it_is(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILGOV_LIMITS__GROUP_RECIPIENTS", "1")
    rows = [(ALL, AN), (ALL, OFFICE), (SOME, OFFICE)]
    workbook(folder / "nhom.xlsx", *rows, headings=("Nhóm", "Thành viên"))
    result = run("group", "import", "nhom.xlsx", "--yes", "--json")
    assert [row["code"] for row in result.data] == ["group-too-large", "group-too-large", ""]
    assert (members(run, ALL), members(run, SOME)) == ([], [OFFICE])


@pytest.mark.usefixtures("groups")
def test_a_list_without_its_headings_is_refused(run: Run, folder: Path) -> None:
    (folder / "nhom.csv").write_text("a,b\nc,d\n", "utf-8")
    result = run("group", "import", "nhom.csv")
    assert result.exit == 6
    assert "headings-missing" in result.stderr
