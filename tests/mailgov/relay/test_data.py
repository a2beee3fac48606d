"""Bodies off the wire: dots, ends, line ends, lines, headers, sizes; in whatever blocks they come."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.relay.data import BodyCheck, BodyLimits, DotReader, Pace, has_bare_line_end

# Letters that matter, and one that does not.
WIRE = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a"]), max_size=40).map(
    b"".join
)


def limits(**changes: int | bool) -> BodyLimits:
    wanted = {
        "message_bytes": 1000,
        "drop_after_bytes": 100,
        "line_bytes": 80,
        "header_bytes": 300,
        "header_fields": 8,
        "field_bytes": 120,
        "received_hops": 3,
    }
    return BodyLimits(**{**wanted, **changes})  # type: ignore[arg-type]  # plain numbers


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    blocks = []
    for size in sizes:
        blocks.append(data[:size])
        data = data[size:]
    return [*blocks, data]


def read(blocks: Iterable[bytes]) -> tuple[bytes, DotReader]:
    dots = DotReader()
    text = b""
    for block in blocks:
        if dots.ended:
            dots.rest += block
        else:
            text += dots.feed(block)
    return text, dots


def check(blocks: Iterable[bytes], **changes: int | bool) -> tuple[bytes, BodyCheck]:
    body = BodyCheck(limits(**changes))
    stored = b"".join([body.feed(block) for block in blocks])
    return stored + body.finish(), body


def stuffed(text: bytes) -> bytes:
    """What a client sends for lines of text (RFC 5321, 4.5.2)."""
    return re.sub(rb"(?:\A|(?<=\r\n))\.", b"..", text) + b".\r\n"


def folded(octets: int) -> bytes:
    """A header field of so many octets, in lines that are not too long."""
    return b"X: 1\r\n " + b"y" * 50 + b"\r\n " + b"y" * (octets - 62) + b"\r\n"


class TestDots:
    @pytest.mark.parametrize(
        ("wire", "text"),
        [
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"...\r\n.\r\n", b"..\r\n"),
            (b".a\r\n.\r\n", b"a\r\n"),
            (b"a\r\n..b\r\n\r\n.\r\n", b"a\r\n.b\r\n\r\n"),
            (b"a.\r\n.\r\n", b"a.\r\n"),
            (b"a\n.\r\n\r\n.\r\n", b"a\n.\r\n\r\n"),
            (b"a\r.\r\n.\r\n", b"a\r.\r\n"),
            (b"\r\n.\r\n", b"\r\n"),
        ],
    )
    def test_are_taken_away_exactly(self, wire: bytes, text: bytes) -> None:
        for size in range(1, len(wire) + 1):
            blocks = [wire[at : at + size] for at in range(0, len(wire), size)]
            found, dots = read([*blocks, b"NOOP\r\n"])
            assert found == text
            assert dots.ended
            assert dots.rest == b"NOOP\r\n"

    @given(WIRE, st.lists(st.integers(0, 9), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_blocks_make_no_difference(self, wire: bytes, sizes: list[int]) -> None:
        whole, whole_dots = read([wire + b"\r\n.\r\nrest"])
        parts, parts_dots = read(cut(wire + b"\r\n.\r\nrest", sizes))
        assert whole_dots.ended
        assert parts_dots.ended
        assert (parts, parts_dots.rest) == (whole, whole_dots.rest)

    @given(st.lists(st.text("a. \x00é", max_size=6), max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_what_was_stuffed_comes_back(self, lines: list[str]) -> None:
        text = b"".join(line.encode() + b"\r\n" for line in lines)
        found, dots = read([stuffed(text)])
        assert found == text
        assert dots.rest == b""


class TestLineEnds:
    @given(WIRE)
    @settings(deadline=None)
    def test_are_bare_when_a_pair_is_not_whole(self, text: bytes) -> None:
        text = text.rstrip(b"\r")
        assert has_bare_line_end(text) == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", text))

    @given(WIRE, st.lists(st.integers(0, 9), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_are_judged_alike_in_any_blocks(self, text: bytes, sizes: list[int]) -> None:
        whole, whole_check = check([text])
        parts, parts_check = check(cut(text, sizes))
        assert parts_check.refusal == whole_check.refusal
        if not whole_check.refusal:
            assert parts == whole

    @given(WIRE, st.lists(st.integers(0, 9), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_are_repaired_alike_in_any_blocks(self, text: bytes, sizes: list[int]) -> None:
        wanted = re.sub(rb"\r\n|\r|\n", b"\r\n", text)
        if wanted and not wanted.endswith(b"\r\n"):
            wanted += b"\r\n"
        mended, body = check(cut(text, sizes), normalise=True)
        assert mended == wanted
        assert body.size_bytes == len(wanted)

    def test_the_last_is_added_when_a_chunk_has_none(self) -> None:
        assert check([b"a: b\r\n\r\nend"])[0] == b"a: b\r\n\r\nend\r\n"


class TestLimits:
    @pytest.mark.parametrize(("letters", "refusal"), [(79, ""), (80, ""), (81, "line-too-long")])
    @pytest.mark.parametrize("block", [1, 7, 80, 82, 83, 1000])
    def test_of_a_line(self, letters: int, refusal: str, block: int) -> None:
        text = b"a: b\r\n\r\nshort\r\n" + b"x" * letters + b"\r\nshort\r\n"
        blocks = [text[at : at + block] for at in range(0, len(text), block)]
        assert check(blocks)[1].refusal == refusal

    @pytest.mark.parametrize(("letters", "refusal"), [(80, ""), (81, "line-too-long")])
    def test_of_a_last_line_without_end(self, letters: int, refusal: str) -> None:
        assert check([b"\r\n" + b"x" * letters])[1].refusal == refusal

    @pytest.mark.parametrize(
        ("size", "refusal"), [(999, ""), (1000, ""), (1001, "message-too-big")]
    )
    def test_of_the_message(self, size: int, refusal: str) -> None:
        text = (b"\r\n" + b"x" * 38) * 30
        stored, body = check([text[: size - 2] + b"\r\n"])
        assert body.refusal == refusal
        assert len(stored) == (0 if refusal else size)
        assert not body.hopeless

    def test_far_beyond_the_message(self) -> None:
        body = BodyCheck(limits())
        body.feed(b"x\r\n" * 366)
        assert not body.hopeless
        body.feed(b"x\r\n")
        assert body.hopeless

    @pytest.mark.parametrize(
        ("header", "refusal"),
        [
            (b"Received: a\r\n" * 3, ""),
            (b"Received: a\r\n" * 4, "too-many-hops"),
            (b"rEcEiVeD :a\r\n" * 4, "too-many-hops"),
            (b"X: 1\r\n received: a\r\n" * 4, ""),
            (b"X: 1\r\n" * 8, ""),
            (b"X: 1\r\n" * 9, "header-too-big"),
            (b"X: 1\r\n y\r\n" * 8, ""),
            (folded(119), ""),
            (folded(120), ""),
            (folded(121), "header-too-big"),
            (b"A: 1\r\n" + folded(120) + b"B: 1\r\n", ""),
            (b"A: 1\r\n" + folded(121) + b"B: 1\r\n", "header-too-big"),
            ((b"X: " + b"y" * 45 + b"\r\n") * 6, ""),
            ((b"X: " + b"y" * 46 + b"\r\n") * 6, "header-too-big"),
        ],
    )
    def test_of_the_header(self, header: bytes, refusal: str) -> None:
        for block in (1, 3, 64, 1000):
            text = header + b"\r\nReceived: in the body\r\n" * 4
            blocks = [text[at : at + block] for at in range(0, len(text), block)]
            assert check(blocks)[1].refusal == refusal

    def test_of_a_header_that_never_ends(self) -> None:
        assert check([b"X: 1\r\n" * 7 + b"y\r\n" * 100])[1].refusal == "header-too-big"
        assert check([b"Received: 1\r\n" * 4])[1].refusal == "too-many-hops"


class TestPace:
    def test_a_slow_but_steady_sender_is_let_be(self) -> None:
        pace = Pace(500, now=0.0)
        assert not any(pace.too_slow(500, float(second)) for second in range(1, 300))

    def test_a_trickle_is_not(self) -> None:
        pace = Pace(500, now=0.0)
        assert [second for second in range(1, 100) if pace.too_slow(1, float(second))] == [60]
