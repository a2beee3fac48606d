"""The header block as bytes: cut field by field, never re-written."""

from hypothesis import given
from hypothesis import strategies as st

from mailgov.content.header_block import HeaderBlock, split_header

MESSAGE = (
    b"Received: from a\r\n\tby b\r\nBcc: x@y.vn\r\nSubject: =?utf-8?q?m=E1=BA=ADt?=\r\n"
    b"Bcc : z@y.vn\r\nnot a field\r\n\r\nBcc: in the body\r\n"
)


def test_the_block_ends_at_the_empty_line() -> None:
    header = split_header(MESSAGE)
    assert header.raw + b"\r\nBcc: in the body\r\n" == MESSAGE


def test_fields_keep_their_folds_and_junk_has_no_name() -> None:
    assert [name for name, _ in split_header(MESSAGE).fields] == [
        b"received", b"bcc", b"subject", b"bcc", b"",
    ]  # fmt: skip
    assert split_header(MESSAGE).lines[0] == b"Received: from a\r\n\tby b\r\n"


def test_fields_are_taken_out_and_the_rest_keeps_its_bytes() -> None:
    header = split_header(MESSAGE)
    unwanted = frozenset(i for i, (name, _) in enumerate(header.fields) if name == b"bcc")
    assert header.without(unwanted).raw == (
        b"Received: from a\r\n\tby b\r\nSubject: =?utf-8?q?m=E1=BA=ADt?=\r\nnot a field\r\n"
    )


def test_a_message_may_have_no_header_or_nothing_else() -> None:
    assert split_header(b"\r\nbody").raw == b""
    assert split_header(b"Subject: x\r\n").raw == b"Subject: x\r\n"
    assert split_header(b"Subject: x").raw == b"Subject: x"


@given(st.binary(max_size=300))
def test_the_lines_are_the_block_whatever_comes(data: bytes) -> None:
    header = split_header(data)
    assert b"".join(header.lines) == header.raw
    assert data.startswith(header.raw)
    assert HeaderBlock(header.raw).without(frozenset()).raw == header.raw
