"""Office packages converted in place: only texts and font names change, each where it stands.

The readers of docx and xlsx walk through the package as always; every text they are given knows the
bytes that it came from. What is converted is put back over exactly these bytes, and all other parts
are written as they were.
"""

import copy
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple, SupportsIndex
from xml.parsers import expat
from xml.sax.saxutils import escape, unescape

from mailgov.content.conversion import Log, convert_runs, unicode_font
from mailgov.content.extract.collector import MAX_CHARACTERS, MAX_RUNS, Collector
from mailgov.content.extract.docx import walk_docx
from mailgov.content.extract.package import Package
from mailgov.content.extract.xlsx import walk_xlsx
from mailgov.content.extract.xml_stream import MAX_DEPTH, MAX_ELEMENTS, Handler
from mailgov.content.fonts import font_family
from mailgov.content.legacy_text import assess, to_unicode
from mailgov.content.runs import Run, Unreadable
from mailgov.content.workbook_names import Names
from mailgov_policies.facts import Encoding

MAX_REPACKED_BYTES = 256 << 20  # of all parts, unpacked

WALKS: dict[str, Callable[[Package, Collector], None]] = {
    "docm": walk_docx,
    "docx": walk_docx,
    "dotm": walk_docx,
    "dotx": walk_docx,
    "xlsm": walk_xlsx,
    "xlsx": walk_xlsx,
    "xltm": walk_xlsx,
    "xltx": walk_xlsx,
}
_SIGNATURES = "_xmlsignatures/"  # ECMA-376 part 2, 13
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([^"']+)""")
_TAG = re.compile(rb"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
_ATTRIBUTE = re.compile(rb"""([\w:.-]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
# Elements that name fonts, and the attributes that do.
_FONT_NAMES = {
    "rFonts": frozenset({b"ascii", b"hAnsi", b"cs", b"eastAsia"}),
    "latin": frozenset({b"typeface"}),
    "rFont": frozenset({b"val"}),
    "name": frozenset({b"val"}),  # of a font in the styles of a workbook
}
_HEADER_FONT = re.compile(r'(?<=&")[^",]*')


class Spot(NamedTuple):
    """Bytes of a part that hold a text, or are an element that stands for a letter."""

    part: str
    start: int
    end: int
    font_tag: int = -1  # start of the element of the run that names its font
    tag: bytes = b""  # of an element that stands for a letter


class _Standing(str):
    """A text that knows its bytes. `offset` is where it begins in the text at that spot."""

    __slots__ = ("offset", "spot", "whole")
    spot: Spot
    offset: int
    whole: str

    @classmethod
    def at(cls, spot: Spot, whole: str, start: int = 0, end: int | None = None) -> "_Standing":
        """A stretch of the text at a spot."""
        text = cls(whole[start:end])
        text.spot, text.whole, text.offset = spot, whole, start
        return text

    def __getitem__(self, key: SupportsIndex | slice, /) -> str:
        if not isinstance(key, slice):
            return super().__getitem__(key)
        start, end, step = key.indices(len(self))
        if step != 1:
            return super().__getitem__(key)
        return self.at(self.spot, self.whole, self.offset + start, self.offset + max(start, end))


@dataclass(slots=True)
class _Origin:
    """Where a run came from. Without a spot it only takes part in the judgement."""

    spot: Spot | None = None
    whole: str = ""
    offset: int = 0


class _Texts(Collector):
    """Each text as a run of its own, with its origin."""

    everything = True

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []
        self.origins: list[_Origin] = []
        self.element: Spot | None = None  # an element that stands for a letter, while we are in it
        self._letters = 0
        self._line_ended = False

    def add(self, text: str, place: str, font: str = "", *, capitals: bool = False) -> None:  # noqa: ARG002
        standing = text if isinstance(text, _Standing) else None
        if not text or (len(text) > 1 and standing is None):
            return  # names of sheets are converted with the formulas that repeat them: Names
        self._letters += len(text)
        if self._letters > MAX_CHARACTERS or len(self.runs) >= MAX_RUNS:
            raise Unreadable("more text than allowed", "bomb")
        if self._line_ended and self.runs and self.runs[-1].place == place:
            self.runs.append(Run("\n", place, self.runs[-1].font))
            self.origins.append(_Origin())
        self._line_ended = False
        self.runs.append(Run(str(text), place, font))
        if standing is not None:
            self.origins.append(_Origin(standing.spot, standing.whole, standing.offset))
        else:
            self.origins.append(_Origin(self.element, text))

    def end_line(self) -> None:
        self._line_ended = True


class _StandingPackage(Package):
    """A package whose readers get texts that know where they stand."""

    def __init__(self, data: bytes, texts: _Texts) -> None:
        super().__init__(data)
        self._texts = texts
        self.read: dict[str, bytes] = {}  # parts in UTF-8 that hold text
        self.font_tags: dict[tuple[str, int], str] = {}  # part and start: name of the element
        self.columns: dict[tuple[str, int], None] = {}  # names of columns of tables

    def walk(self, name: str, handler: Handler) -> None:
        if name.lower().endswith((".rels", "[content_types].xml")):
            super().walk(name, handler)
            return
        name = name.lower()
        data = self.part(name)
        if not _is_utf8(data):
            super().walk(name, handler)
            return
        self.read[name] = data
        try:
            _Trace(self, name, data, handler, self._texts).run()
        except (expat.ExpatError, ValueError) as exc:
            raise Unreadable(f"damaged part `{name}`") from exc

    def part(self, name: str) -> bytes:
        """The bytes of a part. Raises Unreadable."""
        chunks: list[bytes] = []
        self._read(name, chunks.extend)
        return b"".join(chunks)

    def repacked(self, changed: dict[str, bytes]) -> bytes:
        """The package with some parts replaced; all others keep bytes, order, dates and packing."""
        packed = BytesIO()
        names = {name.lower(): data for name, data in changed.items()}
        members = self._zip.infolist()
        if sum(member.file_size for member in members) > MAX_REPACKED_BYTES:
            raise Unreadable("unpacks to more than allowed", "bomb")
        with zipfile.ZipFile(packed, "w") as target:
            target.comment = self._zip.comment
            for member in members:
                data = names.get(member.filename.lower())
                if data is None:
                    data = b"" if member.is_dir() else self._zip.read(member)
                target.writestr(copy.copy(member), data)
        return packed.getvalue()


def _is_utf8(data: bytes) -> bool:
    declared = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf"))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return declared is None or declared[1].lower() in (b"utf-8", b"utf8", b"us-ascii")


class _Trace:
    """Parses a part and tells its handler of each text as one piece that knows its bytes."""

    def __init__(
        self, package: _StandingPackage, part: str, data: bytes, handler: Handler, texts: _Texts
    ) -> None:
        self._package = package
        self._part = part
        self._data = data
        self._handler = handler
        self._texts = texts
        self._pending: list[str] = []
        self._pending_at = -1
        self._font_tag = -1
        self._depth = self._elements = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._between
        parser.StartDoctypeDeclHandler = self._doctype

    def run(self) -> None:
        """Walk through. Raises ExpatError, Unreadable."""
        self._parser.Parse(self._data, True)

    def _at(self) -> int:
        return self._parser.CurrentByteIndex

    def _characters(self, text: str) -> None:
        if self._pending_at < 0:
            self._pending_at = self._at()
        self._pending.append(text)

    def _flush(self, end: int) -> None:
        if self._pending:
            whole = "".join(self._pending)
            spot = Spot(self._part, self._pending_at, end, self._font_tag)
            self._pending = []
            self._handler.text(_Standing.at(spot, whole))
        self._pending_at = -1

    def _start_cdata(self) -> None:
        self._flush(self._at())
        self._pending_at = self._at()

    def _end_cdata(self) -> None:
        self._flush(self._at() + len(b"]]>"))

    def _between(self, *_: str) -> None:
        self._flush(self._at())

    def _doctype(self, *_: object) -> None:
        raise Unreadable("XML with a document type declaration")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._at()
        self._flush(at)
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise Unreadable("XML nested too deeply, or of too many elements", "bomb")
        local = name.rpartition(":")[2]
        if local in _FONT_NAMES and (local != "name" or "val" in attributes):
            self._package.font_tags[self._part, at] = local
            self._font_tag = at
        elif local in ("softHyphen", "sym"):
            found = _TAG.match(self._data, at)
            if found and found[0].endswith(b"/>"):
                self._texts.element = Spot(self._part, at, found.end(), self._font_tag, found[0])
        elif local == "r":
            self._font_tag = -1
        self._handler.start(local, attributes)
        self._texts.element = None

    def _end(self, name: str) -> None:
        self._flush(self._at())
        self._depth -= 1
        local = name.rpartition(":")[2]
        if local == "r":
            self._font_tag = -1
        self._handler.end(local)


def convert_package(kind: str, data: bytes, log: Log, given: Encoding | None = None) -> bytes:
    """A docx or xlsx with its texts in Unicode and the fonts of these texts replaced.

    Raises Unreadable. Font names change where text of their encoding was converted, except those of
    runs that hold text which was left as it is.
    """
    texts = _Texts()
    package = _StandingPackage(data, texts)
    WALKS[kind](package, texts)
    converted = convert_runs(texts.runs, log, given)
    if not log.encodings:
        return data
    edits = _text_edits(texts, converted, log)
    kept = {
        (origin.spot.part, origin.spot.font_tag)
        for run, origin, text in zip(texts.runs, texts.origins, converted, strict=True)
        if origin.spot and text == run.text and not run.text.isascii()
    }
    for (part, at), element in package.font_tags.items():
        if (part, at) not in kept:
            edits.setdefault(part, []).extend(
                _font_edits(package.read[part], at, element, log.encodings)
            )
    changed = {part: _edited(package.read[part], its) for part, its in edits.items() if its}
    changed |= _named(package, changed, texts.runs, converted, log)
    changed |= _numbering(package, log)
    mended = package.repacked(changed)
    _note_what_is_left(kind, mended, log)
    return mended


def _note_what_is_left(kind: str, data: bytes, log: Log) -> None:
    """Look at the new file as any reader would."""
    collector = Collector()
    WALKS[kind](Package(data), collector)
    for text in assess(collector.result().runs):
        log.doubt(text.place, "not-converted", text.as_read)


def is_signed(data: bytes) -> bool:
    """Whether the package holds signatures, which any change would break. Raises Unreadable."""
    return any(name.lower().startswith(_SIGNATURES) for name in Package(data).names())


_Edit = tuple[int, int, bytes]


def _text_edits(texts: _Texts, converted: list[str], log: Log) -> dict[str, list[_Edit]]:
    """New bytes for each spot that holds converted text."""
    wholes: dict[Spot, str] = {}
    pieces: dict[Spot, dict[tuple[int, int], str]] = {}
    for run, origin, text in zip(texts.runs, texts.origins, converted, strict=True):
        if origin.spot is None:
            continue
        wholes[origin.spot] = origin.whole
        its = pieces.setdefault(origin.spot, {})
        span = (origin.offset, origin.offset + len(run.text))
        if its.setdefault(span, text) != text:
            log.doubt(run.place, "shared", text)
    edits: dict[str, list[_Edit]] = {}
    for spot, its in pieces.items():
        whole = wholes[spot]
        new = _replaced(whole, its, log)
        if new != whole:
            edits.setdefault(spot.part, []).append((spot.start, spot.end, _markup(spot, new)))
    return edits


def _replaced(whole: str, pieces: dict[tuple[int, int], str], log: Log) -> str:
    """The text at a spot; where only stretches of it are text, the fonts named between change, too."""
    result, at = [], 0
    for (start, end), text in sorted(pieces.items()):
        result += [_header_fonts(whole[at:start], log), text]
        at = end
    return "".join([*result, _header_fonts(whole[at:], log)])


def _header_fonts(codes: str, log: Log) -> str:
    return _HEADER_FONT.sub(lambda found: unicode_font(found[0], log.encodings) or found[0], codes)


def _markup(spot: Spot, text: str) -> bytes:
    escaped = escape(text, {"\r": "&#13;"}).encode()
    if not spot.tag:
        return escaped
    prefix = spot.tag[1:].partition(b":")[0] + b":" if b":" in spot.tag.split()[0] else b""
    return b"<%st>%s</%st>" % (prefix, escaped, prefix)


def _font_edits(
    data: bytes, at: int, element: str, encodings: dict[Encoding, None]
) -> Iterator[_Edit]:
    """New names for the fonts that an element names."""
    tag = _TAG.match(data, at)
    if tag is None:
        return
    for found in _ATTRIBUTE.finditer(tag[0]):
        if found[1].rpartition(b":")[2] in _FONT_NAMES[element]:
            group = 2 if found[2] is not None else 3
            if name := unicode_font(found[group].decode("utf-8", "replace"), encodings):
                yield at + found.start(group), at + found.end(group), name.encode()


def _edited(data: bytes, edits: list[_Edit]) -> bytes:
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [data[at:start], new]
        at = end
    return b"".join([*pieces, data[at:]])


def _named(
    package: _StandingPackage,
    changed: dict[str, bytes],
    runs: list[Run],
    converted: list[str],
    log: Log,
) -> dict[str, bytes]:
    """Names, formulas, hints and properties that go with the texts."""

    def part(name: str) -> bytes:
        known = changed.get(name) or package.read.get(name)
        data = package.part(name) if known is None else known
        return data if _is_utf8(data) else b""

    cells = {run.text: text for run, text in zip(runs, converted, strict=True) if text != run.text}
    return Names(log, cells).changed(package.names(), part)


_LEVEL = re.compile(rb"<w:lvl\b.*?</w:lvl>", re.DOTALL)
_LEVEL_TEXT = re.compile(rb"""<w:lvlText\b[^>]*?\sw:val="([^"<]*)\"""")
_LEVEL_FONT = re.compile(rb"""<w:rFonts\b[^>]*?\sw:(?:ascii|hAnsi)="([^"<]*)\"""")


def _numbering(package: _StandingPackage, log: Log) -> dict[str, bytes]:
    """Words that Word writes before numbers, as in `Điều 1`: their font alone tells their encoding."""
    changed: dict[str, bytes] = {}
    for name in package.names():
        if name.lower() == "word/numbering.xml" and _is_utf8(data := package.part(name)):
            edits = [edit for level in _LEVEL.finditer(data) for edit in _level_edits(level, log)]
            if edits:
                changed[name.lower()] = _edited(data, edits)
    return changed


def _level_edits(level: re.Match[bytes], log: Log) -> Iterator[_Edit]:
    text, font = _LEVEL_TEXT.search(level[0]), _LEVEL_FONT.search(level[0])
    if not text or not font or b"&#" in text[1]:
        return
    family = font_family(font[1].decode())
    if family.encoding is None or family.encoding not in log.encodings:
        return
    before = unescape(text[1].decode(), {"&quot;": '"'})
    after = to_unicode(before, family.encoding, capitals_font=family.capitals)
    if after != before:
        log.change("numbering", before, after)
        start = level.start()
        yield start + text.start(1), start + text.end(1), _in_attribute(after)
    yield from _font_edits(
        level.string, level.start() + font.start(), "rFonts", dict(log.encodings)
    )


def _in_attribute(text: str) -> bytes:
    return escape(text, {'"': "&quot;"}).encode()
