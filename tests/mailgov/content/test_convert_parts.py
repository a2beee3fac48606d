"""Conversion beyond cells and paragraphs: names, formulas, hints, properties, deletions; and what stays."""

import re
from html import unescape
from xml.sax.saxutils import escape

import pytest

from mailgov.content.convert import Conversion, convert_file
from mailgov.content.extract import extract

from .test_convert import (
    REL,
    TEXT,
    S,
    W,
    converted,
    package,
    paragraph,
    parts_of,
    run,
    to_legacy,
    types,
    xlsx,
)

STORIES = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def legacy(text: str) -> str:
    return to_legacy(text, "tcvn3")


def workbook(
    *, formula: str = "", after: str = "", names: str = "", sheet: str = "", **more: str
) -> bytes:
    strings = f"<si><t>{legacy(TEXT)}</t></si><si><t>{legacy('đạt')}</t></si>"
    cells = (
        '<row><c r="A1" t="s" s="0"><v>0</v></c><c r="A2" t="s" s="0"><v>1</v></c>'
        f'<c r="A3" t="str" s="0"><f>{formula}</f><v>x</v></c></row>'
    )
    book = (
        f'<workbook xmlns="{S}" xmlns:r="{REL}"><sheets><sheet name="{sheet or "A"}" sheetId="1" '
        f'r:id="r1"/></sheets><definedNames>{names}</definedNames></workbook>'
    )
    return xlsx(strings, cells, after, **{"xl/workbook.xml": book, **more})


def new_parts(data: bytes, name: str = "a.xlsx") -> dict[str, str]:
    return {part: raw.decode() for part, raw in parts_of(converted(data, name).data).items()}


PEOPLE = legacy("Nhân sự")


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (f"'{PEOPLE}'!A1+1", "'Nhân sự'!A1+1"),
        (f'IF(A2="{legacy("đạt")}",\'{PEOPLE}\'!B2,"")', 'IF(A2="đạt",\'Nhân sự\'!B2,"")'),
        (f'"{legacy("số")} ""{legacy("đạt")}"""&A1', '"số ""đạt"""&A1'),
        (f"Bang[{legacy('đạt')}]", "Bang[đạt]"),
        ('"café"&A1', '"café"&A1'),
        ("SUM(A1:B2)", "SUM(A1:B2)"),
    ],
)
def test_formulas_say_what_cells_and_sheets_say(formula: str, wanted: str) -> None:
    parts = new_parts(workbook(formula=escape(formula), sheet=PEOPLE))
    assert 'sheet name="Nhân sự"' in parts["xl/workbook.xml"]
    found = re.search("<f>([^<]*)</f>", parts["xl/worksheets/sheet1.xml"])
    assert found is not None
    assert unescape(found[1]) == wanted


def test_a_sheet_name_without_signs_needs_no_quotes() -> None:
    name = legacy("tổng")
    parts = new_parts(workbook(formula=f"{name}!A1", sheet=name))
    assert "<f>'tổng'!A1</f>" in parts["xl/worksheets/sheet1.xml"]


def test_two_sheets_never_get_one_name() -> None:
    book = (
        f'<workbook xmlns="{S}" xmlns:r="{REL}"><sheets><sheet name="Nhân sự" sheetId="2" r:id="r9"/>'
        f'<sheet name="{PEOPLE}" sheetId="1" r:id="r1"/></sheets></workbook>'
    )
    parts = new_parts(workbook(formula=f"'{PEOPLE}'!A1", **{"xl/workbook.xml": book}))
    assert f'sheet name="{PEOPLE}"' in parts["xl/workbook.xml"]
    assert f"<f>'{PEOPLE}'!A1</f>" in parts["xl/worksheets/sheet1.xml"]


def test_lists_and_hints_of_data_validation() -> None:
    after = (
        f'<dataValidations><dataValidation type="list" prompt="{legacy("Chọn một mục")}" '
        f'errorTitle="{legacy("Lỗi")}" error="OK" sqref="A2"><formula1>"{legacy("đạt,chưa đạt")}"'
        f"</formula1></dataValidation></dataValidations>"
    )
    sheet = new_parts(workbook(after=after))["xl/worksheets/sheet1.xml"].replace("&quot;", '"')
    assert 'prompt="Chọn một mục"' in sheet
    assert 'errorTitle="Lỗi" error="OK"' in sheet
    assert '<formula1>"đạt,chưa đạt"</formula1>' in sheet


def test_names_links_filters_charts_and_pivot_tables() -> None:
    names = f"<definedName name=\"Vung\">'{PEOPLE}'!$A$1:$B$2</definedName>"
    after = (
        f'<autoFilter ref="A1:B2"><filter val="{legacy("đạt")}"/></autoFilter>'
        f'<hyperlinks><hyperlink ref="B1" location="\'{PEOPLE}\'!A1"/></hyperlinks>'
    )
    cache = (
        f'<pivotCacheDefinition><worksheetSource ref="A1:B2" sheet="{PEOPLE}"/><cacheField name='
        f'"{legacy("đạt")}"><s v="{legacy("đạt")}"/></cacheField></pivotCacheDefinition>'
    )
    more = {
        "xl/pivotCache/pivotCacheDefinition1.xml": cache,
        "xl/charts/chart1.xml": f"<c:chart><c:f>'{PEOPLE}'!$A$1</c:f></c:chart>",
        "docProps/app.xml": f"<Properties><vt:lpstr>{PEOPLE}</vt:lpstr></Properties>",
    }
    parts = new_parts(workbook(sheet=PEOPLE, names=names, after=after, **more))
    assert ">'Nhân sự'!$A$1:$B$2</definedName>" in parts["xl/workbook.xml"]
    assert '<filter val="đạt"/>' in parts["xl/worksheets/sheet1.xml"]
    assert "location=\"'Nhân sự'!A1\"" in parts["xl/worksheets/sheet1.xml"]
    cache = parts["xl/pivotCache/pivotCacheDefinition1.xml"]
    assert 'sheet="Nhân sự"' in cache
    assert cache.count("đạt") == 2
    assert "'Nhân sự'!$A$1" in parts["xl/charts/chart1.xml"]
    assert "<vt:lpstr>Nhân sự</vt:lpstr>" in parts["docProps/app.xml"]


def test_comments_and_footers_of_sheets() -> None:
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{REL}/comments" Target="../comments1.xml"/></Relationships>'
    )
    comments = f'<comments xmlns="{S}"><commentList><comment ref="A1"><text><t>{legacy(TEXT)}</t></text></comment></commentList></comments>'
    footer = f'<headerFooter><oddFooter>&amp;L&amp;".VnTime,Regular"{legacy("Trang đầu tiên")}</oddFooter></headerFooter>'
    parts = new_parts(
        workbook(
            after=footer,
            **{"xl/worksheets/_rels/sheet1.xml.rels": rels, "xl/comments1.xml": comments},
        )
    )
    assert TEXT in parts["xl/comments1.xml"]
    assert '&amp;L&amp;"Times New Roman,Regular"Trang đầu tiên' in parts["xl/worksheets/sheet1.xml"]


# Word ----------------------------------------------------------------------------------------------


def _wholly(body: str) -> bytes:
    """A document with text in every place that Word knows."""
    text = paragraph(run(legacy(TEXT), ".VnTime"))
    overrides = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{STORIES}.{name}+xml"/>'
        for name in ("header", "footer", "footnotes", "comments")
    )
    main = types("word/document.xml", "wordprocessingml.document")
    return package(
        {
            "[Content_Types].xml": main.replace("</Types>", f"{overrides}</Types>"),
            "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}{text}</w:body></w:document>',
            "word/header.xml": f'<w:hdr xmlns:w="{W}">{text}</w:hdr>',
            "word/footer.xml": f'<w:ftr xmlns:w="{W}">{text}</w:ftr>',
            "word/footnotes.xml": f'<w:footnotes xmlns:w="{W}"><w:footnote>{text}</w:footnote></w:footnotes>',
            "word/comments.xml": f'<w:comments xmlns:w="{W}"><w:comment>{text}</w:comment></w:comments>',
            "word/settings.xml": f'<w:settings xmlns:w="{W}"><w:zoom w:percent="100"/></w:settings>',
            "word/media/image1.png": "\x89PNG",
            "docProps/core.xml": '<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>'
            f"{legacy('Báo cáo năm')}</dc:title><dc:creator>Nguyễn Văn A</dc:creator></cp:coreProperties>",
        }
    )


def _docx(body: str) -> tuple[dict[str, str], dict[str, str], Conversion]:
    before = _wholly(body)
    result = converted(before, "a.docx")
    plain = {name: raw.decode("utf-8", "replace") for name, raw in parts_of(before).items()}
    return plain, new_parts(before, "a.docx"), result


BODY = (
    f"<w:p><w:del><w:r><w:delText>{legacy('văn bản đã xóa')}</w:delText></w:r></w:del>"
    f"<w:ins>{run(legacy('thay bằng chữ này'), '.VnTimeH')}</w:ins></w:p>"
    f"<w:p><w:r><w:pict><w:txbxContent>{paragraph(run(legacy(TEXT), '.VnTime'))}</w:txbxContent>"
    f"</w:pict></w:r></w:p><w:tbl><w:tr><w:tc>{paragraph(run(legacy(TEXT), '.VnTime'))}</w:tc></w:tr></w:tbl>"
)


def test_word_documents_are_converted_in_every_place() -> None:
    _, after, _ = _docx(BODY)
    assert all(
        TEXT in after[f"word/{name}.xml"]
        for name in ("header", "footer", "footnotes", "comments", "document")
    )
    assert "<w:delText>văn bản đã xóa</w:delText>" in after["word/document.xml"]
    assert "THAY BẰNG CHỮ NÀY" in after["word/document.xml"]
    assert "<dc:title>Báo cáo năm</dc:title>" in after["docProps/core.xml"]


def _without_texts(part: str) -> str:
    part = re.sub(r"(<w:(?:t|delText)\b[^>]*>|<dc:title>)[^<]*", r"\1", part)
    return re.sub(r'(w:(?:ascii|hAnsi|cs)=)"[^"]*"', r"\1", part)


def test_nothing_but_texts_and_fonts_changes() -> None:
    before, after, result = _docx(BODY)
    assert list(before) == list(after)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        *(f"word/{name}.xml" for name in ("document", "header", "footer", "footnotes", "comments")),
        "docProps/core.xml",
    }
    assert all(_without_texts(before[name]) == _without_texts(after[name]) for name in changed)
    assert result.outcome == "converted"


def test_the_original_stays_as_it_is() -> None:
    data = _wholly(BODY)
    copy = bytes(bytearray(data))
    convert_file(data, "a.docx")
    assert data == copy


def test_signed_documents_are_refused() -> None:
    parts = {name: raw.decode("latin-1") for name, raw in parts_of(_wholly(BODY)).items()}
    signed = package({**parts, "_xmlsignatures/sig1.xml": "<Signature/>"})
    result = convert_file(signed, "a.docx")
    assert (result.outcome, result.why, result.data) == ("refused", "signed", b"")


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
def test_a_second_look_reads_unicode(name: str) -> None:
    data = _wholly(BODY) if name == "a.docx" else workbook(sheet=PEOPLE)
    runs = extract(name[2:], converted(data, name).data).runs
    assert any(TEXT in one.text for one in runs)
    assert not any(one.font.startswith(".Vn") for one in runs)
