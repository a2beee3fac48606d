"""Text files: txt and csv."""

import codecs

from mailgov.content.charsets import unlabelled
from mailgov.content.runs import Extracted, Run

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    """Text of unlabelled bytes: by byte order mark, else by `charsets.unlabelled`."""
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, "replace")
    return unlabelled(data)


def read_plain(data: bytes) -> Extracted:
    """Runs of a text file, one for each line that is not blank; places are `line 1` onwards."""
    lines = decode(data).split("\n")  # not splitlines: C0 codes are letters in some encodings
    runs = tuple(
        Run(line.rstrip("\r"), f"line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip(" \t\r")
    )
    return Extracted(runs, has_text=bool(runs))
