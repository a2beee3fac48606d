"""Sheets as clerks send them, each built to be one kind of mess."""

import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import xlsxwriter

HEADINGS = ("Số hiệu", "Họ và tên", "Mã cơ quan", "Chức vụ", "Ngày hiệu lực")
BICH: tuple[Any, ...] = ("VC-01902", "Trần Thị Bích", "H99.02", "Chuyên viên", "01/02/2020")
CUONG: tuple[Any, ...] = ("VC-01903", "Lê Văn Cường", "H99.02.01", "", "")
DAY = date(2020, 2, 1)

Book = Any
Page = Any
Draw = Callable[[Book, Page], None]


def workbook(file: Path, draw: Draw) -> Path:
    """A workbook whose first page is drawn by `draw`."""
    with xlsxwriter.Workbook(str(file)) as book:
        draw(book, book.add_worksheet("Danh sách"))
    return file


def rows_at(page: Page, line: int, rows: Sequence[Sequence[Any]], column: int = 0) -> None:
    """Rows of text from that line on."""
    for number, row in enumerate(rows):
        for place, cell in enumerate(row):
            page.write(line + number, column + place, cell)


def merged_titles(book: Book, page: Page) -> None:
    """Three merged title rows, an empty one, headings of two merged lines, a signature below."""
    bold = book.add_format({"bold": True, "align": "center"})
    page.merge_range(0, 0, 0, 1, "UBND TỈNH MẪU\nSỞ NỘI VỤ", bold)
    page.merge_range(0, 2, 0, 4, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", bold)
    page.merge_range(2, 0, 2, 4, "DANH SÁCH CÁN BỘ, CÔNG CHỨC NĂM 2026", bold)
    rows_at(page, 4, [HEADINGS, BICH, CUONG])


def trailing_spaces(_book: Book, page: Page) -> None:
    rows_at(
        page,
        0,
        [
            [f" {heading}\u00a0" for heading in HEADINGS],
            [
                "VC-01902 ",
                "\u00a0Trần  Thị\tBích ",
                " h99.02\u200b",
                "Chuyên viên  ",
                " 01/02/2020",
            ],
            [f"  {cell} " if cell else "   " for cell in CUONG],
        ],
    )


def numbers_as_numbers(book: Book, page: Page) -> None:
    """Staff numbers as numbers and as text with a leading zero."""
    rows_at(page, 0, [HEADINGS, (417.0, *BICH[1:]), (0, *CUONG[1:])])
    page.write_string(2, 0, "00418", book.add_format({"num_format": "@"}))


def dates_of_three_kinds(book: Book, page: Page) -> None:
    form = book.add_format({"num_format": "dd/mm/yyyy"})
    rows_at(page, 0, [HEADINGS, BICH, CUONG, ("VC-01904", "Phạm Thị Dương", "H99.02", "")])
    page.write_datetime(1, 4, DAY, form)
    page.write(2, 4, "1.2.2020")
    page.write(3, 4, "2020-02-01")


def decomposed(_book: Book, page: Page) -> None:
    """Letters and marks apart, as some keyboards and all Macs write them."""

    def apart(row: Sequence[Any]) -> list[Any]:
        return [unicodedata.normalize("NFD", str(cell)) for cell in row]

    rows_at(page, 0, [apart(HEADINGS), apart(BICH), apart(CUONG)])


def formulas(_book: Book, page: Page) -> None:
    """A name put together by a formula; the workbook holds what it came to."""
    rows_at(page, 0, [HEADINGS, BICH, CUONG])
    page.write_formula(1, 1, '=H2&" "&I2', None, "Trần Thị Bích")
    page.write_formula(1, 0, '="VC-0"&1902', None, "VC-01902")
    page.write_formula(2, 3, "=NA()", None, "#N/A")


def ten_empty_columns(_book: Book, page: Page) -> None:
    rows_at(page, 0, [HEADINGS[:2], BICH[:2], CUONG[:2]])
    rows_at(page, 0, [HEADINGS[2:], BICH[2:], CUONG[2:]], column=12)


def hidden_things(book: Book, page: Page) -> None:
    """A filter hides rows, which are still on the list; a hidden page is not read."""
    page.hide()
    rows_at(page, 0, [("Số hiệu", "Họ và tên", "Mã cơ quan"), ("X", "Không Đọc", "H99.02")])
    shown = book.add_worksheet("Cán bộ")
    rows_at(shown, 0, [HEADINGS, BICH, CUONG])
    shown.set_row(2, options={"hidden": True})
    shown.set_column(3, 3, options={"hidden": True})
    shown.activate()
    shown.set_first_sheet()


def million_empty_rows(file: Path) -> Path:
    """1,048,576 rows and ten columns formatted to the end, two of the rows filled in."""
    cells = b"".join(b'<c r="%s%%d" s="0"/>' % bytes([65 + n]) for n in range(10))
    line = b'<row r="%d">' + cells + b"</row>"
    empty = b"".join(line % ((n,) * 11) for n in range(4, 20_000))
    tail = b"".join(b'<row r="%d" s="0" customFormat="1"/>' % n for n in range(20_000, 1_048_577))
    return _with_lines(file, empty + tail)


def two_corners(file: Path) -> Path:
    """Two cells, in opposite corners of a sheet as large as one can be."""
    return _with_lines(file, b'<row r="1048576"><c r="GR1048576"><v>1</v></c></row>')


def _with_lines(file: Path, more: bytes) -> Path:
    """Bích and Cường, and these lines of the sheet's own language behind them."""
    workbook(file, lambda _book, page: rows_at(page, 0, [HEADINGS, BICH, CUONG]))
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", more + b"</sheetData>")
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(b'"A1:E3"', b'"A1:J1048576"')
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file


def macros(file: Path) -> Path:
    """A workbook with a macro project beside the list."""
    workbook(file.with_suffix(".xlsx"), lambda _b, page: rows_at(page, 0, [HEADINGS, BICH, CUONG]))
    with (
        zipfile.ZipFile(file.with_suffix(".xlsx")) as plain,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name in plain.namelist():
            data = plain.read(name).replace(
                b"spreadsheetml.sheet.main+xml", b"sheet.macroEnabled.main+xml"
            )
            archive.writestr(name, data)
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 Sub AutoOpen()")
    return file


def locked(file: Path) -> Path:
    """What a workbook with a password looks like: a compound file around the encrypted package."""
    names = "EncryptionInfo EncryptedPackage".encode("utf-16-le")
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + names + bytes(4096))
    return file


def lines(rows: Sequence[Sequence[Any]], sign: str = ",") -> str:
    """A text file with every cell in quotes."""
    quoted = (sign.join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in rows)
    return "\r\n".join(quoted) + "\r\n"


DRAWN: Mapping[str, Draw] = {
    "merged title rows": merged_titles,
    "trailing spaces": trailing_spaces,
    "letters and marks apart": decomposed,
    "formulas": formulas,
    "ten empty columns": ten_empty_columns,
    "hidden rows, columns and pages": hidden_things,
}
"""Each is read as Bích and Cường, as they stand above."""

TEXTS: Mapping[str, tuple[str, bytes]] = {
    "semicolons and a mark": (
        "cb.csv",
        b"\xef\xbb\xbf" + lines([HEADINGS, BICH, CUONG], ";").encode(),
    ),
    "tabs": ("cb.tsv", lines([HEADINGS, BICH, CUONG], "\t").encode()),
    "UTF-16 as Excel writes it": ("cb.txt", lines([HEADINGS, BICH, CUONG], "\t").encode("utf-16")),
    "quotes with line breaks": (
        "cb.csv",
        lines([HEADINGS, (BICH[0], "Trần Thị\nBích", *BICH[2:]), CUONG]).encode(),
    ),
    "text named like a workbook": ("cb.xlsx", lines([HEADINGS, BICH, CUONG]).encode()),
}
"""The same list as text."""
