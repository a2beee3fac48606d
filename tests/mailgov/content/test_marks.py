"""Marks are found however they are written, innocent words never."""

import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content.lines import Line, lines_of
from mailgov.content.marks import in_lines
from mailgov.content.runs import Run
from mailgov.content.title_marks import in_title
from mailgov_policies.facts import Mark

CASES = tomllib.loads((Path(__file__).parent / "vectors" / "marks.toml").read_text("utf-8"))

DRESSED = tomllib.loads(
    (Path(__file__).parent / "vectors" / "disguised-marks.toml").read_text("utf-8")
)


def _seen(marks: tuple[Mark, ...]) -> list[list[Any]]:
    return sorted([mark.kind, mark.value, mark.certain] for mark in marks)


@pytest.mark.parametrize("case", CASES["line"], ids=lambda case: case["name"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_lines(case: dict[str, Any], form: Any) -> None:
    runs = [
        Run(unicodedata.normalize(form, text), str(at)) for at, text in enumerate(case["lines"])
    ]
    assert _seen(in_lines(lines_of(runs, 1000), "body", "")) == sorted(case["marks"])


@pytest.mark.parametrize("case", CASES["title"], ids=lambda case: case["name"])
def test_titles(case: dict[str, Any]) -> None:
    assert _seen(in_title(case["title"], "subject")) == sorted(case["marks"])


def test_a_mark_far_from_the_top_is_only_possible() -> None:
    lines = [Line("Đoạn văn của báo cáo.", "")] * 100 + [Line("MẬT", "")]
    assert _seen(in_lines(lines, "body", "")) == [["secrecy", "MẬT", False]]


def test_a_second_document_in_a_file_has_its_own_top() -> None:
    heading = Line("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "")
    lines = [Line("Đoạn văn của báo cáo.", "")] * 100 + [heading, Line("MẬT", "")]
    assert _seen(in_lines(lines, "body", "")) == [["secrecy", "MẬT", True]]


def test_a_cell_far_down_a_sheet_is_only_possible() -> None:
    lines = [Line("MẬT", 'sheet "Sổ văn bản" D57')]
    assert _seen(in_lines(lines, "part 2", "2")) == [["secrecy", "MẬT", False]]


def test_two_words_are_the_mark_wherever_they_stand_alone_but_in_a_table() -> None:
    before = [Line("Đoạn văn của báo cáo.", "")] * 100
    for place, certain in (("", True), ("paragraph 101", True), ("table 3 row 2 cell 1", False)):
        found = in_lines([*before, Line("TỐI MẬT", place)], "part 2", "2")
        assert _seen(found) == [["secrecy", "TỐI MẬT", certain]]


def test_levels_in_one_table_are_a_list_however_far_apart() -> None:
    rows = [Line("Thẩm quyền xác định", f"table 1 row {row} cell 2") for row in range(12)]
    levels = Line("TUYỆT MẬT", "table 1 row 1 cell 1"), Line("TỐI MẬT", "table 1 row 13 cell 1")
    found = in_lines([levels[0], *rows, levels[1]], "part 2", "2")
    assert not any(mark.certain for mark in found)


def test_place_and_line_are_told() -> None:
    (mark,) = in_lines([Line("TỐI MẬT", "paragraph 6")], "part 2", "2")
    assert (mark.place, mark.line, mark.part) == ("part 2 paragraph 6", "TỐI MẬT", "2")


@pytest.mark.parametrize("case", DRESSED["dress"], ids=lambda case: case["name"])
def test_a_mark_in_every_dress(case: dict[str, Any]) -> None:
    lines = lines_of([Run("Kính gửi: Văn phòng", "1"), Run(case["text"], "2")], 1000)
    assert _seen(in_lines(lines, "body", "")) == [case["mark"]]
    assert _seen(in_title(f"[{case['text']}] Báo cáo tháng 3", "subject")) == [case["mark"]]


@pytest.mark.parametrize("case", DRESSED["plain"], ids=lambda case: case["name"])
def test_no_mark_in_any_dress(case: dict[str, Any]) -> None:
    lines = lines_of([Run(case["text"], "1")], 1000)
    assert not any(mark.certain for mark in in_lines(lines, "body", ""))
    assert not any(mark.certain for mark in in_title(f"[{case['text']}]", "subject"))


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_any_text_is_read(text: str) -> None:
    in_title(text, "subject")
    in_lines(lines_of([Run(text)], 100), "body", "")


@given(
    st.sampled_from(["MẬT", "TỐI MẬT", "TUYỆT MẬT"]), st.sampled_from([" ", "  ", ".", " . ", "-"])
)
def test_no_spacing_hides_a_mark(mark: str, gap: str) -> None:
    spaced = gap.join(mark.replace(" ", ""))
    assert _seen(in_lines([Line(spaced, "")], "body", "")) == [["secrecy", mark, True]]


@pytest.mark.parametrize(
    "sign",
    "\u00ad\u034f\u061c\u115f\u180e\u200b\u2060\u3164\ufe0f\ufeff\uffa0\U000e0020\U000e0100",
    ids=lambda sign: f"U+{ord(sign):04X}",
)
def test_no_invisible_sign_hides_a_mark(sign: str) -> None:
    for hidden in (f"M{sign}ẬT", f"MA{sign}\u0323\u0302T", f"MẬT{sign}"):
        assert _seen(in_lines(lines_of([Run(hidden)], 10), "body", "")) == [
            ["secrecy", "MẬT", True]
        ]
        assert _seen(in_title(f"[{hidden}] Báo cáo", "subject")) == [["secrecy", "MẬT", True]]


@pytest.mark.parametrize("shape", ["ＭẬＴ", "\U0001d40cẬ\U0001d413", "ＭＡ\u0323\u0302Ｔ"])
def test_no_other_shape_of_letters_hides_a_mark(shape: str) -> None:
    assert _seen(in_lines(lines_of([Run(shape)], 10), "body", "")) == [["secrecy", "MẬT", True]]


@pytest.mark.parametrize("text", ["\u0360", "\u20dd \u0489", "\u034f\u0336"])
def test_a_line_of_signs_without_letters_is_nothing(text: str) -> None:
    assert in_lines([Line(text, ""), Line("MẬT", "")], "body", "")[0].value == "MẬT"
    assert in_title(text, "subject") == ()
