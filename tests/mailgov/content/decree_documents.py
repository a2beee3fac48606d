"""Documents by Decree 30/2020/NĐ-CP, made in many layouts and formats, each with what it says.

Nobody's real documents: agencies, people and matters are made up. What varies is what varies in
offices: two columns as a table, tabs, blanks, text boxes or two stretches of text; lines left out;
tone marks placed either way; decomposed letters; capitals by typing, by font or by format; blanks as
scanning programs leave them.
"""

import random
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from itertools import cycle
from typing import NamedTuple

from mailgov.content.vietnamese import table_rows, without_marks
from mailgov_policies.document_types import document_types

from .making import zipped
from .test_extract_word import W, docx, word6

HEADING = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
MOTTO = "Độc lập - Tự do - Hạnh phúc"
AGENCIES = (  # above, its own, place, abbreviation
    ("ỦY BAN NHÂN DÂN\nTỈNH MẪU SƠN", "SỞ XÂY DỰNG", "Mẫu Sơn", "SXD"),
    ("", "ỦY BAN NHÂN DÂN\nTỈNH HÀ LÂM", "Hà Lâm", "UBND"),
    ("BỘ TÀI CHÍNH", "KHO BẠC NHÀ NƯỚC\nTỈNH MẪU SƠN", "Mẫu Sơn", "KBMS"),
    ("", "BỘ NỘI VỤ", "Hà Nội", "BNV"),
    ("UBND HUYỆN BÌNH AN", "PHÒNG GIÁO DỤC VÀ ĐÀO TẠO", "Bình An", "PGDĐT"),
    ("TỈNH ỦY HÀ LÂM", "BAN TỔ CHỨC", "Hà Lâm", "BTC"),
    ("SỞ Y TẾ TỈNH HÀ LÂM", "TRUNG TÂM KIỂM SOÁT BỆNH TẬT", "Hà Lâm", "TTKSBT"),
    ("HỘI ĐỒNG NHÂN DÂN\nHUYỆN BÌNH AN", "VĂN PHÒNG", "Bình An", "VP"),
)
SUBJECTS = (
    "Về việc triển khai chuyển đổi số năm 2024",
    "Kiểm tra công tác phòng cháy, chữa cháy tại trụ sở",
    "Tổ chức Hội nghị sơ kết 6 tháng đầu năm",
    "Về bảo đảm an toàn thông tin trong dịp lễ",
    "Thực hiện chế độ báo cáo định kỳ",
    "Tuyển dụng viên chức ngành y tế năm 2025",
)
# Two of the list are purposes, which no title names.
TYPES = tuple(one for one in document_types() if one not in ("van-ban-de-biet", "giay-to-khac"))
BODY = (
    "Căn cứ chức năng, nhiệm vụ được giao, cơ quan thực hiện các nội dung nêu trên theo đúng quy định.",
    "Các đơn vị có liên quan phối hợp chặt chẽ, gửi kết quả về Văn phòng trước ngày 25 hằng tháng.",
    "Trong quá trình thực hiện, nếu có vướng mắc, kịp thời phản ánh để được xem xét, giải quyết.",
)


class Pair(NamedTuple):
    """Two texts that stand beside each other; either may have several lines."""

    left: str
    right: str


@dataclass(frozen=True)
class Made:
    """A document and what a reader must find in it."""

    type: str
    number: str
    symbol: str
    date: str
    agency: str
    abstract: str
    urgency: str
    head: tuple[Pair, ...]
    lines: tuple[str, ...]
    layout: str = ""
    format: str = ""
    name: str = ""
    data: bytes = b""


def documents() -> Iterator[Made]:
    """Each type in each layout, formats and agencies taking turns."""
    formats = cycle(FORMATS)
    turn = 0
    for layout in LAYOUTS:
        for type_id in TYPES:
            made = LAYOUTS[layout](_plain(type_id, turn))
            made = replace(made, layout=layout)
            yield from (_written(made, next(formats)) for _ in range(2))
            turn += 1


def _plain(type_id: str, turn: int) -> Made:
    """A document of a type as the decree lays it out."""
    above, own, place, short = AGENCIES[turn % len(AGENCIES)]
    about = SUBJECTS[turn % len(SUBJECTS)]
    kind = document_types()[type_id]
    number = str(1 + turn * 7 % 1400).zfill(2)
    day, month, year = 1 + turn % 28, 1 + turn % 12, 2021 + turn % 5
    is_letter = type_id == "cong-van"
    symbol = f"{short}-KHTH" if is_letter else f"{kind.abbreviation}-{short}"
    if not kind.abbreviation and not is_letter:
        number = symbol = ""
    left = [above, own, f"Số: {number}/{symbol}" if symbol else ""]
    if is_letter:
        left.append(f"V/v {_small(about.removeprefix('Về việc ').removeprefix('Về '))}")
    when = f"{place}, ngày {day:02} tháng {month if month > 2 else f'{month:02}'} năm {year}"
    head = [
        Pair("\n".join(part for part in left[:2] if part), f"{HEADING}\n{MOTTO}"),
        Pair("\n".join(part for part in left[2:] if part), when),
    ]
    title = re.sub(r" \(.*", "", kind.vi).upper()
    lines = ["Kính gửi: Các đơn vị trực thuộc"] if is_letter else [title, about]
    lines += [*BODY, "Nơi nhận:", "- Như trên;", "- Lưu: VT, KHTH.", "KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC"]
    abstract = head[1].left.partition("V/v ")[2] if is_letter else about
    return Made(
        type=type_id,
        number=number,
        symbol=symbol,
        date=f"{year}-{month:02}-{day:02}",
        agency=own.replace("\n", " "),
        abstract=re.sub(r"^Về việc\s+", "", abstract),
        urgency="",
        head=tuple(head),
        lines=tuple(lines),
    )


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


# What varies in the text ---------------------------------------------------------------------------


def _each(made: Made, change: Callable[[str], str]) -> Made:
    head = tuple(Pair(change(pair.left), change(pair.right)) for pair in made.head)
    return replace(made, head=head, lines=tuple(map(change, made.lines)))


def _new_tones(text: str) -> str:
    """Tone marks as many schools teach them: HOÀ, UỶ, THUỶ."""
    pairs = {"HÒA": "HOÀ", "ỦY": "UỶ", "hòa": "hoà", "ủy": "uỷ", "HỎA": "HOẢ", "Ủy": "Uỷ"}
    for old, new in pairs.items():
        text = text.replace(old, new)
    return text


def _scanned(text: str) -> str:
    """Blanks as recognition of scans leaves them: in numbers, dates and headings."""
    text = re.sub(r"Số: (\d+)/(\S+?)-", r"Số : \1 / \2 - ", text)
    text = re.sub(r"ngày (\d+) tháng (\d+) năm", r"ngày  \1  tháng  \2  năm", text)
    return text.replace("CHỦ NGHĨA VIỆT NAM", "CHỦ  NGHĨA VIỆT  NAM").replace(" - ", " – ")


def _apart(made: Made) -> Made:
    """The title in letters apart, as headlines are set."""
    if made.type in ("cong-van", "thu-cong"):
        return made
    title = "   ".join(" ".join(word) for word in made.lines[0].split())
    return replace(made, lines=(title, *made.lines[1:]))


def _without(made: Made, what: str) -> Made:
    head = list(made.head)
    if what == "heading":
        head[0] = Pair(head[0].left, "")
    elif what == "date":
        head[1] = Pair(head[1].left, "")
        made = replace(made, date="")
    elif what == "end":
        made = replace(made, lines=made.lines[: 2 + len(BODY)])
    return replace(made, head=tuple(head))


def _hurried(made: Made) -> Made:
    """With a mark of urgency below the abstract of a letter, else above the title."""
    mark = ("KHẨN", "HỎA TỐC", "THƯỢNG KHẨN")[len(made.number) % 3]
    value = "HOẢ TỐC" if mark == "HỎA TỐC" else mark
    return replace(made, urgency=value, lines=(mark, *made.lines))


def _eth(made: Made) -> Made:
    """Đ typed as the Icelandic letter, a common slip."""
    return _each(made, lambda text: text.replace("Đ", "\u00d0") if text.startswith("Số") else text)


def _right_first(made: Made) -> Made:
    return replace(made, head=tuple(Pair(pair.right, pair.left) for pair in made.head))


def _year_by_slashes(made: Made) -> Made:
    """The date typed as dd/mm/yyyy behind the place, against the decree but often."""
    year, month, day = made.date.split("-")
    head = list(made.head)
    place = head[1].right.partition(",")[0]
    head[1] = Pair(head[1].left, f"{place}, ngày {day}/{month}/{year}")
    return replace(made, head=tuple(head))


def _bare(text: str) -> str:
    """Without any diacritic, as people in a hurry type."""
    return without_marks(text)


def _glued(text: str) -> str:
    """Blanks lost by recognition of scans."""
    text = re.sub(r"ngày (\d+) tháng (\d+) năm (\d+)", r"ngày\1tháng\2năm\3", text)
    text = text.replace("Số: ", "Số:")
    return text.replace(" ", "") if text.startswith(HEADING[:6]) else text


def _draft(made: Made) -> Made:
    """The number not yet given, the day not yet known."""
    head = list(made.head)
    place = head[1].right.partition(",")[0]
    number = f"Số: {made.number}/"
    left = head[1].left.replace(number, "Số:       /") if made.number else head[1].left
    head[1] = Pair(left, f"{place}, ngày    tháng    năm 2024")
    return replace(made, head=tuple(head), number="", symbol=made.symbol, date="")


LAYOUTS: dict[str, Callable[[Made], Made]] = {
    "as the decree has it": lambda made: made,
    "new tone marks": lambda made: _each(made, _new_tones),
    "decomposed": lambda made: _each(made, lambda text: unicodedata.normalize("NFD", text)),
    "scanned": lambda made: _each(made, _scanned),
    "letters apart": _apart,
    "without heading": lambda made: _without(made, "heading"),
    "without date": lambda made: _without(made, "date"),
    "without the end": lambda made: _without(made, "end"),
    "urgent": _hurried,
    "eth for đ": _eth,
    "right column first": _right_first,
    "date with slashes": _year_by_slashes,
    "no diacritics": lambda made: _each(made, _bare),
    "blanks lost": lambda made: _each(made, _glued),
    "draft": _draft,
}


# Formats -------------------------------------------------------------------------------------------


def _flat(made: Made) -> list[str]:
    """Left column, then right, then the rest, as paragraphs."""
    head = [part for pair in made.head for side in pair for part in side.split("\n") if part]
    return [*head, *made.lines]


def _columns(made: Made, gap: str) -> list[str]:
    """Both columns on one line, with a tab or blanks between."""
    rows: list[str] = []
    for pair in made.head:
        left, right = pair.left.split("\n"), pair.right.split("\n")
        for index in range(max(len(left), len(right))):
            a = left[index] if index < len(left) else ""
            b = right[index] if index < len(right) else ""
            rows.append(f"{a}{gap}{b}" if b else a)
    return [*rows, *made.lines]


def _p(text: str, properties: str = "") -> str:
    runs = "".join(
        f'<w:r>{properties}<w:t xml:space="preserve">{escape(part)}</w:t></w:r>'
        if part != "\t"
        else "<w:r><w:tab/></w:r>"
        for part in re.split("(\t)", text)
    )
    return f"<w:p>{runs}</w:p>"


def _ps(texts: list[str]) -> str:
    return "".join(_p(text) for text in texts)


def _word_table(made: Made) -> bytes:
    rows = "".join(
        f"<w:tr><w:tc>{_ps(pair.left.split(chr(10)))}</w:tc><w:tc>{_ps(pair.right.split(chr(10)))}</w:tc></w:tr>"
        for pair in made.head
    )
    return docx(f"<w:tbl>{rows}</w:tbl>{_ps(list(made.lines))}")


def _word_tabs(made: Made) -> bytes:
    return docx(_ps(_columns(made, "\t")))


def _word_boxes(made: Made) -> bytes:
    boxes = "".join(
        f"<w:p><w:r><w:pict><w:txbxContent>{_ps(side.split(chr(10)))}</w:txbxContent></w:pict></w:r></w:p>"
        for side in (
            "\n".join(pair.left for pair in made.head),
            "\n".join(pair.right for pair in made.head),
        )
    )
    return docx(boxes + _ps(list(made.lines)))


def _word_capitals(made: Made) -> bytes:
    """Lines in capitals typed small, in a style that shows capitals."""
    styles = (
        f'<w:styles {W}><w:style w:type="paragraph" w:styleId="Hoa"><w:rPr><w:caps/></w:rPr></w:style>'
        "</w:styles>"
    )
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="Hoa"/></w:pPr><w:r><w:t>{escape(text.capitalize())}</w:t></w:r></w:p>'
        if text.isupper() and len(text) > 8
        else _p(text)
        for text in _flat(made)
    )
    return docx(body, styles=styles)


def _opendocument(made: Made) -> bytes:
    rows = "".join(
        "<table:table-row>"
        + "".join(
            "<table:table-cell>"
            + "".join(f"<text:p>{escape(line)}</text:p>" for line in side.split("\n"))
            + "</table:table-cell>"
            for side in pair
        )
        + "</table:table-row>"
        for pair in made.head
    )
    rest = "".join(f"<text:p>{escape(line)}</text:p>" for line in made.lines)
    content = (
        '<o:document-content xmlns:o="o" xmlns:text="t" xmlns:table="b"><o:body><o:text>'
        f"<table:table>{rows}</table:table>{rest}</o:text></o:body></o:document-content>"
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": content,
        }
    )


def _rtf(made: Made) -> bytes:
    def text(line: str) -> str:
        units = unicodedata.normalize("NFC", line)
        return "".join(c if c < "\x80" else f"\\u{ord(c)}?" for c in units).replace("\t", "\\tab ")

    rows = "".join(
        f"\\trowd {text(pair.left).replace(chr(10), chr(92) + 'line ')}\\cell "
        f"{text(pair.right).replace(chr(10), chr(92) + 'line ')}\\cell\\row "
        for pair in made.head
    )
    body = "".join(f"{text(line)}\\par " for line in made.lines)
    return f"{{\\rtf1\\ansi {rows}{body}}}".encode("ascii")


def _old_word(made: Made) -> bytes:
    """Word 6 in VNI, which has all capitals."""
    codes = {
        row[3]: bytes.fromhex(row[0]).decode("cp1252") for row in table_rows("decode-vni-win.tsv")
    }
    lines = (unicodedata.normalize("NFC", line) for line in _flat(made))
    text = "".join("".join(codes.get(c, c) for c in line) + "\r" for line in lines)
    data = text.encode("cp1252", "replace")
    return word6(data, (len(data), 0, 0, 0, 0, 0, 0, 0))


def pdf(lines: list[tuple[float, float, str]]) -> bytes:
    """One page of lines, each with its place in points from the lower left."""
    letters = sorted({letter for _, _, text in lines for letter in text})
    code = {letter: number for number, letter in enumerate(letters, start=1)}
    assert len(code) < 256
    shown = "".join(
        f"BT /F1 12 Tf {x} {y} Td <{''.join(f'{code[c]:02X}' for c in text)}> Tj ET\n"
        for x, y, text in lines
    ).encode()
    mapping = "\n".join(
        f"<{number:02X}> <{letter.encode('utf-16-be').hex()}>" for letter, number in code.items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        f"{len(code)} beginbfchar\n{mapping}\nendbfchar endcmap end end"
    ).encode()
    widths = " ".join(["500"] * len(code))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R "
        b"/Resources << /Font << /F1 4 0 R >> >> >>",
        f"<< /Type /Font /Subtype /TrueType /BaseFont /Times /FirstChar 1 /LastChar {len(code)} "
        f"/Widths [{widths}] /ToUnicode 6 0 R >>".encode(),
        *(
            f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
            + packed
            + b"\nendstream"
            for packed in (zlib.compress(shown), zlib.compress(cmap))
        ),
    ]
    out = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    return (
        out
        + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
        + table
        + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n".encode()
    )


def _pdf(made: Made) -> bytes:
    """Two columns at their places, drawn row by row."""
    y = 790.0
    lines: list[tuple[float, float, str]] = []
    for pair in made.head:
        left, right = pair.left.split("\n"), pair.right.split("\n")
        for index in range(max(len(left), len(right))):
            lines += [(60, y, text) for text in left[index : index + 1] if text]
            lines += [(320, y, text) for text in right[index : index + 1] if text]
            y -= 16
    for text in made.lines:
        y -= 16
        lines.append((60, y, text))
    return pdf(lines)


def _pdf_by_column(made: Made) -> bytes:
    """The left column drawn whole, then the right one, as some printers do."""
    lines: list[tuple[float, float, str]] = []
    lowest = 790.0
    for x, side in ((60, 0), (320, 1)):
        y = 790.0
        for pair in made.head:
            for text in pair[side].split("\n"):
                lines.append((x, y, text))
                y -= 16
        lowest = min(lowest, y)
    for text in made.lines:
        lowest -= 16
        lines.append((60, lowest, text))
    return pdf([line for line in lines if line[2]])


def _body(made: Made) -> bytes:
    return "\r\n".join(_columns(made, "      ")).encode()


def _page(made: Made) -> bytes:
    rows = "".join(
        f"<tr><td>{escape(pair.left).replace(chr(10), '<br>')}</td><td>{escape(pair.right).replace(chr(10), '<br>')}</td></tr>"
        for pair in made.head
    )
    rest = "".join(f"<p>{escape(line)}</p>" for line in made.lines)
    return f"<html><meta charset=utf-8><table>{rows}</table>{rest}</html>".encode()


FORMATS: dict[str, tuple[str, Callable[[Made], bytes]]] = {
    "docx, table": ("docx", _word_table),
    "pdf, rows": ("pdf", _pdf),
    "odt": ("odt", _opendocument),
    "docx, tabs": ("docx", _word_tabs),
    "text": ("txt", _body),
    "rtf": ("rtf", _rtf),
    "docx, boxes": ("docx", _word_boxes),
    "pdf, columns": ("pdf", _pdf_by_column),
    "html": ("html", _page),
    "doc, VNI": ("doc", _old_word),
    "docx, capitals": ("docx", _word_capitals),
}


def _written(made: Made, form: str) -> Made:
    extension, write = FORMATS[form]
    data = write(made)
    return replace(
        made,
        format=form,
        name=f"vb{random.Random(made.layout).randrange(99)}.{extension}",
        data=data,
    )


# What is no document -------------------------------------------------------------------------------

ORDINARY = (
    "Chào anh,\nEm gửi anh bảng số liệu tháng 3. Anh xem giúp em nhé.\nCảm ơn anh.\nLan",
    "Kính gửi Quý khách hàng,\nCông ty xin gửi hóa đơn tiền điện tháng 3 năm 2024.\nTrân trọng,\nPhòng kinh doanh",
    "HÓA ĐƠN GIÁ TRỊ GIA TĂNG\nKý hiệu: 1C24TAA\nSố: 00001234\nNgày 12 tháng 03 năm 2024\nĐơn vị bán hàng: CÔNG TY TNHH AN BÌNH",
    "CÔNG TY CỔ PHẦN HOA SEN\nBẢNG BÁO GIÁ\nSố: 15\nNgày 02 tháng 4 năm 2024\nKính gửi: Quý khách hàng",
    "STT\tHọ và tên\tĐơn vị\tGhi chú\n1\tNguyễn Văn A\tPhòng 1\t\n2\tTrần Thị B\tPhòng 2\t",
    "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM\nĐộc lập - Tự do - Hạnh phúc\nĐƠN XIN NGHỈ HỌC\nKính gửi: Cô giáo chủ nhiệm\nTên tôi là: Nguyễn Văn A",
    "THỰC ĐƠN TUẦN 12\nThứ hai: cơm, canh chua, cá kho\nThứ ba: phở",
    "Dear colleagues,\nPlease find attached the minutes of our meeting.\nBest regards,\nJohn",
    "Bài giảng: KẾ TOÁN TÀI CHÍNH\nChương 1. Tổng quan\nChương 2. Tài sản cố định",
    "Chúc mừng năm mới!\nChúc anh chị em một năm mới an khang, thịnh vượng.",
    "def main():\n    print('Số: 12/TB')\n    return 0\n\nif __name__ == '__main__':\n    main()",
    "TRƯỜNG HỢP KHẨN CẤP GỌI 115\nTrạm y tế mở cửa 24 giờ.",
)
