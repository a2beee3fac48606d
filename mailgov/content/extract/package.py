"""ZIP packages of XML parts (Office Open XML, OpenDocument), read within bounds.

What an office program would not read the same way is refused: parts encrypted, packed by methods
other than deflate, named twice, or larger in sum than any real document.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import IO
from xml.parsers import expat

from mailgov.content.extract.xml_stream import Handler, attribute, parse
from mailgov.content.runs import Unreadable

MAX_PARTS = 10_000
MAX_UNPACKED_BYTES = 64 << 20  # over all parts that are read
_ENCRYPTED_FLAG = 0x1


class Package:
    """A package in memory. Part names have no leading slash and compare without case."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise Unreadable("damaged ZIP package") from exc
        members = self._zip.infolist()
        if len(members) > MAX_PARTS:
            raise Unreadable("too many parts in the package", "bomb")
        self._parts = {member.filename.lower(): member for member in members}
        if len(self._parts) < len(members):
            raise Unreadable("two parts of one name")
        self._budget_bytes = MAX_UNPACKED_BYTES

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._parts

    def names(self) -> Iterator[str]:
        """Part names in the order of the package."""
        for member in self._parts.values():
            yield member.filename

    def walk(self, name: str, handler: Handler) -> None:
        """Parse a part as XML. Raises Unreadable, also when the part is missing."""
        self._read(name, lambda chunks: parse(chunks, handler))

    def _read(self, name: str, use: Callable[[Iterator[bytes]], None]) -> None:
        """Give the part in pieces to `use`, whose errors become Unreadable."""
        member = self._parts.get(name.lower())
        if member is None:
            raise Unreadable(f"part `{name}` is missing")
        if member.flag_bits & _ENCRYPTED_FLAG:
            raise Unreadable("encrypted", "encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(f"part `{name}` is packed by an unusual method")
        try:
            with self._zip.open(member) as stream:
                use(self._chunks(stream))
        except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, ValueError) as exc:
            raise Unreadable(f"damaged part `{name}`") from exc

    def _chunks(self, stream: IO[bytes]) -> Iterator[bytes]:
        """The part in pieces that grow: older parsers begin a long tag anew with each piece."""
        size = 1 << 16
        while chunk := stream.read(size):
            self._budget_bytes -= len(chunk)
            if self._budget_bytes < 0:
                raise Unreadable("unpacks to more than allowed", "bomb")
            yield chunk
            size *= 2


class ContentTypes(Handler):
    """Parts of an Office Open XML package by what they are (ECMA-376 part 2, 10.1.2.2)."""

    def __init__(self, package: Package) -> None:
        self.parts: dict[str, list[str]] = {}  # last word of the content type: names of parts
        self._overridden: set[str] = set()
        self._defaults: dict[str, str] = {}
        package.walk("[Content_Types].xml", self)
        for name in package.names():
            content_type = self._defaults.get(name.rpartition(".")[2].lower())
            if content_type is not None and name.lower() not in self._overridden:
                self._add(content_type, name)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        content_type = attribute(attributes, "ContentType")
        if name == "Override":
            part = attribute(attributes, "PartName").lstrip("/")
            self._overridden.add(part.lower())
            self._add(content_type, part)
        elif name == "Default":
            self._defaults[attribute(attributes, "Extension").lower()] = content_type

    def _add(self, content_type: str, part: str) -> None:
        self.parts.setdefault(content_type, []).append(part)

    def ending(self, *endings: str) -> list[str]:
        """Parts whose content type ends so, in the order given there."""
        return [
            part
            for content_type, parts in self.parts.items()
            if content_type.endswith(endings)
            for part in parts
        ]


class Relationships(Handler):
    """Where the relationship ids of a part lead (ECMA-376 part 2, 9.3)."""

    def __init__(self, package: Package, part: str) -> None:
        self._folder, base = posixpath.split(part)
        self.targets: dict[str, str] = {}
        self.by_type: dict[str, list[str]] = {}  # last word of the type: parts
        rels = posixpath.join(self._folder, "_rels", f"{base}.rels")
        if rels in package:
            package.walk(rels, self)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name != "Relationship" or attribute(attributes, "TargetMode") == "External":
            return
        target = attribute(attributes, "Target")
        path = (
            target[1:]
            if target.startswith("/")
            else posixpath.normpath(posixpath.join(self._folder, target))
        )
        self.targets[attribute(attributes, "Id")] = path
        kind = attribute(attributes, "Type").rpartition("/")[2]
        self.by_type.setdefault(kind, []).append(path)
