"""Mail made for the tests that judge bytes: texts put into each place that people see."""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from html import escape

import xlsxwriter

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov_cli.checking import Case, facts_of
from mailgov_policies import Verdict, default_ruleset, judge

from ..mailgov.content import making

TODAY = date(2026, 11, 22)
HEAD = ("SỞ NỘI VỤ TỈNH MẪU", "Số: 12/BC-SNV")
REST = ("BÁO CÁO", "Tình hình thực hiện nhiệm vụ quý III năm 2026", "Nơi nhận:", "- Như trên.")
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

Maker = Callable[[str], bytes]


def verdict_on(message: bytes, **how: object) -> Verdict:
    """The verdict of the default pack on a message from an official to an official."""
    case = {"mail_from": "an.nv@tinhmau.gov.vn", "recipients": ("vanphong@bomau.gov.vn",), **how}
    content = read_message(message, Limits())
    facts = facts_of(Case("x", b"", **case), content)  # type: ignore[arg-type]  # fields of a case
    return judge(facts, default_ruleset(), TODAY)


def _below_the_number(text: str) -> Sequence[str]:
    return (*HEAD, *text.split("\n"), *REST)


def _html(text: str) -> bytes:
    lines = "".join(f"<p>{escape(line)}</p>" for line in _below_the_number(text))
    return making.message(
        f"<html><body><table><tr><td>{lines}</td></tr></table></body></html>", subtype="html"
    )


def _docx(text: str) -> bytes:
    return making.message(
        files=[("a.docx", making.docx([escape(t) for t in _below_the_number(text)]))]
    )


def _paragraphs(texts: Sequence[str]) -> str:
    return "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>' for text in texts
    )


def _document(body: str) -> bytes:
    more: dict[str, bytes | str] = {
        "word/document.xml": f'<w:document xmlns:w="{_W}" xmlns:v="urn:schemas-microsoft-com:vml">'
        f"<w:body>{body}</w:body></w:document>"
    }
    return making.message(files=[("a.docx", making.docx(more=more))])


def _cell(text: str) -> bytes:
    """A table of two columns, as the head of a document is set."""
    left = _paragraphs((*HEAD, *text.split("\n")))
    right = _paragraphs(("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",))
    row = f"<w:tr><w:tc>{left}</w:tc><w:tc>{right}</w:tc></w:tr>"
    return _document(f"<w:tbl>{row}</w:tbl>{_paragraphs(REST)}")


def _text_box(text: str) -> bytes:
    box = (
        f"<v:textbox><w:txbxContent>{_paragraphs(text.split(chr(10)))}</w:txbxContent></v:textbox>"
    )
    return _document(
        f"{_paragraphs(HEAD)}<w:p><w:r><w:pict>{box}</w:pict></w:r></w:p>{_paragraphs(REST)}"
    )


def _sheet(text: str) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Báo cáo")
        for row, line in enumerate(_below_the_number(text)):
            sheet.write_string(row, 0, line)
    return making.message(files=[("a.xlsx", file.getvalue())])


def _zipped(text: str) -> bytes:
    document = making.docx([escape(line) for line in _below_the_number(text)])
    return making.message(files=[("a.zip", making.zipped({"a.docx": document}))])


def _attached_message(text: str) -> bytes:
    inner = making.message("\n".join(_below_the_number(text)))
    return making.message(files=[("a.eml", inner)])


def _subject(text: str) -> bytes:
    return making.message(subject=f"[{text}] Báo cáo quý III")


def _before_a_dash(text: str) -> bytes:
    return making.message(subject=f"{text} - Báo cáo quý III")


def _name(text: str) -> bytes:
    return making.message(files=[(f"{text.replace('/', '-')} - Bao cao quy 3.docx", making.docx())])


def _alone_in_subject(text: str) -> bytes:
    return making.message(subject=text)


def _alone_as_name(text: str) -> bytes:
    return making.message(files=[(f"{text.replace('/', '-')}.docx", making.docx())])


def _body(text: str) -> bytes:
    return making.message("\n".join(_below_the_number(text)))


DOCUMENTS: Mapping[str, Maker] = {
    "body": _body,
    "HTML": _html,
    "docx": _docx,
    "cell": _cell,
    "text box": _text_box,
    "sheet": _sheet,
    "zip": _zipped,
    "attached mail": _attached_message,
}
TITLES: Mapping[str, Maker] = {
    "subject in brackets": _subject,
    "subject before a dash": _before_a_dash,
    "file name": _name,
}
NAMES: Mapping[str, Maker] = {"subject": _alone_in_subject, "name": _alone_as_name}


@cache
def letter(place: str, text: str) -> bytes:
    """A mail with the text in that place."""
    return {**DOCUMENTS, **TITLES, **NAMES}[place](text)
