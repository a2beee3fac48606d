"""Documents are recognised by what they are, and declarations are read apart."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content.declared import declared
from mailgov.content.documents import best_of, in_document, in_file_name, in_subject, in_words
from mailgov.content.lines import Line, lines_of
from mailgov.content.runs import Run
from mailgov_policies.facts import Document

CASES = tomllib.loads((Path(__file__).parent / "vectors" / "documents.toml").read_text("utf-8"))


def _check(found: Document | None, want: dict[str, Any]) -> None:
    if not want:
        assert found is None
        return
    assert found is not None
    assert {key: getattr(found, key) for key in want} == want


@pytest.mark.parametrize("case", CASES["subject"], ids=lambda case: case["subject"])
def test_subjects(case: dict[str, Any]) -> None:
    _check(in_subject(case["subject"]), case["want"])


@pytest.mark.parametrize("case", CASES["file_name"], ids=lambda case: case["name"])
def test_file_names(case: dict[str, Any]) -> None:
    _check(in_file_name(case["name"], "file name 2"), case["want"])


@pytest.mark.parametrize("case", CASES["text"], ids=lambda case: case["name"])
def test_texts(case: dict[str, Any]) -> None:
    lines = lines_of([Run(text, str(at)) for at, text in enumerate(case["lines"])], 1000)
    _check(in_document(lines, (), "body"), case["want"])


@pytest.mark.parametrize(
    "case", CASES["declared"], ids=lambda case: case["field"] or case["subject"]
)
def test_declarations(case: dict[str, Any]) -> None:
    _check(declared(case["field"], case["subject"]), case["want"])


def test_signs_that_agree_make_sure() -> None:
    subject = Document(category="notice", type="thong-bao", place="subject", confidence=0.7)
    name = Document(category="notice", place="file name 2", confidence=0.6)
    other = Document(category="directive", place="part 2", confidence=0.8)
    found = best_of((subject, None, name, other))
    assert found is not None
    assert (found.category, found.place, found.confidence) == ("notice", "subject", 0.88)


def test_nothing_is_nothing() -> None:
    assert best_of((None, None)) is None


def test_words_of_a_body_say_its_purpose() -> None:
    found = in_words([Line("Kính mời đồng chí dự họp lúc 14 giờ.", "")])
    assert found is not None
    assert (found.category, found.words) == ("invitation", ("kính mời",))


def test_quoted_lines_are_not_what_the_message_is() -> None:
    assert in_words([Line("> Kính mời đồng chí dự họp", ""), Line("Vâng.", "")]) is None


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_is_read(text: str) -> None:
    in_subject(text)
    in_file_name(text, "file name 1")
    declared(text, text)
    in_document(lines_of([Run(text)], 100), (), "body")
