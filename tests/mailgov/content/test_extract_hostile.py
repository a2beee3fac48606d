"""Files that are damaged, or made to harm: a reader says Unreadable, soon, and nothing else."""

import random
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgov.content.extract import KINDS, Unreadable, extract, xml_stream
from mailgov.content.extract.biff import Cursor
from mailgov.content.legacy_text import read

from .making import zipped

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = f'<Types><Override PartName="/d.xml" ContentType="{WORD}"/></Types>'


def docx(xml: bytes, **more: str) -> bytes:
    return zipped({"[Content_Types].xml": TYPES, "d.xml": xml, **more})


@pytest.mark.parametrize(
    ("reason", "xml"),
    [
        ("more than allowed", b"<a>" + b" " * (70 << 20)),
        ("more text", b"<a><p><r><t>" + b"x" * (17 << 20)),
        ("nested", b"<a>" * 600),
        ("document type", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'),
        ("document type", b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x"><a/>'),
        ("damaged part", b"<a><b></a>"),
        ("damaged part", b"\xff\xfe\x00"),
    ],
)
def test_xml_that_stops_the_reader(reason: str, xml: bytes) -> None:
    with pytest.raises(Unreadable, match=reason):
        extract("docx", docx(xml))


def test_too_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_stream, "MAX_ELEMENTS", 1000)
    with pytest.raises(Unreadable, match="too many elements"):
        extract("docx", docx(b"<a>" + b"<b/>" * 1000 + b"</a>"))


def test_one_long_tag_takes_linear_time() -> None:
    data = docx(b'<a b="' + b"x" * (16 << 20) + b'"/>')
    start = time.process_time()
    assert extract("docx", data).runs == ()
    assert time.process_time() - start < 5


def test_a_shared_string_in_many_cells() -> None:
    """A megabyte of text in a million cells would be a terabyte."""
    cells = "<c r='A1' t='s'><v>0</v></c>" * 1000
    data = zipped(
        {
            "[Content_Types].xml": '<Types><Override PartName="/b.xml" ContentType="application/vnd.'
            'openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
            "b.xml": '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="x"/></sheets></workbook>',
            "_rels/b.xml.rels": '<Relationships><Relationship Id="x" Target="s.xml"/>'
            '<Relationship Id="y" Type="t/sharedStrings" Target="t.xml"/></Relationships>',
            "t.xml": f"<sst><si><t>{'x' * (1 << 20)}</t></si></sst>",
            "s.xml": f"<worksheet><row>{cells}</row></worksheet>",
        }
    )
    with pytest.raises(Unreadable, match="more text") as caught:
        extract("xlsx", data)
    assert caught.value.state == "bomb"


def test_packages_that_programs_read_differently() -> None:
    with pytest.raises(Unreadable, match="one name"):
        extract("docx", zipped({"d.xml": "<a/>", "D.XML": "<b/>"}))
    with pytest.raises(Unreadable, match="unusual method"):
        extract("docx", zipped({"[Content_Types].xml": TYPES}, zipfile.ZIP_LZMA))
    with pytest.raises(Unreadable, match="too many parts"):
        extract("docx", zipped({f"part{index}": "" for index in range(10_001)}))


def test_encrypted_package() -> None:
    data = bytearray(docx(b"<a/>"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # general purpose flag
        start = 0
        while (start := data.find(signature, start)) >= 0:
            data[start + offset] |= 1
            start += 4
    with pytest.raises(Unreadable, match="encrypted") as caught:
        extract("docx", bytes(data))
    assert caught.value.state == "encrypted"


def test_unknown_kind() -> None:
    with pytest.raises(Unreadable, match="no reader for `exe`"):
        extract("exe", b"MZ")


def test_a_record_that_ends_early() -> None:
    with pytest.raises(IndexError):
        Cursor([b"\x05\x00\x00ab"]).unicode_string()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=400))
@example("doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
@example("rtf", b"{\\rtf1{\\fonttbl{\\f0 ;}}\\f9\\u\\'zz\\'e9\\bin99 x")
@example("html", b"<\xff<!DOCTYPE<p\0title")
@example("docx", b"PK\x05\x06" + bytes(18))
def test_any_bytes(kind: str, data: bytes) -> None:
    try:
        read(extract(kind, data).runs)
    except Unreadable as exc:
        assert exc.args[0]  # noqa: PT017 - both outcomes are right


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file cut off, with a stretch missing, or with a few bytes changed."""
    way = chance.randrange(3)
    if way == 0:
        return data[: chance.randrange(len(data))]
    if way == 1:
        start = chance.randrange(len(data))
        return data[:start] + data[start + chance.randrange(1, 5000) :]
    changed = bytearray(data)
    for _ in range(chance.choice((1, 5, 40))):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(changed)


def test_damaged_documents(corpus: Path) -> None:
    chance = random.Random(30)
    files = [
        *sorted((corpus / "documents").glob("*/*")),
        *sorted((corpus / "third-party" / "attachments").rglob("*.*")),
    ]
    read_whole = unreadable = 0
    for path in files:
        kind = path.suffix[1:].lower()
        if kind not in KINDS or path.parent.name == "transcripts" or path.stat().st_size > 400_000:
            continue
        for attempt in range(4):
            data = path.read_bytes()
            try:
                extract(kind, damaged(data, chance) if attempt else data)
                read_whole += 1
            except Unreadable:
                unreadable += 1
    assert read_whole > 50
    assert unreadable > 50
