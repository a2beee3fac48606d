"""Word documents before 2007: doc (MS-DOC), and Word 6 and 95 without fonts.

Text lies in pieces; character properties lie in pages of 512 bytes and name fonts by number. Fonts
matter here because capitals fonts draw lower-case codes as capitals.
"""

import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from struct import unpack_from
from typing import Generic, TypeVar

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.ole import CompoundFile
from mailgov.content.legacy_text import as_cp1252
from mailgov.content.runs import Extracted, Unreadable

T = TypeVar("T")

_WORD_6 = 0xA5DC  # signature; later versions have 0xA5EC
_FIRST_97_VERSION = 0x00C1
_FAST_SAVED, _ENCRYPTED, _TABLE_1 = 0x0004, 0x0100, 0x0200
_PAGE_BYTES = 512
_COMPRESSED = 1 << 30  # of a piece's file position: one byte for each character

# Sprms (MS-DOC, 2.6.1): property modifiers of two bytes with an operand.
_SPRM_FONT, _SPRM_FONT_OTHER, _SPRM_STYLE, _SPRM_SYMBOL = 0x4A4F, 0x4A51, 0x4A30, 0x6A09
_SPRM_DELETED = 0x0800
_OPERAND_BYTES = (1, 1, 2, 4, 2, 2, 0, 3)  # by the upper three bits; 0: the operand says
_SPRM_TABLE_DEFINITION, _SPRM_TABS = 0xD608, 0xC615

_STORIES = ("paragraph", "footnote", "header or footer", "macro", "comment", "endnote", "text box",
            "header text box")  # fmt: skip
_SPECIAL = re.compile("([\x00-\x08\x0b-\x1f])")
_IN_LINE = {"\x0b": "\n", "\x1e": "\u2011", "\x1f": "\u00ad"}  # line break, hyphens hard and soft
_FIELD_BEGIN, _FIELD_SEPARATOR, _FIELD_END = "\x13", "\x14", "\x15"
_ENDS = "\r\x07\x0c\x0e"  # of paragraph, cell or row, page or section, column


def read_doc(data: bytes) -> Extracted:
    """Runs of body, footnotes, headers, comments and text boxes.

    Places: `paragraph 14` (cells of tables are paragraphs), `footnote`, `header or footer`. Text marked
    as deleted and field instructions are left out.
    """
    with CompoundFile(data) as streams:
        document = streams.read("WordDocument")
        if len(document) < 0x60:
            raise Unreadable("damaged doc: header too short")
        magic, version = unpack_from("<HH", document, 0)
        (flags,) = unpack_from("<H", document, 0x0A)
        if flags & _ENCRYPTED:
            raise Unreadable("encrypted", "encrypted")
        if magic == _WORD_6 or version < _FIRST_97_VERSION:
            return _gather(_word6_text(document, fast_saved=bool(flags & _FAST_SAVED)))
        table = streams.read("1Table" if flags & _TABLE_1 else "0Table")
    return _gather(_Word97(document, table).segments())


@dataclass(frozen=True, slots=True)
class _Segment:
    """Text of one font in one story, with its control characters."""

    story: str
    text: str
    font: str = ""


def _gather(segments: Iterator[_Segment]) -> Extracted:
    collector = Collector()
    story, number = "", 1
    fields: list[bool] = []  # for each open field: are we in its instruction?
    for segment in segments:
        if segment.story != story:
            story, fields = segment.story, []
            collector.end_line()
        place = f"{story} {number}" if story == "paragraph" else story
        for piece in _SPECIAL.split(segment.text):
            if piece == _FIELD_BEGIN:
                fields.append(True)
            elif piece == _FIELD_SEPARATOR and fields:
                fields[-1] = False
            elif piece == _FIELD_END and fields:
                fields.pop()
            elif any(fields):
                continue
            elif piece and piece in _ENDS:
                collector.end_line()
                number += 1
                place = f"{story} {number}" if story == "paragraph" else story
            elif piece in _IN_LINE or not _SPECIAL.match(piece):
                collector.add(_IN_LINE.get(piece, piece), place, segment.font)
    return collector.result()


class _Word97:
    """The streams of a document of Word 97 or later."""

    def __init__(self, document: bytes, table: bytes) -> None:
        self._document = document
        self._table = table
        self._fonts = _font_names(self._part(15))
        self._styles = _Styles(self._part(1))
        self._characters = _Ranges(document, self._part(12), _character_properties)
        self._paragraphs = _Ranges(document, self._part(13), _paragraph_style)

    def _part(self, index: int) -> bytes:
        """The bytes that a pair of the header (position, length) points to (FibRgFcLcb97)."""
        position, length = unpack_from("<II", self._document, 0x9A + 8 * index)
        return self._table[position : position + length]

    def segments(self) -> Iterator[_Segment]:
        """Text in order, by story and font."""
        pieces = _pieces(self._part(33), len(self._document))
        for story, piece in _by_story(pieces, unpack_from("<8i", self._document, 0x4C)):
            end = piece.position + piece.count * piece.width
            for first, last, properties in self._characters.between(piece.position, end):
                if properties is None or not properties.deleted:
                    yield from self._with_fonts(story, piece, first, last, properties)

    def _with_fonts(
        self, story: str, piece: "_Piece", first: int, last: int, properties: "_Character | None"
    ) -> Iterator[_Segment]:
        """Text between two file positions, whose properties are known but for those of its style."""
        if properties and properties.symbol:
            yield _Segment(story, properties.symbol, self._font(properties.symbol_font))
            return
        number = properties.font if properties else None
        if number is None and properties and properties.style is not None:
            number = self._styles.font(properties.style)
        if number is not None:
            yield _Segment(story, piece.text(self._document, first, last), self._font(number))
            return
        for start, end, style in self._paragraphs.between(first, last):
            text = piece.text(self._document, start, end)
            yield _Segment(story, text, self._font(self._styles.font(style or 0)))

    def _font(self, number: int | None) -> str:
        return self._fonts[number] if number is not None and number < len(self._fonts) else ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters that lie together in the file."""

    start: int  # number of the first character in the document
    count: int
    position: int  # in the document stream, in bytes
    width: int  # bytes of a character: 1 or 2

    def text(self, document: bytes, first: int, last: int) -> str:
        """What lies between two file positions of this piece."""
        data = document[first:last]
        return as_cp1252(data) if self.width == 1 else data.decode("utf-16-le", "replace")

    def between(self, start: int, end: int) -> "_Piece":
        """The part between two character numbers."""
        skipped = start - self.start
        return _Piece(start, end - start, self.position + skipped * self.width, self.width)


def _pieces(clx: bytes, document_bytes: int, *, may_compress: bool = True) -> Iterator[_Piece]:
    """The piece table (Clx, 2.9.38)."""
    position = 0
    while clx[position] == 1:  # property modifiers of fast saves: never fonts of whole texts
        (length,) = unpack_from("<H", clx, position + 1)
        position += 3 + length
    (length,) = unpack_from("<I", clx, position + 1)
    table = clx[position + 5 : position + 5 + length]
    count = (len(table) - 4) // 12
    numbers = unpack_from(f"<{count + 1}I", table, 0)
    budget_bytes = document_bytes
    for index, (start, end) in enumerate(pairwise(numbers)):
        (where,) = unpack_from("<I", table, 4 * (count + 1) + 8 * index + 2)
        compressed = not may_compress or bool(where & _COMPRESSED)
        if may_compress:
            where &= _COMPRESSED - 1
            where = where // 2 if compressed else where
        piece = _Piece(start, end - start, where, 1 if compressed else 2)
        budget_bytes -= piece.count * piece.width
        if piece.count < 0 or budget_bytes < 0:
            raise Unreadable("damaged doc: more text in pieces than in the file")
        yield piece


def _by_story(pieces: Iterator[_Piece], lengths: tuple[int, ...]) -> Iterator[tuple[str, _Piece]]:
    """Pieces cut where one story ends and the next begins; behind the last there is no text."""
    ends = list(accumulate(max(length, 0) for length in lengths))
    for piece in pieces:
        start, end = piece.start, piece.start + piece.count
        while start < min(end, ends[-1]):
            story = bisect_right(ends, start)
            stop = min(end, ends[story])
            yield _STORIES[story], piece.between(start, stop)
            start = stop


def _modifiers(grpprl: bytes) -> Iterator[tuple[int, bytes]]:
    """Sprms and their operands."""
    position = 0
    while position + 2 < len(grpprl):
        (sprm,) = unpack_from("<H", grpprl, position)
        position += 2
        size = _OPERAND_BYTES[sprm >> 13]
        if sprm == _SPRM_TABLE_DEFINITION:
            size = 1 + int.from_bytes(grpprl[position : position + 2], "little")
        elif sprm == _SPRM_TABS and grpprl[position] == 0xFF:
            return  # a size that must be counted; fonts never follow it
        elif not size:
            size = 1 + grpprl[position]
        yield sprm, grpprl[position : position + size]
        position += size


@dataclass(frozen=True, slots=True)
class _Character:
    """Properties of characters, as far as they matter here; None: as the style says."""

    font: int | None = None
    style: int | None = None
    deleted: bool = False
    symbol: str = ""  # stands for the placeholder in the text
    symbol_font: int | None = None


def _character_properties(page: bytes, offset: int) -> _Character | None:
    """Of the exception at this offset of a page (Chpx); None: nothing differs from the style."""
    return _parse_character(page[offset + 1 : offset + 1 + page[offset]]) if offset else None


@functools.lru_cache(maxsize=4096)
def _parse_character(grpprl: bytes) -> _Character:
    font = other = style = symbol_font = None
    deleted, symbol = False, ""
    for sprm, operand in _modifiers(grpprl):
        value = int.from_bytes(operand[:2], "little")
        if sprm == _SPRM_FONT:
            font = value
        elif sprm == _SPRM_FONT_OTHER:
            other = value
        elif sprm == _SPRM_STYLE:
            style = value
        elif sprm == _SPRM_DELETED:
            deleted = bool(value)
        elif sprm == _SPRM_SYMBOL:
            symbol_font, symbol = value, operand[2:4].decode("utf-16-le", "replace")
    return _Character(other if font is None else font, style, deleted, symbol, symbol_font)


def _paragraph_style(page: bytes, offset: int) -> int | None:
    """Number of the style of the paragraph whose properties lie at this offset (PapxInFkp)."""
    if not offset:
        return None
    start = offset + 1 if page[offset] else offset + 2
    return int.from_bytes(page[start : start + 2], "little")


class _Ranges(Generic[T]):
    """Properties by file position, from formatted disk pages (MS-DOC, 2.9.32, 2.9.175)."""

    def __init__(
        self, document: bytes, table: bytes, read: Callable[[bytes, int], T | None]
    ) -> None:
        self._ranges: list[tuple[int, int, T | None]] = []
        count = max(len(table) - 4, 0) // 8
        numbers = unpack_from(f"<{count}I", table, 4 * (count + 1)) if count else ()
        for number in dict.fromkeys(number & 0x3FFFFF for number in numbers):
            page = document[number * _PAGE_BYTES : (number + 1) * _PAGE_BYTES]
            if len(page) == _PAGE_BYTES:
                self._add_page(page, read)
        self._ranges.sort(key=itemgetter(0))
        self._starts = [start for start, _, _ in self._ranges]

    def _add_page(self, page: bytes, read: Callable[[bytes, int], T | None]) -> None:
        count = page[-1]
        entry_bytes = 1 if read is _character_properties else 13
        offsets = 4 * (count + 1)
        if offsets + count * entry_bytes >= _PAGE_BYTES:
            raise Unreadable("damaged doc: properties overflow their page")
        positions = unpack_from(f"<{count + 1}I", page, 0)
        for index, (start, end) in enumerate(pairwise(positions)):
            offset = 2 * page[offsets + index * entry_bytes]
            self._ranges.append((start, end, read(page, offset)))

    def between(self, first: int, last: int) -> Iterator[tuple[int, int, T | None]]:
        """Ranges that fill the stretch without gaps."""
        index = max(bisect_right(self._starts, first) - 1, 0)
        while first < last and index < len(self._ranges):
            start, end, properties = self._ranges[index]
            index += 1
            if start >= last:
                break
            if end <= first:
                continue
            if start > first:
                yield first, start, None
                first = start
            stop = min(end, last)
            yield first, stop, properties
            first = stop
        if first < last:
            yield first, last, None


def _font_names(data: bytes) -> list[str]:
    """Names in the order of their numbers (SttbfFfn, 2.9.286; FFN, 2.9.92)."""
    names: list[str] = []
    position = 4
    while position < len(data):
        length = data[position]
        name = data[position + 40 : position + 1 + length]
        names.append(name.decode("utf-16-le", "replace").partition("\0")[0])
        position += 1 + length
    return names


class _Styles:
    """Fonts of styles (STSH, 2.9.271)."""

    def __init__(self, data: bytes) -> None:
        self._fonts: list[int | None] = []
        self._bases: list[int] = []
        self._default: int | None = None
        if len(data) < 20:
            return
        header_bytes, count, base_bytes = unpack_from("<HHH", data, 0)
        (self._default,) = unpack_from("<H", data, 14)
        position = 2 + header_bytes
        for _ in range(count):
            if position + 2 > len(data):
                break
            (length,) = unpack_from("<H", data, position)
            self._add(data[position + 2 : position + 2 + length], base_bytes)
            position += 2 + length

    def _add(self, style: bytes, base_bytes: int) -> None:
        font, base = None, 0xFFF
        if len(style) > base_bytes + 2:
            kind_and_base, counts = unpack_from("<HH", style, 2)
            kind, base = kind_and_base & 0xF, kind_and_base >> 4
            (name_length,) = unpack_from("<H", style, base_bytes)
            position = base_bytes + 2 + 2 * name_length + 2
            wanted = {1: 1, 2: 0}.get(kind)  # paragraph styles: character part comes second
            for index in range(counts & 0xF):
                if position + 2 > len(style):
                    break
                (length,) = unpack_from("<H", style, position)
                if index == wanted:
                    font = _parse_character(style[position + 2 : position + 2 + length]).font
                position += 2 + length + length % 2
        self._fonts.append(font)
        self._bases.append(base)

    def font(self, style: int) -> int | None:
        """Number of the font of a style, its own or inherited, else the default of the document."""
        for _ in range(16):  # deeper chains are loops
            if style >= len(self._fonts):
                break
            if self._fonts[style] is not None:
                return self._fonts[style]
            style = self._bases[style]
        return self._default


def _word6_text(document: bytes, *, fast_saved: bool) -> Iterator[_Segment]:
    """Text of Word 6 and 95: one byte for each character; fonts stay unknown."""
    lengths = unpack_from("<8i", document, 0x34)
    if fast_saved:
        position, length = unpack_from("<II", document, 0x160)
        clx = document[position : position + length]
        pieces = _pieces(clx, len(document), may_compress=False)
    else:
        first, last = unpack_from("<II", document, 0x18)
        pieces = iter([_Piece(0, min(last, len(document)) - first, first, 1)])
    for story, piece in _by_story(pieces, lengths):
        yield _Segment(story, piece.text(document, piece.position, piece.position + piece.count))
