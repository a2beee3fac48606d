"""Word documents since 2007: docx and docm (ECMA-376, part 1, 17)."""

from dataclasses import dataclass

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.drawing import DrawingText
from mailgov.content.extract.package import ContentTypes, Package, Relationships
from mailgov.content.extract.xml_stream import Handler, attribute
from mailgov.content.runs import Extracted, Unreadable

_MAIN = ("wordprocessingml.document.main+xml", "wordprocessingml.template.main+xml",
         "word.document.macroEnabled.main+xml", "word.template.macroEnabledTemplate.main+xml")  # fmt: skip
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011",
               "softHyphen": "\u00ad"}  # fmt: skip
_STORIES = (("header+xml", "header"), ("footer+xml", "footer"), ("footnotes+xml", "footnote"),
            ("endnotes+xml", "endnote"), ("comments+xml", "comment"))  # fmt: skip
_NOTES = ("footnote", "endnote", "comment")


def read_docx(data: bytes) -> Extracted:
    """Runs of body, tables, text boxes, headers, footers, notes, comments, diagrams and charts.

    Places: `paragraph 14`, `table 2 row 3 cell 1`, `text box 1`, `header 1`, `footnote 2`. What is
    marked as deleted, and field instructions, are no text.
    """
    collector = Collector()
    walk_docx(Package(data), collector)
    return collector.result()


def walk_docx(package: Package, collector: Collector) -> None:
    """Hand the text of every part to the collector. Raises Unreadable."""
    types = ContentTypes(package)
    main = types.ending(*_MAIN)
    if not main:
        raise Unreadable("no main document in the package")
    styles = _Styles()
    for part in Relationships(package, main[0]).by_type.get("styles", ()):
        package.walk(part, styles)
    package.walk(main[0], _Story(collector, styles, "paragraph"))
    for ending, label in _STORIES:
        for number, part in enumerate(types.ending("wordprocessingml." + ending), start=1):
            place = label if label in _NOTES else f"{label} {number}"
            package.walk(part, _Story(collector, styles, place))
    for ending, label in (("diagramData+xml", "diagram"), ("drawingml.chart+xml", "chart")):
        for number, part in enumerate(types.ending(ending), start=1):
            package.walk(part, DrawingText(collector, f"{label} {number}"))


def _font_of(attributes: dict[str, str], inherited: str) -> str:
    """The font of w:rFonts; a theme font hides the inherited one and has no name here."""
    font = attribute(attributes, "ascii") or attribute(attributes, "hAnsi")
    if font:
        return font
    return "" if attribute(attributes, "asciiTheme") else inherited


@dataclass(slots=True)
class _Style:
    based_on: str = ""
    font: str | None = None


class _Styles(Handler):
    """Fonts by style: documents from capitals fonts name them in heading styles."""

    def __init__(self) -> None:
        self._styles: dict[str, _Style] = {}
        self._default_font = ""
        self._default_style = ""
        self._current: _Style | None = None
        self._in_defaults = False
        self._conditional = 0  # inside w:tblStylePr
        self._resolved: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "style":
            self._current = _Style()
            style_id = attribute(attributes, "styleId")
            self._styles[style_id] = self._current
            if attribute(attributes, "type") == "paragraph" and attribute(
                attributes, "default"
            ) in ("1", "true", "on"):
                self._default_style = style_id
        elif name == "docDefaults":
            self._in_defaults = True
        elif name == "tblStylePr":
            self._conditional += 1
        elif name == "basedOn" and self._current:
            self._current.based_on = attribute(attributes, "val")
        elif name == "rFonts" and not self._conditional:
            if self._current:
                self._current.font = _font_of(attributes, "")
            elif self._in_defaults:
                self._default_font = _font_of(attributes, "")

    def end(self, name: str) -> None:
        if name == "style":
            self._current = None
        elif name == "docDefaults":
            self._in_defaults = False
        elif name == "tblStylePr":
            self._conditional -= 1

    def font(self, style_id: str = "") -> str:
        """The font of a style, or of paragraphs without one."""
        style_id = style_id or self._default_style
        if style_id not in self._resolved:
            self._resolved[style_id] = self._resolve(style_id)
        return self._resolved[style_id]

    def _resolve(self, style_id: str) -> str:
        for _ in range(16):  # deeper chains are loops
            style = self._styles.get(style_id)
            if style is None:
                break
            if style.font is not None:
                return style.font
            style_id = style.based_on
        return self._default_font


class _Story(Handler):
    """Walks through one story: the body, a header, the footnotes."""

    def __init__(self, collector: Collector, styles: _Styles, label: str) -> None:
        self._collector = collector
        self._styles = styles
        self._label = label
        self._numbered = label in ("paragraph", *_NOTES)
        self._number = self._table = self._row = self._cell = self._box = 0
        self._tables = self._boxes = 0  # how deep
        self._hidden = 0  # inside what is not shown: the other reading of a drawing, moved text
        self._in_paragraph_properties = self._in_run_properties = False
        self._in_run = self._in_text = False
        self._paragraph_font = self._font = styles.font()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._in_run:
            self._start_in_run(name, attributes)
        elif self._in_paragraph_properties:
            if name == "pStyle":
                self._paragraph_font = self._styles.font(attribute(attributes, "val"))
        elif name == "r":
            self._in_run = True
            self._font = self._paragraph_font
        elif name == "p":
            self._paragraph_font = self._styles.font()
            if not self._tables and not self._boxes and self._label == "paragraph":
                self._number += 1
        elif name == "pPr":
            self._in_paragraph_properties = True
        else:
            self._start_block(name)

    def _start_block(self, name: str) -> None:
        if name == "tbl":
            self._tables += 1
            if self._tables == 1:
                self._table += 1
                self._row = 0
        elif name == "tr" and self._tables == 1:
            self._row += 1
            self._cell = 0
        elif name == "tc" and self._tables == 1:
            self._cell += 1
        elif name == "moveFrom":
            self._hidden += 1
        elif name == self._label:
            self._number += 1

    def _start_in_run(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._in_text = True
        elif name == "rPr":
            self._in_run_properties = True
        elif self._in_run_properties:
            if name == "rFonts":
                self._font = _font_of(attributes, self._font)
            elif name == "rStyle":
                self._font = self._styles.font(attribute(attributes, "val")) or self._font
        elif name in _CHARACTERS:
            self._add(_CHARACTERS[name])
        elif name == "sym":
            self._add_symbol(attributes)
        elif name == "Fallback":
            self._hidden += 1
        elif name == "txbxContent":
            self._in_run = False  # paragraphs follow
            self._boxes += 1
            self._box += not self._hidden

    def _add_symbol(self, attributes: dict[str, str]) -> None:
        code = int(attribute(attributes, "char") or "20", 16)
        if 0x20 <= code < 0x10000 and (not self._hidden or self._collector.everything):
            self._collector.add(chr(code), self._place(), attribute(attributes, "font"))

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "r":
            self._in_run = False
        elif name == "rPr":
            self._in_run_properties = False
        elif name == "p":
            self._collector.end_line()
        elif name == "pPr":
            self._in_paragraph_properties = False
        elif name == "tbl":
            self._tables -= 1
        elif name == "txbxContent":
            self._boxes -= 1
            self._in_run = True
        elif name in ("Fallback", "moveFrom"):
            self._hidden -= 1

    def text(self, text: str) -> None:
        if self._in_text:
            self._add(text)

    def _add(self, text: str) -> None:
        if not self._hidden or self._collector.everything:
            self._collector.add(text, self._place(), self._font)

    def _place(self) -> str:
        if self._boxes:
            return f"text box {self._box}"
        if self._tables and self._label == "paragraph":
            return f"table {self._table} row {self._row} cell {self._cell}"
        return f"{self._label} {self._number}" if self._numbered else self._label
