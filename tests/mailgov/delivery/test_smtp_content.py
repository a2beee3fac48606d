"""What the DATA phase sends, whatever the pieces the message comes in."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.delivery.transports.smtp_content import Demands, demands, stuffed

WORDS = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b"\r\n.\r\n", "ệ".encode()]))
SIZES = st.integers(1, 9)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(words=WORDS, size=SIZES)
def test_dots_at_line_starts_are_doubled_and_only_those(words: list[bytes], size: int) -> None:
    data = b"".join(words)
    sent = b"".join(stuffed(pieces(data, size)))
    lines = data.split(b"\r\n")
    wanted = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    assert sent == (wanted if not wanted or wanted.endswith(b"\r\n") else wanted + b"\r\n")


@given(words=WORDS, size=SIZES)
def test_nothing_that_is_sent_ends_the_message_early(words: list[bytes], size: int) -> None:
    sent = b"".join(stuffed(pieces(b"".join(words), size)))
    assert b"\r\n.\r\n" not in b"\r\n" + sent


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"Subject: x\r\n\r\nplain\r\n", Demands()),
        (b"", Demands()),
        (b"\r\nno header\r\n", Demands()),
        ("Subject: Họp\r\n\r\nplain\r\n".encode(), Demands(utf8_header=True)),
        ("Subject: x\r\n\r\nHọp\r\n".encode(), Demands(eight_bit_body=True)),
        ("\r\nHọp\r\n".encode(), Demands(eight_bit_body=True)),
        ("X: Họp\r\n\r\nHọp\r\n".encode(), Demands(utf8_header=True, eight_bit_body=True)),
        (b"TLS-Required: No\r\n\r\n", Demands(tls_not_required=True)),
        (b"X: y\r\ntls-required:\r\n no \r\nZ: a\r\n\r\n", Demands(tls_not_required=True)),
        (b"TLS-Required: No, thanks\r\n\r\n", Demands()),
        (b"TLS-Required: Yes\r\n\r\n", Demands()),
        (b"TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", Demands()),
        (b"X: a\r\n TLS-Required: No\r\nX-TLS-Required: No\r\n\r\n", Demands()),
        (b"X: a\r\n\r\nTLS-Required: No\r\n", Demands()),
        (b"Subject: x\r\n\r\na\nb\r\n", Demands(bare_line_ends=True)),
        (b"Subject: x\r\n\r\na\rb\r\n", Demands(bare_line_ends=True)),
        (b"Subject: x\r\n\r\n\n\r.\r\n", Demands(bare_line_ends=True)),
    ],
)
def test_what_a_message_demands_of_its_server(data: bytes, wanted: Demands, size: int) -> None:
    assert demands(pieces(data, size)) == wanted
