"""Messy sheets: the right rows, and a file of rejects that is imported once it is corrected."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from python_calamine import load_workbook

from mailgov.bulk import imports
from mailgov.bulk.plan import Planned
from mailgov.bulk.workbooks import write_rejects
from mailgov.db import Database
from mailgov.errors import InputError, NotFound

from . import clerks
from .clerks import BICH, CUONG, DAY, HEADINGS
from .conftest import Run

TODAY = date(2026, 11, 21)
RIGHT = [
    ("add", "VC-01902", "Trần Thị Bích", "H99.02", "Chuyên viên", DAY),
    ("add", "VC-01903", "Lê Văn Cường", "H99.02.01", "", None),
]


def planned(directory: Database, file: Path, **options: Any) -> list[Planned]:
    return imports.preview(directory, imports.prepare(file, **options), TODAY)


def told(rows: list[Planned]) -> list[tuple[Any, ...]]:
    seen = []
    for one in rows:
        assert one.row is not None
        row = one.row
        seen.append(
            (
                one.verb,
                row.staff_no,
                row.full_name,
                row.agency_code,
                row.title,
                row.effective_on,
            )
        )
    return seen


@pytest.mark.parametrize("mess", clerks.DRAWN)
def test_a_messy_workbook_gives_the_right_rows(
    directory: Database, tmp_path: Path, mess: str
) -> None:
    file = clerks.workbook(tmp_path / "cb.xlsx", clerks.DRAWN[mess])
    assert told(planned(directory, file)) == RIGHT


@pytest.mark.parametrize("mess", clerks.TEXTS)
def test_a_messy_text_file_gives_the_right_rows(
    directory: Database, tmp_path: Path, mess: str
) -> None:
    name, data = clerks.TEXTS[mess]
    (tmp_path / name).write_bytes(data)
    assert told(planned(directory, tmp_path / name)) == RIGHT


def test_numbers_are_read_as_text(directory: Database, tmp_path: Path) -> None:
    file = clerks.workbook(tmp_path / "cb.xlsx", clerks.numbers_as_numbers)
    assert [row[1] for row in told(planned(directory, file))] == ["417", "00418"]


def test_dates_of_three_kinds(directory: Database, tmp_path: Path) -> None:
    file = clerks.workbook(tmp_path / "cb.xlsx", clerks.dates_of_three_kinds)
    assert [row[-1] for row in told(planned(directory, file))] == [DAY, DAY, DAY]


@pytest.mark.parametrize(
    ("encoding", "headings", "name"),
    [
        ("TCVN3", "Sè hiÖu;Hä vµ tªn;M· c¬ quan", "TrÇn ThÞ H¹nh"),
        ("VNI", "Soá hieäu;Hoï vaø teân;Maõ cô quan", "Traàn Thò Haïnh"),
    ],
)
def test_private_encodings_are_refused_and_read_on_demand(
    directory: Database, tmp_path: Path, encoding: str, headings: str, name: str
) -> None:
    file = tmp_path / "cb.csv"
    lines = [headings, *(f"V{number};{name};H99.02" for number in range(8))]
    file.write_bytes("\n".join(lines).encode("cp1252"))
    with pytest.raises(InputError, match=f"sheet-legacy.*{encoding}"):
        imports.prepare(file)
    rows = planned(directory, file, convert_legacy=True)
    assert {row.name for row in rows} == {"Trần Thị Hạnh"}
    assert {row.verb for row in rows} == {"add"}


def test_windows_1258_is_read_unasked(directory: Database, tmp_path: Path) -> None:
    # The code page writes tone marks after their letters.
    names = ["Trần Thị Hạnh", "Đỗ Đức Cường", "Nguyễn Hữu Thắng", "Phạm Thị Phượng"]
    rows = [f"V{n};{name};H99.02" for n, name in enumerate(names)]
    text = "\n".join(["Số hiệu;Họ và tên;Mã cơ quan", *rows])
    (tmp_path / "cb.csv").write_bytes(_cp1258(text))
    assert [row.name for row in planned(directory, tmp_path / "cb.csv")] == names


def _cp1258(text: str) -> bytes:
    """Each letter whole where the page has it, else its base with what is left of its marks."""
    import unicodedata

    tones = "\u0300\u0301\u0303\u0309\u0323"
    out = bytearray()
    for letter in text:
        try:
            out += letter.encode("cp1258")
        except UnicodeEncodeError:
            parts = unicodedata.normalize("NFD", letter)
            base = unicodedata.normalize("NFC", "".join(p for p in parts if p not in tones))
            out += (base + "".join(p for p in parts if p in tones)).encode("cp1258")
    return bytes(out)


# What is wrong in a row ------------------------------------------------------------------------------


WRONG: dict[str, tuple[list[tuple[Any, ...]], str, dict[int, Any]]] = {
    # rows, code, and what corrects the first wrong one: column and value
    "staff number twice": ([BICH, (BICH[0], *CUONG[1:])], "cell-twice", {0: "VC-01903"}),
    "unknown code": ([(*BICH[:2], "H99.O2", *BICH[3:])], "cell-agency-unknown", {2: "H99.02"}),
    "very long cell": (
        [(*BICH[:3], "Chuyên viên " * 500, "")],
        "cell-too-long",
        {3: "Chuyên viên"},
    ),
    "formula without a result": ([(BICH[0], "", *BICH[2:])], "person-name-not-valid", {1: BICH[1]}),
    "number of a day": ([(*BICH[:4], 43862)], "cell-date", {4: "01/02/2020"}),
    "short legacy name": ([(BICH[0], "TrÇn ThÞ BÝch", *BICH[2:])], "cell-legacy", {1: BICH[1]}),
    "error of a formula": ([("#N/A", *BICH[1:])], "cell-staff-number", {0: BICH[0]}),
}


@pytest.mark.parametrize("mess", WRONG)
def test_a_reject_file_imports_cleanly_once_it_is_corrected(
    directory: Database, tmp_path: Path, mess: str
) -> None:
    rows, code, mend = WRONG[mess]

    def draw(book: Any, page: Any) -> None:
        page.merge_range(0, 0, 0, 4, "DANH SÁCH", book.add_format({"bold": True}))
        clerks.rows_at(page, 2, [HEADINGS, *rows])

    file = clerks.workbook(tmp_path / "cb.xlsx", draw)
    prepared = imports.prepare(file)
    compared = imports.preview(directory, prepared, TODAY)
    left_out = [row for row in compared if row.verb in ("reject", "look")]
    assert len(left_out) == 1
    assert left_out[0].problems[0].error.code == code
    write_rejects(tmp_path / "cb.loi.xlsx", prepared.table, left_out, "vi")

    cells = load_workbook(str(tmp_path / "cb.loi.xlsx")).get_sheet_by_index(0).to_python()
    line = next(n for n, row in enumerate(cells) if "Số hiệu" in row)
    corrected = [list(row) for row in cells[line:]]
    for column, value in mend.items():
        corrected[1][column] = value
    again = clerks.workbook(
        tmp_path / "cb.loi.xlsx", lambda _book, page: clerks.rows_at(page, 0, corrected)
    )
    assert [row.verb for row in planned(directory, again)] == ["add"]


def test_an_unknown_code_comes_with_a_suggestion(directory: Database, tmp_path: Path) -> None:
    rows = [HEADINGS, (*BICH[:2], "H99.03", *BICH[3:])]
    file = clerks.workbook(tmp_path / "cb.xlsx", lambda _book, page: clerks.rows_at(page, 0, rows))
    [row] = planned(directory, file)
    assert row.problems[0].error.fields["like"].startswith("H99.0")


# Files that are no list, or a trap -----------------------------------------------------------------


def test_a_million_formatted_rows_hide_nothing(directory: Database, tmp_path: Path) -> None:
    file = clerks.million_empty_rows(tmp_path / "cb.xlsx")
    assert told(planned(directory, file)) == RIGHT


def test_two_cells_in_opposite_corners_fill_no_memory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sheet-too-large"):
        imports.prepare(clerks.two_corners(tmp_path / "cb.xlsx"))


def test_macros_are_neither_run_nor_in_the_way(directory: Database, tmp_path: Path) -> None:
    assert told(planned(directory, clerks.macros(tmp_path / "cb.xlsm"))) == RIGHT


def test_a_workbook_with_a_password_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sheet-locked"):
        imports.prepare(clerks.locked(tmp_path / "cb.xlsx"))


def test_a_workbook_named_like_a_text_is_read_as_what_it_is(
    directory: Database, tmp_path: Path
) -> None:
    file = clerks.workbook(tmp_path / "cb.xlsx", clerks.merged_titles)
    assert told(planned(directory, file.rename(tmp_path / "cb.csv"))) == RIGHT


def test_a_page_of_the_web_named_like_a_workbook_is_none(tmp_path: Path) -> None:
    (tmp_path / "cb.xls").write_text("<html>\n<table><tr><td>Số hiệu</td></tr></table>")
    with pytest.raises(InputError, match="sheet-damaged"):
        imports.prepare(tmp_path / "cb.xls")


def test_another_page_is_read_by_its_name(directory: Database, tmp_path: Path) -> None:
    def two(book: Any, page: Any) -> None:
        clerks.rows_at(page, 0, [("Ghi chú",), ("Không phải danh sách",)])
        clerks.rows_at(book.add_worksheet("Tháng 11"), 0, [HEADINGS, BICH, CUONG])

    file = clerks.workbook(tmp_path / "cb.xlsx", two)
    assert told(planned(directory, file, sheet="Tháng 11")) == RIGHT
    with pytest.raises(NotFound, match=r"sheet-unknown.*Tháng 11"):
        imports.prepare(file, sheet="Tháng 12")


# All import faces ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "rows", "right"),
    [
        (
            ("group", "import"),
            [
                ("Nhóm", "Thành viên"),
                ("cac-phong@sonoivu.tinhmau.test", "annv@sonoivu.tinhmau.test"),
            ],
            0,
        ),
    ],
)
def test_every_face_reads_the_same_mess(
    run: Run, folder: Path, command: tuple[str, ...], rows: list[tuple[str, ...]], right: int
) -> None:
    run("group", "add", "cac-phong@sonoivu.tinhmau.test", "--agency", "H99.02")

    def draw(book: Any, page: Any) -> None:
        page.merge_range(0, 0, 0, 4, "DANH SÁCH", book.add_format({"bold": True}))
        clerks.rows_at(page, 2, [[f" {cell}\u00a0" for cell in row] for row in rows], column=3)

    clerks.workbook(folder / "x.xlsx", draw)
    assert run(*command, "x.xlsx", "--yes").exit == right
    assert run(*command, str(clerks.locked(folder / "khoa.xlsx")), "--yes", "--json").error[
        "code"
    ] == ("sheet-locked")
