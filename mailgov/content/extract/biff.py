"""Records of Excel workbooks before 2007 and the strings in them (MS-XLS, 2.1.4 and 2.5.293)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import iter_unpack, unpack_from

_CONTINUE = 0x003C
_WIDE, _EXTENDED, _RICH = 0x01, 0x04, 0x08


@dataclass(frozen=True, slots=True)
class RichText:
    """A string and where its font changes: index of a character, number of the font from there."""

    text: str
    changes: Sequence[tuple[int, int]] = ()


def records(stream: bytes) -> Iterator[tuple[int, int, list[bytes]]]:
    """Position, number and parts of each record: its own data and that of the continuations."""
    pending: tuple[int, int, list[bytes]] | None = None
    position = 0
    while position + 4 <= len(stream):
        number, length = unpack_from("<HH", stream, position)
        data = stream[position + 4 : position + 4 + length]
        if number == _CONTINUE and pending:
            pending[2].append(data)
        else:
            if pending:
                yield pending
            pending = position, number, [data]
        position += 4 + length
    if pending:
        yield pending


class Cursor:
    """Reads a record across its continuations. Raises IndexError at the end of the data."""

    def __init__(self, parts: Sequence[bytes], position: int = 0) -> None:
        self._parts = parts
        self._index = 0
        self._position = position

    def at_end(self) -> bool:
        """Whether everything was read."""
        return self._index == len(self._parts) - 1 and self._position >= len(self._parts[-1])

    def _available(self) -> int:
        """Bytes left in this part; moves on to the next one when there are none."""
        while self._position >= len(self._parts[self._index]):
            self._index += 1
            self._position = 0
            if self._index == len(self._parts):
                raise IndexError("record ends early")
        return len(self._parts[self._index]) - self._position

    def read(self, size: int) -> bytes:
        """The next bytes."""
        gathered = bytearray()
        while len(gathered) < size:
            taken = min(self._available(), size - len(gathered))
            gathered += self._parts[self._index][self._position : self._position + taken]
            self._position += taken
        return bytes(gathered)

    def number(self, size: int) -> int:
        """The next unsigned number of so many bytes."""
        return int.from_bytes(self.read(size), "little")

    def characters(self, count: int, *, wide: bool) -> str:
        """The next characters. A continuation begins with a flag: their width may change there."""
        pieces: list[str] = []
        while count:
            if self._position >= len(self._parts[self._index]):
                self._available()
                wide = bool(self.number(1) & _WIDE)
            width = 2 if wide else 1
            taken = min(count, self._available() // width)
            if not taken:
                raise IndexError("half a character")
            data = self.read(taken * width)
            pieces.append(data.decode("utf-16-le" if wide else "latin-1", "replace"))
            count -= taken
        return "".join(pieces)

    def unicode_string(self, length_bytes: int = 2) -> RichText:
        """A string of BIFF8: its length, flags, characters, changes of font."""
        count = self.number(length_bytes)
        flags = self.number(1)
        changes = self.number(2) if flags & _RICH else 0
        extension_bytes = self.number(4) if flags & _EXTENDED else 0
        text = self.characters(count, wide=bool(flags & _WIDE))
        formats = self.read(4 * changes)
        self.read(extension_bytes)
        return RichText(text, list(iter_unpack("<HH", formats)))

    def byte_string(self, length_bytes: int) -> RichText:
        """A string of BIFF5, each byte as one character."""
        return RichText(self.read(self.number(length_bytes)).decode("latin-1"))
