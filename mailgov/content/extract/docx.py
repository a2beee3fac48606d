"""Word documents since 2007: docx and docm (ECMA-376, part 1, 17)."""

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.docx_styles import Numbering, Said, Styles, Theme
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
_FORMER = ("rPrChange", "pPrChange")  # how it was before a tracked change
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
    links = Relationships(package, main[0]).by_type
    theme = Theme()
    for part in links.get("theme", ()):
        package.walk(part, theme)
    styles = Styles(theme)
    for part in links.get("styles", ()):
        package.walk(part, styles)
    package.walk(main[0], _Story(collector, styles, "paragraph"))
    for ending, label in _STORIES:
        for number, part in enumerate(types.ending("wordprocessingml." + ending), start=1):
            place = label if label in _NOTES else f"{label} {number}"
            package.walk(part, _Story(collector, styles, place))
    for part in () if collector.everything else links.get("numbering", ()):
        package.walk(part, Numbering(collector, styles))
    for ending, label in (("diagramData+xml", "diagram"), ("drawingml.chart+xml", "chart")):
        for number, part in enumerate(types.ending(ending), start=1):
            package.walk(part, DrawingText(collector, f"{label} {number}"))


class _Story(Handler):
    """Walks through one story: the body, a header, the footnotes."""

    def __init__(self, collector: Collector, styles: Styles, label: str) -> None:
        self._collector = collector
        self._styles = styles
        self._label = label
        self._numbered = label in ("paragraph", *_NOTES)
        self._number = self._table = self._row = self._cell = self._box = 0
        self._tables = self._boxes = 0  # how deep
        self._hidden = 0  # inside what is not shown: the other reading of a drawing, moved text
        self._in_paragraph_properties = self._in_run_properties = False
        self._in_run = self._in_text = False
        self._table_styles: list[str] = []  # of the open tables
        self._paragraph_look = self._look = styles.paragraph()
        self._direct = Said()  # what the run says itself
        self._former = 0  # inside such

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._in_run:
            self._start_in_run(name, attributes)
        elif self._in_paragraph_properties:
            if name in _FORMER:
                self._former += 1
            elif name == "pStyle" and not self._former:
                style = attribute(attributes, "val")
                self._paragraph_look = self._styles.paragraph(style, self._table_style)
        elif name == "r":
            self._in_run = True
            self._look, self._direct = self._paragraph_look, Said()
        elif name == "p":
            self._paragraph_look = self._styles.paragraph("", self._table_style)
            if not self._tables and not self._boxes and self._label == "paragraph":
                self._number += 1
        elif name == "pPr":
            self._in_paragraph_properties = True
        else:
            self._start_block(name, attributes)

    @property
    def _table_style(self) -> str:
        return self._table_styles[-1] if self._table_styles else ""

    def _start_block(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tbl":
            self._table_styles.append("")
            self._tables += 1
            if self._tables == 1:
                self._table += 1
                self._row = 0
        elif name == "tr" and self._tables == 1:
            self._row += 1
            self._cell = 0
        elif name == "tc" and self._tables == 1:
            self._cell += 1
        elif name == "tblStyle" and self._table_styles:
            self._table_styles[-1] = attribute(attributes, "val")
        elif name == "moveFrom":
            self._hidden += 1
        elif name == self._label:
            self._number += 1

    def _start_in_run(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t" or (name == "delText" and self._collector.everything):
            self._in_text = True
        elif name == "rPr":
            self._in_run_properties = True
        elif self._in_run_properties:
            if name in _FORMER:
                self._former += 1
            elif self._former:
                return
            elif name == "rStyle":
                style = attribute(attributes, "val")
                self._look = self._styles.said(style).over(self._look)
            else:
                self._direct.take(name, attributes, self._styles.theme)
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
        if name in ("t", "delText"):
            self._in_text = False
        elif name == "r":
            self._in_run = False
        elif name in _FORMER:
            self._former = max(self._former - 1, 0)
        elif name == "rPr" and not self._former:
            if self._in_run:
                self._look = self._direct.over(self._look)
            self._in_run_properties = False
        elif name == "p":
            self._collector.end_line()
        elif name == "pPr" and not self._former:
            self._in_paragraph_properties = False
        elif name == "tbl":
            self._tables -= 1
            if self._table_styles:
                self._table_styles.pop()
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
            font, capitals = self._look
            self._collector.add(text, self._place(), font, capitals=capitals)

    def _place(self) -> str:
        if self._boxes:
            return f"text box {self._box}"
        if self._tables and self._label == "paragraph":
            return f"table {self._table} row {self._row} cell {self._cell}"
        return f"{self._label} {self._number}" if self._numbered else self._label
