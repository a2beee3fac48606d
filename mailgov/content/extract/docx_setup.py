"""How a Word document is set: paper, and letters by size (ECMA-376, part 1, 17.3.2.38, 17.6.13)."""

from collections import Counter
from dataclasses import dataclass, field

from mailgov.content.extract.package import ContentTypes, Package, Relationships
from mailgov.content.extract.xml_stream import Handler, attribute
from mailgov.content.runs import Unreadable

_MAIN = ("wordprocessingml.document.main+xml", "word.document.macroEnabled.main+xml")
_TWIPS_PER_MM = 1440 / 25.4
_DEFAULT_HALF_POINTS = 20  # 17.3.2.38: without any size, 10 points
_MAX_TWIPS = 31_680  # the largest page that Word knows: 22 inches


@dataclass(slots=True)
class Setup:
    """What the sections say of the paper, and how many letters have which size."""

    width_mm: int = 0
    height_mm: int = 0
    letters: Counter[int] = field(default_factory=Counter)  # by half-points

    def commonest_size_pt(self) -> float:
        """The size of most letters; 0 for a document without any."""
        return self.letters.most_common(1)[0][0] / 2 if self.letters else 0.0


def read_setup(data: bytes) -> Setup:
    """The setup of a docx: paper of its first section. Raises Unreadable."""
    package = Package(data)
    main = ContentTypes(package).ending(*_MAIN)
    if not main:
        raise Unreadable("no main document in the package")
    sizes = _Sizes()
    for part in Relationships(package, main[0]).by_type.get("styles", ()):
        package.walk(part, sizes)
    setup = Setup()
    package.walk(main[0], _Body(setup, sizes))
    return setup


class _Sizes(Handler):
    """Sizes by style, in half-points; 0 where a style leaves them to the one it is based on."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._based_on: dict[str, str] = {}
        self._default_style = ""
        self._default = _DEFAULT_HALF_POINTS
        self._style: str | None = None
        self._in_defaults = False
        self._conditional = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "docDefaults":
            self._in_defaults = True
        elif name == "tblStylePr":
            self._conditional += 1
        elif name == "style":
            self._style = attribute(attributes, "styleId")
            is_default = attribute(attributes, "default") in ("1", "true", "on")
            if is_default and attribute(attributes, "type") == "paragraph":
                self._default_style = self._style
        elif name == "basedOn" and self._style is not None:
            self._based_on[self._style] = attribute(attributes, "val")
        elif name == "sz" and not self._conditional:
            self._set(_half_points(attributes))

    def _set(self, size: int) -> None:
        if self._style is not None:
            self._sizes[self._style] = size
        elif self._in_defaults:
            self._default = size or self._default

    def end(self, name: str) -> None:
        if name == "style":
            self._style = None
        elif name == "docDefaults":
            self._in_defaults = False
        elif name == "tblStylePr":
            self._conditional -= 1

    def of(self, style: str = "") -> int:
        """The size of a style; without one, of ordinary paragraphs."""
        style = style or self._default_style
        for _ in range(16):  # deeper chains are loops
            if size := self._sizes.get(style, 0):
                return size
            style = self._based_on.get(style, "")
        return self._default


class _Body(Handler):
    """Counts letters by the size of run, paragraph style or default."""

    def __init__(self, setup: Setup, sizes: _Sizes) -> None:
        self._setup, self._sizes = setup, sizes
        self._paragraph = self._run = sizes.of()
        self._in_run = self._in_text = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "p":
            self._paragraph = self._sizes.of()
        elif name == "pStyle":
            self._paragraph = self._sizes.of(attribute(attributes, "val"))
        elif name == "r":
            self._in_run, self._run = True, self._paragraph
        elif name == "sz" and self._in_run:
            self._run = _half_points(attributes) or self._run
        elif name == "t":
            self._in_text = self._in_run
        elif name == "pgSz" and not self._setup.width_mm:
            self._setup.width_mm = _mm(attribute(attributes, "w"))
            self._setup.height_mm = _mm(attribute(attributes, "h"))

    def end(self, name: str) -> None:
        if name == "r":
            self._in_run = False
        elif name == "t":
            self._in_text = False

    def text(self, text: str) -> None:
        if self._in_text:
            self._setup.letters[self._run] += len(text)


def _half_points(attributes: dict[str, str]) -> int:
    value = attribute(attributes, "val")
    return int(value) if value.isdecimal() and len(value) < 5 else 0


def _mm(twips: str) -> int:
    if not (twips.isdecimal() and len(twips) < 7 and int(twips) <= _MAX_TWIPS):
        return 0
    return round(int(twips) / _TWIPS_PER_MM)
