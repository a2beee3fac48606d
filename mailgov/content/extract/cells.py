"""What workbooks of all formats share: names of cells, fonts in headers and footers."""

import re
from collections.abc import Iterator

# Codes in headers and footers (ECMA-376, part 1, 18.3.1.46): a font, a size, fields, sections.
_HEADER_CODE = re.compile(r'&(?:"([^"]*)"|K[0-9A-Fa-f]{6}|[0-9]{1,3}|[A-Za-z+-]|(&))')


def cell_name(row: int, column: int) -> str:
    """The name of a cell: both numbers count from 0, so that 6, 1 is `B7`."""
    letters = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return f"{letters}{row + 1}"


def place_of(sheet: str, name: str) -> str:
    """The place of a cell, or of something else on a sheet."""
    return f'sheet "{sheet}" {name}'


def header_pieces(text: str) -> Iterator[tuple[str, str]]:
    """Text and font of each stretch of a header or footer, without its codes."""
    font, start = "", 0
    for match in _HEADER_CODE.finditer(text):
        yield text[start : match.start()], font
        if match.group(1) is not None:
            font = match.group(1).rpartition(",")[0] or match.group(1)
        elif match.group(2):
            yield "&", font
        start = match.end()
    yield text[start:], font
