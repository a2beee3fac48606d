"""Files converted to Unicode: what changes, and that nothing else does."""

import email
import email.policy
import io
import re
import zipfile
from base64 import encodebytes
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content.convert import Conversion, convert_file
from mailgov.content.encodings import as_cp1252, decoders
from mailgov.content.extract import Unreadable, extract
from mailgov.content.legacy_text import assess
from mailgov.content.vietnamese import table_rows, with_old_tone_placement

_WORD = re.compile(r"[^\W\d_]+")
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TEXT = "Kính gửi các đơn vị, đề nghị nộp báo cáo trước ngày mùng năm tháng mười hai"


def to_legacy(text: str, encoding: str) -> str:
    """Text as it stands in files of this encoding."""
    codes = {
        letter: as_cp1252(bytes.fromhex(hexes))
        for hexes, _, _, letter, *_ in table_rows(f"decode-{encoding}.tsv")
    }
    return "".join(codes.get(letter, letter) for letter in text)


def package(parts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def types(part: str, kind: str) -> str:
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{part}" ContentType="application/vnd.openxmlformats-'
        f'officedocument.{kind}.main+xml"/></Types>'
    )


def docx(body: str, **more: str) -> bytes:
    return package(
        {
            "[Content_Types].xml": types("word/document.xml", "wordprocessingml.document"),
            "word/document.xml": f'<?xml version="1.0" encoding="UTF-8"?>\r\n<w:document xmlns:w="{W}">'
            f"<w:body>{body}</w:body></w:document>",
            "word/media/image1.png": "\x89PNG",
            **more,
        }
    )


def run(text: str, font: str) -> str:
    return f'<w:r><w:rPr><w:rFonts w:ascii="{font}" w:hAnsi="{font}"/><w:b/></w:rPr><w:t>{text}</w:t></w:r>'


def paragraph(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def converted(data: bytes, name: str = "") -> Conversion:
    """The conversion, which must be whole: a second one finds nothing to do."""
    result = convert_file(data, name)
    if result.data:
        again = convert_file(result.data, name)
        assert (again.outcome, again.data) == ("unicode", b"")
    return result


GOOD = docx(paragraph(run(to_legacy(TEXT, "tcvn3"), ".VnTime")))


# Word ----------------------------------------------------------------------------------------------


def test_docx_texts_and_fonts_change_where_they_stand() -> None:
    legacy = to_legacy(TEXT, "tcvn3")
    before = docx(paragraph(run(legacy, ".VnTime"), run(" 2004", ".VnTime"), run(" x", "Arial")))
    result = converted(before, "a.docx")
    old, new = parts_of(before), parts_of(result.data)
    document = old["word/document.xml"].decode()
    expected = document.replace(legacy, TEXT).replace(".VnTime", "Times New Roman")
    assert new.pop("word/document.xml").decode() == expected
    del old["word/document.xml"]
    assert new == old
    assert result.encodings == ("tcvn3",)
    assert [tuple(change) for change in result.changes] == [
        ("paragraph 1", legacy + " 2004", TEXT + " 2004")
    ]
    assert result.doubts == ()


def test_capitals_fonts_give_capitals() -> None:
    heading = to_legacy("cộng hòa xã hội chủ nghĩa việt nam", "tcvn3")
    result = converted(
        docx(paragraph(run(heading, ".VnTimeH")) + paragraph(run("ban tin", ".VnTimeH")))
    )
    texts = [run_.text for run_ in extract("docx", result.data).runs]
    assert texts == ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "BAN TIN"]
    assert {run_.font for run_ in extract("docx", result.data).runs} == {"Times New Roman"}


def test_letters_that_are_elements_of_their_own() -> None:
    legacy = to_legacy(TEXT, "tcvn3").replace("\xad", "</w:t><w:softHyphen/><w:t>")
    assert "softHyphen" in legacy
    result = converted(docx(paragraph(run(legacy, ".VnTime"))))
    assert extract("docx", result.data).text == TEXT
    assert b"softHyphen" not in parts_of(result.data)["word/document.xml"]


def test_letter_and_mark_in_two_texts() -> None:
    legacy = to_legacy(TEXT, "vni-win")
    at = legacy.index("oä") if "oä" in legacy else legacy.index("aù")
    result = converted(
        docx(paragraph(run(legacy[: at + 1], "VNI-Times"), run(legacy[at + 1 :], "VNI-Helve")))
    )
    assert extract("docx", result.data).text == TEXT
    assert {r.font for r in extract("docx", result.data).runs} == {"Times New Roman", "Arial"}


def test_mixed_file_is_decided_by_runs() -> None:
    body = [
        paragraph(run(to_legacy(TEXT, "tcvn3"), ".VnTime")),
        paragraph(run(to_legacy(TEXT, "vni-win"), "VNI-Times")),
        paragraph(run(TEXT, "Times New Roman")),
        paragraph(run(TEXT, ".VnTime")),
    ]
    result = converted(docx("".join(body)))
    assert [r.text for r in extract("docx", result.data).runs] == [TEXT] * 4
    assert set(result.encodings) == {"tcvn3", "vni-win"}
    assert result.changed == 2
    # A run that is Unicode already keeps even the name of its font.
    assert parts_of(result.data)["word/document.xml"].decode().count(".VnTime") == 2


def test_fonts_of_styles_change_with_the_text_that_inherits_them() -> None:
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{REL}/styles" Target="styles.xml"/></Relationships>'
    )
    styles = (
        f'<w:styles xmlns:w="{W}"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii=".VnTime" '
        'w:hAnsi=".VnTime"/></w:rPr></w:rPrDefault></w:docDefaults></w:styles>'
    )
    more = {"word/_rels/document.xml.rels": rels, "word/styles.xml": styles}
    legacy = to_legacy(TEXT, "tcvn3")
    result = converted(docx(f"<w:p><w:r><w:t>{legacy}</w:t></w:r></w:p>", **more))
    (run_,) = extract("docx", result.data).runs
    assert (run_.text, run_.font) == (TEXT, "Times New Roman")


def test_what_old_programs_are_shown_is_converted_too() -> None:
    legacy = to_legacy(TEXT, "tcvn3")
    box = f"<w:txbxContent>{paragraph(run(legacy, '.VnTime'))}</w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    body = (
        f"<w:p><w:r><mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    document = parts_of(converted(docx(body)).data)["word/document.xml"].decode()
    assert document.count(TEXT) == 2
    assert ".VnTime" not in document


def test_words_before_numbers_are_converted() -> None:
    legacy = to_legacy("Điều", "tcvn3")
    numbering = (
        f'<w:numbering xmlns:w="{W}"><w:lvl w:ilvl="0"><w:lvlText w:val="{legacy} %1."/><w:rPr>'
        '<w:rFonts w:ascii=".VnTime" w:hAnsi=".VnTime"/></w:rPr></w:lvl><w:lvl w:ilvl="1"><w:lvlText '
        'w:val="\uf0b7"/><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr></w:lvl></w:numbering>'
    )
    body = paragraph(run(to_legacy(TEXT, "tcvn3"), ".VnTime"))
    result = converted(docx(body, **{"word/numbering.xml": numbering}))
    assert parts_of(result.data)["word/numbering.xml"].decode() == numbering.replace(
        legacy, "Điều"
    ).replace(".VnTime", "Times New Roman")
    assert result.changes[-1] == ("numbering", f"{legacy} %1.", "Điều %1.")


# Excel ---------------------------------------------------------------------------------------------


def xlsx(strings: str, cells: str, after: str = "", **more: str) -> bytes:
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{REL}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{REL}/sharedStrings" Target="sharedStrings.xml"/>'
        f'<Relationship Id="r3" Type="{REL}/styles" Target="styles.xml"/></Relationships>'
    )
    styles = (
        f'<styleSheet xmlns="{S}"><fonts><font><sz val="12"/><name val=".VnTime"/></font>'
        '<font><name val=".VnTimeH"/></font></fonts><cellXfs><xf fontId="0"/><xf fontId="1"/>'
        "</cellXfs></styleSheet>"
    )
    return package(
        {
            "[Content_Types].xml": types("xl/workbook.xml", "spreadsheetml.sheet"),
            "xl/workbook.xml": f'<workbook xmlns="{S}" xmlns:r="{REL}"><sheets><sheet name="A" '
            'sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": rels,
            "xl/sharedStrings.xml": f'<sst xmlns="{S}">{strings}</sst>',
            "xl/styles.xml": styles,
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{S}"><sheetData>{cells}</sheetData>{after}'
            "</worksheet>",
            **more,
        }
    )


def test_xlsx_cells_formulas_headers_and_tables() -> None:
    legacy, name = to_legacy(TEXT, "tcvn3"), to_legacy("họ và tên đệm", "tcvn3")
    before = xlsx(
        f"<si><t>{legacy}</t></si><si><r><rPr><rFont val='.VnTimeH'/></rPr><t>{name}</t></r></si>"
        f"<si><t>{name}</t></si>",
        '<row><c r="A1" t="s" s="0"><v>0</v></c><c r="B1" t="s" s="0"><v>1</v></c>'
        f'<c r="C1" t="str" s="0"><f>A1</f><v>{legacy}</v></c><c r="D1" t="s" s="0"><v>2</v></c>'
        '<c r="E1" s="0"><v>2004</v></c></row>',
        f'<headerFooter><oddHeader>&amp;C&amp;".VnTime,Bold"&amp;12{legacy}</oddHeader></headerFooter>',
        **{
            "xl/tables/table1.xml": f'<table xmlns="{S}"><tableColumn id="1" name="{name}"/></table>'
        },
    )
    result = converted(before, "a.xlsx")
    found = {r.place: r for r in extract("xlsx", result.data).runs}
    assert found['sheet "A" A1'].text == TEXT
    assert found['sheet "A" B1'].text == "HỌ VÀ TÊN ĐỆM"
    assert found['sheet "A" C1'].text == TEXT
    assert found['sheet "A" header or footer'].text == TEXT
    assert {r.font for r in found.values() if r.font} == {"Times New Roman"}
    new = parts_of(result.data)
    assert 'name="họ và tên đệm"' in new["xl/tables/table1.xml"].decode()
    assert b"<f>A1</f>" in new["xl/worksheets/sheet1.xml"]
    assert b'&amp;C&amp;"Times New Roman,Bold"&amp;12' in new["xl/worksheets/sheet1.xml"]


def test_a_string_in_two_kinds_of_fonts_is_doubtful() -> None:
    legacy = to_legacy(TEXT, "tcvn3")
    cells = '<row><c r="A1" t="s" s="0"><v>0</v></c><c r="A2" t="s" s="1"><v>0</v></c></row>'
    result = converted(xlsx(f"<si><t>{legacy}</t></si>", cells))
    assert [(doubt.place, doubt.why) for doubt in result.doubts] == [('sheet "A" A2', "shared")]


# Text and csv --------------------------------------------------------------------------------------


def test_csv_is_written_for_spreadsheets() -> None:
    rows = [f'1;{TEXT};"a, b"', "2;Arial;x"]
    data = "\r\n".join(to_legacy(row, "tcvn3") for row in rows).encode("cp1252")
    result = converted(data, "a.csv")
    assert result.data == b"\xef\xbb\xbf" + "\r\n".join(rows).encode()
    assert [change.place for change in result.changes] == ["line 1"]


@pytest.mark.parametrize("encoding", ["tcvn3", "vni-win", "viscii", "vps", "cp1258"])
def test_text_in_each_encoding(encoding: str) -> None:
    data = b"".join(
        bytes([ord(c)]) if ord(c) < 256 else c.encode("cp1252") for c in to_legacy(TEXT, encoding)
    )
    result = converted(data, "a.txt")
    assert result.data.decode() == TEXT
    assert result.encodings == (encoding,)


def test_a_given_encoding_decides_what_words_cannot() -> None:
    short = to_legacy("Hộ đền bù", "vni-win").encode("cp1252")
    assert convert_file(short, "a.txt", "vni-win").data.decode() == "Hộ đền bù"


@pytest.mark.parametrize("data", [b"", b"plain", TEXT.encode(), ("\ufeff" + TEXT).encode("utf-16")])
def test_unicode_is_left_alone(data: bytes) -> None:
    assert converted(data, "a.txt") == Conversion("unicode")


def test_too_few_words_are_doubtful() -> None:
    data = to_legacy("Báo cáo tháng mười", "tcvn3").encode("cp1252")
    result = converted(data, "a.txt")
    assert [doubt.why for doubt in result.doubts] == ["few-words"]


# Messages ------------------------------------------------------------------------------------------


def message(html_body: str, attached: bytes) -> bytes:
    subject = to_legacy("Báo cáo tháng mười một năm nay", "tcvn3").encode("cp1252")
    name = to_legacy("Hoàng Bảo Lâm phòng Nội vụ tỉnh", "tcvn3").encode("cp1252")
    plain = to_legacy(f"{TEXT}.\r\nTrân trọng./.\r\n", "tcvn3").encode("cp1252")
    head = b'From: "%s" <a@x.test>\r\nTo: b@x.test\r\nSubject: %s\r\nDKIM-Signature: v=1\r\n' % (
        name,
        subject,
    )
    return (
        head
        + b"X-Kept: as it   is\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
        + plain
        + b"\r\n--b\r\nContent-Type: text/html; charset=windows-1252\r\n\r\n"
        + html_body.encode("cp1252")
        + b"\r\n--b\r\nContent-Type: application/octet-stream\r\n"
        + b'Content-Disposition: attachment; filename="a.docx"\r\n'
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + encodebytes(attached)
        + b"\r\n--b--\r\n"
    )


def test_a_message_with_its_files() -> None:
    legacy = to_legacy(TEXT, "tcvn3")
    capitals = to_legacy("độc lập tự do hạnh phúc", "tcvn3")
    body = f'<p><b>{legacy[:20]}</b>{legacy[20:]} &lt;1&gt;<br><font face=".VnTimeH">{capitals}</font></p>'
    result = converted(message(body, GOOD), "thu.eml")
    new = email.message_from_bytes(result.data, policy=email.policy.default)
    assert new["subject"] == "Báo cáo tháng mười một năm nay"
    assert new["from"].addresses[0].display_name == "Hoàng Bảo Lâm phòng Nội vụ tỉnh"
    assert new["dkim-signature"] is None
    assert b"X-Kept: as it   is\r\n" in result.data
    plain, html, docx_ = new.iter_parts()
    assert plain.get_content() == f"{TEXT}.\r\nTrân trọng./.\r\n"
    assert html.get_content().strip() == (
        f"<p><b>{TEXT[:20]}</b>{TEXT[20:]} &lt;1&gt;<br>"
        '<font face="Times New Roman">ĐỘC LẬP TỰ DO HẠNH PHÚC</font></p>'
    )
    assert extract("docx", docx_.get_content()).text == TEXT
    assert docx_.get_filename() == "a.docx"


def test_a_signed_message_is_refused() -> None:
    data = message("", GOOD).replace(b"multipart/mixed", b"multipart/signed")
    assert convert_file(data) == Conversion("refused", why="signed")


def test_a_unicode_message_is_left_alone(corpus: Path) -> None:
    for path in sorted((corpus / "third-party" / "mime" / "mail-parser").rglob("*.eml")):
        try:
            result = convert_file(path.read_bytes(), path.name)
        except Unreadable:
            continue
        assert result.outcome != "converted", path.name


# Refused and hostile -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (docx("<w:p/>", **{"_xmlsignatures/sig1.xml": "<x/>"}), "signed"),
        (b"%PDF-1.7\n1 0 obj<</Type/Sig/ByteRange [0 1 2 3]>>endobj", "signed"),
        (b"%PDF-1.7\n", "kind"),
        (package({"a.txt": "x"}), "kind"),
        (b"\x89PNG\r\n\x1a\n", "kind"),
    ],
    ids=["signed docx", "signed pdf", "pdf", "archive", "image"],
)
def test_refused(data: bytes, why: str) -> None:
    assert convert_file(data) == Conversion("refused", why=why)


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, len(GOOD) - 1),
    junk=st.binary(min_size=1, max_size=8),
    cut=st.integers(0, len(GOOD)),
)
def test_hostile_packages_are_unreadable_or_refused(at: int, junk: bytes, cut: int) -> None:
    for data in (GOOD[:at] + junk + GOOD[at + len(junk) :], GOOD[:cut]):
        try:
            convert_file(data, "a.docx")
        except Unreadable:
            continue


@pytest.mark.parametrize(
    "body",
    [
        "<w:p" * 3,
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        "<w:p>" * 2000,
        '<w:r><w:sym w:char="zz"/></w:r>',
    ],
)
def test_damaged_parts_are_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        convert_file(docx(body))


def test_a_bomb_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        convert_file(docx("<w:p/>", **{"word/a.bin": "\0" * (300 << 20)}))


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet=st.sampled_from(sorted({*TEXT, *to_legacy(TEXT, "tcvn3"), " ", "\n", "<"})))
)
def test_text_converted_twice_changes_nothing_more(text: str) -> None:
    first = convert_file(text.encode(), "a.txt")
    if first.data:
        assert convert_file(first.data, "a.txt").outcome == "unicode"


# The corpus ----------------------------------------------------------------------------------------


def pairs_of_words(text: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(_WORD.findall(with_old_tone_placement(text).lower())))


def test_converted_documents_equal_their_transcripts(corpus: Path) -> None:
    for path in sorted((corpus / "documents" / "synthetic-docx").iterdir()):
        result = converted(path.read_bytes(), path.name)
        opened = extract("docx", result.data)
        assert assess(opened.runs) == ()
        transcript = corpus / "documents" / "transcripts" / f"{path.stem}.txt"
        if not transcript.exists():
            transcript = transcript.with_name(transcript.name.removeprefix("synthetic-vni-"))
        theirs, ours = pairs_of_words(transcript.read_text("utf-8")), pairs_of_words(opened.text)
        assert (ours & theirs).total() / theirs.total() >= 0.985, path.name
        old, new = parts_of(path.read_bytes()), parts_of(result.data)
        assert list(old) == list(new)
        print(path.name, (ours & theirs).total() / theirs.total(), result.doubtful)


def test_unicode_documents_are_left_alone(corpus: Path) -> None:
    for path in sorted((corpus / "documents" / "decree-30-2020").glob("*.docx")):
        assert convert_file(path.read_bytes(), path.name) == Conversion("unicode"), path.name


def test_every_encoding_has_its_name() -> None:
    assert {"tcvn3", "vni-win", "viqr"} <= set(decoders())
