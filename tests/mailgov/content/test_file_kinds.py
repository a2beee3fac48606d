"""The true kind comes from the bytes; a name can only convict."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content import read_message
from mailgov.content.archives import Budget
from mailgov.content.disguises import is_disguised, shown_name
from mailgov.content.file_kinds import extension, find_kind
from mailgov.content.opening import open_file
from mailgov_policies.facts import Attachment

from . import making

CASES = tomllib.loads((Path(__file__).parent / "vectors" / "disguises.toml").read_text("utf-8"))

BYTES = {
    "program": making.PROGRAM,
    "text": b"Xin ch\xc3\xa0o",
    "pdf": making.pdf(),
    "late-pdf": b"\n" * 200 + making.pdf(),
    "pdf+zip": making.pdf() + making.zipped({"a.txt": b"x"}),
    "zip": making.zipped({"a.txt": b"x"}),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "rtf": b"{\\rtf1\\ansi Xin chao}",
    "html": b"<html><body><table><tr><td>1</td></tr></table></body></html>",
    "shell": b"#!/bin/sh\nrm -rf /\n",
    "vbs": b'On Error Resume Next\nSet s = CreateObject("WScript.Shell")\ns.Run "x"\n',
    "manual": "Lệnh CreateObject( tạo một đối tượng.".encode(),
    "url": b"[InternetShortcut]\r\nURL=http://example.org/\r\n",
    "lnk": b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(60),
    "iso": bytes(0x8001) + b"CD001" + bytes(100),
    "mz-text": "MZ là hai chữ cái.".encode(),
    "noise": bytes(range(256)) * 4,
    "message": b"Received: from a by b\r\nFrom: a@b.vn\r\nSubject: x\r\n\r\nxin chao\r\n",
    "empty": b"",
    "utf-16": "Kính gửi các đơn vị".encode("utf-16"),
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>',
}


@pytest.mark.parametrize("case", CASES["case"], ids=lambda case: case["name"])
def test_kinds_and_disguises(case: dict[str, Any]) -> None:
    data, declared = BYTES[case["bytes"]], case.get("declared", "application/octet-stream")
    kind = open_file(find_kind(data, case["file"], declared), data, case["file"], "", Budget()).kind
    names = (case["file"],) if case["file"] else ()
    disguised = is_disguised(kind, names, declared, data)
    assert (kind, disguised) == (case["kind"], case["disguised"])


def test_two_names_of_which_one_is_a_program() -> None:
    assert is_disguised("exe", ("bao-cao.pdf", "bao-cao.exe"), "", making.PROGRAM)


@pytest.mark.parametrize(
    ("name", "shown", "last"),
    [
        ("a\u202ecod.exe", "acod.exe", "exe"),
        ("a\r\nb.PDF", "ab.PDF", "pdf"),
        ("không", "không", ""),
    ],
)
def test_names_are_shown_as_they_are(name: str, shown: str, last: str) -> None:
    assert (shown_name(name), extension(name)) == (shown, last)


@given(st.binary(max_size=400), st.text(max_size=20))
@settings(max_examples=200)
def test_any_bytes_have_a_kind(data: bytes, name: str) -> None:
    assert find_kind(data, name)


# What is inside a file


def _only(data: bytes, name: str, media_type: str = "application/octet-stream") -> Attachment:
    content = read_message(making.message(files=[(name, data, media_type)]))
    assert content.unscannable == ""
    return content.attachments[0]


def test_a_document_without_anything() -> None:
    found = _only(making.docx(), "thu.docx")
    assert (found.kind, found.state, found.macros, found.active, found.disguised) == (
        *("docx", "read", False, (), False),
    )


def test_macros_are_found_in_whatever_name() -> None:
    found = _only(making.docx(more={"word/vbaProject.bin": b"x"}), "thu.docx")
    assert (found.kind, found.macros) == ("docx", True)


def test_a_macro_document_named_as_a_plain_one() -> None:
    kind = "application/vnd.ms-word.document.macroEnabled.main+xml"
    found = _only(making.docx(main_type=kind), "thu.docx")
    assert (found.kind, found.disguised) == ("docm", True)


@pytest.mark.parametrize(
    ("kind", "target", "found"),
    [
        ("attachedTemplate", "https://example.org/a.dotm", ("remote template",)),
        ("attachedTemplate", "\\\\server\\a.dotm", ("remote template",)),
        ("attachedTemplate", "file:///C:\\Users\\An\\Mau.dotx", ()),
        ("oleObject", "file:///C:\\a.xls", ("ole link",)),
        ("hyperlink", "https://example.org/", ()),
    ],
)
def test_what_an_office_program_fetches(kind: str, target: str, found: tuple[str, ...]) -> None:
    data = making.docx(relationships=making.relationship(kind, target))
    assert _only(data, "thu.docx").active == found


def test_dde_in_a_field_cut_into_pieces() -> None:
    pieces = "".join(f"<w:instrText>{piece}</w:instrText>" for piece in ("DD", "EAUTO c:\\x"))
    document = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body><w:p><w:r>{pieces}</w:r></w:p></w:body></w:document>"
    )
    found = _only(making.docx(more={"word/footnotes.xml": document}), "thu.docx")
    assert found.active == ("dde",)


def test_a_program_embedded_in_a_document() -> None:
    data = making.docx(more={"word/embeddings/a.bin": making.PROGRAM})
    content = read_message(making.message(files=[("thu.docx", data)]))
    assert [(a.part, a.kind) for a in content.attachments] == [
        ("2", "docx"),
        ("2/word/embeddings/a.bin", "exe"),
    ]


@pytest.mark.parametrize(
    ("catalogue", "found"),
    [
        ("", ()),
        ("/OpenAction << /S /JavaScript /JS (app.alert(1)) >>", ("javascript",)),
        ("/OpenAction << /S /J#61vaScript /J#53 (x) >>", ("javascript",)),
        ("/OpenAction << /S /Launch /F (calc.exe) >>", ("launch action",)),
        ("/OpenAction [3 0 R /Fit]", ()),
    ],
)
def test_actions_in_a_pdf(catalogue: str, found: tuple[str, ...]) -> None:
    assert _only(making.pdf(catalogue), "a.pdf").active == found


def test_names_in_the_streams_of_a_pdf_are_chance() -> None:
    stream = b"9 0 obj << /Length 20 >> stream\n/JS /JavaScript x\nendstream endobj\n"
    data = making.pdf().replace(b"xref", stream + b"xref", 1)
    assert _only(data, "a.pdf").active == ()


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<html><body>Kính gửi</body></html>", ()),
        ("<html><script>x</script></html>", ("script",)),
        ("<html><form action=x></form></html>", ("form",)),
        ("<html><body onload='x()'>", ("event handler",)),
        ("<html><a href='javascript:x'>", ("script",)),
        ("<html><meta http-equiv=refresh content='0;url=x'>", ("redirect",)),
        ("<html><body>Tham khảo onload = hàm</body></html>", ()),
    ],
)
def test_active_html(html: str, found: tuple[str, ...]) -> None:
    assert _only(html.encode(), "a.html", "text/html").active == found


def test_active_html_of_the_message_itself() -> None:
    content = read_message(making.message("<html><form></form></html>", subtype="html"))
    assert content.active == ("form",)


@pytest.mark.parametrize(
    ("csv", "found"),
    [
        ("a,b\n1,2\n", ()),
        ("a,-5|x\n", ()),
        ("=cmd|'/c calc'!A0,1\n", ("dde",)),
        ("a,\"=cmd|'/c calc'!A0\"\n", ("dde",)),
    ],
)
def test_formulas_that_start_programs(csv: str, found: tuple[str, ...]) -> None:
    assert _only(csv.encode(), "a.csv", "text/csv").active == found


def test_dde_and_remote_template_in_rtf() -> None:
    data = (
        b"{\\rtf1{\\*\\template http://example.org/a.dot}"
        b"{\\field{\\*\\fldinst {\\b DDE}AUTO c:\\\\x}}}"
    )
    assert _only(data, "a.rtf").active == ("dde", "remote template")
