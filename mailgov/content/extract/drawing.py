"""Text in DrawingML: slides, shapes in sheets, diagrams, charts (ECMA-376, part 1, 21)."""

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.xml_stream import Handler, attribute


class DrawingText(Handler):
    """Walks through a part and gathers its paragraphs (a:p) under one place."""

    def __init__(self, collector: Collector, place: str) -> None:
        self._collector = collector
        self._place = place
        self._font = ""
        self._capitals = False
        self._in_text = False
        self._hidden = 0  # inside the other reading of a drawing

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._in_text = True
        elif name in ("r", "fld"):
            self._font, self._capitals = "", False
        elif name == "rPr":
            self._capitals = attribute(attributes, "cap") in ("all", "small")
        elif name == "latin":
            face = attribute(attributes, "typeface")
            self._font = "" if face.startswith("+") else face  # +mn-lt: of the theme
        elif name == "br":
            self._collector.end_line()
        elif name == "Fallback":
            self._hidden += 1

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "p":
            self._collector.end_line()
            self._font = ""
        elif name == "Fallback":
            self._hidden -= 1

    def text(self, text: str) -> None:
        if self._in_text and (not self._hidden or self._collector.everything):
            self._collector.add(text, self._place, self._font, capitals=self._capitals)
