"""XML as a stream of events: no tree, no entities, no network, bounded depth.

Names come without namespace: the two dialects of Office Open XML differ only there.
"""

import functools
from collections.abc import Iterable
from xml.parsers import expat

from mailgov.content.runs import Unreadable

MAX_DEPTH = 512
MAX_ELEMENTS = 4_000_000


class Handler:
    """What walks through a part. Element names are local names; what is not overridden is ignored."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Characters between two tags."""


@functools.lru_cache(maxsize=1024)
def _local(name: str) -> str:
    return name.rpartition(":")[2]


def attribute(attributes: dict[str, str], name: str) -> str:
    """The value of the attribute with this local name; empty when missing."""
    for key, value in attributes.items():
        if key == name or key.endswith(":" + name):
            return value
    return ""


def parse(chunks: Iterable[bytes], handler: Handler) -> None:
    """Feed the document to the handler. Raises ExpatError, or Unreadable for what is never needed."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise Unreadable("XML nested too deeply, or of too many elements", "bomb")
        handler.start(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(name))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    for chunk in chunks:
        parser.Parse(chunk)
    parser.Parse(b"", True)


def _refuse_doctype(*_: object) -> None:
    """Office documents have none; entities begin with one."""
    raise Unreadable("XML with a document type declaration")
