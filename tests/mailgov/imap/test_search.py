"""Searching as people write Vietnamese, on both engines where they agree."""

import base64
import quopri
import unicodedata
from email.header import Header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.imap.letters import Needle, folded
from tests.support.imap_engines import Engine

TEXT = "Kính gửi Ủy ban nhân dân tỉnh,\r\nđề nghị họp về đất đai.\r\n"


def message(subject: bytes, body: bytes, *fields: bytes) -> bytes:
    head = [
        b"From: =?utf-8?q?Nguy=E1=BB=85n_V=C4=83n_An?= <an@vidu.gov.vn>",
        b"Subject: " + subject,
        *fields,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


PLAIN = b"Content-Type: text/plain; charset=utf-8"
MESSAGES = [
    message(
        Header("Giấy mời họp giao ban", "utf-8").encode().encode(),
        base64.encodebytes(TEXT.encode()).replace(b"\n", b"\r\n"),
        PLAIN, b"Content-Transfer-Encoding: base64", b"Date: Fri, 20 Nov 2026 23:30:00 +0700",
    ),
    message(
        "GIẤY MỜI HỌP".encode(),
        quopri.encodestring(TEXT.encode()).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        PLAIN, b"Content-Transfer-Encoding: quoted-printable",
    ),
    message(b"Bao cao", unicodedata.normalize("NFD", TEXT).encode(), PLAIN),
    message(
        b"Tep dinh kem",
        b'--b\r\nContent-Type: application/pdf; name="bao-cao-2026.pdf"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nw5ogYmFu\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b",
    ),
]  # fmt: skip
BOTH = {
    "words in any case": ('SUBJECT "giấy mời"', "1 2"),
    "capitals in the search": ('SUBJECT "GIẤY MỜI HỌP"', "1 2"),
    "a body behind every encoding": ('BODY "ủy ban nhân dân"', "1 2 3"),
    "the body of an attached file is not text": ('BODY "Ú ban"', ""),
    "header or body": ('TEXT "kính"', "1 2 3"),
    "a name in an encoded word": ('FROM "nguyễn văn"', "1 2 3 4"),
    "the day in the writer's calendar": ("SENTON 20-Nov-2026", "1"),
    "either": ('OR SUBJECT "bao cao" SUBJECT "tep dinh"', "3 4"),
    "neither": ('NOT OR SUBJECT "họp" BODY "kính"', "4"),
    "within": ('(1:3 (NOT 2)) TEXT "kính"', "1 3"),
    "a field that must be there": ('HEADER Date ""', "1"),
    "keywords": ("KEYWORD $Forwarded", "2"),
    "no keyword": ("UNKEYWORD $Forwarded", "1 3 4"),
    "sizes": ("SMALLER 50", ""),
}
OURS = {
    "letters with two marks, composed or not": ('BODY "đất đai"', "1 2 3"),
    "a phrase over the end of a line": ('BODY "nhân dân tỉnh, đề nghị"', "1 2 3"),
    "the name of an attached file": ('TEXT "bao-cao-2026"', "4"),
    "letters typed bare stand for all accents": ('BODY "de nghi hop ve dat dai"', "1 2 3"),
    "and capitals": ('SUBJECT "GIAY MOI"', "1 2"),
    "some bare, some not": ('BODY "uy ban nhân dan"', "1 2 3"),
    "a letter typed with its mark stands for itself": ('BODY "đe nghi hòp"', ""),
    "a mark that is typed finds no bare letter": ('SUBJECT "báo cáo"', ""),
    "old tone placement finds new": ('BODY "uỷ ban"', "1 2 3"),
}


@pytest.mark.parametrize("case", [*BOTH, *OURS])
def test_search(engine: Engine, case: str) -> None:
    if case in OURS and engine.name != "embedded":
        pytest.skip("not promised of Dovecot without an index of words")
    criteria, found = (BOTH | OURS)[case]
    address = engine.mailbox()
    engine.deliver(address, MESSAGES)
    with engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        wire.ok(b"STORE 2 +FLAGS.SILENT ($Forwarded)")
        (answer,) = wire.ok(f"SEARCH CHARSET UTF-8 {criteria}".encode())
    assert answer.removeprefix(b"* SEARCH").strip().decode() == found


@pytest.mark.parametrize(
    "criteria",
    [b"(" * 21 + b"ALL" + b")" * 21, b"NOT " * 21 + b"ALL", b"ALL " * 200 + b"ALL", b"FOO", b"OR ALL", b"ON 32-Nov-2026", b""],
    ids=["parentheses", "negations", "many keys", "unknown", "half", "no date", "nothing"],
)  # fmt: skip
def test_searches_that_are_refused(embedded_engine: Engine, criteria: bytes) -> None:
    with embedded_engine.wire(embedded_engine.mailbox()) as wire:
        wire.ok(b"SELECT INBOX")
        assert b" BAD " in wire.run(b"SEARCH " + criteria)[-1]


@pytest.mark.parametrize(
    ("needle", "text", "is_there"),
    [
        ("duong", "Đường Trần Hưng Đạo", True),
        ("duong", "Dương Văn An", True),
        ("đường", "duong day nong", False),
        ("đường", "dương", False),
        ("hoa", "HÒA", True),
        ("hoà", "hòa bình", True),
        ("hòa", "hoa quả", False),
        ("e", "café", True),
        ("", "gì cũng có", True),
        ("thu 2", "thư  2", True),
        ("ss", "Straße", True),
    ],
)
def test_letters(needle: str, text: str, is_there: bool) -> None:
    assert Needle(needle).found_in(folded(text)) is is_there


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
@settings(max_examples=100, deadline=None)
def test_what_stands_in_a_text_is_found(text: str, before: str, after: str) -> None:
    there = folded(text)
    whole = folded(before) + there + folded(after)
    assert Needle(there).found_in(whole) or folded(there) != there
