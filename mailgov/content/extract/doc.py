"""Word documents before 2007: doc (MS-DOC), and Word 6 and 95 without fonts.

Text lies in pieces; character properties lie in pages of 512 bytes and name fonts by number. Fonts
matter here because capitals fonts draw lower-case codes as capitals.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from struct import unpack_from

from mailgov.content.encodings import as_cp1252
from mailgov.content.extract.collector import Collector
from mailgov.content.extract.doc_properties import (
    Character,
    Ranges,
    Styles,
    character_properties,
    font_names,
    paragraph_style,
)
from mailgov.content.extract.ole import CompoundFile
from mailgov.content.runs import Extracted, Unreadable

_WORD_6 = 0xA5DC  # signature; later versions have 0xA5EC
_FIRST_97_VERSION = 0x00C1
_FAST_SAVED, _ENCRYPTED, _TABLE_1 = 0x0004, 0x0100, 0x0200
_COMPRESSED = 1 << 30  # of a piece's file position: one byte for each character


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
    capitals: bool = False


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
                text = _IN_LINE.get(piece, piece)
                collector.add(text, place, segment.font, capitals=segment.capitals)
    return collector.result()


class _Word97:
    """The streams of a document of Word 97 or later."""

    def __init__(self, document: bytes, table: bytes) -> None:
        self._document = document
        self._table = table
        self._fonts = font_names(self._part(15))
        self._styles = Styles(self._part(1))
        self._characters = Ranges(document, self._part(12), character_properties)
        self._paragraphs = Ranges(document, self._part(13), paragraph_style)

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
        self, story: str, piece: "_Piece", first: int, last: int, properties: Character | None
    ) -> Iterator[_Segment]:
        """Text between two file positions, whose properties are known but for those of its style."""
        if properties and properties.symbol:
            yield _Segment(story, properties.symbol, self._font(properties.symbol_font))
            return
        own = properties or Character()
        number = own.font
        if number is None and own.style is not None:
            number = self._styles.font(own.style)
        if number is not None and (own.capitals is not None or not self._styles.any_capitals):
            text = piece.text(self._document, first, last)
            yield _Segment(story, text, self._font(number), bool(own.capitals))
            return
        for start, end, style in self._paragraphs.between(first, last):
            text = piece.text(self._document, start, end)
            font = self._styles.font(style or 0) if number is None else number
            capitals = self._capitals(own, style or 0)
            yield _Segment(story, text, self._font(font), capitals)

    def _capitals(self, own: Character, paragraph_style: int) -> bool:
        if own.capitals is not None:
            return own.capitals
        by_style = own.style is not None and self._styles.capitals(own.style)
        return by_style or self._styles.capitals(paragraph_style)

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
