"""Whom a document is addressed to: what stands behind `Kính gửi` and below `Nơi nhận`.

Decree 30/2020/NĐ-CP, Annex I, part I, items 9 and 10. What only says `as above` or where the file copy lies is none.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from mailgov.content.lines import Line

_HEAD_LINES = 80
_TAIL_LINES = 60
_LONGEST_LIST = 20
_LONGEST_NAME = 160

_TO = re.compile(r"^\W{0,3}kính\s+(?:gửi|trình)\s*:?\s*(.*)$", re.IGNORECASE)
_COPIES = re.compile(r"^\W{0,3}nơi\s+nhận\s*:?\s*(.*)$", re.IGNORECASE)
_ITEM = re.compile(r"^[-–—+•*]\s*(.+)$")
_NONE = re.compile(r"^(?:như\s|lưu\b|nt\b|vt\b)", re.IGNORECASE)
_REMARK = re.compile(r"\((?:để\s)?[^()]{0,40}\)|\s*[;.,:]+$")
_COLUMN = re.compile(r"\t| {3,}|\s*\|\s*")


def addressees(lines: Sequence[Line]) -> tuple[str, ...]:
    """Names as they are written, each once; empty where the document names none."""
    head, tail = lines[:_HEAD_LINES], lines[-_TAIL_LINES:]
    names = [*_listed(head, _TO), *_listed(tail, _COPIES)]
    return tuple(dict.fromkeys(names))[:_LONGEST_LIST]


def _listed(lines: Sequence[Line], label: re.Pattern[str]) -> Iterator[str]:
    """What stands behind the label and in the list below it."""
    for index, line in enumerate(lines):
        if not label.match(line.text):  # columns are only looked for where it is
            continue
        if found := label.match(_COLUMN.split(line.text.strip(), maxsplit=1)[0]):
            yield from _names([found[1]])
            yield from _names(_items(lines[index + 1 :]))
            return


def _items(lines: Iterable[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        item = _ITEM.match(_COLUMN.split(line.text.strip(), maxsplit=1)[0])
        if item is None or number >= _LONGEST_LIST:
            return
        yield item[1]


def _names(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for piece in text.split(";"):
            name = _REMARK.sub("", piece.strip().lstrip("-–—+•* ")).strip()
            if 2 < len(name) <= _LONGEST_NAME and not _NONE.match(name):
                yield name
