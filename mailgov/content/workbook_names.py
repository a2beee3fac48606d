"""Texts of office packages that stand outside cells and paragraphs, converted after these.

Names of sheets and ranges, literals in formulas, lists and hints of data validation, columns of tables
and pivot tables, properties: they must go on saying what the cells say, or formulas and filters break.
They are short, so they follow the encodings that the longer texts have proven.
"""

import re
from collections.abc import Callable, Iterable
from html import unescape
from xml.sax.saxutils import escape

from mailgov.content.conversion import Log
from mailgov.content.encodings import to_unicode
from mailgov.content.evidence import is_suspect
from mailgov.content.vietnamese import is_marked_syllable, marked_words

MAX_SHEET_NAME = 31  # letters that Excel takes
_FORBIDDEN = re.compile(r"[\[\]:*?/\\]")
_FORMULA = re.compile(
    rb"(?P<head><(?P<tag>(?:\w+:)?(?:f|formula[12]?|definedName))(?:\s[^>]*)?>)(?P<text>[^<]+)(?=</)"
)
_LITERAL = re.compile(r'"((?:[^"]|"")*)"')
_COLUMN_REFERENCE = re.compile(r"(?<=\[)[^\[\]]+(?=\])")
_SHEET = re.compile(rb"""(<(?:\w+:)?sheet\s[^>]*?\bname=")([^"<]*)(")""")
_RANGE = re.compile(rb"""(<(?:\w+:)?definedName\s[^>]*?\bname=")([^"<]*)(")""")
_HINT = re.compile(rb"""(\b(?:prompt|promptTitle|error|errorTitle)=")([^"<]*)(")""")
_LOCATION = re.compile(rb"""(\b(?:location|ref)=")([^"<]*!)([^"<]*")""")
_SOURCE = re.compile(rb"""(<(?:\w+:)?worksheetSource\s[^>]*?\bsheet=")([^"<]*)(")""")
_CELL_TEXT = re.compile(
    rb"""(<(?:\w+:)?(?:tableColumn|cacheField|dataField|s|filter)\b[^>]*?\s(?:name|v|val)=")([^"<]*)(")"""
)
_TITLE = re.compile(rb"(<vt:lpstr>)([^<]*)(</vt:lpstr>)")
_PROPERTY = re.compile(
    rb"(<(?:dc:title|dc:subject|dc:creator|dc:description|cp:keywords|cp:category|cp:lastModifiedBy"
    rb"|Company|Manager|vt:lpwstr)(?:\s[^>]*)?>)([^<]*)(</)"
)
_SHEETS = re.compile(r"xl/(?:worksheets|charts|tables|pivottables|pivotcache)/[^/]+\.xml")
_CELL_COPIES = re.compile(r"xl/(?:worksheets|tables|pivottables|pivotcache)/[^/]+\.xml")
_PROPERTIES = re.compile(r"docprops/[^/]+\.xml")

Part = Callable[[str], bytes]


class Names:
    """Old and new names of one package, and the parts that change by them."""

    def __init__(self, log: Log, cells: dict[str, str]) -> None:
        self._log = log
        self._cells = cells  # texts of cells: before and after
        self._sheets: dict[str, str] = {}
        self._ranges: dict[str, str] = {}

    def changed(self, names: Iterable[str], part: Part) -> dict[str, bytes]:
        """The parts that change, by their names in lower case. `part` gives one as it is by now."""
        known = {name.lower() for name in names}
        changed = {}
        if "xl/workbook.xml" in known:
            changed["xl/workbook.xml"] = self._workbook(part("xl/workbook.xml"))
        for name in sorted(known):
            if _SHEETS.fullmatch(name):
                changed[name] = self._sheet(name, part(name))
            elif _PROPERTIES.fullmatch(name):
                changed[name] = self._properties(part(name))
        return {name: data for name, data in changed.items() if data != part(name)}

    def _short(self, place: str, text: str) -> str:
        """A short text in the first proven encoding that makes Vietnamese of it."""
        if not is_suspect(text):
            return text
        for encoding in self._log.encodings:
            new = to_unicode(text, encoding)
            words = marked_words(new)
            if new != text and words and all(map(is_marked_syllable, words)):
                self._log.change(place, text, new)
                return new
        self._log.doubt(place, "not-converted", text)
        return text

    def _workbook(self, data: bytes) -> bytes:
        taken = {_text(found[2]).lower() for found in _SHEET.finditer(data)}

        def sheet(found: re.Match[bytes]) -> bytes:
            old = _text(found[2])
            new = _FORBIDDEN.sub("-", self._short("sheet name", old))[:MAX_SHEET_NAME]
            if new == old or new.lower() in taken:
                return found[0]
            taken.add(new.lower())
            self._sheets[old] = new
            return _with(found, old, new)

        def range_(found: re.Match[bytes]) -> bytes:
            old = _text(found[2])
            new = self._short("defined name", old.replace("_", " ")).replace(" ", "_")
            if new.replace("_", "").isalnum() and new != old:
                self._ranges[old] = new
                return _with(found, old, new)
            return found[0]

        return self._formulas("defined name", _RANGE.sub(range_, _SHEET.sub(sheet, data)))

    def _sheet(self, name: str, data: bytes) -> bytes:
        place = name.rpartition("/")[2].removesuffix(".xml")
        data = self._formulas(f"{place} formula", data)
        data = _HINT.sub(lambda found: self._mended(found, f"{place} hint"), data)
        data = _LOCATION.sub(self._located, data)
        data = _SOURCE.sub(lambda found: _renamed(found, self._sheets), data)
        if _CELL_COPIES.fullmatch(name):
            data = _CELL_TEXT.sub(lambda found: _renamed(found, self._cells), data)
        return data

    def _mended(self, found: re.Match[bytes], place: str) -> bytes:
        old = _text(found[2])
        return _with(found, old, self._short(place, old))

    def _located(self, found: re.Match[bytes]) -> bytes:
        old = _text(found[2])
        return _with(found, old, self._outside(old))

    def _formulas(self, place: str, data: bytes) -> bytes:
        def mended(found: re.Match[bytes]) -> bytes:
            old = _text(found["text"])
            new = self._formula(place, old)
            return found[0] if new == old else found["head"] + _markup(new)

        return _FORMULA.sub(mended, data)

    def _formula(self, place: str, formula: str) -> str:
        """A formula: literals are texts, and what stands outside them may be a name."""
        if formula.isascii():
            return formula
        pieces, at = [], 0
        for literal in _LITERAL.finditer(formula):
            pieces.append(self._outside(formula[at : literal.start()]))
            pieces.append(f'"{self._short(place, literal[1])}"')
            at = literal.end()
        return "".join([*pieces, self._outside(formula[at:])])

    def _outside(self, code: str) -> str:
        """Code without literals: references to sheets, ranges and columns."""
        if code.isascii():
            return code
        for old, new in self._sheets.items():
            quoted = old.replace("'", "''")
            code = code.replace(f"'{quoted}'!", f"'{new}'!")
            code = re.sub(rf"(?<![\w']){re.escape(old)}!", f"'{new}'!", code)
        for old, new in self._ranges.items():
            code = re.sub(rf"(?<![\w.']){re.escape(old)}(?![\w.(!'])", new, code)
        return _COLUMN_REFERENCE.sub(lambda found: self._cells.get(found[0], found[0]), code)

    def _properties(self, data: bytes) -> bytes:
        data = _TITLE.sub(lambda found: _renamed(found, self._sheets), data)
        return _PROPERTY.sub(lambda found: self._mended(found, "properties"), data)


def _text(raw: bytes) -> str:
    return unescape(raw.decode("utf-8", "replace"))


def _markup(text: str) -> bytes:
    return escape(text, {'"': "&quot;", "\n": "&#10;"}).encode()


def _with(found: re.Match[bytes], old: str, new: str) -> bytes:
    """What was found, its middle new; to the byte as it was where nothing changes."""
    return found[0] if new == old else found[1] + _markup(new) + found[3]


def _renamed(found: re.Match[bytes], names: dict[str, str]) -> bytes:
    old = _text(found[2])
    return _with(found, old, names.get(old, old))
