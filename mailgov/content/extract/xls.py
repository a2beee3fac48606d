"""Excel workbooks before 2007: xls (MS-XLS), BIFF8 of Excel 97 to 2003 and BIFF5 of Excel 5 and 95."""

from collections.abc import Callable
from struct import iter_unpack, unpack_from

from mailgov.content.encodings import as_cp1252
from mailgov.content.extract.biff import Cursor, RichText, records
from mailgov.content.extract.cells import cell_name, header_pieces, place_of
from mailgov.content.extract.collector import Collector
from mailgov.content.extract.ole import CompoundFile
from mailgov.content.fonts import font_family
from mailgov.content.runs import Extracted, Unreadable

_BOF, _BIFF8, _GLOBALS = 0x0809, 0x0600, 0x0005
_UNUSED_FONT = 4  # font numbers skip it
_CODE_PAGES = {1250: "cp1250", 1251: "cp1251", 1258: "cp1258"}  # others are read as 1252


def read_xls(data: bytes) -> Extracted:
    """Runs of cells that hold text, text boxes, headers and footers, chart labels and sheet names.

    Places: `sheet "Nhân sự" B7`, `sheet "Nhân sự" text box`, `sheet "Nhân sự" name`.
    """
    with CompoundFile(data) as streams:
        stream = streams.read("Workbook" if "Workbook" in streams else "Book")
    if len(stream) < 8 or unpack_from("<H", stream) != (_BOF,):
        raise Unreadable("workbook older than Excel 5")
    return _Workbook().read(stream)


class _Workbook:
    """Walks through the records of a workbook: first what all sheets share, then each sheet."""

    def __init__(self) -> None:
        self._collector = Collector()
        self._biff8 = True
        self._codec: str | None = None  # of BIFF5; None: code page 1252
        self._fonts: list[str] = []
        self._cell_fonts: list[int] = []  # by number of the cell format
        self._strings: list[RichText] = []
        self._sheet_names: dict[int, str] = {}  # by position in the stream
        self._sheet = ""
        self._formula = b""  # row, column and format of the cell whose text follows

    def read(self, stream: bytes) -> Extracted:
        for position, number, parts in records(stream):
            if number == _BOF:
                self._begin(position, parts[0])
            elif number in _RECORDS:
                _RECORDS[number](self, parts)
        return self._collector.result()

    def _begin(self, position: int, data: bytes) -> None:
        version, kind = unpack_from("<HH", data)
        if kind == _GLOBALS:
            self._biff8 = version == _BIFF8
        self._sheet = self._sheet_names.get(position, self._sheet)

    def refuse_encrypted(self, _: list[bytes]) -> None:
        raise Unreadable("encrypted", "encrypted")

    def code_page(self, parts: list[bytes]) -> None:
        self._codec = _CODE_PAGES.get(unpack_from("<H", parts[0])[0])

    def font(self, parts: list[bytes]) -> None:
        name = self._string(Cursor(parts, 14), 1).text
        self._fonts.append(name)

    def cell_format(self, parts: list[bytes]) -> None:
        self._cell_fonts.append(unpack_from("<H", parts[0])[0])

    def bound_sheet(self, parts: list[bytes]) -> None:
        name = self._string(Cursor(parts, 6), 1).text
        self._sheet_names[unpack_from("<I", parts[0])[0]] = name
        self._collector.add(self._decoded(name, ""), place_of(name, "name"))

    def shared_strings(self, parts: list[bytes]) -> None:
        cursor = Cursor(parts, 8)
        while not cursor.at_end():
            self._strings.append(cursor.unicode_string())

    def label_of_shared(self, parts: list[bytes]) -> None:
        (index,) = unpack_from("<I", parts[0], 6)
        if index < len(self._strings):
            self._add_cell(parts[0], self._strings[index])

    def label(self, parts: list[bytes]) -> None:
        self._add_cell(parts[0], self._string(Cursor(parts, 6), 2))

    def rich_label(self, parts: list[bytes]) -> None:
        """Of BIFF5: changes of font follow the text, two bytes each."""
        cursor = Cursor(parts, 6)
        text = cursor.byte_string(2).text
        changes = cursor.read(2 * cursor.number(1))
        self._add_cell(parts[0], RichText(text, list(iter_unpack("<BB", changes))))

    def formula(self, parts: list[bytes]) -> None:
        self._formula = parts[0][:6]

    def formula_text(self, parts: list[bytes]) -> None:
        if self._formula:
            self._add_cell(self._formula, self._string(Cursor(parts), 2))

    def header(self, parts: list[bytes]) -> None:
        if parts[0]:
            text = self._string(Cursor(parts), 2 if self._biff8 else 1).text
            for piece, font in header_pieces(text):
                self._add(piece, "header or footer", font)

    def note(self, parts: list[bytes]) -> None:
        """Of BIFF5; those of BIFF8 are text boxes."""
        if not self._biff8:
            (length,) = unpack_from("<H", parts[0], 4)
            self._add(parts[0][6 : 6 + length].decode("latin-1"), "comment")

    def text_box(self, parts: list[bytes]) -> None:
        """Length in the record, text and changes of font in two continuations."""
        if len(parts) < 2 or not self._biff8:
            return
        length, _ = unpack_from("<HH", parts[0], 10)
        cursor = Cursor(parts[1:])
        text = cursor.characters(length, wide=bool(cursor.number(1) & 1))
        formats = parts[-1] if len(parts) > 2 else b""
        whole = formats[: len(formats) // 8 * 8]
        changes = [(index, font) for index, font, _ in iter_unpack("<HHI", whole)]
        self._add_rich(RichText(text, changes), 0, "text box")
        self._collector.end_line()

    def chart_label(self, parts: list[bytes]) -> None:
        self._add(self._string(Cursor(parts, 2), 1).text, "chart")
        self._collector.end_line()

    def _string(self, cursor: Cursor, length_bytes: int) -> RichText:
        if self._biff8:
            return cursor.unicode_string(length_bytes)
        return cursor.byte_string(length_bytes)

    def _add_cell(self, cell: bytes, text: RichText) -> None:
        row, column, cell_format = unpack_from("<HHH", cell)
        font = self._cell_fonts[cell_format] if cell_format < len(self._cell_fonts) else 0
        self._add_rich(text, font, cell_name(row, column))

    def _add_rich(self, rich: RichText, font: int, name: str) -> None:
        start = 0
        for index, next_font in rich.changes:
            self._add(rich.text[start:index], name, self._font_name(font))
            start, font = max(index, start), next_font
        self._add(rich.text[start:], name, self._font_name(font))

    def _font_name(self, number: int) -> str:
        index = number - (number > _UNUSED_FONT)
        return self._fonts[index] if index < len(self._fonts) else ""

    def _add(self, text: str, name: str, font: str = "") -> None:
        self._collector.add(self._decoded(text, font), place_of(self._sheet, name), font)

    def _decoded(self, text: str, font: str) -> str:
        """Bytes of BIFF5 in the code page of the file, those of private encodings in 1252."""
        if self._biff8:
            return text
        data = text.encode("latin-1")
        if self._codec is None or font_family(font).encoding:
            return as_cp1252(data)
        return data.decode(self._codec, "replace")


_RECORDS: dict[int, Callable[[_Workbook, list[bytes]], None]] = {  # MS-XLS, 2.3.1
    0x0006: _Workbook.formula,
    0x0014: _Workbook.header,
    0x0015: _Workbook.header,
    0x001C: _Workbook.note,
    0x002F: _Workbook.refuse_encrypted,
    0x0031: _Workbook.font,
    0x0042: _Workbook.code_page,
    0x0085: _Workbook.bound_sheet,
    0x00D6: _Workbook.rich_label,
    0x00E0: _Workbook.cell_format,
    0x00FC: _Workbook.shared_strings,
    0x00FD: _Workbook.label_of_shared,
    0x01B6: _Workbook.text_box,
    0x0204: _Workbook.label,
    0x0207: _Workbook.formula_text,
    0x100D: _Workbook.chart_label,
}
