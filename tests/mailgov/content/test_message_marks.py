"""Marks in every place of a message where a person would see one."""

import pytest

from mailgov.content import read_message

from . import making

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _document(body: str) -> bytes:
    return making.docx(
        more={
            "word/document.xml": f'<w:document xmlns:w="{W}" xmlns:v="urn:schemas-microsoft-com:vml">'
            f"<w:body>{body}</w:body></w:document>"
        }
    )


def _run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


DOCUMENTS = {
    "letters in runs of their own": f"<w:p>{_run('M')}{_run('Ậ')}{_run('T')}</w:p>",
    "in a cell below the number": f"<w:tbl><w:tr><w:tc><w:p>{_run('Số: 7/BC-UBND')}</w:p>"
    f"<w:p>{_run('MẬT')}</w:p></w:tc></w:tr></w:tbl>",
    "behind a line break": "<w:p><w:r><w:t>Số: 7/BC-UBND</w:t><w:br/><w:t>MẬT</w:t></w:r></w:p>",
    "before a tab": "<w:p><w:r><w:t>MẬT</w:t><w:tab/><w:t>Mẫu, ngày 12</w:t></w:r></w:p>",
    "in a text box": "<w:p><w:r><w:pict><v:textbox><w:txbxContent>"
    f"<w:p>{_run('MẬT')}</w:p></w:txbxContent></v:textbox></w:pict></w:r></w:p>",
    "as a watermark": '<w:p><w:r><w:pict><v:shape><v:textpath string="M&#7852;T"/></v:shape></w:pict>'
    "</w:r></w:p>",
    "small letters shown as capitals": f"<w:p>{_run('Mật', '<w:caps/>')}</w:p>",
    "small letters in a capitals font": f"""<w:p>{
        _run("mËt", '<w:rFonts w:ascii=".VnTimeH" w:hAnsi=".VnTimeH"/>')
    }</w:p>""",
}


@pytest.mark.parametrize("body", DOCUMENTS.values(), ids=DOCUMENTS)
def test_in_a_document(body: str) -> None:
    content = read_message(making.message(files=[("a.docx", _document(body))]))
    assert [(m.value, m.certain, m.part) for m in content.marks] == [("MẬT", True, "2")]


def test_letters_shown_as_capitals_within_other_words_are_no_mark() -> None:
    body = f"<w:p>{_run('Bảo ', '<w:caps/>')}{_run('mật', '<w:caps/>')}</w:p>"
    content = read_message(making.message(files=[("a.docx", _document(body))]))
    assert content.marks == ()


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (making.message("Số: 1/BC-UBND\n\n   MẬT\n"), "body"),
        (making.message("<p>Số: 1</p><b>M&#7852;T</b>", subtype="html"), "body paragraph 2"),
        (making.message(subject="[MẬT] Báo cáo"), "subject"),
        (making.message(files=[("MẬT.docx", making.docx())]), "file name 2"),
        (
            making.message(files=[("a.zip", making.zipped({"b/MẬT/c.docx": making.docx()}))]),
            "file name 2",
        ),
        (making.message(headers="Keywords: =?utf-8?q?M=E1=BA=ACT?=\r\n"), "header Keywords"),
        (
            making.message(
                files=[
                    (
                        "a.docx",
                        making.docx(
                            more={
                                "docProps/core.xml": "<p xmlns:cp='x'><cp:keywords>MẬT</cp:keywords></p>"
                            }
                        ),
                    )
                ]
            ),
            "part 2 properties",
        ),
    ],
    ids=["body", "HTML", "subject", "file name", "folder in an archive", "keywords", "properties"],
)
def test_elsewhere(message: bytes, place: str) -> None:
    (mark,) = read_message(message).marks
    assert (mark.value, mark.place, mark.certain) == ("MẬT", place, True)


@pytest.mark.parametrize(
    "text",
    [
        "Đề nghị đổi mật khẩu và bảo mật thông tin.",
        "QUY CHẾ BẢO VỆ BÍ MẬT NHÀ NƯỚC\nĐiều 1. Mật độ xây dựng",
        "Tờ trình về việc giải mật tài liệu",
        "MẬT ONG RỪNG\nGiá 200.000 đồng",
        "Công ty TNHH Mật Ong",
    ],
)
def test_innocent_texts(text: str) -> None:
    data = making.message(
        text, subject=text.split("\n")[0], files=[("a.docx", making.docx([text]))]
    )
    assert read_message(data).marks == ()
