"""Whole messages are judged as they are labelled: action, reason, kind of document."""

from typing import Any

import pytest

from .labelled import judged, labelled


@pytest.mark.parametrize("case", labelled(), ids=lambda case: case["name"])
def test_a_labelled_message(case: dict[str, Any]) -> None:
    facts, verdict = judged(case)
    told = [(f.code, f.action.label, f.where) for f in verdict.findings if f.action]
    assert verdict.action.label == case["want"], told
    assert verdict.code in (case.get("code", ""), *case.get("also", ())), told
    if kind := case.get("kind"):
        document = facts.content.document
        assert document is not None
        assert document.category == kind
