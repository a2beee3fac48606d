"""Look-alikes and claimed names: whatever strangers write is read without failing, and in time."""

import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgov_policies.lookalike import fold, imitated, is_foreign_government
from mailgov_policies.state_names import agency_claimed

SUFFIXES = ("gov.vn", "chinhphu.vn")
AGENCIES = ("tinhmau.gov.vn", "sonoivu.tinhmau.gov.vn")

_labels = st.text("abgovnm01-.а", max_size=40) | st.text(max_size=60)


@settings(max_examples=300, deadline=None)
@given(domain=_labels)
@example("")
@example(".")
@example("xn--.vn")
@example("xn--999999999.gov.vn")
@example("a." * 500 + "vn")
def test_any_text_is_read_as_a_domain(domain: str) -> None:
    assert isinstance(imitated(domain, SUFFIXES, AGENCIES), str)
    assert isinstance(is_foreign_government(domain), bool)


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=600), domain=_labels)
def test_any_text_is_read_as_a_display_name(name: str, domain: str) -> None:
    assert isinstance(agency_claimed(name, domain, SUFFIXES), str)


def test_our_own_domains_and_those_below_official_suffixes_are_honest() -> None:
    for domain in (*AGENCIES, "bomau.gov.vn", "xa.tanlap.tinhmau.gov.vn", "chinhphu.vn"):
        assert imitated(domain, SUFFIXES, AGENCIES) == ""


def test_letters_drawn_alike_fold_together() -> None:
    assert fold("tinhrnau") == fold("tinhmau")
    assert fold("tіnhmаu") == fold("tinhmau")  # Cyrillic і and а
    assert fold("G0V") == fold("gov")
    assert fold("Đà Nẵng") == fold("da nang")
    assert fold("tanlap") != fold("tanlop")


def test_a_long_hostile_name_costs_little() -> None:
    started = time.process_time()
    agency_claimed("ubnd@" * 100_000, "a.test", SUFFIXES)
    imitated("gov-" * 10_000 + ".vn", SUFFIXES, AGENCIES)
    assert time.process_time() - started < 1
