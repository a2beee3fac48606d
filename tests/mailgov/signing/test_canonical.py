"""Canonical forms: as RFC 6376 says, as dkimpy has them, in any pieces, at linear cost."""

import time
from collections.abc import Callable, Iterator

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from mailgov.signing.canonical import (
    BodyForm,
    RelaxedBody,
    SimpleBody,
    body_chunks,
    relaxed_field,
    split_fields,
)

BODIES = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"  ", b"\r\n\r\n"])).map(
    b"".join
)
SIZES = st.integers(1, 7)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def run(form: BodyForm, data: bytes, size: int = 1 << 18) -> bytes:
    return b"".join([form.feed(piece) for piece in pieces(data, size)]) + form.end()


@given(data=BODIES, size=SIZES)
def test_bodies_are_as_dkimpy_has_them_in_any_pieces(data: bytes, size: int) -> None:
    assert run(RelaxedBody(), data, size) == Relaxed.canonicalize_body(data)
    assert run(SimpleBody(), data, size) == Simple.canonicalize_body(data)


@pytest.mark.parametrize(
    ("form", "data", "wanted"),
    [  # RFC 6376, 3.4.5 and 3.4.3
        (RelaxedBody, b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (SimpleBody, b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n"),
        (RelaxedBody, b"", b""),
        (SimpleBody, b"", b"\r\n"),
    ],
)
def test_the_examples_of_the_standard(
    form: Callable[[], BodyForm], data: bytes, wanted: bytes
) -> None:
    assert run(form(), data) == wanted


@pytest.mark.parametrize("form", [RelaxedBody, SimpleBody])
@pytest.mark.parametrize("data", [b"a\rb\r\n", b"a\nb\n", b"\r\r\n\r", b"\n\n \r"])
def test_bare_line_ends_are_kept_as_they_are(form: Callable[[], BodyForm], data: bytes) -> None:
    assert run(form(), data, 1).strip(b"\r\n") == data.strip(b"\r\n")


@pytest.mark.parametrize(
    "data",
    [b" " * 8_000_000, b"\t" * 8_000_000, b"\r\n" * 4_000_000 + b"x", b" \r\n" * 2_700_000],
    ids=["blanks", "tabs", "line ends", "blank lines"],
)
def test_no_body_costs_more_than_its_size(data: bytes) -> None:
    began = time.process_time()
    run(RelaxedBody(), data)
    assert time.process_time() - began < 2  # a tenth of it here; dkimpy would take hours


def test_fields_keep_their_folds_and_junk_is_left_out() -> None:
    header = b"From mbox line\r\nA: 1\r\n\tfolded\r\nB:2\r\n\r\nC: body\r\n"
    assert split_fields(header) == [(b"A", b" 1\r\n\tfolded\r\n"), (b"B", b"2\r\n")]
    assert split_fields(b"") == []
    assert split_fields(b"\r\nA: body\r\n") == []


def test_relaxed_fields_are_those_of_the_standard() -> None:
    assert relaxed_field((b"A", b" X\r\n")) == b"a:X\r\n"
    assert relaxed_field((b"B ", b" Y\t\r\n\tZ  \r\n")) == b"b:Y Z\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"A: 1\r\n\r\nbody\r\n\r\nmore", b"body\r\n\r\nmore"),
        (b"\r\nbody", b"body"),
        (b"A: 1\r\n\r\n", b""),
        (b"A: 1\r\n", b""),
        (b"", b""),
    ],
)
def test_the_body_begins_after_the_first_empty_line(message: bytes, body: bytes, size: int) -> None:
    assert b"".join(body_chunks(pieces(message, size))) == body
