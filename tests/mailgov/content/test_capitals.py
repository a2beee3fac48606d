"""Small letters that fonts, styles and formats show as capitals are read as capitals."""

import pytest

from mailgov.content import read_message
from mailgov.content.extract import extract
from mailgov.content.extract.doc_properties import Styles, character_properties
from mailgov.content.runs import Run
from mailgov.content.texts import read_file_text

from . import making
from .test_extract_slides import slide
from .test_extract_word import RTF_HEAD, W, docx, paragraph

A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
THEME = (
    f'<a:theme {A}><a:themeElements><a:fontScheme><a:majorFont><a:latin typeface=".VnTimeH"/>'
    '</a:majorFont><a:minorFont><a:latin typeface=".VnTime"/></a:minorFont></a:fontScheme>'
    "</a:themeElements></a:theme>"
)
FONT = '<w:rPr><w:rFonts w:ascii=".VnTimeH" w:hAnsi=".VnTimeH"/></w:rPr>'


def _styles(*styles: str, defaults: str = "") -> str:
    defaults = f"<w:docDefaults><w:rPrDefault>{defaults}</w:rPrDefault></w:docDefaults>"
    return f"<w:styles {W}>{defaults}{''.join(styles)}</w:styles>"


def _style(properties: str, *, kind: str = "paragraph", base: str = "") -> str:
    based = f'<w:basedOn w:val="{base}"/>' if base else ""
    return f'<w:style w:type="{kind}" w:styleId="Dau">{based}{properties}</w:style>'


def _run(text: str, properties: str) -> str:
    return f"<w:p><w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


DOCUMENTS = {
    "a capitals font by style": docx(
        paragraph("tuyÖt mËt", style="Dau"), styles=_styles(_style(FONT))
    ),
    "by the style of letters": docx(
        _run("tuyÖt mËt", '<w:rStyle w:val="Dau"/>'), styles=_styles(_style(FONT, kind="character"))
    ),
    "by the default of the document": docx(paragraph("tuyÖt mËt"), styles=_styles(defaults=FONT)),
    "by the theme": docx(
        _run("tuyÖt mËt", '<w:rFonts w:asciiTheme="majorHAnsi" w:hAnsiTheme="majorHAnsi"/>'),
        theme=THEME,
    ),
    "by the theme of the defaults": docx(
        paragraph("tuyÖt mËt"),
        theme=THEME,
        styles=_styles(defaults='<w:rPr><w:rFonts w:asciiTheme="majorHAnsi"/></w:rPr>'),
    ),
    "by the theme, before a plain name": docx(
        _run("tuyÖt mËt", '<w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:hAnsiTheme="majorHAnsi"/>'),
        theme=THEME,
    ),
    "only for letters beyond ASCII": docx(
        _run("tuyÖt mËt", '<w:rFonts w:ascii="Times New Roman" w:hAnsi=".VnTimeH"/>')
    ),
    "by the style of a table": docx(
        f'<w:tbl><w:tblPr><w:tblStyle w:val="Dau"/></w:tblPr><w:tr><w:tc>{paragraph("tuyÖt mËt")}'
        "</w:tc></w:tr></w:tbl>",
        styles=_styles(_style(FONT, kind="table")),
    ),
    "capitals by style": docx(
        paragraph("Tuyệt mật", style="Dau"), styles=_styles(_style("<w:rPr><w:caps/></w:rPr>"))
    ),
    "small capitals by style": docx(
        paragraph("Tuyệt mật", style="Dau"),
        styles=_styles(_style('<w:rPr><w:smallCaps w:val="1"/></w:rPr>')),
    ),
    "both, the first switched off": docx(
        _run("Tuyệt mật", '<w:caps w:val="0"/><w:smallCaps w:val="true"/>')
    ),
    "in the numbering": docx(
        paragraph("kế hoạch"),
        numbering=f'<w:numbering {W}><w:abstractNum><w:lvl><w:lvlText w:val="TUYỆT MẬT"/></w:lvl>'
        "</w:abstractNum></w:numbering>",
    ),
    "in the numbering, by its font": docx(
        paragraph("kế hoạch"),
        numbering=f'<w:numbering {W}><w:abstractNum><w:lvl><w:lvlText w:val="tuyÖt mËt"/>{FONT}'
        "</w:lvl></w:abstractNum></w:numbering>",
    ),
}


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
def test_in_word_documents(data: bytes) -> None:
    content = read_message(making.message(files=[("a.docx", data)]))
    assert [(mark.value, mark.certain) for mark in content.marks] == [("TUYỆT MẬT", True)]


SMALL = {
    "capitals switched off by the run": docx(
        _run("Mật", '<w:rStyle w:val="Dau"/><w:caps w:val="false"/>'),
        styles=_styles(_style("<w:rPr><w:caps/></w:rPr>", kind="character")),
    ),
    "capitals before a tracked change": docx(
        _run("Mật", "<w:rPrChange><w:rPr><w:caps/></w:rPr></w:rPrChange>")
    ),
    "a style before a tracked change": docx(
        '<w:p><w:pPr><w:pPrChange><w:pPr><w:pStyle w:val="Dau"/></w:pPr></w:pPrChange></w:pPr>'
        "<w:r><w:t>Mật</w:t></w:r></w:p>",
        styles=_styles(_style("<w:rPr><w:caps/></w:rPr>")),
    ),
}


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_what_is_shown_small_is_no_mark(data: bytes) -> None:
    assert read_message(making.message(files=[("a.docx", data)])).marks == ()


def test_a_style_of_letters_without_font_keeps_that_of_the_paragraph() -> None:
    data = docx(
        '<w:p><w:pPr><w:pStyle w:val="Dau"/></w:pPr><w:r><w:rPr><w:rStyle w:val="Link"/></w:rPr>'
        "<w:t>x</w:t></w:r></w:p>",
        styles=_styles(
            _style(FONT),
            '<w:style w:type="character" w:styleId="Link"><w:rPr><w:u/></w:rPr></w:style>',
            defaults='<w:rPr><w:rFonts w:ascii="Arial"/></w:rPr>',
        ),
    )
    assert extract("docx", data).runs == (Run("x", "paragraph 1", ".VnTimeH"),)


def test_a_document_shown_as_part_of_another_is_read() -> None:
    page = "<html><p>TUYỆT MẬT</p><script>x()</script></html>"
    data = making.docx(more={"word/afchunk.htm": page})
    content = read_message(making.message(files=[("a.docx", data)]))
    assert [(mark.value, mark.part) for mark in content.marks] == [
        ("TUYỆT MẬT", "2/word/afchunk.htm")
    ]
    assert content.attachments[1].active == ("script",)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("rtf", RTF_HEAD + rb"\caps M\u7853?t}"),
        ("rtf", RTF_HEAD + rb"{\scaps M\u7853?t}}"),
        ("html", '<p style="text-transform: uppercase">M<b>ậ</b>t</p>'.encode()),
        ("html", '<div style="font-variant:small-caps"><p>Mật</p></div>'.encode()),
        (
            "pptx",
            making.zipped(
                {
                    "[Content_Types].xml": '<Types><Override PartName="/ppt/p.xml" ContentType="application/'
                    'vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"/></Types>',
                    "ppt/p.xml": '<p><sldId r:id="s"/></p>'.replace("<p>", '<p xmlns:r="r">'),
                    "ppt/_rels/p.xml.rels": '<Relationships><Relationship Id="s" Type="x/slide" '
                    'Target="s.xml"/></Relationships>',
                    "ppt/s.xml": slide('<a:r><a:rPr cap="all"/><a:t>Mật</a:t></a:r>'),
                }
            ),
        ),
    ],
    ids=["rtf", "rtf, small", "html", "html, small", "pptx"],
)
def test_in_other_formats(kind: str, data: bytes) -> None:
    runs = extract(kind, data).runs
    assert [(run.text, run.capitals) for run in runs] == [("Mật", True)]
    assert [mark.value for mark in read_file_text(runs, "part 2", "2").marks] == ["MẬT"]


@pytest.mark.parametrize("style", ["text-transform:uppercase", "font-variant:small-caps"])
def test_in_opendocument(style: str) -> None:
    content = f"""<o:document-content xmlns:o="o" xmlns:s="s" xmlns:f="f" xmlns:t="t"><o:automatic-styles>
        <s:style s:name="P1" s:family="paragraph"><s:text-properties f:{style.replace(":", '="')}"/></s:style>
        <s:style s:name="T1" s:family="text"><s:text-properties f:text-transform="none"
        f:font-variant="normal"/></s:style></o:automatic-styles>
        <t:p t:style-name="P1">Mật<t:span t:style-name="T1"> thư</t:span></t:p></o:document-content>"""
    runs = extract("odt", making.zipped({"content.xml": content})).runs
    assert [(run.text, run.capitals) for run in runs] == [("Mật", True), (" thư", False)]


@pytest.mark.parametrize(
    ("modifiers", "capitals"),
    [("3b0801", True), ("3a0801", True), ("3b0800", False), ("3b0880", None), ("3b0881", True)],
)
def test_in_word_before_2007(modifiers: str, capitals: bool | None) -> None:
    said = bytes.fromhex(modifiers)
    found = character_properties(bytes(2) + bytes([len(said)]) + said, 2)
    assert found is not None
    assert found.capitals is capitals


def test_no_styles_show_none() -> None:
    assert not Styles(b"").capitals(0)
