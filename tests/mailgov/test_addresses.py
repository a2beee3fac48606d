"""Addresses: one strict reading, made at the edge."""

import time
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.addresses import Address, is_within, parse_domain
from mailgov.errors import InputError

CASES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("addresses.toml").read_text("utf-8")
)["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_form_is_read_in_one_way_or_refused(case: dict[str, Any]) -> None:
    if "is" not in case:
        with pytest.raises(InputError, match="address-not-valid"):
            Address.parse(case["text"])
        return
    address = Address.parse(case["text"])
    assert [address.local, address.domain] == case["is"]
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("local", "domain", "fits"),
    [
        (64, 20, True),  # RFC 5321, 4.5.3.1.1
        (65, 20, False),
        (64, 189, True),  # 254 in all, RFC 5321, 4.5.3.1.3
        (64, 190, False),
        (1, 252, True),
        (1, 253, False),
    ],
)
def test_lengths_at_the_limit(local: int, domain: int, fits: bool) -> None:
    name = ("a" * 61 + ".") * 4
    text = f"{'x' * local}@{name[: domain - 3].rstrip('.').ljust(domain - 3, 'b')}.vn"
    assert len(text) == local + 1 + domain
    assert _is_read(text) is fits


@pytest.mark.parametrize(("letters", "fits"), [(63, True), (64, False)])
def test_a_label_has_63_letters(letters: int, fits: bool) -> None:
    assert _is_read(f"an@{'a' * letters}.vn") is fits


@pytest.mark.parametrize(("letters", "fits"), [(21, True), (22, False)])
def test_the_local_part_is_measured_in_octets(letters: int, fits: bool) -> None:
    assert _is_read(f"{'ệ' * letters}@vidu.gov.vn") is fits


def _is_read(text: str) -> bool:
    try:
        Address.parse(text)
    except InputError:
        return False
    return True


@pytest.mark.parametrize(
    "text", ["a" * 5_000_000, "@" * 200_000, '"' + "\\" * 500_000, "a@" * 99_999]
)
def test_long_texts_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    assert not _is_read(text)
    assert time.process_time() - started < 1


@pytest.mark.source
def test_the_document_speaks_of_every_form() -> None:
    document = Path(__file__).parents[2].joinpath("docs", "addresses.md").read_text("utf-8")
    assert [case["name"] for case in CASES if f"| {case['name']} |" not in document] == []


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
