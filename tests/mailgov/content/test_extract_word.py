"""Text of docx, doc and rtf."""

import struct

import pytest

from mailgov.content.extract import Run, Unreadable, extract

from .compound import compound
from .making import zipped

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def docx(body: str, **parts: str) -> bytes:
    """A document with this body; further parts by the last word of their content type."""
    overrides = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{TYPES}.{name}+xml"/>'
        for name in parts
    )
    links = "".join(
        f'<Relationship Id="{name}" Type="http://x/{name}" Target="{name}.xml"/>' for name in parts
    )
    files: dict[str, bytes | str] = {
        "[Content_Types].xml": '<Types><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{TYPES}.document.main+xml"/>'
        f"{overrides}</Types>",
        "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": f"<Relationships>{links}</Relationships>",
    }
    files |= {f"word/{name}.xml": content for name, content in parts.items()}
    return zipped(files)


def paragraph(text: str, font: str = "", style: str = "") -> str:
    fonts = f'<w:rPr><w:rFonts w:ascii="{font}"/></w:rPr>' if font else ""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r>{fonts}<w:t>{text}</w:t></w:r></w:p>"


def texts(kind: str, data: bytes) -> list[tuple[str, str]]:
    return [(run.place, run.text) for run in extract(kind, data).runs]


def test_paragraphs_with_their_fonts() -> None:
    body = (
        '<w:p><w:r><w:rPr><w:rFonts w:hAnsi=".VnTimeH"/></w:rPr><w:t>céng </w:t></w:r>'
        '<w:r><w:rPr><w:rFonts w:hAnsi=".VnTimeH"/><w:b/></w:rPr><w:t>hßa</w:t></w:r>'
        '<w:r><w:t xml:space="preserve"> 12</w:t></w:r></w:p><w:p/>' + paragraph("Kính gửi")
    )
    assert extract("docx", docx(body)).runs == (
        Run("céng hßa", "paragraph 1", ".VnTimeH"),
        Run(" 12", "paragraph 1"),
        Run("Kính gửi", "paragraph 3"),
    )


def test_fonts_of_styles() -> None:
    styles = f"""<w:styles {W}><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii=".VnTime"/></w:rPr>
        </w:rPrDefault></w:docDefaults>
        <w:style w:type="paragraph" w:default="1" w:styleId="Normal"/>
        <w:style w:type="paragraph" w:styleId="Title"><w:basedOn w:val="Normal"/>
          <w:rPr><w:rFonts w:ascii=".VnTimeH"/></w:rPr></w:style>
        <w:style w:type="paragraph" w:styleId="Subtitle"><w:basedOn w:val="Title"/></w:style>
        <w:style w:type="paragraph" w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style>
        <w:style w:type="character" w:styleId="New"><w:rPr><w:rFonts w:asciiTheme="minor"/></w:rPr></w:style>
        </w:styles>"""
    body = "".join(paragraph("x", style=name) for name in ("", "Title", "Subtitle", "Loop"))
    body += (
        '<w:p><w:pPr><w:rPr><w:rFonts w:ascii="Mark"/></w:rPr></w:pPr><w:r><w:t>x</w:t></w:r></w:p>'
    )
    body += '<w:p><w:r><w:rPr><w:rFonts w:asciiTheme="minor"/></w:rPr><w:t>x</w:t></w:r></w:p>'
    fonts = [run.font for run in extract("docx", docx(body, styles=styles)).runs]
    assert fonts == [".VnTime", ".VnTimeH", ".VnTimeH", ".VnTime", ".VnTime", ""]


def test_what_is_shown_and_what_is_not() -> None:
    body = """<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:softHyphen/>
        <w:noBreakHyphen/><w:sym w:font=".VnTime" w:char="F0B5"/></w:r>
        <w:r><w:instrText>PAGE</w:instrText></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>
        <w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>"""
    assert (
        "".join(run.text for run in extract("docx", docx(body)).runs)
        == "a\tb\nc\u00ad\u2011\uf0b5new"
    )


def test_tables_and_text_boxes() -> None:
    cell = "<w:tc>{}</w:tc>"
    row = f"<w:tr>{cell.format(paragraph('một') + paragraph('hai'))}{cell.format(paragraph('ba'))}</w:tr>"
    inner = f"<w:tbl><w:tr>{cell.format(paragraph('trong'))}</w:tr></w:tbl>"
    box = f"<w:txbxContent>{paragraph('khung')}</w:txbxContent>"
    body = (
        paragraph("trước")
        + f"<w:tbl>{row}<w:tr>{cell.format(inner)}</w:tr></w:tbl>"
        + f"<w:p><w:r><AlternateContent><Choice>{box}</Choice><Fallback>{box}</Fallback>"
        f"</AlternateContent><w:t>sau</w:t></w:r></w:p>"
    )
    assert texts("docx", docx(body)) == [
        ("paragraph 1", "trước"),
        ("table 1 row 1 cell 1", "một\nhai"),
        ("table 1 row 1 cell 2", "ba"),
        ("table 1 row 2 cell 1", "trong"),
        ("text box 1", "khung"),
        ("paragraph 2", "sau"),
    ]


def test_headers_and_notes() -> None:
    data = docx(
        paragraph("thân"),
        header=f"<w:hdr {W}>{paragraph('MẬT')}</w:hdr>",
        footnotes=f"<w:footnotes {W}><w:footnote/><w:footnote>{paragraph('chú thích')}</w:footnote></w:footnotes>",
        comments=f"<w:comments {W}><w:comment>{paragraph('ý kiến')}</w:comment></w:comments>",
    )
    assert texts("docx", data) == [
        ("paragraph 1", "thân"),
        ("header 1", "MẬT"),
        ("footnote 2", "chú thích"),
        ("comment 1", "ý kiến"),
    ]


def test_main_part_of_another_name_and_dialect() -> None:
    data = zipped(
        {
            "[Content_Types].xml": '<Types><Override PartName="/a/b.xml" '
            'ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>',
            "a/b.xml": '<document xmlns="http://purl.oclc.org/ooxml/wordprocessingml/main"><body><p><r>'
            "<t>Kính gửi</t></r></p></body></document>",
        }
    )
    assert texts("docm", data) == [("paragraph 1", "Kính gửi")]


def test_a_package_that_is_no_document() -> None:
    with pytest.raises(Unreadable, match="no main document"):
        extract("docx", zipped({"[Content_Types].xml": "<Types/>"}))
    with pytest.raises(Unreadable, match="missing"):
        extract("docx", zipped({"readme.txt": "x"}))


def word6(text: bytes, lengths: tuple[int, ...], flags: int = 0) -> bytes:
    """A file of Word 6: a header of 0x300 bytes, then the text."""
    header = bytearray(0x300)
    struct.pack_into("<HH", header, 0, 0xA5DC, 104)
    struct.pack_into("<H", header, 0x0A, flags)
    struct.pack_into("<II", header, 0x18, 0x300, 0x300 + len(text))
    struct.pack_into(f"<{len(lengths)}i", header, 0x34, *lengths)
    return compound({"WordDocument": bytes(header) + text})


def test_word_6() -> None:
    text = "Céng hßa\r\x13 PAGE \x14" + "12\x15\x07§éc lËp\x0bTù do\rghi chó\r"
    data = word6(text.encode("cp1252"), (len(text) - 8, 8, 0, 0, 0, 0, 0, 0))
    assert texts("doc", data) == [
        ("paragraph 1", "Céng hßa"),
        ("paragraph 2", "12"),
        ("paragraph 3", "§éc lËp\nTù do"),
        ("footnote", "ghi chó"),
    ]


def test_encrypted_word() -> None:
    with pytest.raises(Unreadable, match="encrypted") as caught:
        extract("doc", word6(b"x", (1,), flags=0x0100))
    assert caught.value.state == "encrypted"


RTF_HEAD = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman\fcharset0 Times New Roman;}"
    rb"{\f1\fswiss\fcharset163{\*\panose 020b7200000000000000}.VnTimeH{\*\falt Arial};}"
    rb"{\f2\fcharset163 Times New Roman (Vietnamese);}{\f3\fcharset238 Arial CE;}}"
)


@pytest.mark.parametrize(
    ("rtf", "runs"),
    [
        (rb"C\'e9ng h\'dfa\par x\'b7 h\'e9i", [("1", "Céng hßa", ""), ("2", "x· héi", "")]),
        (rb"\f1 n\'ad\-\_\~x", [("1", "n\u00ad\u00ad\u2011\u00a0x", ".VnTimeH")]),
        (rb"\f2 Vi\'ea\'f2t", [("1", "Viê\u0323t", "Times New Roman (Vietnamese)")]),
        (rb"\f3 \'e8", [("1", "č", "Arial CE")]),
        (
            rb"\uc1 Vi\u7879?t {\uc2\u273\'5f\'5f}\u-10160?",
            [("1", "Việt đ", "")],
        ),
        (rb"\u-10179?\u-8704?", [("1", "😀", "")]),
        (
            rb"{\*\unknown skip {this}}{\pict 0102}{\field{\*\fldinst HYPERLINK}{\fldrslt xem}}",
            [("1", "xem", "")],
        ),
        (rb"a{\b b}{\deleted c}\tab d\line e{\i0}\{\}", [("1", "ab\td\ne{}", "")]),
        (rb"\trowd a\cell b\cell\row c", [("1", "a", ""), ("2", "b", ""), ("4", "c", "")]),
        (rb"a{\bin3 }}}b}c", [("1", "abc", "")]),
        (rb"x{\header H\par}{\footnote F}y", None),
    ],
)
def test_rtf(rtf: bytes, runs: list[tuple[str, str, str]] | None) -> None:
    found = extract("rtf", RTF_HEAD + rtf + b"}").runs
    if runs is None:
        assert [(run.place, run.text) for run in found] == [
            ("paragraph 1", "x"), ("header", "H"), ("footnote", "F"), ("paragraph 1", "y"),
        ]  # fmt: skip
        return
    expected = [
        Run(text, f"paragraph {number}", font or "Times New Roman") for number, text, font in runs
    ]
    assert list(found) == expected


def test_rtf_text_box_is_read_once() -> None:
    shape = rb"{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt khung\par}}{\shprslt{\do khung}}}"
    assert texts("rtf", RTF_HEAD + shape + b"}") == [("text box", "khung")]


def test_not_rtf() -> None:
    with pytest.raises(Unreadable, match="not RTF"):
        extract("rtf", b"hello")
    with pytest.raises(Unreadable, match="nested"):
        extract("rtf", RTF_HEAD + b"{" * 2000)
