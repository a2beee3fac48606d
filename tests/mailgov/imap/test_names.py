import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.imap import names


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"inbox", "INBOX"),
        (b"InBox/2026", "INBOX/2026"),
        (b"inboxes", "inboxes"),
        (b"V&AQM-n b&HqM-n &ARE-i", "Văn bản đi"),
        (b"A &- B", "A & B"),
    ],
)
def test_names_are_read(wire: bytes, name: str) -> None:
    assert names.decode(wire) == name


@pytest.mark.parametrize("wire", [b"V\xc4\x83n", b"V&AQM", b"&AGE-", b"&!-"])
def test_wrong_encodings_are_refused(wire: bytes) -> None:
    with pytest.raises(names.NameNotValid):
        names.decode(wire)


@pytest.mark.parametrize(
    "name", ["", "a.b", "..", "/a", "a/", "a//b", "a*", "50%", "a\nb", "~a", "a" * 241]
)
def test_names_that_nothing_can_bear(name: str) -> None:
    with pytest.raises(names.NameNotValid):
        names.require_valid(name)


@given(st.text(st.characters(min_codepoint=0x20, codec="utf-8"), min_size=1, max_size=60))
@settings(max_examples=200)
def test_valid_names_come_back_from_wire_and_disk(name: str) -> None:
    try:
        names.require_valid(name)
    except names.NameNotValid:
        return
    if not name.upper().startswith("INBOX"):
        assert names.decode(names.encode(name)) == name
        assert names.from_disk(names.on_disk(name)) == name


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
@settings(max_examples=400)
def test_patterns_fit_what_their_meaning_says(pattern: str, name: str) -> None:
    meaning = "".join({"*": ".*", "%": "[^/]*"}.get(sign, re.escape(sign)) for sign in pattern)
    assert names.matches(pattern, name) == (re.fullmatch(meaning, name) is not None)


def test_no_pattern_is_slow() -> None:
    # As a regular expression this would take longer than the universe has existed.
    assert not names.matches("%a" * 100 + "*a%*a%" * 20 + "b", "a" * 240)
