"""Web pages and bodies of messages in HTML, through the tolerant parser of libxml2."""

import codecs
import re

from lxml import etree

from mailgov.content.charsets import decode as decode_labelled
from mailgov.content.encodings import as_cp1252
from mailgov.content.extract.collector import Collector
from mailgov.content.extract.plain import decode
from mailgov.content.runs import Extracted, Unreadable

_MAX_DEPTH = 512  # the parser looks through all open elements for each stray end tag
_SLICE_LETTERS = 1 << 14
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE
)
_LOOKED_AT_BYTES = 4096  # for a declaration
_AS_1252 = frozenset(("us-ascii", "ascii"))
_FONT_FAMILY = re.compile(r"font-family\s*:\s*[\"']?([^;,\"']{1,80})", re.IGNORECASE)
_CASE = re.compile(
    r"(?:text-transform|font-variant(?:-caps)?)\s*:\s*(uppercase|(?:all-)?small-caps|none|normal)",
    re.IGNORECASE,
)
_HIDDEN = frozenset(("script", "style", "template", "head"))
_SHOWN_IN_HEAD = "title"
_INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdo", "big", "cite", "code", "del", "em", "font", "i", "img", "ins",
    "kbd", "label", "mark", "nobr", "o:p", "p:colorscheme", "q", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "tt", "u", "var", "wbr", "meta", "link",
))  # fmt: skip
_SPACE = re.compile("[ \\t\\r\\n\\f]+")
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr")
)


def read_html(data: bytes) -> Extracted:
    """Runs of visible text; places are `paragraph 1` onwards, and `title`.

    Decoded by byte order mark, else as the page declares, else as UTF-8, else as code page 1252.
    Raises Unreadable when it is nested too deeply.
    """
    text = _decode(data).replace("\0", " ")
    page = _Page()
    parser = etree.HTMLParser(target=page, huge_tree=True)
    for start in range(0, len(text), _SLICE_LETTERS):
        parser.feed(text[start : start + _SLICE_LETTERS])
        if (
            page.depth > _MAX_DEPTH
        ):  # checked between slices: raising inside does not stop the parser
            raise Unreadable("HTML nested too deeply", "bomb")
    if text.strip():
        parser.close()
    return page.collector.result()


def _decode(data: bytes) -> str:
    declared = _META_CHARSET.search(data, 0, _LOOKED_AT_BYTES)
    if declared is None or data.startswith(
        (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        return decode(data)
    label = declared.group(1).decode("ascii").lower()
    if label in _AS_1252:
        return as_cp1252(data)
    # A page that says UTF-16 in ASCII letters is none (HTML 13.2.3.2).
    return decode(data) if label.startswith("utf-") else decode_labelled(data, label)


class _Page:
    """A target for the parser: blocks are paragraphs, fonts come from elements and their style."""

    def __init__(self) -> None:
        self.collector = Collector()
        self._number = 1
        self._blank = True  # no text yet in this paragraph
        self._fonts: list[str] = [""]  # of the open elements
        self._capitals: list[bool] = [False]  # the same
        self._hidden: list[str] = []
        self._in_title = False

    @property
    def depth(self) -> int:
        """How many elements are open."""
        return len(self._fonts) - 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == _SHOWN_IN_HEAD:
            self._in_title = True
        elif name in _HIDDEN:
            self._hidden.append(name)
        if name == "br":
            self.collector.end_line()
        elif name not in _INLINE:
            self._end_paragraph()
        if name not in _VOID:
            self._fonts.append(_font_of(name, attributes) or self._fonts[-1])
            self._capitals.append(_in_capitals(attributes, self._capitals[-1]))

    def end(self, name: str) -> None:
        if name == _SHOWN_IN_HEAD:
            self._in_title = False
        elif self._hidden and self._hidden[-1] == name:
            self._hidden.pop()
        if name not in _INLINE and name != "br":
            self._end_paragraph()
        if name not in _VOID and len(self._fonts) > 1:
            self._fonts.pop()
            self._capitals.pop()

    def data(self, text: str) -> None:
        text = _SPACE.sub(" ", text)
        if self._in_title:
            self.collector.add(text, "title")
        elif not self._hidden:
            text = text.lstrip(" ") if self._blank else text
            self._blank = self._blank and not text
            self.collector.add(
                text, f"paragraph {self._number}", self._fonts[-1], capitals=self._capitals[-1]
            )

    def close(self) -> None:
        """Nothing is left open."""

    def _end_paragraph(self) -> None:
        self._number += not self._blank
        self._blank = True


def _in_capitals(attributes: dict[str, str], outer: bool) -> bool:
    """Whether an element shows small letters as capitals (CSS Text 3, 2.1; CSS Fonts 4, 6.6)."""
    found = _CASE.search(attributes.get("style", "")) if "style" in attributes else None
    return found[1].lower() not in ("none", "normal") if found else outer


def _font_of(name: str, attributes: dict[str, str]) -> str:
    style = attributes.get("style", "")
    found = _FONT_FAMILY.search(style) if "font-family" in style.lower() else None
    if found:
        return found.group(1).strip()
    return attributes.get("face", "").partition(",")[0].strip() if name == "font" else ""
