"""OpenDocument: odt, ods and odp (ISO/IEC 26300)."""

from mailgov.content.extract.cells import cell_name, place_of
from mailgov.content.extract.collector import Collector
from mailgov.content.extract.package import Package
from mailgov.content.extract.xml_stream import Handler, attribute
from mailgov.content.runs import Extracted, Unreadable

_PARAGRAPHS = frozenset(("p", "h"))
_CELLS = frozenset(("table-cell", "covered-table-cell"))
_HIDDEN = frozenset((
    "tracked-changes", "title", "desc", "binary-data", "note-citation", "ruby-text", "creator", "date",
))  # fmt: skip
_ASIDES = {
    "note": "footnote",
    "annotation": "comment",
    "header": "header",
    "header-left": "header",
    "footer": "footer",
    "footer-left": "footer",
    "text-box": "text box",
}
_MAX_SPACES = 100


def read_opendocument(data: bytes) -> Extracted:
    """Runs of a text document, spreadsheet or presentation, with notes, comments, headers, footers.

    Places: `paragraph 14`, `table 2 row 3 cell 1`, `sheet "Nhân sự" B7`, `slide 2`, `notes 2`.
    """
    package = Package(data)
    if "META-INF/manifest.xml" in package:
        package.walk("META-INF/manifest.xml", _Manifest())
    collector = Collector()
    styles = _Styles()
    if "styles.xml" in package:
        package.walk("styles.xml", styles)
        package.walk("content.xml", _Body(collector, styles))
        package.walk("styles.xml", _Body(collector, styles))  # headers and footers
    else:
        package.walk("content.xml", _Body(collector, styles))
    return collector.result()


class _Manifest(Handler):
    """Tells encrypted packages."""

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - as inherited
        if name == "encryption-data":
            raise Unreadable("encrypted", "encrypted")


class _Styles(Handler):
    """Fonts of styles by family and name."""

    def __init__(self) -> None:
        self._faces: dict[str, str] = {}
        self._fonts: dict[tuple[str, str], str] = {}
        self._capitals: dict[tuple[str, str], bool] = {}
        self._parents: dict[tuple[str, str], str] = {}
        self._current: tuple[str, str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("style", "default-style"):
            self._current = attribute(attributes, "family"), attribute(attributes, "name")
            self._parents[self._current] = attribute(attributes, "parent-style-name")
        elif name == "text-properties" and self._current:
            font = attribute(attributes, "font-name")
            font = self._faces.get(font, font) or attribute(attributes, "font-family").strip("'\"")
            if font:
                self._fonts[self._current] = font
            shown = attribute(attributes, "text-transform"), attribute(attributes, "font-variant")
            if any(shown):
                self._capitals[self._current] = shown[0] == "uppercase" or shown[1] == "small-caps"
        elif name == "font-face":
            family = attribute(attributes, "font-family").strip("'\"")
            self._faces[attribute(attributes, "name")] = family

    def end(self, name: str) -> None:
        if name in ("style", "default-style"):
            self._current = None

    def font(self, family: str, name: str) -> str:
        """The font of a style, its own or inherited; empty where it has none."""
        for _ in range(16):  # deeper chains are loops
            if (font := self._fonts.get((family, name))) is not None:
                return font
            if not name:
                break
            name = self._parents.get((family, name), "")
        return ""

    def capitals(self, family: str, name: str) -> bool | None:
        """Whether a style shows small letters as capitals; None where it does not say."""
        for _ in range(16):
            if (capitals := self._capitals.get((family, name))) is not None:
                return capitals
            if not name:
                break
            name = self._parents.get((family, name), "")
        return None


class _Body(Handler):
    """Walks through the content, or through the headers and footers in the styles."""

    def __init__(self, collector: Collector, styles: _Styles) -> None:
        self._collector = collector
        self._styles = styles
        self._fonts: list[str] = []  # of the open paragraphs, spans and links
        self._capitals: list[bool] = []  # the same
        self._paragraphs = 0  # open
        self._hidden = 0
        self._asides: list[str] = []
        self._tables = 0  # open
        self._number = self._table = self._row = self._cell = self._slide = 0
        self._sheet: str | None = None  # None: not in a spreadsheet
        self._cell_font = ""
        self._is_number = False
        self._repeated = self._repeated_rows = 1
        self._in_spreadsheet = self._in_notes = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _HIDDEN:
            self._hidden += 1
        elif name in _PARAGRAPHS:
            self._start_paragraph(attributes)
        elif name in ("span", "a"):
            style = attribute(attributes, "style-name")
            font = self._styles.font("text", style) if style else ""
            self._fonts.append(font or (self._fonts[-1] if self._fonts else ""))
            own = self._styles.capitals("text", style) if style else None
            outer = self._capitals[-1] if self._capitals else False
            self._capitals.append(outer if own is None else own)
        elif self._paragraphs and name in ("s", "tab", "line-break"):
            self._start_space(name, attributes)
        elif name in _ASIDES:
            self._asides.append(_ASIDES[name])
        elif name in ("style", "default-style", "text-properties", "font-face"):
            self._styles.start(name, attributes)
        else:
            self._start_block(name, attributes)

    def _start_paragraph(self, attributes: dict[str, str]) -> None:
        style = attribute(attributes, "style-name")
        font = self._styles.font("paragraph", style)
        self._fonts.append(font or self._cell_font or self._styles.font("paragraph", ""))
        self._capitals.append(self._styles.capitals("paragraph", style) or False)
        self._paragraphs += 1
        if not (self._tables or self._asides or self._slide or self._hidden):
            self._number += 1

    def _start_space(self, name: str, attributes: dict[str, str]) -> None:
        if name == "s":
            count = int(attribute(attributes, "c") or 1)
            self.text(" " * min(max(count, 1), _MAX_SPACES))
        else:
            self.text("\t" if name == "tab" else "\n")

    def _start_block(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table":
            self._tables += 1
            if self._tables == 1:
                self._table += 1
                self._row = 0
                self._sheet = attribute(attributes, "name")
        elif self._tables == 1 and name == "table-row":
            self._cell = 0
            self._repeated_rows = int(attribute(attributes, "number-rows-repeated") or 1)
        elif self._tables == 1 and name in _CELLS:
            self._repeated = int(attribute(attributes, "number-columns-repeated") or 1)
            self._cell_font = self._styles.font("table-cell", attribute(attributes, "style-name"))
            self._is_number = attribute(attributes, "value-type") not in ("", "string")
        elif name == "spreadsheet":
            self._in_spreadsheet = True
        elif name == "page":
            self._slide += 1
        elif name == "notes":
            self._in_notes = True

    def end(self, name: str) -> None:
        if name in _HIDDEN:
            self._hidden -= 1
        elif name in _PARAGRAPHS:
            self._paragraphs -= 1
            self._fonts.pop()
            self._capitals.pop()
            self._collector.end_line()
        elif name in ("span", "a"):
            self._fonts.pop()
            self._capitals.pop()
        elif name in _ASIDES:
            self._asides.pop()
        elif name == "table":
            self._tables -= 1
        elif self._tables == 1 and name == "table-row":
            self._row += self._repeated_rows
        elif self._tables == 1 and name in _CELLS:
            self._cell += self._repeated
            self._cell_font, self._is_number = "", False
        elif name == "notes":
            self._in_notes = False
        else:
            self._styles.end(name)

    def text(self, text: str) -> None:
        if self._paragraphs and not self._hidden and not self._is_number:
            self._collector.add(text, self._place(), self._fonts[-1], capitals=self._capitals[-1])

    def _place(self) -> str:
        if self._asides and not self._slide:
            return self._asides[-1]
        if self._slide:
            return f"{'notes' if self._in_notes else 'slide'} {self._slide}"
        if self._tables and self._in_spreadsheet:
            return place_of(self._sheet or "", cell_name(self._row, self._cell))
        if self._tables:
            return f"table {self._table} row {self._row + 1} cell {self._cell + 1}"
        return f"paragraph {self._number}"
