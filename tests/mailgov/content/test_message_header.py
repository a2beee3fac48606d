"""Header fields are read as people see them, and ambiguous ones are named."""

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content import read_message
from mailgov.content.fields import decode_words, parse_value
from mailgov.content.mailboxes import read_mailboxes
from mailgov_policies.facts import Person

from . import making

CASES = tomllib.loads((Path(__file__).parent / "vectors" / "headers.toml").read_text("utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, Person):
        return [value.name, value.address]
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CASES["case"], ids=lambda case: case["name"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_headers(case: dict[str, Any], line_end: str) -> None:
    header = case["header"].lstrip("\n").replace("\n", line_end)
    content = read_message(f"{header}{line_end}Kính gửi.{line_end}".encode())
    assert {key: _plain(getattr(content.header, key)) for key in case["want"]} == case["want"]
    assert sorted(content.malformed) == sorted(case.get("malformed", []))


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"From: a@b.vn\r\nSubject: x\ry\r\n\r\n", "bare CR in the header"),
        (b"From: a@b.vn\r\nSubject: x\0y\r\n\r\n", "NUL in the header"),
        (b"From: a@b.vn\r\nkhong phai truong\r\n\r\n", "header line that is no field"),
    ],
)
def test_raw_faults(raw: bytes, fault: str) -> None:
    assert read_message(raw).malformed == (fault,)


@pytest.mark.parametrize(
    "mailbox",
    [
        "chutich@b.vn <a@b.vn>",
        "<a@b.vn> chutich@b.vn",
        "<chutich@b.vn <a@b.vn>",
        "\r\n chutich @ b.vn\r\n <a@b.vn>",
        '"chutich"@b.vn <a@b.vn>',
        "chutich@(c)b.vn <a@b.vn>",
        "a@b.vn chutich@b.vn <a@b.vn>",
        "=?utf-8?q?chutich@b.vn?= <a@b.vn>",
        "Chủ tịch chutich@b.vn <a@b.vn>",
    ],
)
@pytest.mark.parametrize("name", ["From", "Sender"])
def test_another_address_in_the_clear_makes_two_senders(name: str, mailbox: str) -> None:
    first = "" if name == "From" else "From: a@b.vn\r\n"
    content = read_message(f"{first}{name}: {mailbox}\r\n\r\nx".encode())
    assert content.malformed == (f"two addresses in one mailbox of {name}",)


@pytest.mark.parametrize(
    "mailbox",
    [
        "a@b.vn <a@b.vn>",
        "'A@B.vn' <a@b.vn>",
        '"chutich@b.vn" <a@b.vn>',
        "a (chutich@b.vn) <a@b.vn>",
        "=?utf-8?q?chutich=40b=2Evn?= <a@b.vn>",
        "Nguyễn Văn An <a@b.vn>",
    ],
)
def test_an_address_in_a_name_makes_no_second_sender(mailbox: str) -> None:
    assert read_message(f"From: {mailbox}\r\n\r\nx".encode()).malformed == ()


def test_raw_bytes_of_an_old_encoding_are_shown_and_recognised() -> None:
    subject = "Kính gửi các đơn vị, đề nghị nộp báo cáo trước ngày mùng năm hằng tháng"
    content = read_message(b"From: a@b.vn\r\nSubject: " + making.tcvn3(subject) + b"\r\n\r\n")
    (text,) = content.texts
    assert (text.place, text.encoding, text.part) == ("subject", "tcvn3", "")
    assert (text.certain, text.converted) == (True, subject)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'attachment; filename="a;b.pdf"', "a;b.pdf"),
        (b"attachment; filename*=utf-8''B%C3%A1o%20c%C3%A1o.pdf", "Báo cáo.pdf"),
        (b"attachment; filename*0*=utf-8''B%C3%A1o; filename*1=\" cao.pdf\"", "Báo cao.pdf"),
        (b'attachment; filename="=?utf-8?b?QsOhbyBjw6FvLnBkZg==?="', "Báo cáo.pdf"),
        (b"attachment; filename=bao cao.pdf; size=3", "bao cao.pdf"),
        ('attachment; filename="Báo cáo.pdf"'.encode(), "Báo cáo.pdf"),
        (b'attachment; filename="a.pdf', "a.pdf"),
    ],
)
def test_file_names(raw: bytes, name: str) -> None:
    assert parse_value(raw).parameters["filename"] == name


HOSTILE = [
    b"<" * 60_000,
    b'"\\' * 30_000,
    b'<"x<"' * 12_000,
    b"(" * 60_000,
    b"a," * 30_000,
    b"=?a?b?" * 10_000,
    b"; a" * 20_000,
    b";a=" + b" " * 60_000,
    b';a="\\' * 12_000,
    b"; " * 30_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_fields_cost_no_more_than_their_size(value: bytes) -> None:
    start = time.process_time()
    read_mailboxes(value)
    parse_value(value)
    decode_words(value)
    assert time.process_time() - start < 1


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_read(raw: bytes) -> None:
    read_mailboxes(raw)
    parse_value(raw)
    assert isinstance(decode_words(raw), str)
    assert read_message(raw).unscannable == ""


@pytest.mark.parametrize(
    "written",
    [
        '"vana@bomau.gov.vn" <x@y.vn>',
        '"Ông A <vana@bomau.gov.vn>" <x@y.vn>',
        "=?utf-8?q?vana=40bomau=2Egov=2Evn?= <x@y.vn>",
        '"=?utf-8?b?dmFuYUBib21hdS5nb3Yudm4=?=" <x@y.vn>',
        "x@y.vn (vana@bomau.gov.vn)",
        "vana＠bomau.gov.vn <x@y.vn>",
        "vana@bo\u200bmau.gov.vn <x@y.vn>",
        "vana @ bomau . gov . vn <x@y.vn>",
        "vana@bоmau.gоv.vn <x@y.vn>",
        '"\u202env.vog.uamob@anav" <x@y.vn>',
    ],
)
def test_another_address_in_a_display_name_is_told(written: str) -> None:
    (person,) = read_message(f"From: {written}\r\n\r\nKính gửi.\r\n".encode()).header.from_
    assert (person.address, person.claims) == ("x@y.vn", ("vana@bomau.gov.vn",))


@pytest.mark.parametrize("name", ["x@y.vn", "Phòng A@B", "Nguyễn Văn A", "@UBND"])
def test_a_name_may_repeat_its_own_address(name: str) -> None:
    (person,) = read_message(f'From: "{name}" <x@y.vn>\r\n\r\nKính gửi.\r\n'.encode()).header.from_
    assert person.claims == ()
