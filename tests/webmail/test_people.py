"""What people type into a box of recipients."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov_webmail.people import Recipient, as_typed, read_typed, without

A, B = "a@x.gov.vn", "b@x.gov.vn"


@pytest.mark.parametrize(
    ("typed", "addresses", "wrong"),
    [
        ("", [], []),
        (A, [A], []),
        (f"{A}, {B}", [A, B], []),
        (f"{A};{B};", [A, B], []),
        (f"{A}\n{B}\r\n\r\n", [A, B], []),
        (f"{A}, {A.upper()}", [A], []),
        (f"Trần Thị B <{B}>", [B], []),
        (f"Trần Thị B, Sở Nội vụ <{B}>, {A}", [B, A], []),
        (f'"Trần, B" <{B}>', [B], []),
        (f"< {B} >", [B], []),
        (f"Nguyễn Văn A, {B}", [B], ["Nguyễn Văn A"]),
        ("văn thư sở", [], ["văn thư sở"]),
        ("a@", [], ["a@"]),
        (f"a@x.gov.vn b@x.gov.vn, {B}", [B], ["a@x.gov.vn b@x.gov.vn"]),
        (f"<{A}", [], [f"<{A}"]),
    ],
)
def test_typed(typed: str, addresses: list[str], wrong: list[str]) -> None:
    read = read_typed(typed)
    assert [str(person.address).lower() for person in read.recipients] == addresses
    assert list(read.wrong) == wrong


def test_one_recipient_leaves_the_others_as_they_were_typed() -> None:
    typed = f"Trần Thị B <{B}>, chưa xong, {A}"
    assert without(typed, A) == f"Trần Thị B <{B}>, chưa xong"
    assert without(typed, B.upper()) == f"chưa xong, {A}"


@settings(max_examples=60)
@given(
    st.lists(
        st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=30),
        max_size=5,
    )
)
def test_what_we_write_into_a_box_is_read_back(names: list[str]) -> None:
    people = tuple(
        Recipient(Address.parse(f"u{number}@x.gov.vn"), name) for number, name in enumerate(names)
    )
    assert read_typed(as_typed(people)).recipients == people
