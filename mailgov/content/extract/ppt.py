"""PowerPoint presentations before 2007: ppt (MS-PPT).

A file is a heap of records; each save appends. What counts now is found through the list of current
positions (the persist directory), as PowerPoint itself does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from struct import unpack_from

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.ole import CompoundFile
from mailgov.content.extract.ppt_style import character_fonts
from mailgov.content.runs import Extracted, Unreadable

# Record types (MS-PPT, 2.13.24).
_FONT_ENTITY, _SLIDE_LIST, _SLIDE_PERSIST, _USER_EDIT, _PERSIST_DIRECTORY = (
    0x0FB7, 0x0FF0, 0x03F3, 0x0FF5, 0x1772)  # fmt: skip
_TEXT_CHARACTERS, _TEXT_BYTES, _STYLE = 0x0FA0, 0x0FA8, 0x0FA1
_SLIDES, _NOTES = 0, 2  # instances of the slide list; 1 are masters
_ENCRYPTED = 0xF3D1C4DF
_CONTAINER = 0xF
_MAX_DEPTH = 32
_MAX_SAVES = 1000


@dataclass(frozen=True, slots=True)
class _Atom:
    """A record that holds no others, and the instance of the innermost slide list around it."""

    kind: int
    data: bytes
    in_list: int | None


def read_ppt(data: bytes) -> Extracted:
    """Runs of slides in order, then of notes. Places: `slide 2`, `notes 1`."""
    with CompoundFile(data) as streams:
        user = streams.read("Current User")
        stream = streams.read("PowerPoint Document")
    token, offset = unpack_from("<II", user, 12)
    if token == _ENCRYPTED:
        raise Unreadable("encrypted", "encrypted")
    return _Presentation(stream, offset).read()


class _Presentation:
    def __init__(self, stream: bytes, last_edit: int) -> None:
        self._stream = stream
        self._budget = len(stream)  # bytes of records still to be read: in a sound file each once
        self._positions, document = self._directory(last_edit)
        self._document = self._positions[document]
        self._fonts: list[str] = []
        self._collector = Collector()

    def _directory(self, last_edit: int) -> tuple[dict[int, int], int]:
        """Where each object lies now, by its number, and the number of the document."""
        positions: dict[int, int] = {}
        document = None
        for _ in range(_MAX_SAVES):
            data = self._record(last_edit, _USER_EDIT)
            earlier, directory, number = unpack_from("<III", data, 8)
            document = number if document is None else document
            for known, position in _persist_entries(self._record(directory, _PERSIST_DIRECTORY)):
                positions.setdefault(known, position)  # later saves come first
            if not earlier or earlier >= last_edit:
                break
            last_edit = earlier
        if document is None:
            raise Unreadable("damaged ppt: no document")
        return positions, document

    def _record(self, position: int, kind: int) -> bytes:
        """The data of the record that must be there."""
        _, found, length = unpack_from("<HHI", self._stream, position)
        if found != kind:
            raise Unreadable("damaged ppt: records are not where they should be")
        self._spend(8 + length)
        return self._stream[position + 8 : position + 8 + length]

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise Unreadable("damaged ppt: records overlap", "bomb")

    def read(self) -> Extracted:
        slides = {_SLIDES: 0, _NOTES: 0}
        texts = _TextGatherer(self._collector, self._fonts)
        slide: int | None = None  # number of the object that holds the drawing
        for atom in self._atoms(self._document):
            if atom.kind == _FONT_ENTITY:
                self._fonts.append(atom.data[:64].decode("utf-16-le", "replace").split("\0")[0])
            elif atom.in_list not in slides:
                continue
            elif atom.kind == _SLIDE_PERSIST:
                self._read_drawing(slide, texts)
                (slide,) = unpack_from("<I", atom.data)
                slides[atom.in_list] += 1
                name = "slide" if atom.in_list == _SLIDES else "notes"
                texts.place = f"{name} {slides[atom.in_list]}"
            else:
                texts.take(atom)
        self._read_drawing(slide, texts)
        return self._collector.result()

    def _read_drawing(self, slide: int | None, texts: "_TextGatherer") -> None:
        """Text in the drawing of a slide, after that of its outline in the slide list."""
        texts.finish()
        if slide in self._positions:
            for atom in self._atoms(self._positions[slide]):
                texts.take(atom)
            texts.finish()

    def _atoms(self, position: int) -> Iterator[_Atom]:
        """Records of the container at this position, from all depths, in order."""
        _, _, length = unpack_from("<HHI", self._stream, position)
        ends: list[tuple[int, int | None]] = [(min(position + 8 + length, len(self._stream)), None)]
        position += 8
        while ends:
            end, in_list = ends[-1]
            if position + 8 > end:
                position = end
                ends.pop()
                continue
            version, kind, length = unpack_from("<HHI", self._stream, position)
            position += 8
            self._spend(8)
            if version & 0xF == _CONTAINER:
                if len(ends) >= _MAX_DEPTH:
                    raise Unreadable("damaged ppt: nested too deeply")
                inner = version >> 4 if kind == _SLIDE_LIST else in_list
                ends.append((min(position + length, end), inner))
            else:
                data = self._stream[position : min(position + length, end)]
                self._spend(len(data))
                yield _Atom(kind, data, in_list)
                position += length


def _persist_entries(data: bytes) -> Iterator[tuple[int, int]]:
    """Numbers of objects and their positions (PersistDirectoryAtom, 2.3.4)."""
    position = 0
    while position + 4 <= len(data):
        (head,) = unpack_from("<I", data, position)
        first, count = head & 0xFFFFF, head >> 20
        for index, where in enumerate(unpack_from(f"<{count}I", data, position + 4)):
            yield first + index, where
        position += 4 + 4 * count


class _TextGatherer:
    """Brings each text together with the styles that follow it."""

    def __init__(self, collector: Collector, fonts: Sequence[str]) -> None:
        self.place = ""
        self._collector = collector
        self._fonts = fonts
        self._text = ""

    def take(self, atom: _Atom) -> None:
        """Look at the next record: a text, its styles, or something else."""
        if atom.kind == _TEXT_CHARACTERS:
            self._begin(atom.data.decode("utf-16-le", "replace"))
        elif atom.kind == _TEXT_BYTES:
            self._begin(atom.data.decode("latin-1"))
        elif atom.kind == _STYLE and self._text:
            self._add(character_fonts(atom.data, len(self._text)))

    def _begin(self, text: str) -> None:
        self.finish()
        self._text = text

    def finish(self) -> None:
        """Hand on a text that has no styles of its own."""
        if self._text:
            self._add([None] * len(self._text))

    def _add(self, fonts: Sequence[int | None]) -> None:
        position = 0
        for number, same in groupby(fonts):
            length = len(list(same))
            text = self._text[position : position + length]
            known = number is not None and number < len(self._fonts)
            font = self._fonts[number] if number is not None and known else ""
            for index, line in enumerate(text.replace("\v", "\r").split("\r")):
                if index:
                    self._collector.end_line()
                self._collector.add(line, self.place, font)
            position += length
        self._collector.end_line()
        self._text = ""
