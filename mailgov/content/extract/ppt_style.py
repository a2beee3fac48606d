"""Styles of a text in PowerPoint files before 2007 (StyleTextPropAtom, MS-PPT 2.9.44)."""

from struct import error, unpack_from

# Fields of paragraph properties in their order: the mask that announces one and its bytes.
_BEFORE_TABS = (
    (0x0F, 2), (0x80, 2), (0x10, 2), (0x40, 2), (0x20, 4), (0x0800, 2), (0x1000, 2), (0x2000, 2),
    (0x4000, 2), (0x0100, 2), (0x0400, 2), (0x8000, 2),
)  # fmt: skip
_TABS = 0x100000  # a count and four bytes for each
_AFTER_TABS = ((0x010000, 2), (0x0E0000, 2), (0x200000, 2))
# Character properties: style flags come before the font, the others behind it.
_CHARACTER_FLAGS, _FONT = 0xFFFF, 0x010000
_AFTER_FONT = ((0x200000, 2), (0x400000, 2), (0x800000, 2), (0x020000, 2), (0x040000, 4), (0x080000, 2))  # fmt: skip


def character_fonts(data: bytes, length: int) -> list[int | None]:
    """The number of the font of each character; None where the master says, or nothing is known."""
    fonts: list[int | None] = []
    try:
        position = _skip_paragraphs(data, length)
        while len(fonts) < length:
            count, mask = unpack_from("<II", data, position)
            position += 8 + (2 if mask & _CHARACTER_FLAGS else 0)
            font = None
            if mask & _FONT:
                (font,) = unpack_from("<H", data, position)
                position += 2
            position += _size(_AFTER_FONT, mask)
            fonts += [font] * min(count, length - len(fonts))
            if not count:
                break
    except error:
        pass  # damaged styles: fonts stay unknown, the text does not suffer
    return fonts + [None] * (length - len(fonts))


def _skip_paragraphs(data: bytes, length: int) -> int:
    """Where character properties begin. Properties cover the text and one character more."""
    position = covered = 0
    while covered <= length:
        count, _, mask = unpack_from("<IHI", data, position)
        position += 10 + _size(_BEFORE_TABS, mask)
        if mask & _TABS:
            (tabs,) = unpack_from("<H", data, position)
            position += 2 + 4 * tabs
        position += _size(_AFTER_TABS, mask)
        covered += max(count, 1)
    return position


def _size(fields: tuple[tuple[int, int], ...], mask: int) -> int:
    return sum(size for field, size in fields if mask & field)
