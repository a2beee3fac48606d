"""Which reader opens which kind of file, and the one border that foreign exceptions stop at."""

from collections.abc import Callable, Mapping

from mailgov.content.extract.doc import read_doc
from mailgov.content.extract.docx import read_docx
from mailgov.content.extract.html import read_html
from mailgov.content.extract.opendocument import read_opendocument
from mailgov.content.extract.pdf import read_pdf
from mailgov.content.extract.plain import read_plain
from mailgov.content.extract.ppt import read_ppt
from mailgov.content.extract.pptx import read_pptx
from mailgov.content.extract.rtf import read_rtf
from mailgov.content.extract.xls import read_xls
from mailgov.content.extract.xlsx import read_xlsx
from mailgov.content.runs import Extracted, Unreadable

KINDS: Mapping[str, Callable[[bytes], Extracted]] = {
    "csv": read_plain,
    "doc": read_doc,
    "docm": read_docx,
    "docx": read_docx,
    "html": read_html,
    "odp": read_opendocument,
    "ods": read_opendocument,
    "odt": read_opendocument,
    "pdf": read_pdf,
    "ppt": read_ppt,
    "pptm": read_pptx,
    "pptx": read_pptx,
    "rtf": read_rtf,
    "txt": read_plain,
    "xls": read_xls,
    "xlsm": read_xlsx,
    "xlsx": read_xlsx,
}


def extract(kind: str, data: bytes) -> Extracted:
    """The text of a file of this kind. Pure: equal bytes give equal runs.

    Raises Unreadable, and nothing else, when the file is damaged, encrypted, larger than allowed when
    unpacked, or of a kind that has no reader.
    """
    reader = KINDS.get(kind)
    if reader is None:
        raise Unreadable(f"no reader for `{kind}`")
    try:
        return reader(data)
    except Unreadable:
        raise
    except Exception as exc:  # what parsers raise on hostile bytes has no bounds
        raise Unreadable(f"damaged {kind}") from exc
