"""Addresses: one strict reading, made at the edge."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.addresses import Address, is_within, parse_domain
from mailgov.errors import InputError


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("annv@sonoivu.tinhmau.gov.vn", "annv", "sonoivu.tinhmau.gov.vn"),
        ("AnNV@SoNoiVu.TinhMau.GOV.VN", "AnNV", "sonoivu.tinhmau.gov.vn"),
        ("a.b+c=d@vidu.gov.vn", "a.b+c=d", "vidu.gov.vn"),
        ('"an van"@vidu.gov.vn', "an van", "vidu.gov.vn"),
        (r'"a\"b\\c"@vidu.gov.vn', r'a"b\c', "vidu.gov.vn"),
        ("ân@vidu.gov.vn", "ân", "vidu.gov.vn"),
        ("an@tỉnhmẫu.vn", "an", "xn--tnhmu-c31boi.vn"),
    ],
)
def test_an_address_is_read_into_its_one_form(text: str, local: str, domain: str) -> None:
    address = Address.parse(text)
    assert (address.local, address.domain) == (local, domain)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "an",
        "@vidu.gov.vn",
        "an@",
        "an@vn",
        "an@vidu..vn",
        "an@-vidu.vn",
        "an@vidu_.vn",
        "an@vidu.gov.vn.",
        "an@[127.0.0.1]",
        "an@127.0.0.1",
        "an b@vidu.gov.vn",
        ".an@vidu.gov.vn",
        "an.@vidu.gov.vn",
        "a..n@vidu.gov.vn",
        '"an@vidu.gov.vn',
        "an(comment)@vidu.gov.vn",
        "<an@vidu.gov.vn>",
        "@a.vn,@b.vn:an@vidu.gov.vn",
        "an@vidu.gov.vn\r\nRCPT TO:<x@y.vn>",
        "a\x00n@vidu.gov.vn",
        "a\x7fn@vidu.gov.vn",
        "an\u202e@vidu.gov.vn",
        "a" * 65 + "@vidu.gov.vn",
        "an@" + "a." * 130 + "vn",
        "an@" + "a" * 64 + ".vn",
    ],
)
def test_what_has_no_single_reading_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="address-not-valid"):
        Address.parse(text)


def test_our_own_mailboxes_are_found_without_case() -> None:
    assert Address.parse("AnNV@Vidu.gov.vn").key == Address.parse("annv@vidu.GOV.vn").key


def test_only_addresses_beyond_ascii_need_the_extension() -> None:
    assert Address.parse("ân@vidu.gov.vn").needs_smtputf8
    assert not Address.parse("an@tỉnhmẫu.vn").needs_smtputf8


@pytest.mark.parametrize(
    ("domain", "inside"),
    [("gov.vn", True), ("a.gov.vn", True), ("agov.vn", False), ("gov.vn.example.com", False)],
)
def test_a_suffix_holds_whole_labels(domain: str, inside: bool) -> None:
    assert is_within(domain, ("gov.vn",)) is inside


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_and_reading_is_stable(text: str) -> None:
    try:
        address = Address.parse(text)
    except InputError:
        return
    assert Address.parse(str(address)) == address
    assert parse_domain(address.domain) == address.domain
    assert not any(c in str(address) for c in "\r\n\0")


@pytest.mark.corpus
def test_the_public_suite_agrees_on_what_is_no_address(corpus: Path) -> None:
    """Errors are refused; what is valid without oddities is read, but for names of one label."""
    tree = ElementTree.parse(corpus / "third-party/smtp/isemail/tests.xml")
    wrong = []
    for case in tree.iter("test"):
        # The suite writes control characters as their pictures, U+2400 onwards.
        text = "".join(
            chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2421 else c
            for c in case.findtext("address") or ""
        )
        category = case.findtext("category")
        one_label = "." not in text.rpartition("@")[2]
        try:
            Address.parse(text)
            read = True
        except InputError:
            read = False
        if category == "ISEMAIL_ERR" and read:
            wrong.append(text)
        if category in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN") and not (read or one_label):
            wrong.append(text)
    assert wrong == []
