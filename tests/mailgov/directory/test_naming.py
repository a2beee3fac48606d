"""Names: codes, local parts, the address scheme for people."""

import tomllib
import unicodedata
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.directory import naming
from mailgov.errors import InputError

CASES = tomllib.loads(Path(__file__).with_name("names.toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["local"] or "by-hand")
def test_local_part_of_a_person(case: dict[str, str]) -> None:
    assert naming.local_part(case["name"]) == case["local"]
    assert naming.local_part(unicodedata.normalize("NFD", case["name"])) == case["local"]


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_whatever_the_name_the_local_part_can_be_used(name: str) -> None:
    local = naming.local_part(name)
    if local:
        naming.require_local_part(local, "office")


def test_forms_for_a_taken_name_in_order() -> None:
    assert list(islice(naming.free_forms("hantm", "CĐS"), 3)) == ["hantm.cds", "hantm2", "hantm3"]
    assert list(islice(naming.free_forms("hantm"), 2)) == ["hantm2", "hantm3"]


@pytest.mark.parametrize("code", ["G90", "H99.02", "H01.151.02", "H99.ABCD"])
def test_codes_of_agencies(code: str) -> None:
    naming.require_code(code)


@pytest.mark.parametrize(
    "code", ["", "H9", "h99", "SNV", "H99.", "H99.ABCDE", "H99 02", "H99.02\n", "H99" + ".0123" * 7]
)
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(InputError, match="agency-code-not-valid"):
        naming.require_code(code)


@pytest.mark.parametrize("local", ["an", "an.nv", "vanthu_snv", "a-b", "x1"])
def test_local_parts(local: str) -> None:
    naming.require_local_part(local, "person")


@pytest.mark.parametrize("local", ["", ".an", "an.", "a..b", "Ấn", "AN", "a b", "a+b", "an/nv"])
def test_what_is_no_local_part(local: str) -> None:
    with pytest.raises(InputError, match="local-part-not-valid"):
        naming.require_local_part(local, "person")


@pytest.mark.parametrize("kind", ["person", "post", "shared"])
def test_reserved_names_are_for_offices(kind: str) -> None:
    naming.require_local_part("vanthu", "office")
    with pytest.raises(InputError, match="name-reserved"):
        naming.require_local_part("vanthu", kind)


def test_names_of_people_get_one_form() -> None:
    decomposed = unicodedata.normalize("NFD", "Nguyễn  Thị\u00a0Hà ")
    assert naming.person_name(decomposed) == "Nguyễn Thị Hà"
    assert naming.person_name("H'Hen Niê") == "H'Hen Niê"


@pytest.mark.parametrize("name", ["", "A", "An <b>", "An\x1b[31m", "1234", "A" * 81, "=cmd()"])
def test_what_is_no_name_of_a_person(name: str) -> None:
    with pytest.raises(InputError, match="person-name-not-valid"):
        naming.person_name(name)
