"""Excel workbooks since 2007: xlsx and xlsm (ECMA-376, part 1, 18)."""

from mailgov.content.extract.cells import header_pieces, place_of
from mailgov.content.extract.collector import Collector
from mailgov.content.extract.drawing import DrawingText
from mailgov.content.extract.package import ContentTypes, Package, Relationships
from mailgov.content.extract.xml_stream import Handler, attribute
from mailgov.content.runs import Extracted, Unreadable

_MAIN = ("spreadsheetml.sheet.main+xml", "spreadsheetml.template.main+xml",
         "excel.sheet.macroEnabled.main+xml", "excel.template.macroEnabled.main+xml")  # fmt: skip
_HEADERS = frozenset(
    f"{which}{what}" for which in ("odd", "even", "first") for what in ("Header", "Footer")
)

RichText = list[tuple[str, str | None]]  # texts and their fonts; None: that of the cell


def read_xlsx(data: bytes) -> Extracted:
    """Runs of cells that hold text, comments, shapes, headers and footers, and sheet names.

    Places: `sheet "Nhân sự" B7`, `sheet "Nhân sự" shapes`, `sheet "Nhân sự" name`.
    """
    collector = Collector()
    walk_xlsx(Package(data), collector)
    return collector.result()


def walk_xlsx(package: Package, collector: Collector) -> None:
    """Hand the text of every sheet to the collector. Raises Unreadable."""
    main = ContentTypes(package).ending(*_MAIN)
    if not main:
        raise Unreadable("no workbook in the package")
    links = Relationships(package, main[0])
    workbook, styles, strings = _Workbook(), _Styles(), _Strings()
    package.walk(main[0], workbook)
    for part in links.by_type.get("styles", ()):
        package.walk(part, styles)
    for part in links.by_type.get("sharedStrings", ()):
        package.walk(part, strings)
    for name, link in workbook.sheets:
        collector.add(name, place_of(name, "name"))
        part = links.targets.pop(link, "")  # each sheet once
        if part in package:
            _read_sheet(package, part, _Sheet(collector, name, strings.strings, styles.fonts()))


def _read_sheet(package: Package, part: str, sheet: "_Sheet") -> None:
    package.walk(part, sheet)
    links = Relationships(package, part)
    for comments in links.by_type.get("comments", ()):
        package.walk(comments, _Comments(sheet))
    for drawing in links.by_type.get("drawing", ()):
        package.walk(drawing, DrawingText(sheet.collector, place_of(sheet.name, "shapes")))
        for chart in Relationships(package, drawing).by_type.get("chart", ()):
            package.walk(chart, DrawingText(sheet.collector, place_of(sheet.name, "chart")))


class _Workbook(Handler):
    """Names of sheets and where they are."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []  # name, relationship

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attribute(attributes, "name"), link))


class _Styles(Handler):
    """Fonts of cell formats."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._formats: list[int] = []
        self._within = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("fonts", "cellXfs", "cellStyleXfs", "dxfs"):
            self._within = name
        elif name == "font" and self._within == "fonts":
            self._names.append("")
        elif name == "name" and self._within == "fonts" and self._names:
            self._names[-1] = attribute(attributes, "val")
        elif name == "xf" and self._within == "cellXfs":
            self._formats.append(int(attribute(attributes, "fontId") or 0))

    def end(self, name: str) -> None:
        if name == self._within:
            self._within = ""

    def fonts(self) -> list[str]:
        """The font name of each cell format."""
        return [
            self._names[number] if 0 <= number < len(self._names) else ""
            for number in self._formats
        ]


class _RichReader(Handler):
    """What shared strings, comments and cells with text of their own have in common."""

    def __init__(self) -> None:
        self.rich: RichText = []
        self._font: str | None = None
        self._in_text = False
        self._phonetic = 0  # readings of Japanese signs

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._in_text = not self._phonetic
        elif name == "r":
            self._font = None
        elif name == "rFont":
            self._font = attribute(attributes, "val")
        elif name == "rPh":
            self._phonetic += 1

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "r":
            self._font = None
        elif name == "rPh":
            self._phonetic -= 1

    def text(self, text: str) -> None:
        if self._in_text:
            self.rich.append((text, self._font))

    def taken(self) -> RichText:
        """What was read since the last time."""
        rich, self.rich = self.rich, []
        return rich


class _Strings(_RichReader):
    """The table of shared strings."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: list[RichText] = []

    def end(self, name: str) -> None:
        super().end(name)
        if name == "si":
            self.strings.append(self.taken())


class _Sheet(_RichReader):
    """Cells and headers of one sheet."""

    def __init__(
        self, collector: Collector, name: str, strings: list[RichText], fonts: list[str]
    ) -> None:
        super().__init__()
        self.collector = collector
        self.name = name
        self._strings = strings
        self._fonts = fonts
        self._cell = self._type = ""
        self._cell_font = ""
        self._value: list[str] | None = None  # of a cell or header, while we are in it

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._cell = attributes.get("r", "")
            self._type = attributes.get("t", "")
            style = int(attributes.get("s", 0))
            self._cell_font = self._fonts[style] if 0 <= style < len(self._fonts) else ""
        elif name == "v" or name in _HEADERS:
            self._value = []
        elif self._type == "inlineStr":
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if name == "v":
            self._end_value(_whole(self._value or []))
        elif name in _HEADERS:
            for text, font in header_pieces(_whole(self._value or [])):
                self.collector.add(text, place_of(self.name, "header or footer"), font)
            self._value = None
            self.collector.end_line()
        elif self._type == "inlineStr":
            super().end(name)
            if name == "is":
                self.add(self.taken(), self._cell)
                self._type = ""

    def _end_value(self, value: str) -> None:
        self._value = None
        if self._type == "s":
            index = int(value)
            if 0 <= index < len(self._strings):
                self.add(self._strings[index], self._cell)
        elif self._type == "str":  # the result of a formula
            self.add([(value, None)], self._cell)

    def text(self, text: str) -> None:
        if self._value is not None:
            self._value.append(text)
        else:
            super().text(text)

    def add(self, rich: RichText, name: str) -> None:
        """Hand on a text at a place of this sheet."""
        place = place_of(self.name, name)
        for text, font in rich:
            self.collector.add(text, place, self._cell_font if font is None else font)


def _whole(texts: list[str]) -> str:
    """Texts as one; a single one stays the object it is, which may know where it stands."""
    return texts[0] if len(texts) == 1 else "".join(texts)


class _Comments(_RichReader):
    """Comments on cells of a sheet."""

    def __init__(self, sheet: _Sheet) -> None:
        super().__init__()
        self._sheet = sheet
        self._cell = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        super().start(name, attributes)
        if name == "comment":
            self._cell = attribute(attributes, "ref")

    def end(self, name: str) -> None:
        super().end(name)
        if name == "comment":
            self._sheet.add(self.taken(), f"{self._cell} comment")
