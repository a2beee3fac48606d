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


# Names as they come: Vietnamese syllables, words of other peoples, anything at all.
SYLLABLES = (
    "Nguyễn",
    "Đặng",
    "Ỷ",
    "Ý",
    "Thị",
    "H'Hen",
    "Niê",
    "Y",
    "Ksor",
    "Ðỗ",
    "Công-Tằng",
    "Hà",
)
NAMES = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(SYLLABLES), min_size=1, max_size=12).map(" ".join),
)
ANY_SCHEME = st.sampled_from(list(naming.SCHEMES))
UNITS = st.one_of(st.sampled_from(("", "SNV", "CĐS", "UBND")), st.text(max_size=70))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["local"] or "by-hand")
def test_local_part_of_a_person(case: dict[str, str]) -> None:
    how = (naming.require_scheme(case.get("scheme", "given-initials")), case.get("unit", ""))
    assert naming.local_part(case["name"], *how) == case["local"]
    assert naming.local_part(unicodedata.normalize("NFD", case["name"]), *how) == case["local"]


@given(NAMES, ANY_SCHEME, UNITS)
@settings(max_examples=200, deadline=None)
def test_whatever_the_name_the_local_part_can_be_used(
    name: str, scheme: naming.Scheme, unit: str
) -> None:
    local = naming.local_part(name, scheme, unit)
    if local:
        naming.require_local_part(local, "office")
        assert 3 <= len(local) <= 60
        assert local.isascii()


@given(NAMES, ANY_SCHEME, UNITS, st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_however_many_bear_a_name_each_gets_a_form_of_their_own(
    name: str, scheme: naming.Scheme, unit: str, bearers: int
) -> None:
    local = naming.local_part(name, scheme, unit)
    if not local:
        return
    forms = list(islice(naming.free_forms(local, unit), bearers))
    assert len({local, *forms}) == bearers + 1
    for form in forms:
        naming.require_local_part(form, "office")
        assert len(form) <= 64


@given(NAMES, ANY_SCHEME)
@settings(max_examples=100, deadline=None)
def test_marks_case_and_spaces_make_no_other_address(name: str, scheme: naming.Scheme) -> None:
    plain = naming.local_part(name, scheme)
    for other in (unicodedata.normalize("NFD", name), f"  {name.replace(' ', '   ')} "):
        assert naming.local_part(other, scheme) == plain


def test_a_scheme_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="address-scheme-not-valid"):
        naming.require_scheme("surname-first")
    for scheme, example in naming.SCHEMES.items():
        assert naming.local_part("Nguyễn Thị Minh Hà", scheme, "SNV") == example


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
    assert naming.person_name("\u00d0ặng Thị Hoa") == "Đặng Thị Hoa"


@pytest.mark.parametrize("name", ["", "A", "An <b>", "An\x1b[31m", "1234", "A" * 81, "=cmd()"])
def test_what_is_no_name_of_a_person(name: str) -> None:
    with pytest.raises(InputError, match="person-name-not-valid"):
        naming.person_name(name)
