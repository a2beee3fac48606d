r"""Rich Text Format (version 1.9.1): a tokenizer and the little state that text needs.

Bytes are decoded by the character set of their font, except in fonts of private encodings: theirs
stay code page 1252. `\-` may be an optional hyphen or the letter of code AD, so it is kept as U+00AD.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mailgov.content.encodings import as_cp1252
from mailgov.content.extract.collector import Collector
from mailgov.content.fonts import font_family
from mailgov.content.runs import Extracted, Unreadable

_MAX_DEPTH = 1000
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?"  # control word
    rb"|\\'([0-9a-fA-F]{2})"
    rb"|\\([^a-zA-Z])"  # control symbol
    rb"|([{}])"
    rb"|([^\\{}\r\n]+)",
    re.DOTALL,
)
# Character sets of fonts (\fcharset) that are not code page 1252.
_CHARSETS = {128: "cp932", 129: "cp949", 134: "cp936", 136: "cp950", 161: "cp1253", 162: "cp1254",
             163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
             238: "cp1250"}  # fmt: skip
_CHARACTERS = {b"tab": "\t", b"emdash": "—", b"endash": "–", b"bullet": "•", b"lquote": "‘",
               b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"emspace": " ", b"enspace": " ",
               b"line": "\n"}  # fmt: skip
_SYMBOLS = {b"~": "\u00a0", b"-": "\u00ad", b"_": "\u2011", b"{": "{", b"}": "}", b"\\": "\\",
            b"\t": "\t"}  # fmt: skip
_PARAGRAPH_ENDS = frozenset((b"par", b"cell", b"row", b"nestcell", b"nestrow", b"sect", b"page", b"column"))  # fmt: skip
# Destinations that hold no text of the document, or hold it a second time for old readers.
_SKIPPED = frozenset((
    b"colortbl", b"stylesheet", b"info", b"pict", b"objdata", b"fldinst", b"themedata", b"datastore",
    b"colorschememapping", b"latentstyles", b"rsidtbl", b"xmlnstbl", b"listtable", b"revtbl", b"generator",
    b"listoverridetable", b"filetbl", b"bkmkstart", b"bkmkend", b"pntext", b"listtext", b"nonshppict",
    b"shprslt", b"sp", b"nonesttables", b"objclass", b"objname", b"pgptbl", b"mmathPr", b"datafield",
))  # fmt: skip
_KEPT_OPTIONAL = frozenset((b"shpinst", b"shptxt", b"footnote", b"annotation"))  # behind \*
_STORIES = {
    **dict.fromkeys((b"header", b"headerl", b"headerr", b"headerf"), "header"),
    **dict.fromkeys((b"footer", b"footerl", b"footerr", b"footerf"), "footer"),
    b"footnote": "footnote", b"annotation": "comment", b"shptxt": "text box",
}  # fmt: skip


def read_rtf(data: bytes) -> Extracted:
    """Runs of the body, headers, footers, footnotes, comments and text boxes.

    Places: `paragraph 14` (cells of tables are paragraphs), `header`, `footnote`, `text box`.
    """
    if not data.lstrip()[:5] == rb"{\rtf":
        raise Unreadable("not RTF")
    return _Reader(data).read()


@dataclass(frozen=True, slots=True)
class _Font:
    name: str = ""
    charset: int = 0

    @property
    def codec(self) -> str | None:
        """The Python codec of its bytes; None for code page 1252."""
        return None if font_family(self.name).encoding else _CHARSETS.get(self.charset)


@dataclass(frozen=True, slots=True)
class _Group:
    """State that ends with its group."""

    font: int | None = None  # None: the default font
    fallback_bytes: int = 1  # \uc: what stands for a \u in readers without Unicode
    skipped: bool = False
    fonts: bool = False  # in the font table
    story: str = "paragraph"
    deleted: bool = False
    capitals: bool = False


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._collector = Collector()
        self._fonts: dict[int, _Font] = {}
        self._default_font = 0
        self._group = _Group()
        self._outer: list[_Group] = []
        self._number = 1  # of the paragraph in the body
        self._bytes = bytearray()  # of one font, not yet decoded
        self._fallback = 0  # how many characters still stand for the last \u
        self._optional = False  # \* was read: skip the destination if it is unknown
        self._new_font = 0
        self._high_surrogate = 0

    def read(self) -> Extracted:
        for word, number, hexadecimal, symbol, brace, text in self._tokens():
            if text is not None:
                self._take_text(text)
            elif word is not None:
                self._take_word(word, number)
            elif hexadecimal is not None:
                self._take_bytes(bytes([int(hexadecimal, 16)]))
            elif brace is not None:
                self._take_brace(brace)
            else:
                self._take_symbol(symbol)
        self._flush()
        return self._collector.result()

    def _tokens(self) -> Iterator[tuple[bytes, ...]]:
        position = 0
        while match := _TOKEN.search(self._data, position):
            position = match.end()
            if match.group(1) == b"bin":  # raw bytes follow
                position += max(int(match.group(2) or 0), 0)
            yield match.groups()

    def _take_brace(self, brace: bytes) -> None:
        self._flush()
        self._fallback = 0
        if brace == b"{":
            if len(self._outer) >= _MAX_DEPTH:
                raise Unreadable("RTF nested too deeply", "bomb")
            self._outer.append(self._group)
        elif self._outer:
            inner, self._group = self._group, self._outer.pop()
            if inner.story != self._group.story:
                self._collector.end_line()

    def _take_text(self, text: bytes) -> None:
        if self._fallback:
            skipped = min(self._fallback, len(text))
            self._fallback -= skipped
            text = text[skipped:]
        if self._group.fonts:
            self._name_font(text)
        else:
            self._take_bytes(text)

    def _take_bytes(self, data: bytes) -> None:
        if self._fallback and len(data) == 1:
            self._fallback -= 1
        elif not self._hidden:
            self._bytes += data

    @property
    def _hidden(self) -> bool:
        return self._group.skipped or self._group.fonts or self._group.deleted

    def _take_symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._optional = True
        elif symbol in b"\r\n":
            self._end_paragraph()
        elif self._fallback:
            self._fallback -= 1
        else:
            self._add(_SYMBOLS.get(symbol, ""))

    def _take_word(self, word: bytes, parameter: bytes | None) -> None:
        number = int(parameter) if parameter else 0
        optional, self._optional = self._optional, False
        if word == b"u":
            self._take_unicode(number)
        elif self._fallback:
            self._fallback -= 1
        elif word == b"f":
            self._flush()
            self._new_font = number
            self._group = replace(self._group, font=number)
        elif word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif word in _PARAGRAPH_ENDS:
            self._end_paragraph()
        elif word == b"fonttbl":
            self._group = replace(self._group, fonts=True)
        elif word in _STORIES:
            self._begin_story(_STORIES[word])
        elif word in _SKIPPED or (optional and word not in _KEPT_OPTIONAL):
            self._group = replace(self._group, skipped=True)
        else:
            self._take_property(word, number, parameter is None or number != 0)

    def _take_property(self, word: bytes, number: int, on: bool) -> None:
        if word == b"plain":
            self._flush()
            self._group = replace(self._group, font=None, deleted=False, capitals=False)
        elif word == b"uc":
            self._group = replace(self._group, fallback_bytes=max(number, 0))
        elif word == b"deleted":
            self._flush()
            self._group = replace(self._group, deleted=on)
        elif word in (b"caps", b"scaps"):
            self._flush()
            self._group = replace(self._group, capitals=on)
        elif word == b"deff":
            self._default_font = number
        elif word == b"fcharset" and self._group.fonts:
            known = self._fonts.get(self._new_font, _Font())
            self._fonts[self._new_font] = replace(known, charset=number)

    def _take_unicode(self, number: int) -> None:
        code = number & 0xFFFF
        self._fallback = self._group.fallback_bytes
        if 0xD800 <= code < 0xDC00:
            self._high_surrogate = code
        elif 0xDC00 <= code < 0xE000:
            if self._high_surrogate:
                self._add(chr(0x10000 + ((self._high_surrogate - 0xD800) << 10) + code - 0xDC00))
                self._high_surrogate = 0
        elif code >= 0x20:
            self._add(chr(code))

    def _name_font(self, text: bytes) -> None:
        """A piece of a name in the font table; it ends with a semicolon. Alternatives are skipped."""
        if self._group.skipped:
            return
        known = self._fonts.get(self._new_font, _Font())
        name = known.name + as_cp1252(text).partition(";")[0].strip("\r\n")
        self._fonts[self._new_font] = replace(known, name=name[:64])

    def _begin_story(self, story: str) -> None:
        self._flush()
        self._collector.end_line()
        self._group = replace(self._group, story=story)

    def _end_paragraph(self) -> None:
        if self._hidden:
            return
        self._flush()
        self._collector.end_line()
        if self._group.story == "paragraph":
            self._number += 1

    def _font(self) -> _Font:
        number = self._default_font if self._group.font is None else self._group.font
        return self._fonts.get(number, _Font())

    def _flush(self) -> None:
        """Decode and hand on the bytes gathered in the present font."""
        if not self._bytes:
            return
        data, self._bytes = bytes(self._bytes), bytearray()
        codec = self._font().codec
        self._put(data.decode(codec, "replace") if codec else as_cp1252(data))

    def _add(self, text: str) -> None:
        if not self._hidden:
            self._flush()
            self._put(text)

    def _put(self, text: str) -> None:
        story = self._group.story
        place = f"{story} {self._number}" if story == "paragraph" else story
        self._collector.add(text, place, self._font().name, capitals=self._group.capitals)
