"""What people write into the search box, as search keys; and back into words."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.imap import search
from mailgov.imap.wire import Scanner
from mailgov_webmail.question import OPERATORS, STATES, filled_in, parse

TODAY = date(2026, 11, 22)
FOLDERS = {"Hộp thư đến": "inbox", "Đã gửi": "sent", "Dự án A": "~RHU"}

WRITTEN = [  # in Vietnamese; in English; over IMAP
    ("lịch họp", "lịch họp", 'TEXT "lịch" TEXT "họp"'),
    ('"họp giao ban"', '"họp giao ban"', 'TEXT "họp giao ban"'),
    ("-hoãn", "-hoãn", 'NOT (TEXT "hoãn")'),
    ("từ:lan", "from:lan", 'FROM "lan"'),
    ("-từ:lan", "-from:lan", 'NOT (FROM "lan")'),
    ("đến:vanthu@tinhmau.gov.vn", "to:vanthu@tinhmau.gov.vn",
     'OR TO "vanthu@tinhmau.gov.vn" CC "vanthu@tinhmau.gov.vn"'),
    ('tiêu-đề:"giao ban"', 'subject:"giao ban"', 'SUBJECT "giao ban"'),
    ("loại:GM", "type:GM",
     'OR OR HEADER Mailgov-Document "type=giay-moi" HEADER Mailgov-Document "type=GM;" SUBJECT "[GM]"'),
    ("loại:cong-van", "type:cong-van", 'HEADER Mailgov-Document "type=cong-van"'),
    ("loại:ĐA", "type:ĐA",
     'OR OR HEADER Mailgov-Document "type=de-an" HEADER Mailgov-Document "type=ĐA;" SUBJECT "[ĐA]"'),
    ("loại:DA", "type:DA",
     'OR OR HEADER Mailgov-Document "type=du-an" HEADER Mailgov-Document "type=DA;" SUBJECT "[DA]"'),
    ("có:tệp", "has:file", 'HEADER Content-Type "multipart/mixed"'),
    ("là:chưa-đọc", "is:unread", "UNSEEN"),
    ("là:gắn-cờ", "is:flagged", "FLAGGED"),
    ("trước:21/11/2026", "before:21/11/2026", "BEFORE 21-Nov-2026"),
    ("sau:01/02/2026", "after:01/02/2026", "SINCE 1-Feb-2026"),
    ("lớn:5M", "larger:5M", "LARGER 5242880"),
    ("nhỏ:1536K", "smaller:1536K", "SMALLER 1572864"),
    ("trong:đã-gửi", "in:đã-gửi", "ALL"),
    ("trong:dự-án-a", "in:dự-án-a", "ALL"),
]  # fmt: skip


@pytest.mark.parametrize(("vietnamese", "english", "keys"), WRITTEN)
def test_both_languages_say_the_same(vietnamese: str, english: str, keys: str) -> None:
    for text in (vietnamese, english):
        question = parse(text, TODAY, FOLDERS)
        assert question.problems == ()
        assert question.criteria() == keys
        assert question.written("vi", FOLDERS) == vietnamese
        assert question.written("en", FOLDERS) == english
        search.parse(Scanner(keys.encode()))  # a server understands it


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("tu:lan", "từ:lan"),
        ("TỪ:lan", "từ:lan"),
        ("tieu-de:họp", "tiêu-đề:họp"),
        ("co:tep", "có:tệp"),
        ("has:attachment", "có:tệp"),
        ("là:chua-doc", "là:chưa-đọc"),
        ("loai:giay-moi", "loại:GM"),
        ('loại:"Giấy mời"', "loại:GM"),
        ("loại:gm", "loại:GM"),
        ("trong:sent", "trong:đã-gửi"),
        ('trong:"Dự án A"', "trong:dự-án-a"),
        ("in:all", "trong:mọi-nơi"),
        ("trước:21/11", "trước:21/11/2026"),
        ("trước:21-11-2026", "trước:21/11/2026"),
        ("trước:2026-11-21", "trước:21/11/2026"),
        ("sau:hôm-nay", "sau:22/11/2026"),
        ("sau:yesterday", "sau:21/11/2026"),
        ("lớn:5mb", "lớn:5M"),
        ("lớn:1,5M", "lớn:1536K"),
        ("lớn:1000", "lớn:1000"),
        ("“họp giao ban”", '"họp giao ban"'),
        ('"họp giao', '"họp giao"'),
        ("ho\u0323p", "họp"),  # combining mark
    ],
)
def test_other_ways_to_write_it(text: str, same: str) -> None:
    assert parse(text, TODAY, FOLDERS).written("vi", FOLDERS) == same


@pytest.mark.parametrize("text", ["http://tinhmau.gov.vn", "12:30", "Số:45/BC-STC", "a:b:c"])
def test_what_is_no_operator_is_a_word(text: str) -> None:
    assert parse(text, TODAY, FOLDERS).criteria() == f'TEXT "{text}"'


@pytest.mark.parametrize(
    "text", ["trước:32/13", "sau:mai", "lớn:nhiều", "loại:XYZ", "là:hay", "có:ảnh", "trong:nhà"]
)
def test_a_value_that_does_not_fit_is_told(text: str) -> None:
    assert parse(f"họp {text}", TODAY, FOLDERS).problems == (text,)


def test_the_form_fills_in_and_keeps_the_rest() -> None:
    fields = [("from", "Lan Anh"), ("to", " "), ("before", "2026-11-21"), ("has", "file")]
    form = filled_in([*fields, ("subject", 'giao "ban"')])
    text = f"họp -hoãn -từ:ban {form}"
    question = parse(text, TODAY, FOLDERS)
    assert question.value("from") == "Lan Anh"
    assert (question.value("before"), question.shown("before")) == ("2026-11-21", "21/11/2026")
    assert question.shown("larger") == ""
    assert question.value("has") == "file"
    assert question.value("subject") == "giao ban"
    assert question.value("to") == ""
    assert question.beside().written("vi", FOLDERS) == "họp -hoãn -từ:ban"


ANYTHING = st.text(st.sampled_from('ab đượ "-:\\(){}%*\x00\r\n0123/.'), max_size=40)


@given(st.lists(st.one_of(ANYTHING, st.sampled_from([f"{n}:" for n in OPERATORS])), max_size=6))
def test_whatever_is_written_a_server_understands_it(parts: list[str]) -> None:
    question = parse("".join(parts), TODAY, FOLDERS)
    keys = question.criteria()
    assert not re.search(r"[\r\n\x00]", keys)
    search.parse(Scanner(keys.encode()))
    again = parse(question.written("en", FOLDERS), TODAY, FOLDERS)
    assert again.criteria() == keys


def test_every_operator_and_state_has_a_word_of_its_own() -> None:
    assert len(set(OPERATORS) | set(OPERATORS.values())) == 2 * len(OPERATORS)
    assert len({key for _, key in STATES.values()}) == len(STATES)
