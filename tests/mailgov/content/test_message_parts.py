"""No part of a message is lost, whatever its make, and hostile makes are bounded."""

import base64
import binascii
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.content.parts import read_parts, uuencoded_files
from mailgov_policies.facts import Attachment, Content

from . import making
from .making import tcvn3

HEAD = b"From: a@b.vn\r\nMIME-Version: 1.0\r\n"


def _parts(data: bytes) -> dict[str, Attachment]:
    return {attachment.part: attachment for attachment in read_message(data).attachments}


def _multipart(*pieces: bytes, closing: bytes = b"--x--\r\n") -> bytes:
    return (
        HEAD
        + b"Content-Type: multipart/mixed; boundary=x\r\n\r\nvorspann\r\n"
        + b"".join(b"--x\r\n" + piece + b"\r\n" for piece in pieces)
        + closing
    )


PROGRAM = (
    b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(making.PROGRAM)
)
TEXT = b"Content-Type: text/plain\r\n\r\nxin chao"


def test_numbers_are_those_of_imap() -> None:
    inner = (
        b"Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y\r\n" + PROGRAM
    )
    assert list(_parts(_multipart(inner + b"\r\n--y--", PROGRAM))) == ["1.2", "2"]


def test_one_part_alone() -> None:
    assert list(_parts(HEAD + PROGRAM)) == ["1"]


@pytest.mark.parametrize(
    "data",
    [
        _multipart(TEXT, PROGRAM, closing=b""),
        _multipart(TEXT, closing=b"--x--\r\n--x\r\n" + PROGRAM + b"\r\n--x--"),
        _multipart(TEXT, PROGRAM).replace(b"\r\n", b"\n"),
        _multipart(TEXT, PROGRAM).replace(b"--x\r\n", b"--x \t\r\n"),
        _multipart(TEXT, PROGRAM.replace(b"base64\r\n", b"BASE64 (comment)\r\n")),
    ],
    ids=["no end", "behind the end", "bare LF", "blanks behind the boundary", "letters of base64"],
)
def test_odd_makes_lose_nothing(data: bytes) -> None:
    assert _parts(data)["2"].kind == "exe"


def test_base64_with_junk_and_text_behind_padding() -> None:
    junk = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nTV*o=\r\nAAAA="
    (part,) = read_message(HEAD + junk).attachments
    assert part.size_bytes == 5


def test_a_forwarded_message_is_opened() -> None:
    forwarded = (
        _multipart(TEXT, PROGRAM).replace(b"--x", b"--y").replace(b"boundary=x", b"boundary=y")
    )
    inner = b"Subject: [TOI MAT] bao cao\r\n" + forwarded
    data = _multipart(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner)
    content = read_message(data)
    assert [(a.part, a.kind) for a in content.attachments] == [("2", "message"), ("2.2", "exe")]
    assert [(m.value, m.place) for m in content.marks] == [("TỐI MẬT", "part 2 subject")]


def test_a_forwarded_document_is_the_document_of_the_message_that_carries_it() -> None:
    text = "SỞ XÂY DỰNG\r\nSố: 101/TB-SXD\r\nTHÔNG BÁO\r\n".encode()
    inner = b"From: c@d.vn\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
    content = read_message(_multipart(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner))
    assert content.found is not None
    assert content.found.notation == "101/TB-SXD"
    document = content.attachments[0].document
    assert document is not None
    assert document.is_agency_document


def test_a_message_as_a_file_is_opened() -> None:
    data = making.message(files=[("thu.eml", b"Received: x\r\n" + _multipart(TEXT, PROGRAM))])
    assert _parts(data)["2/2"].kind == "exe"


def test_files_in_the_text_itself() -> None:
    text = b"Subject: x\r\n\r\nbegin 644 a.exe\r\n#35H \r\n`\r\nend\r\n"
    assert list(uuencoded_files(text)) == [("a.exe", b"MZ\0")]
    assert _parts(HEAD + text)["1/a.exe"].name == "a.exe"


def test_more_files_in_the_text_than_anybody_sends() -> None:
    text = b"Subject: x\r\n\r\n" + b"begin 644 a\r\nend\r\n" * 3000
    found = read_message(HEAD + text).attachments
    assert (found[-1].state, found[-1].why) == ("bomb", "more than 1000 files")


def test_a_program_shown_as_text_is_a_program() -> None:
    data = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert _parts(data + base64.encodebytes(making.PROGRAM))["1"].kind == "exe"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (b"Content-Type: message/partial; id=1; number=1\r\n\r\nx", "fragment of a message"),
        (b"Content-Type: message/external-body\r\n\r\nx", "content lies elsewhere"),
        (
            b"Content-Type: a/b\r\nContent-Transfer-Encoding: x-secret\r\n\r\nx",
            "unknown transfer encoding",
        ),
    ],
)
def test_what_can_not_be_had_is_never_clean(part: bytes, why: str) -> None:
    found = _parts(_multipart(TEXT, part))["2"]
    assert (found.state, found.why) == ("unscannable", why)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((b"boundary=x", b"boundary=x; boundary=y"), "two boundary parameters"),
        ((b"boundary=x", b"charset=x"), "multipart without boundary"),
        ((b"boundary=x", b"boundary=z"), "multipart whose boundary does not occur"),
        (
            (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"),
            "two Content-Type fields",
        ),
    ],
)
def test_two_readings_are_named(change: tuple[bytes, bytes], fault: str) -> None:
    assert fault in read_message(_multipart(TEXT, PROGRAM).replace(*change)).malformed


def _two_cuts(content_type: bytes, one: bytes, other: bytes) -> bytes:
    """A multipart with parts at two boundaries; which of them show depends on the program."""
    pieces = [
        b"--%b\r\n%b\r\n--%b--\r\n" % (cut, part, cut)
        for cut, part in ((one, TEXT), (other, PROGRAM))
    ]
    return HEAD + b"Content-Type: " + content_type + b"\r\n\r\n" + b"".join(pieces)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            _two_cuts(b'multipart/mixed; boundary="=?us-ascii?q?x?="', b"x", b"=?us-ascii?q?x?="),
            "boundary with two readings",
        ),
        (
            _two_cuts(b"multipart/mixed; boundary=y (z)", b"y (z)", b"y"),
            "boundary with two readings",
        ),
        (
            _two_cuts(b'multipart/mixed; boundary="a\\bc"', b"abc", b"a\\bc"),
            "boundary with two readings",
        ),
        (
            _two_cuts(b'multipart/mixed; boundary="y"x', b"y", b"x"),
            "boundary with two readings",
        ),
        (
            _two_cuts(b"multipart/mixed; boundary*=us-ascii''x; boundary=y", b"x", b"y"),
            "two boundary parameters",
        ),
        (
            _two_cuts(b"multipart/mixed; boundary*0=x; boundary=y", b"x", b"y"),
            "two boundary parameters",
        ),
        (
            _two_cuts(b"multipart/mixed; (; boundary=x;) boundary=y", b"x", b"y"),
            "two boundary parameters",
        ),
        (_two_cuts(b"(c) multipart/mixed; boundary=x", b"x", b"x"), "comment in Content-Type"),
        (_two_cuts(b'"multipart/mixed"; boundary=x', b"x", b"x"), "comment in Content-Type"),
        (
            _two_cuts(b"multipart/mixed; boundary=x", b"x", b"xy"),
            "line that only begins like a boundary",
        ),
    ],
)
def test_parts_that_only_some_programs_show_are_refused(data: bytes, fault: str) -> None:
    assert read_message(data).malformed == (fault,)


def test_a_boundary_that_begins_with_another_has_one_reading() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=xy\r\n\r\n--xy\r\n" + PROGRAM + b"\r\n--xy--"
    content = read_message(_multipart(TEXT, inner))
    assert content.malformed == ()
    assert content.attachments[0].kind == "exe"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: message/news\r\n\r\n",
        b"Content-Type: multipart/digest; boundary=y\r\n\r\n--y\r\n\r\n",
    ],
)
def test_other_ways_to_carry_a_message_are_opened(head: bytes) -> None:
    content = read_message(HEAD + head + b"Subject: x\r\n" + PROGRAM)
    assert [attachment.kind for attachment in content.attachments] == ["message", "exe"]


def test_an_encoded_multipart_is_opened() -> None:
    head = b"Content-Type: multipart/mixed; boundary=y\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    data = HEAD + head + base64.encodebytes(b"--y\r\n" + PROGRAM + b"\r\n--y--\r\n")
    assert _parts(data)["1"].kind == "exe"


def test_faults_inside_a_returned_message_are_not_ours() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nFrom: a\r\nFrom: b\r\nno field\r\n\r\nx"
    assert read_message(_multipart(TEXT, inner)).malformed == ()


# Hostile sizes


def _nested(depth: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(depth)
    )
    return HEAD + opening + TEXT


HOSTILE = {
    "nested 10,000 deep": (_nested(10_000), "parts nested too deeply"),
    "messages nested 2,000 deep": (
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 2000,
        "parts nested too deeply",
    ),
    "50,000 parts": (_multipart(*[b"\r\na"] * 50_000), "too many parts"),
    "many boundaries that never come": (
        _multipart(
            *[b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n\r\n--a" % n for n in range(900)]
        ),
        "multipart whose boundary does not occur",
    ),
    "one endless line": (HEAD + b"\r\n" + b"a" * (1 << 20), "line too long"),
    "endless header": (HEAD + b"X: y\r\n" * 100_000, "header block too large"),
    "too many fields": (HEAD + b"X: y\r\n" * 2000 + b"\r\n", "too many header fields"),
    "too many addresses": (HEAD + b"To: " + b"a@b.vn,\r\n " * 3000 + b"\r\n", "too many addresses"),
    "one endless field": (HEAD + b"X: " + b"y\r\n " * 60_000 + b"\r\n", "header field too long"),
    "lines of hyphens": (HEAD + b"\r\n" + b"--\n" * 300_000, "too many delimiter lines"),
    "larger than the limit": (HEAD + b"\r\n" + b"a\r\n" * (12 << 20), "message too large"),
}


@pytest.mark.parametrize(("data", "fault"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_makes_are_bounded(data: bytes, fault: str) -> None:
    start = time.process_time()
    content = read_message(data)
    assert time.process_time() - start < 2
    assert fault in content.malformed
    assert content.size_bytes == len(data)


@given(st.lists(st.sampled_from([b"--x", b"--x--", b"\r\n", b"\n", b"a", TEXT, b" "]), max_size=30))
@settings(max_examples=200)
def test_any_order_of_delimiters_is_read(pieces: list[bytes]) -> None:
    head = HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    tree = read_parts(head + b"".join(pieces), Limits())
    assert sum(1 for _ in tree.root.walk()) <= len(pieces) + 1


def test_a_message_that_breaks_a_limit_still_tells_who_sent_it() -> None:
    content: Content = read_message(HEAD + b"\r\n" + b"a" * (1 << 20))
    assert content.header.from_[0].address == "a@b.vn"
    assert content.unscannable == "line too long"


OUTSIDE = "Đề nghị các đơn vị báo cáo kết quả thực hiện trước ngày quy định để tổng hợp."


@pytest.mark.parametrize("where", ["before", "behind", "between"])
def test_what_stands_outside_the_parts_is_read(where: str) -> None:
    hidden = b"M\xcbT\r\n" + tcvn3(OUTSIDE.lower()) + b"\r\n"
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nXin xem.\r\n"
    before, between, behind = (
        hidden if where == one else b"" for one in ("before", "between", "behind")
    )
    closed = b"--b--\r\n" + between if between else b""
    data = (
        b"From: a@b.vn\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + before + part + closed + part + b"--b--\r\n" + behind
    )  # fmt: skip
    content = read_message(data)
    assert [(text.encoding, text.place) for text in content.texts] == [("tcvn3", "body preamble")]
    assert [(mark.value, mark.certain) for mark in content.marks] == [("MẬT", True)]


def test_a_file_outside_the_parts_is_a_file() -> None:
    packed = b"begin 644 a.exe\r\n" + binascii.b2a_uu(b"MZ" + bytes(40)) + b"\r\nend\r\n"
    data = (
        b"From: a@b.vn\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + packed
        + b"--b\r\n\r\nXin xem.\r\n--b--\r\n"
    )  # fmt: skip
    assert [attachment.name for attachment in read_message(data).attachments] == ["a.exe"]


def test_the_usual_words_before_the_parts_say_nothing() -> None:
    data = (
        b"From: a@b.vn\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"This is a multi-part message in MIME format.\r\n--b\r\n\r\nXin xem.\r\n--b--\r\n"
    )
    content = read_message(data)
    assert (content.texts, content.marks, content.malformed) == ((), (), ())
