"""What styles, themes and numbering of Word documents say of letters (ECMA-376, part 1, 17.3.2, 17.7, 20.1.4).

Documents from capitals fonts name them in heading styles, and Word shows small letters as capitals
where the format says so.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.xml_stream import Handler, attribute
from mailgov.content.fonts import font_family

_ON = frozenset(("", "1", "true", "on"))
_LETTERS = re.compile(r"[^\W\d_]{2}")


class Look(NamedTuple):
    """How letters are shown."""

    font: str = ""
    capitals: bool = False


@dataclass(slots=True)
class Said:
    """What one place says of letters; None: nothing."""

    font: str | None = None
    capitals: bool | None = None

    def over(self, look: Look) -> Look:
        """This, and elsewhere what holds without it."""
        return Look(
            look.font if self.font is None else self.font,
            look.capitals if self.capitals is None else self.capitals,
        )

    def take(self, name: str, attributes: dict[str, str], theme: "Theme") -> None:
        """Note a property of a run (w:rPr)."""
        if name == "rFonts":
            font = theme.font_of(attributes)
            self.font = self.font if font is None else font
        elif name in ("caps", "smallCaps"):
            on = attribute(attributes, "val") in _ON
            self.capitals = on or (self.capitals or None if name == "smallCaps" else False)


class Theme(Handler):
    """Fonts that styles name by their place in the theme."""

    def __init__(self) -> None:
        self._fonts: dict[str, str] = {}
        self._within = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("majorFont", "minorFont"):
            self._within = name.removesuffix("Font")
        elif name == "latin" and self._within:
            self._fonts.setdefault(self._within, attribute(attributes, "typeface"))

    def end(self, name: str) -> None:
        if name in ("majorFont", "minorFont"):
            self._within = ""

    def font_of(self, attributes: dict[str, str]) -> str | None:
        """The font of w:rFonts; None where it names none for our letters.

        The letters of private encodings are set in hAnsi, those of ASCII in ascii: one that is made
        for an encoding tells more. A theme font hides the plain name beside it (17.3.2.26).
        """
        themed = [attribute(attributes, f"{kind}Theme") for kind in ("ascii", "hAnsi")]
        plain = [attribute(attributes, kind) for kind in ("ascii", "hAnsi")]
        names = [
            self._fonts.get(place[:5], "") if place else name
            for place, name in zip(themed, plain, strict=True)
        ]
        if not any((*themed, *plain)):
            return None
        made_for_one = (name for name in names if name and font_family(name).encoding)
        return next(made_for_one, names[0] or names[1])


class Styles(Handler):
    """Looks by style."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self._styles: dict[str, Said] = {}
        self._bases: dict[str, str] = {}
        self._defaults = Said()
        self._default_style = ""
        self._current: Said | None = None
        self._current_id = ""
        self._conditional = 0  # inside w:tblStylePr
        self._resolved: dict[str, Said] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "style":
            self._current_id = attribute(attributes, "styleId")
            self._current = self._styles[self._current_id] = Said()
            is_default = attribute(attributes, "default") in ("1", "true", "on")
            if attribute(attributes, "type") == "paragraph" and is_default:
                self._default_style = self._current_id
        elif name == "docDefaults":
            self._current = self._defaults
        elif name == "tblStylePr":
            self._conditional += 1
        elif name == "basedOn" and self._current_id:
            self._bases[self._current_id] = attribute(attributes, "val")
        elif self._current and not self._conditional:
            self._current.take(name, attributes, self.theme)

    def end(self, name: str) -> None:
        if name in ("style", "docDefaults"):
            self._current, self._current_id = None, ""
        elif name == "tblStylePr":
            self._conditional -= 1

    def said(self, style_id: str) -> Said:
        """What a style says, by itself or by those it is based on."""
        if style_id not in self._resolved:
            self._resolved[style_id] = self._resolve(style_id)
        return self._resolved[style_id]

    def paragraph(self, style_id: str = "", table_style: str = "") -> Look:
        """The look of paragraphs of a style, or of those without one."""
        look = self._defaults.over(Look())
        if table_style:
            look = self.said(table_style).over(look)
        return self.said(style_id or self._default_style).over(look)

    def _resolve(self, style_id: str) -> Said:
        found = Said()
        for _ in range(16):  # deeper chains are loops
            style = self._styles.get(style_id)
            if style is None:
                break
            found.font = style.font if found.font is None else found.font
            found.capitals = style.capitals if found.capitals is None else found.capitals
            style_id = self._bases.get(style_id, "")
        return found


class Numbering(Handler):
    """Words that Word writes before paragraphs, as in `Điều 1`, at the place `numbering`."""

    def __init__(self, collector: Collector, styles: Styles) -> None:
        self._collector = collector
        self._styles = styles
        self._text = ""
        self._said = Said()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "lvl":
            self._text, self._said = "", Said()
        elif name == "lvlText":
            self._text = attribute(attributes, "val")
        else:
            self._said.take(name, attributes, self._styles.theme)

    def end(self, name: str) -> None:
        if name == "lvl" and _LETTERS.search(self._text):
            font, capitals = self._said.over(self._styles.paragraph())
            self._collector.add(self._text, "numbering", font, capitals=capitals)
            self._collector.end_line()
