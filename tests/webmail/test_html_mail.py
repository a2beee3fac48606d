"""Bodies of strangers: nothing runs, nothing is fetched, nothing leaves its place, words stay."""

import tomllib
from importlib.resources import files
from typing import Any

import lxml.html
import nh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov_webmail.html_mail import MAX_INPUT, Sanitised, framed, sanitise, to_text

CASES: list[dict[str, Any]] = tomllib.loads(
    files("tests.webmail").joinpath("hostile_html.toml").read_text("utf-8")
)["case"]
ELEMENTS = frozenset(
    [
        "html",
        "body",
        "div",
        "span",
        "p",
        "a",
        "img",
        "b",
        "i",
        "u",
        "em",
        "strong",
        "table",
        "tbody",
        "thead",
        "tfoot",
        "tr",
        "td",
        "th",
        "col",
        "colgroup",
        "caption",
        "br",
        "hr",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "code",
        "blockquote",
        "font",
        "center",
        "small",
        "big",
        "sub",
        "sup",
        "address",
        "article",
        "aside",
        "figure",
        "figcaption",
        "footer",
        "header",
        "main",
        "nav",
        "section",
        "s",
        "strike",
        "del",
        "ins",
        "q",
        "cite",
        "abbr",
        "bdi",
        "bdo",
        "dfn",
        "kbd",
        "mark",
        "samp",
        "time",
        "tt",
        "var",
        "wbr",
    ]
)
ATTRIBUTES = frozenset(
    [
        "style",
        "dir",
        "lang",
        "align",
        "valign",
        "title",
        "href",
        "src",
        "alt",
        "width",
        "height",
        "border",
        "color",
        "face",
        "size",
        "bgcolor",
        "cellpadding",
        "cellspacing",
        "summary",
        "colspan",
        "rowspan",
        "nowrap",
        "scope",
        "span",
        "start",
        "type",
        "value",
        "rel",
        "target",
        "data-host",
    ]
)


def require_harmless(html: str) -> None:
    """Everything that is left is on a list of what can't do anything."""
    for element in lxml.html.document_fromstring(f"<html><body>{html}</body></html>").iter():
        assert element.tag in ELEMENTS, element.tag
        for name, value in element.attrib.items():
            assert name in ATTRIBUTES, name
            if name == "href":
                assert value.split(":")[0] in ("http", "https", "mailto", "tel"), value
            if name == "src":
                assert value.startswith("data:image/"), value
                assert not value.startswith("data:image/svg"), value
            if name == "style":
                assert "url" not in value.lower(), value
                assert "\\" not in value, value
                assert "position" not in value, value
        if element.tag == "a":
            assert element.get("target") == "_blank"
            assert element.get("rel") == "noopener noreferrer"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_hostile(case: dict[str, Any]) -> None:
    safe = sanitise(case["html"])
    require_harmless(safe.html)
    words = lxml.html.document_fromstring(f"<html><body>{safe.html}</body></html>").text_content()
    assert case.get("stays", "") in words
    if "blocked" in case:
        assert safe.blocked == case["blocked"]
    if "host" in case:
        found = lxml.html.fragment_fromstring(f"<div>{safe.html}</div>").find(".//a")
        assert found is not None
        assert found.get("data-host", "") == case["host"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_plain_view_has_no_markup_of_its_own(case: dict[str, Any]) -> None:
    assert "\0" not in nh3.clean_text(to_text(case["html"]))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "</", "/>", '"', "'", "=", " ", "<!--", "-->", "<a href=", "javascript:",
             "<style>", "</style>", "<svg>", "<math>", "<table>", "<td>", "<mglyph>", "<p title=",
             "onerror=alert(1)", "<img src=x ", "<b>", "&lt;", "&quot;", "style=", "url(//x.test)",
             "<select>", "<noscript>", "<template>", "<form>", "x", "ă"]
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_any_heap_of_pieces_is_harmless(html: str) -> None:
    safe = sanitise(html).html
    require_harmless(safe)
    require_harmless(sanitise(safe).html)


def test_harmless_styles_stay() -> None:
    safe = sanitise(
        '<p style="color:#8a1c1c;text-align:center;font-size:14px;margin-left:2em">a</p>'
    )
    assert safe.html == (
        '<p style="color:#8a1c1c;text-align:center;font-size:14px;margin-left:2em">a</p>'
    )


def test_pictures_inside_the_message_are_shown_and_do_not_count_as_blocked() -> None:
    safe = sanitise('<img src="CID:logo@x">', {"logo@x": "data:image/png;base64,AAAA"})
    assert safe == Sanitised('<img src="data:image/png;base64,AAAA">', 0)


def test_a_body_beyond_all_measure_is_not_treated() -> None:
    with pytest.raises(ValueError, match="too long"):
        sanitise("x" * (MAX_INPUT + 1))


def test_words_of_a_body_stand_on_their_lines() -> None:
    text = to_text(
        "<p>Kính gửi</p><div>dòng 1<br>dòng 2 &amp; 3</div><style>p{}</style><ul><li>một<li>hai</ul>"
    )
    assert text.split("\n") == ["Kính gửi", "", "dòng 1", "dòng 2 & 3", "", "một", "hai"]


def test_the_frame_is_a_light_sheet_of_its_own() -> None:
    page = framed(Sanitised("<p>Kính gửi</p>"), "vi")
    assert '<html lang="vi">' in page
    assert 'content="light"' in page
    assert "<p>Kính gửi</p></body></html>" in page
