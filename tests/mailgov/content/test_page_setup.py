"""How documents are set."""

import pytest

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.content.page_setup import page_of
from mailgov.content.runs import Run
from mailgov_policies import Page

from . import making

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_TIMES = (Run("Kính gửi", font="Times New Roman"), Run("abc", font="Arial"))
_STYLES = f"""<w:styles {_W}><w:docDefaults><w:rPrDefault><w:rPr><w:sz w:val="24"/></w:rPr></w:rPrDefault></w:docDefaults>
<w:style w:type="paragraph" w:default="1" w:styleId="N"><w:rPr><w:sz w:val="28"/></w:rPr></w:style>
<w:style w:type="paragraph" w:styleId="Child"><w:basedOn w:val="N"/></w:style>
<w:style w:type="table" w:styleId="T"><w:tblStylePr><w:rPr><w:sz w:val="99"/></w:rPr></w:tblStylePr></w:style></w:styles>"""
_STYLES_PART = (
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/styles" Target="styles.xml"/>'
)


def _docx(body: str, *, styles: str = "") -> bytes:
    more: dict[str, bytes | str] = {
        "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>"
    }
    if styles:
        more["word/styles.xml"] = styles
    return making.docx(more=more, relationships=_STYLES_PART if styles else "")


def _text(text: str, properties: str = "", style: str = "") -> str:
    paragraph = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{paragraph}<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


_A4 = '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/></w:sectPr>'


@pytest.mark.parametrize(
    ("data", "page"),
    [
        (_docx(_text("a" * 9, '<w:sz w:val="27"/>') + _A4), Page(210, 297, "Times New Roman", 13.5)),
        (_docx(_text("a") + '<w:sectPr><w:pgSz w:w="12240" w:h="15840"/></w:sectPr>'), Page(216, 279, "Times New Roman", 10.0)),
        (_docx(_text("a", style="Child") + _A4, styles=_STYLES), Page(210, 297, "Times New Roman", 14.0)),
        (_docx(_text("aaa") + _text("b", '<w:sz w:val="99"/>') + _A4, styles=_STYLES), Page(210, 297, "Times New Roman", 14.0)),
        (_docx(_text("a", '<w:sz w:val="x"/>') + '<w:pgSz w:w="-1" w:h="9999999"/>'), Page(0, 0, "Times New Roman", 10.0)),
        (_docx(""), Page(0, 0, "Times New Roman", 0.0)),
        (b"PK\3\4", Page(0, 0, "Times New Roman", 0.0)),
    ],
    ids=["A4", "letter", "size of a style", "most letters decide", "no numbers", "empty", "damaged"],
)  # fmt: skip
def test_a_word_document(data: bytes, page: Page) -> None:
    assert page_of("docx", data, _TIMES) == page


def test_a_pdf_tells_paper_and_font_others_nothing() -> None:
    assert page_of("pdf", making.pdf(), _TIMES) == Page(210, 297, "Times New Roman")
    assert page_of("pdf", b"%PDF-", ()) == Page()
    assert page_of("odt", b"", _TIMES) is None


def test_only_documents_are_looked_at() -> None:
    head = (
        "BỘ NỘI VỤ",
        "Số: 12/TB-BNV",
        "Hà Nội, ngày 1 tháng 2 năm 2026",
        "THÔNG BÁO",
        "Về việc x",
    )
    files = [("a.docx", making.docx(head, font="Arial")), ("b.docx", making.docx(("Chào",)))]
    document, other = read_message(making.message(files=files), Limits()).attachments
    assert document.page == Page(0, 0, "Arial", 10.0)
    assert other.page is None
