"""Parts, addresses and sections, where Dovecot and the corpus leave something to say."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.imap import mime, structure

NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
    for depth in range(200)
)


def test_depth_has_an_end() -> None:
    part, depth = mime.parse(NESTED), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == mime.MAX_DEPTH
    assert (part.main, part.sub) == (b"application", b"octet-stream")
    structure.body(NESTED, mime.parse(NESTED), extended=True)


def test_parts_have_an_end() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 2000
    assert not mime.parse(data).children


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain" + b";" * 60_000,
        b"Content-Type: text/plain" + b"; a" * 20_000,
        b"Content-Type: text/plain" + b'; a="' * 12_000,
        b"Content-Type: text/plain; a=" + b" " * 60_000,
        b"From: " + b"(" * 60_000,
        b"From: " + b'"' * 60_001,
        b"From: " + b"<" * 60_000,
        b"From: " + b"a@" * 30_000,
        b"Subject: " + b" \r\n" * 20_000,
    ],
    ids=lambda header: header[:30].decode() + "…" + header[-4:].decode(),
)
def test_no_header_is_slow(header: bytes) -> None:
    started = time.perf_counter()
    part = mime.parse(header + b"\r\n\r\nx")
    structure.envelope(part)
    assert time.perf_counter() - started < 1


@given(st.lists(st.sampled_from([
    b"Content-Type: multipart/mixed; boundary=", b"Content-Type: message/rfc822", b"a", b"b", b"\r\n",
    b"\r\n\r\n", b"\n", b"--a", b"--b", b"--a--", b"From: ", b'"', b"(", b"<x@y>", b",", b";", b":", b"\xc6\xb0",
]), max_size=40).map(b"".join))  # fmt: skip
@settings(max_examples=300)
def test_parts_lie_inside_each_other_whatever_comes(data: bytes) -> None:
    root = mime.parse(data)
    structure.envelope(root)
    structure.body(data, root, extended=True)
    waiting = [root]
    while waiting:
        part = waiting.pop()
        assert part.header_start <= part.body_start <= part.end
        inside = [*part.children, *([part.message] if part.message else [])]
        for child in inside:
            assert part.body_start <= child.header_start
            assert child.end <= part.end
        waiting += inside


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"an@vidu.gov.vn", [(None, None, b"an", b"vidu.gov.vn")]),
        (
            b'"Nguy\xe1\xbb\x85n, An" <an@vidu.gov.vn>',
            [("Nguyễn, An".encode(), None, b"an", b"vidu.gov.vn")],
        ),
        (b"an@vidu.gov.vn (An (phong 2))", [(b"An (phong 2)", None, b"an", b"vidu.gov.vn")]),
        (b"A <@x,@y:an@vidu.gov.vn>", [(b"A", b"@x,@y", b"an", b"vidu.gov.vn")]),
        (
            b"Phong ban: a@x.vn, b@x.vn;, c@x.vn",
            [
                (None, None, b"Phong ban", None),
                (None, None, b"a", b"x.vn"),
                (None, None, b"b", b"x.vn"),
                (None, None, None, None),
                (None, None, b"c", b"x.vn"),
            ],
        ),
        (b"MAILER-DAEMON <>", [(b"MAILER-DAEMON", None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]),
        (b"root", [(None, None, b"root", b"MISSING_DOMAIN")]),
        (b'"a b"@x.vn', [(None, None, b"a b", b"x.vn")]),
        (b",,;", []),
    ],
)
def test_addresses(value: bytes, found: list[structure.Address]) -> None:
    assert structure.read_addresses(value) == found
