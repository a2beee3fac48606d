"""Files in private Vietnamese encodings converted to Unicode: bytes in, bytes out.

The original is never touched, nor what is Unicode already. Signed files are refused, since any
change breaks the signature: whoever signed must convert and sign again. Basis: Decree 30/2020/NĐ-CP,
annex I (Unicode by TCVN 6909:2001); Decision 72/2002/QĐ-TTg.
"""

import codecs

from mailgov.content.archives import Budget
from mailgov.content.conversion import Change, Conversion, Doubt, Log, convert_runs
from mailgov.content.extract.plain import decode
from mailgov.content.file_kinds import find_kind
from mailgov.content.message_conversion import convert_message
from mailgov.content.opening import open_file
from mailgov.content.package_text import WALKS, convert_package, is_signed
from mailgov.content.runs import Run, Unreadable
from mailgov_policies.facts import Encoding

__all__ = ["MAX_BYTES", "Change", "Conversion", "Doubt", "convert_file"]

MAX_BYTES = 64 << 20
_PLAIN = frozenset({"csv", "text"})
_SIGNED_KINDS = frozenset({"p7m", "p7s"})


def convert_file(data: bytes, name: str = "", given: Encoding | None = None) -> Conversion:
    """A text, csv, docx, xlsx or eml file in Unicode; what it is, is told by its bytes.

    `given` is the private encoding of what is not Unicode; None finds it out. Converting the result
    again changes nothing. Raises Unreadable, and nothing else, when the file is damaged, encrypted
    or larger than allowed.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable("larger than allowed")
    try:
        return _convert(data, name, given)
    except Unreadable:
        raise
    except Exception as exc:  # what parsers raise on hostile bytes has no bounds
        raise Unreadable("damaged file") from exc


def _convert(data: bytes, name: str, given: Encoding | None) -> Conversion:
    kind = find_kind(data, name)
    if kind in _PLAIN:
        return _convert_plain(data, given, mark=kind == "csv")
    if kind == "message":
        return convert_message(data, given, _convert_file_of_message)
    if kind == "empty":
        return Conversion("unicode")
    if kind in _SIGNED_KINDS:
        return Conversion("refused", why="signed")
    if kind == "pdf":
        return Conversion("refused", why="signed" if b"/ByteRange" in data else "kind")
    if kind not in ("zip", "ole"):
        return Conversion("refused", why="kind")
    opened = open_file(kind, data, name, "", Budget())
    if opened.state != "read":
        raise Unreadable(opened.why or "damaged", opened.state)
    if opened.kind not in WALKS:
        return Conversion("refused", why="kind")
    if is_signed(data):
        return Conversion("refused", why="signed")
    log = Log()
    return log.conversion(convert_package(opened.kind, data, log, given))


def _convert_file_of_message(data: bytes, name: str, given: Encoding | None) -> Conversion:
    """A file as above; a message within a message stays as it is."""
    if find_kind(data, name) == "message":
        return Conversion("refused", why="kind")
    return convert_file(data, name, given)


def _convert_plain(data: bytes, given: Encoding | None, *, mark: bool) -> Conversion:
    """Lines converted; csv gets a byte order mark, without which spreadsheets misread UTF-8."""
    log = Log()
    lines = decode(data).split("\n")  # not splitlines: C0 codes are letters in some encodings
    runs = [Run(line, f"line {number}") for number, line in enumerate(lines, start=1)]
    text = "\n".join(convert_runs(runs, log, given))
    mark = mark or data.startswith(codecs.BOM_UTF8)
    return log.conversion((codecs.BOM_UTF8 if mark else b"") + text.encode())
