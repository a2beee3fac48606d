"""Text of xlsx, xls and ods."""

import struct
from io import BytesIO

import pytest
import xlsxwriter

from mailgov.content.extract import Run, Unreadable, extract
from mailgov.content.extract.cells import cell_name, header_pieces

from .compound import compound, record, workbook
from .making import zipped

CELL_FORMATS = [record(0x00E0, struct.pack("<H", font)) for font in (0, 1, 5)]


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [(0, 0, "A1"), (6, 1, "B7"), (0, 25, "Z1"), (0, 26, "AA1"), (1, 702, "AAA2")],
)
def test_cell_names(row: int, column: int, name: str) -> None:
    assert cell_name(row, column) == name


def test_codes_in_headers() -> None:
    pieces = [
        piece
        for piece in header_pieces('&L&"VNI-Times,Bold"&12Ñoäc &&K00FF00 laäp&P/&N')
        if piece[0]
    ]
    assert pieces == [
        ("Ñoäc ", "VNI-Times"),
        ("&", "VNI-Times"),
        ("K00FF00 laäp", "VNI-Times"),
        ("/", "VNI-Times"),
    ]


def xlsx() -> bytes:
    packed = BytesIO()
    book = xlsxwriter.Workbook(packed, {"in_memory": True})
    sheet = book.add_worksheet("Nhân sự")
    old = book.add_format({"font_name": ".VnTimeH"})
    sheet.write("A1", "céng hßa", old)
    sheet.write_number("A2", 12)
    sheet.write_rich_string("B7", book.add_format({"font_name": "VNI-Times"}), "Ñoäc", " lập")
    sheet.write_formula("C1", '="a"&"b"', None, "ab")
    sheet.write_comment("A1", "ý kiến", {"author": "An"})
    sheet.set_header('&C&"VNI-Times"Tænh')
    sheet.insert_textbox("D4", "khung chữ")
    book.add_worksheet("Trống")
    book.close()
    return packed.getvalue()


def test_xlsx() -> None:
    place = 'sheet "Nhân sự"'
    assert extract("xlsx", xlsx()).runs == (
        Run("Nhân sự", f"{place} name"),
        Run("céng hßa", f"{place} A1", ".VnTimeH"),
        Run("ab", f"{place} C1", "Calibri"),
        Run("Ñoäc", f"{place} B7", "VNI-Times"),
        Run(" lập", f"{place} B7", "Calibri"),
        Run("Tænh", f"{place} header or footer", "VNI-Times"),
        Run("ý kiến", f"{place} A1 comment", "Tahoma"),
        Run("khung chữ", f"{place} shapes"),
        Run("Trống", 'sheet "Trống" name'),
    )


def test_inline_strings_and_readings() -> None:
    data = zipped(
        {
            "[Content_Types].xml": '<Types><Override PartName="/b.xml" ContentType="application/vnd.'
            'openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
            "b.xml": '<workbook xmlns:r="r"><sheets><sheet name="S" sheetId="1" r:id="x"/></sheets></workbook>',
            "_rels/b.xml.rels": '<Relationships><Relationship Id="x" Type="t/worksheet" Target="s.xml"/>'
            "</Relationships>",
            "s.xml": '<worksheet><sheetData><row><c r="A1" t="inlineStr"><is><r><rPr><rFont val="F"/></rPr>'
            '<t>một</t></r><rPh><t>ruby</t></rPh></is></c><c r="A2" t="s"><v>9</v></c><c r="A3"><v>5</v></c>'
            "</row></sheetData></worksheet>",
        }
    )
    assert extract("xlsx", data).runs[1:] == (Run("một", 'sheet "S" A1', "F"),)


def font(name: str) -> bytes:
    return record(0x0031, bytes(14) + struct.pack("<BB", len(name), 0) + name.encode("latin-1"))


def shared_strings() -> list[bytes]:
    """Three strings: the second goes on in a continuation, there with two bytes for a character."""
    first = struct.pack("<HB", 7, 0) + b"T\xe6ng s\xe8"
    second = struct.pack("<HBH", 8, 8, 1) + b"Kinh"
    rest = b"\x01" + " phí".encode("utf-16-le") + struct.pack("<HH", 5, 6)
    third = struct.pack("<HBI", 2, 5, 3) + "Đỗ".encode("utf-16-le") + b"ext"
    table = record(0x00FC, struct.pack("<II", 3, 3) + first + second)
    return [table, record(0x003C, rest + third)]


def test_xls() -> None:
    fonts = [font(name) for name in ("Arial", ".VnTimeH", "Three", "Four", "Five", "Six")]
    cells = [
        record(0x00FD, struct.pack("<HHHI", 6, 1, 1, 0)),
        record(0x00FD, struct.pack("<HHHI", 0, 26, 2, 1)),
        record(0x00FD, struct.pack("<HHHI", 1, 0, 0, 2)),
        record(0x00FD, struct.pack("<HHHI", 1, 1, 0, 99)),  # no such string
        record(0x0006, struct.pack("<HHH14x", 2, 2, 0)),
        record(0x0207, struct.pack("<HB", 3, 0) + b"kq1"),
        record(0x0014, struct.pack("<HB", 7, 0) + b'&"X"abc'),
        record(0x01B6, struct.pack("<10xHHI", 5, 8, 0)),
        record(0x003C, b"\x00khung"),
        record(0x003C, struct.pack("<HHI", 0, 1, 0)),
    ]
    place = 'sheet "Nhân sự"'
    assert extract(
        "xls", workbook([*fonts, *CELL_FORMATS, *shared_strings(), b"", *cells])
    ).runs == (
        Run("Nhân sự", f"{place} name"),
        Run("Tæng sè", f"{place} B7", ".VnTimeH"),
        Run("Kinh ", f"{place} AA1", "Five"),  # font number 4 is not in use
        Run("phí", f"{place} AA1", "Six"),
        Run("Đỗ", f"{place} A2", "Arial"),
        Run("kq1", f"{place} C3", "Arial"),
        Run("abc", f"{place} header or footer", "X"),
        Run("khung", f"{place} text box", ".VnTimeH"),
    )


def test_xls_of_excel_95() -> None:
    fonts = [
        record(0x0031, bytes(14) + struct.pack("<B", len(name)) + name)
        for name in (b"Arial", b"VNI-Times", b"x", b"x", b"x")
    ]
    cells = [
        record(0x0204, struct.pack("<HHHH", 0, 0, 1, 4) + b"Ho\xe0i"),
        record(0x0204, struct.pack("<HHHH", 1, 0, 0, 4) + b"Vi\xea\xf2"),
        record(0x00D6, struct.pack("<HHHH", 2, 0, 0, 4) + b"abcd" + b"\x01\x02\x01"),
        record(0x001C, struct.pack("<HHH", 0, 0, 3) + b"ghi"),
    ]
    code_page = record(0x0042, struct.pack("<H", 1258))
    data = workbook([code_page, *fonts, *CELL_FORMATS, b"", *cells], version=0x0500, sheet="S")
    assert [(run.text, run.font) for run in extract("xls", data).runs[1:]] == [
        ("Hoài", "VNI-Times"),
        ("Viê\u0323", "Arial"),
        ("ab", "Arial"),
        ("cd", "VNI-Times"),
        ("ghi", ""),
    ]


def test_xls_that_can_not_be_read() -> None:
    with pytest.raises(Unreadable, match="encrypted"):
        extract("xls", workbook([record(0x002F, b"\x01\x00"), b""]))
    with pytest.raises(Unreadable, match="older"):
        extract("xls", compound({"Book": record(0x0409, b"\x00\x04\x10\x00")}))
    with pytest.raises(Unreadable, match="missing"):
        extract("xls", compound({"Other": b""}))


ODS = """<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:style="s">
<office:automatic-styles><style:style style:name="c1" style:family="table-cell">
<style:text-properties style:font-name=".VnTime"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet><table:table table:name="Nhân sự">
<table:table-row table:number-rows-repeated="5"><table:table-cell table:number-columns-repeated="9"/></table:table-row>
<table:table-row><table:table-cell/><table:table-cell table:style-name="c1" office:value-type="string">
<text:p>Tæng<text:s text:c="2"/>sè</text:p><text:p>hai</text:p></table:table-cell>
<table:table-cell office:value-type="float"><text:p>12</text:p></table:table-cell></table:table-row>
</table:table></office:spreadsheet></office:body></office:document-content>"""


def test_ods() -> None:
    assert extract("ods", zipped({"content.xml": ODS})).runs == (
        Run("Tæng  sè\nhai", 'sheet "Nhân sự" B6', ".VnTime"),
    )
