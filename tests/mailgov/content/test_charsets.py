"""Labels of charsets: honest ones hold, and no label hides a private encoding."""

import tomllib
import unicodedata
from base64 import encodebytes
from pathlib import Path
from typing import Any

import pytest

from mailgov.content import read_message
from mailgov.content.charsets import decode
from mailgov.content.vietnamese import table_rows

from .making import message

CASES = tomllib.loads((Path(__file__).parent / "vectors" / "charsets.toml").read_text("utf-8"))

SENTENCE = (
    "đề nghị các đơn vị tổ chức triển khai thực hiện nghiêm túc văn bản này và báo cáo kết quả về sở "
    "trước ngày quy định để tổng hợp, trình ủy ban nhân dân tỉnh xem xét, quyết định."
)
TABLES = {
    "tcvn3": "decode-tcvn3.tsv",
    "vni-win": "decode-vni-win.tsv",
    "viscii": "decode-viscii.tsv",
    "vps": "decode-vps.tsv",
    "cp1258": "decode-cp1258.tsv",
}
WRONG_LABELS = [
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-7",
    "big5",
    "gb18030",
    "gb2312",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "iso-2022-jp",
    "hz-gb-2312",
    "koi8-r",
    "koi8-u",
    "windows-1250",
    "windows-1251",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-15",
    "macintosh",
    "ibm437",
    "ibm866",
    "tis-620",
]


def stored(text: str, encoding: str) -> bytes:
    """The text in a private encoding, by its table."""
    if encoding == "utf8-as-cp1252":
        return text.encode()
    if encoding == "viqr":
        codes = {letter: spelt for spelt, _, letter in table_rows("viqr.tsv")}
        return "".join(codes.get(letter, letter) for letter in text).encode("ascii")
    bytes_of = {row[3]: bytes.fromhex(row[0]) for row in table_rows(TABLES[encoding])}
    return b"".join(bytes_of.get(letter) or letter.encode("ascii") for letter in text)


def labelled(data: bytes, label: str, subtype: str = "plain") -> bytes:
    """A message of one part under this label."""
    return (
        f"From: a@tinhmau.gov.vn\r\nTo: b@bomau.gov.vn\r\nSubject: Gui\r\n"
        f"Content-Type: text/{subtype}; charset={label}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + encodebytes(data)


@pytest.mark.parametrize("case", CASES["honest"], ids=lambda case: case["label"])
def test_an_honest_label_holds(case: dict[str, Any]) -> None:
    if case["label"] == "windows-1258":
        data = stored(case["text"], "cp1258")
    else:
        data = case["text"].encode(case["label"])
    shown = decode(data, case["label"])
    assert unicodedata.normalize("NFC", shown) == unicodedata.normalize("NFC", case["text"])
    assert read_message(labelled(data, case["label"])).texts == ()


@pytest.mark.parametrize("encoding", [*TABLES, "utf8-as-cp1252"])
@pytest.mark.parametrize("label", WRONG_LABELS)
def test_no_label_hides_a_private_encoding(encoding: str, label: str) -> None:
    data = stored(SENTENCE, encoding)
    for subtype, bytes_ in (("plain", data), ("html", b"<html><p>" + data + b"</p></html>")):
        texts = read_message(labelled(bytes_, label, subtype)).texts
        assert [(text.encoding, text.certain) for text in texts] == [(encoding, True)], subtype


@pytest.mark.parametrize("label", ["utf-16", "utf-32", "utf-16le"])
def test_nor_ascii_letters_with_signs(label: str) -> None:
    texts = read_message(labelled(stored(SENTENCE, "viqr"), label)).texts
    assert [(text.encoding, text.certain) for text in texts] == [("viqr", True)]


@pytest.mark.parametrize("encoding", ["tcvn3", "vni-win"])
def test_lines_in_unicode_hide_no_others(encoding: str) -> None:
    lines = [SENTENCE.encode()] * 20 + [stored(SENTENCE, encoding)] + [SENTENCE.encode()] * 20
    data = b"\r\n".join(lines)
    for content in (labelled(data, "utf-8"), message(files=[("van-ban.txt", data)])):
        texts = read_message(content).texts
        assert [(text.encoding, text.certain) for text in texts] == [(encoding, True)]


def test_a_broken_byte_costs_no_more_than_itself() -> None:
    text = decode(SENTENCE.encode() + b"\xe1\r\n" + SENTENCE.encode(), "utf-8")
    assert text == f"{SENTENCE}á\r\n{SENTENCE}"


def test_a_page_cannot_hide_behind_its_own_label() -> None:
    page = b'<html><meta charset="koi8-r"><p>' + stored(SENTENCE, "tcvn3") + b"</p></html>"
    texts = read_message(message(files=[("trang.html", page)])).texts
    assert [(text.encoding, text.certain) for text in texts] == [("tcvn3", True)]


@pytest.mark.parametrize("label", ["punycode", "hex", "rot13", "idna", "unicode_escape"])
def test_a_page_can_call_no_other_codec(label: str) -> None:
    page = f'<html><meta charset="{label}"><p>Kính gửi</p></html>'.encode()
    [attachment] = read_message(message(files=[("trang.html", page)])).attachments
    assert (attachment.state, attachment.kind) == ("read", "html")


def test_the_alternative_in_html_counts() -> None:
    parts = (
        b"--=b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nXin xem ban HTML.\r\n"
        b"--=b\r\nContent-Type: text/html; charset=windows-1251\r\n\r\n<p>"
        + stored(SENTENCE, "tcvn3")
        + b"</p>\r\n--=b--\r\n"
    )
    head = b"From: a@b.vn\r\nContent-Type: multipart/alternative; boundary==b\r\n\r\n"
    texts = read_message(head.replace(b"==b", b'="=b"') + parts).texts
    assert [(text.encoding, text.certain, text.place) for text in texts] == [
        ("tcvn3", True, "body paragraph 1")
    ]
