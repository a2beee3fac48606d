"""From bytes to verdict: innocent words stop no mail, and no way of writing hides a mark."""

import tomllib
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest

from mailgov_policies import Action, Verdict

from .letters import DOCUMENTS, NAMES, TITLES, letter, verdict_on

WORDS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "samples" / "words.toml").read_text("utf-8")
)
# Rules about other things than words; what is made here has the marks of a document and no signature.
ASIDE = {"unsigned-needs-scan", "page-format", "subject-line", "diacritics", "duplicate-document"}
FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def _seen(verdict: Verdict) -> list[tuple[str, str]]:
    return [(f.code, f.where) for f in verdict.findings if f.action and f.code not in ASIDE]


@pytest.mark.parametrize("text", WORDS["innocent"])
def test_innocent_words_are_not_even_marked(text: str) -> None:
    found = {
        place: seen
        for place in (*DOCUMENTS, *NAMES)
        if (seen := _seen(verdict_on(letter(place, text))))
    }
    assert found == {}


@pytest.mark.parametrize("text", WORDS["innocent_names"])
def test_innocent_names(text: str) -> None:
    found = {place: seen for place in NAMES if (seen := _seen(verdict_on(letter(place, text))))}
    assert found == {}


@pytest.mark.parametrize("text", WORDS["mentioned"])
def test_what_only_speaks_of_secrets_is_delivered(text: str) -> None:
    for place in (*DOCUMENTS, *NAMES):
        verdict = verdict_on(letter(place, text))
        assert verdict.delivers, place
        assert "secret-mark" in verdict.labels, place


def _refused(place: str, text: str, mark: str) -> list[str]:
    """The forms in which the mark is not refused."""
    wrong = []
    for form in FORMS:
        verdict = verdict_on(letter(place, unicodedata.normalize(form, text)))
        values = {f.evidence["mark"] for f in verdict.findings if f.code == "secret-mark"}
        if (verdict.action, verdict.code) != (Action.REJECT, "secret-mark") or mark not in values:
            wrong.append(f"{place} {form}: {verdict.action.label} {verdict.code} {values}")
    return wrong


@pytest.mark.parametrize(("text", "mark"), WORDS["marks"], ids=lambda value: value)
def test_a_mark_is_refused_in_every_place(text: str, mark: str) -> None:
    wrong = [told for place in (*DOCUMENTS, *TITLES) for told in _refused(place, text, mark)]
    assert wrong == []


@pytest.mark.parametrize(("text", "mark"), WORDS["stamps"], ids=lambda value: value)
def test_a_stamp_is_refused_in_every_kind_of_document(text: str, mark: str) -> None:
    columns = "\t" in text or "  " in text  # HTML shows a single space there
    places = [place for place in DOCUMENTS if not (columns and place == "HTML")]
    wrong = [told for place in places for told in _refused(place, text, mark)]
    assert wrong == []
