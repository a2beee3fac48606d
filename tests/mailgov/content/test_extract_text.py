"""Text of html, txt, csv and odt."""

import pytest

from mailgov.content.extract import Extracted, Run, Unreadable, extract
from mailgov.content.legacy_text import convert

from .making import zipped


@pytest.mark.parametrize(
    ("data", "runs"),
    [
        ("Kính gửi\r\n\r\n  \r\nđơn vị".encode(), [("line 1", "Kính gửi"), ("line 4", "đơn vị")]),
        (b"\xef\xbb\xbfa", [("line 1", "a")]),
        ("Độc".encode("utf-16"), [("line 1", "Độc")]),
        (b"\xfe\xff" + "Độc".encode("utf-16-be"), [("line 1", "Độc")]),
        (b"C\xe9ng h\xdfa \x81\x93", [("line 1", "Céng hßa \x81“")]),
        (b"a\x1cb\x85c", [("line 1", "a\x1cb…c")]),  # letters in some encodings, no line ends
        (b"", []),
    ],
)
def test_plain_text(data: bytes, runs: list[tuple[str, str]]) -> None:
    extracted = extract("csv", data)
    assert [(run.place, run.text) for run in extracted.runs] == runs
    assert extracted.has_text == bool(runs)


def test_plain_text_of_a_place() -> None:
    assert Extracted((Run("a", "1"), Run("b", "1", "F"), Run("c", "2"))).text == "ab\nc"


HTML = """<!DOCTYPE html><html><head><title>Tiêu&nbsp;đề</title><style>p {color: red}</style></head><body>
<p>Cộng <b>hòa</b>
xã hội</p><script>var x = "không";</script><div><font face=".VnTime, Arial">Céng</font>
<span style="color:red; font-family: 'VNI-Times', serif">hoøa</span><br>dòng hai</div>
<table><tr><td>một<td>hai</table>&#173;&#7897;<noscript>không có script</noscript></body></html>"""


def test_html() -> None:
    assert extract("html", HTML.encode()).runs == (
        Run("Tiêu\u00a0đề", "title"),
        Run("Cộng hòa xã hội", "paragraph 1"),
        Run("Céng", "paragraph 2", ".VnTime"),
        Run(" ", "paragraph 2"),
        Run("hoøa\n", "paragraph 2", "VNI-Times"),
        Run("dòng hai", "paragraph 2"),
        Run("một", "paragraph 3"),
        Run("hai", "paragraph 4"),
        Run("\u00adộ", "paragraph 5"),
        Run("không có script", "paragraph 6"),
    )


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("windows-1252", b"C\xe9ng \xadu", "Céng \u00adu"),
        ("x-user-defined", b"C\xe9ng", "Céng"),
        ("windows-1258", b"Vi\xea\xf2t", "Viê\u0323t"),
        ("utf-8", "Việt".encode(), "Việt"),
        ("utf-8", b"C\xe9ng", "Céng"),
        ("no-such-charset", "Việt".encode(), "Việt"),
    ],
)
def test_charset_of_a_page(charset: str, data: bytes, text: str) -> None:
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">'.encode()
    assert [run.text for run in extract("html", head + data).runs] == [text]


def test_byte_order_mark_beats_the_declaration() -> None:
    data = b'\xef\xbb\xbf<meta charset="windows-1252">' + "Việt".encode()
    assert [run.text for run in extract("html", data).runs] == ["Việt"]


def test_empty_page() -> None:
    assert extract("html", b" \n") == Extracted((), has_text=False)


def test_page_nested_too_deeply() -> None:
    with pytest.raises(Unreadable, match="nested") as caught:
        extract("html", b"<b>" * 40_000 + b"</i>" * 40_000)
    assert caught.value.state == "bomb"


ODT_STYLES = """<d xmlns:style="s" xmlns:svg="v" xmlns:text="t"><style:font-face style:name="F1" svg:font-family="'.VnTimeH'"/>
<style:default-style style:family="paragraph"><style:text-properties style:font-name="Serif"/></style:default-style>
<style:style style:name="Title" style:family="paragraph"><style:text-properties style:font-name="F1"/></style:style>
<style:master-page><style:header><text:p>đầu trang</text:p></style:header></style:master-page></d>"""
ODT = """<d xmlns:text="t" xmlns:style="s" xmlns:table="b" xmlns:office="o" xmlns:dc="c"><style:style style:name="P1"
style:family="paragraph" style:parent-style-name="Title"/><text:tracked-changes><text:p>xóa</text:p></text:tracked-changes>
<text:h text:style-name="P1">céng hßa</text:h><text:p>a<text:tab/>b<text:span text:style-name="none">c</text:span>
<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>chú thích</text:p></text:note-body></text:note></text:p>
<table:table><table:table-row><table:table-cell><text:p>ô</text:p></table:table-cell></table:table-row></table:table>
<text:p>cuối<office:annotation><dc:creator>An</dc:creator><text:p>ý kiến</text:p></office:annotation></text:p></d>"""


def test_odt() -> None:
    data = zipped({"content.xml": ODT, "styles.xml": ODT_STYLES})
    assert [(run.place, run.text.strip(), run.font) for run in extract("odt", data).runs] == [
        ("paragraph 1", "céng hßa", ".VnTimeH"),
        ("paragraph 2", "a\tbc", "Serif"),
        ("footnote", "chú thích", "Serif"),
        ("table 1 row 1 cell 1", "ô", "Serif"),
        ("paragraph 3", "cuối", "Serif"),
        ("comment", "ý kiến", "Serif"),
        ("header", "đầu trang", "Serif"),
    ]


def test_encrypted_odt() -> None:
    manifest = (
        '<m:manifest xmlns:m="m"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    )
    data = zipped({"META-INF/manifest.xml": manifest, "content.xml": "not XML"})
    with pytest.raises(Unreadable, match="encrypted") as caught:
        extract("odt", data)
    assert caught.value.state == "encrypted"


def pdf(*pages: str) -> bytes:
    """A PDF with these content streams and the fonts F1 (.VnTimeH) and F2 (.VnTime), not embedded."""
    kids = " ".join(f"{5 + 2 * index} 0 R" for index in range(len(pages)))
    fonts = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"
    font = "<< /Type /Font /Subtype /TrueType /BaseFont /{} /Encoding /WinAnsiEncoding >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        font.format("ABCDEF+.VnTimeH"),
        font.format(".VnTime,Bold"),
    ]
    for index, content in enumerate(pages):
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources {fonts} /Contents {6 + 2 * index} 0 R >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    body = "%PDF-1.4\n"
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode(
        "latin-1"
    )


def test_pdf() -> None:
    heading = "BT /F1 14 Tf 50 800 Td (céng hßa) Tj /F2 14 Tf ( x· héi) Tj 0 -20 Td (chñ nghÜa ViÖt Nam) Tj ET"
    runs = extract("pdf", pdf(heading, "", "BT /F2 12 Tf 50 700 Td (sè 12) Tj ET")).runs
    assert [(run.place, run.font) for run in runs] == [
        ("page 1", "ABCDEF+.VnTimeH"),
        ("page 1", ".VnTime,Bold"),
        ("page 3", ".VnTime,Bold"),
    ]
    assert " ".join(convert(runs)[0].text.split()) == "CỘNG HÒA"
    assert " ".join(convert(runs)[1].text.split()) == "xã hội chủ nghĩa Việt Nam"


def test_pdf_without_text() -> None:
    extracted = extract("pdf", pdf("0 0 100 100 re f"))
    assert (extracted.runs, extracted.has_text) == ((), False)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4", b"not a pdf"])
def test_damaged_pdf(data: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        extract("pdf", data)
