"""Properties of characters and paragraphs in Word documents before 2007, as far as fonts need them.

They lie in pages of 512 bytes, as modifiers (sprms) of what the style says (MS-DOC, 2.4.6).
"""

import functools
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from struct import unpack_from
from typing import Generic, TypeVar

from mailgov.content.runs import Unreadable

T = TypeVar("T")

_PAGE_BYTES = 512
# Sprms (MS-DOC, 2.6.1): property modifiers of two bytes with an operand.
_SPRM_FONT, _SPRM_FONT_OTHER, _SPRM_STYLE, _SPRM_SYMBOL = 0x4A4F, 0x4A51, 0x4A30, 0x6A09
_SPRM_DELETED, _SPRM_SMALL_CAPITALS, _SPRM_CAPITALS = 0x0800, 0x083A, 0x083B
_OPERAND_BYTES = (1, 1, 2, 4, 2, 2, 0, 3)  # by the upper three bits; 0: the operand says
_SPRM_TABLE_DEFINITION, _SPRM_TABS = 0xD608, 0xC615


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
class Character:
    """Properties of characters, as far as they matter here; None: as the style says."""

    font: int | None = None
    style: int | None = None
    deleted: bool = False
    capitals: bool | None = None  # small letters are shown so
    symbol: str = ""  # stands for the placeholder in the text
    symbol_font: int | None = None


def character_properties(page: bytes, offset: int) -> Character | None:
    """Of the exception at this offset of a page (Chpx); None: nothing differs from the style."""
    return _parse_character(page[offset + 1 : offset + 1 + page[offset]]) if offset else None


@functools.lru_cache(maxsize=4096)
def _parse_character(grpprl: bytes) -> Character:
    font = other = style = symbol_font = None
    deleted, symbol = False, ""
    capitals: bool | None = None
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
        elif sprm in (_SPRM_CAPITALS, _SPRM_SMALL_CAPITALS):
            # 80h: as the style says; 81h: the other way round (ToggleOperand, 2.9.327)
            capitals = capitals or (None if value & 0xFF == 0x80 else bool(value & 0x81))
        elif sprm == _SPRM_SYMBOL:
            symbol_font, symbol = value, operand[2:4].decode("utf-16-le", "replace")
    number = other if font is None else font
    return Character(number, style, deleted, capitals, symbol, symbol_font)


def paragraph_style(page: bytes, offset: int) -> int | None:
    """Number of the style of the paragraph whose properties lie at this offset (PapxInFkp)."""
    if not offset:
        return None
    start = offset + 1 if page[offset] else offset + 2
    return int.from_bytes(page[start : start + 2], "little")


class Ranges(Generic[T]):
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
        entry_bytes = 1 if read is character_properties else 13
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


def font_names(data: bytes) -> list[str]:
    """Names in the order of their numbers (SttbfFfn, 2.9.286; FFN, 2.9.92)."""
    names: list[str] = []
    position = 4
    while position < len(data):
        length = data[position]
        name = data[position + 40 : position + 1 + length]
        names.append(name.decode("utf-16-le", "replace").partition("\0")[0])
        position += 1 + length
    return names


class Styles:
    """Fonts and capitals of styles (STSH, 2.9.271)."""

    def __init__(self, data: bytes) -> None:
        self._characters: list[Character] = []
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
        character, base = Character(), 0xFFF
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
                    character = _parse_character(style[position + 2 : position + 2 + length])
                position += 2 + length + length % 2
        self._characters.append(character)
        self._bases.append(base)

    def font(self, style: int) -> int | None:
        """Number of the font of a style, its own or inherited, else the default of the document."""
        own = (character.font for character in self._chain(style) if character.font is not None)
        return next(own, self._default)

    @property
    def any_capitals(self) -> bool:
        """Whether any style shows small letters as capitals."""
        return any(character.capitals for character in self._characters)

    def capitals(self, style: int) -> bool:
        """Whether a style shows small letters as capitals."""
        said = (one.capitals for one in self._chain(style) if one.capitals is not None)
        return next(said, False)

    def _chain(self, style: int) -> Iterator[Character]:
        """What the style says, then what those it is based on say."""
        for _ in range(16):  # deeper chains are loops
            if style >= len(self._characters):
                break
            yield self._characters[style]
            style = self._bases[style]
